#include "fleet/output.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <unistd.h>

#include "log/log.hpp"

namespace plimsoll::fleet {

Output::Output(asio::io_context& control, Fd pipe, std::string log_name, Keep keep, Bytes bound)
    : control_(control), pipe_(control, pipe.release()), log_name_(std::move(log_name)), keep_(keep),
      bound_(static_cast<std::size_t>(bound.count)) {
    pipe_.non_blocking(true);
}

void Output::start() { spawn(control_, "output", read(shared_from_this())); }

// Waits for bytes and then takes them itself, rather than have them read into a buffer of its own: catch_up would otherwise
// overtake those that are on their way from there.
asio::awaitable<void> Output::read(std::shared_ptr<Output> self) {
    for (;;) {
        auto [ec] = co_await self->pipe_.async_wait(asio::posix::stream_descriptor::wait_read, as_result);
        if (ec || !self->take_available()) break; // close(), or the last writer has gone
    }
    self->end_line();
}

void Output::catch_up() {
    take_available();
    end_line();
}

// False: there is no more to come.
bool Output::take_available() {
    std::array<char, 4096> buffer;
    constexpr int pipe_full = 64; // times the buffer: a grandchild may print without end
    for (int i = 0; i < pipe_full && pipe_.is_open(); ++i) {
        const auto size = ::read(pipe_.native_handle(), buffer.data(), buffer.size());
        if (size == 0) return false;
        if (size < 0) return errno == EAGAIN || errno == EINTR;
        take({buffer.data(), static_cast<std::size_t>(size)});
    }
    return pipe_.is_open();
}

void Output::close() {
    boost::system::error_code ignored; // closed is closed
    pipe_.close(ignored);
}

void Output::take(std::string_view chunk) {
    take_lines(chunk);
    const std::size_t before = kept_.size();
    if (keep_ == Keep::first) {
        kept_.append(chunk.substr(0, bound_ - std::min(bound_, before)));
    } else {
        kept_.append(chunk);
        if (kept_.size() > bound_) kept_.erase(0, kept_.size() - bound_);
    }
    dropped_ += before + chunk.size() - kept_.size();
}

void Output::take_lines(std::string_view chunk) {
    if (log_name_.empty()) return;
    while (!chunk.empty()) {
        const auto end = std::min(chunk.find('\n'), chunk.size());
        line_.append(chunk.substr(0, std::min(end, max_line - line_.size())));
        if (end < chunk.size()) end_line();
        chunk.remove_prefix(std::min(end + 1, chunk.size()));
    }
}

void Output::end_line() {
    if (line_.ends_with('\r')) line_.pop_back();
    if (!line_.empty()) log::info("output", {{"name", log_name_}, {"line", line_}});
    line_.clear();
}

} // namespace plimsoll::fleet
