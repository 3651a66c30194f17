#include "fleet/agent_link.hpp"

#include <array>
#include <cstdint>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace plimsoll::fleet {
namespace {

constexpr std::size_t length_size = 4;
constexpr std::size_t max_queued_bytes = 2 * max_frame;

std::string encode(const boost::json::object& message) {
    std::string frame(length_size, '\0');
    frame += boost::json::serialize(message);
    const std::size_t length = frame.size() - length_size;
    for (std::size_t i = 0; i < length_size; ++i)
        frame[i] = static_cast<char>(length >> (8 * (length_size - 1 - i)) & 0xff);
    return frame;
}

} // namespace

AgentLink::AgentLink(asio::io_context& control, Socket socket, Duration write_timeout)
    : control_(control), socket_(std::move(socket)), write_timeout_(write_timeout),
      peer_(peer_of(socket_.native_handle())) {}

asio::awaitable<Frame> AgentLink::read(std::size_t longest) {
    std::array<unsigned char, length_size> head{};
    auto [head_ec, head_size] = co_await asio::async_read(socket_, asio::buffer(head), as_result);
    // Between two frames any end is a hang-up: a killed worker that left our welcome unread resets the connection.
    if (head_ec && head_size == 0) co_return Frame{.text = {}, .problem = {}, .closed = true};
    if (head_ec) co_return Frame{.text = {}, .problem = "cut off within a frame", .closed = true};
    std::size_t length = 0;
    for (const unsigned char byte : head) length = length << 8 | byte;
    if (length > longest)
        co_return Frame{.text = {},
                        .problem = "a frame of " + std::to_string(length) + " bytes, at most " +
                                   std::to_string(longest) + " are taken",
                        .closed = true};
    Frame frame;
    frame.text.resize(length);
    auto [ec, size] = co_await asio::async_read(socket_, asio::buffer(frame.text), as_result);
    if (ec) co_return Frame{.text = {}, .problem = "cut off within a frame", .closed = true};
    co_return frame;
}

std::string AgentLink::write(const boost::json::object& message) {
    std::string frame = encode(message);
    if (!open()) return "disconnected";
    if (frame.size() > max_frame + length_size) return "longer than a frame may be";
    if (queued_bytes_ + frame.size() > max_queued_bytes) {
        too_slow_ = true;
        close();
        return "disconnected";
    }
    queued_bytes_ += frame.size();
    queue_.push_back(std::move(frame));
    if (!flushing_) {
        flushing_ = true;
        spawn(control_, "agent_write", flush(shared_from_this()));
    }
    return {};
}

asio::awaitable<void> AgentLink::flush(std::shared_ptr<AgentLink> self) {
    while (!self->queue_.empty() && self->open()) {
        self->writing_.emplace(self->socket_, self->write_timeout_);
        auto [ec, size] = co_await asio::async_write(self->socket_, asio::buffer(self->queue_.front()), as_result);
        self->too_slow_ = self->too_slow();
        self->writing_.reset();
        if (ec) self->close(); // the reader ends with it, and says so
        self->queued_bytes_ -= self->queue_.front().size();
        self->queue_.pop_front();
    }
    self->flushing_ = false;
}

asio::awaitable<void> AgentLink::part(std::shared_ptr<AgentLink> self, boost::json::object message, Duration bound) {
    const Deadline deadline(self->socket_, bound);
    const std::string frame = encode(message);
    auto [ec, size] = co_await asio::async_write(self->socket_, asio::buffer(frame), as_result);
    if (ec) co_return;
    boost::system::error_code ignored; // a peer that is gone already has nothing to be told
    self->socket_.shutdown(Socket::shutdown_send, ignored);
    // Closing with unread bytes would reset the connection, and the peer might lose the word it was sent.
    std::array<char, 512> discarded;
    while (!ec) {
        auto [read_ec, count] = co_await self->socket_.async_read_some(asio::buffer(discarded), as_result);
        ec = read_ec;
    }
}

void AgentLink::close() {
    boost::system::error_code ignored; // closed is closed
    socket_.close(ignored);
}

} // namespace plimsoll::fleet
