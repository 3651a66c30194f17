// An agent as a test script: a socket that says whatever it is told to, byte by byte if need be. Server and agent share
// the test's one thread, so whatever waits here turns the server's io_context meanwhile.
#pragma once

#include <cerrno>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "fleet/fd.hpp"
#include "net/address.hpp"
#include "tests/fleet/turn.hpp"

namespace plimsoll::fleet {

class FakeAgent {
public:
    FakeAgent(boost::asio::io_context& io, const std::string& address) : io_(io) {
        const auto parsed = net::parse_address(address);
        sockaddr_storage storage{};
        socklen_t length = 0;
        if (!parsed || !net::to_sockaddr(*parsed, storage, length)) return;
        fd_.reset(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) fd_.reset();
    }
    static std::string frame(const std::string& text) {
        std::string bytes;
        for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(text.size() >> shift & 0xff));
        return bytes + text;
    }
    static std::string frame(const boost::json::object& message) { return frame(boost::json::serialize(message)); }
    static boost::json::object hello() {
        return {{"type", "hello"},     {"v", 1},
                {"pool", "app"},       {"pid", ::getpid()},
                {"ppid", ::getppid()}, {"address", "unix:/run/w1.sock"}};
    }

    bool dialled() const { return static_cast<bool>(fd_); }
    void raw(const std::string& bytes) {
        std::size_t sent = 0;
        while (sent < bytes.size()) { // the server reads while we write
            const auto n = ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n > 0)
                sent += static_cast<std::size_t>(n);
            else if (errno != EAGAIN)
                return;
            io_.restart();
            io_.poll();
        }
    }
    void say(const boost::json::object& message) { raw(frame(message)); }
    void say(const std::string& text) { raw(frame(text)); }

    // The next message; nothing if the server hung up, or after 10 s.
    std::optional<boost::json::object> hear() {
        std::optional<std::string> text;
        run_until(io_, [&] {
            receive();
            text = take_frame();
            return text || closed_;
        });
        if (!text) return std::nullopt;
        return boost::json::parse(*text).as_object();
    }
    std::string hear_type() {
        const auto message = hear();
        return message ? std::string(message->at("type").as_string()) : "nothing";
    }
    bool hung_up_on() {
        return run_until(io_, [&] {
            receive();
            return closed_;
        });
    }
    void hang_up() { fd_.reset(); }
    int fd() const { return fd_.get(); }

private:
    void receive() {
        char buffer[65536];
        const auto n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) heard_.append(buffer, static_cast<std::size_t>(n));
        if (n == 0 || (n < 0 && errno != EAGAIN)) closed_ = true;
    }
    std::optional<std::string> take_frame() {
        if (heard_.size() < 4) return std::nullopt;
        std::size_t length = 0;
        for (int i = 0; i < 4; ++i)
            length = length << 8 | static_cast<unsigned char>(heard_[static_cast<std::size_t>(i)]);
        if (heard_.size() < 4 + length) return std::nullopt;
        auto text = heard_.substr(4, length);
        heard_.erase(0, 4 + length);
        return text;
    }

    boost::asio::io_context& io_;
    Fd fd_;
    std::string heard_;
    bool closed_ = false;
};

} // namespace plimsoll::fleet
