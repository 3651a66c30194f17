// Bytes to and from Redis: TCP, a unix socket, or TLS over TCP. One connection; a new one takes a new Wire.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/redis/settings.hpp"

namespace plimsoll::net::redis {

namespace asio = boost::asio;
inline constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

class Wire : public std::enable_shared_from_this<Wire> {
public:
    using Socket = asio::generic::stream_protocol::socket;

    Wire(asio::io_context& context, std::shared_ptr<const Settings> settings);

    // Each ends when close() is called, and then says why it was.
    asio::awaitable<std::string> open(); // empty: connected, and who it is was verified; else the problem
    asio::awaitable<std::string> read(char* to, std::size_t room, std::size_t& count); // likewise
    void write(std::string bytes, std::function<void(bool ok)> done);                  // one at a time
    void close(std::string why);
    bool closed() const { return !why_closed_.empty(); }

private:
    asio::awaitable<std::string> connect();
    asio::awaitable<std::string> secure();
    std::string problem_of(const boost::system::error_code& error) const;

    const std::shared_ptr<const Settings> settings_;
    asio::ip::tcp::resolver resolver_;
    Socket socket_;
    std::unique_ptr<asio::ssl::stream<Socket&>> secured_;
    std::string writing_;
    std::string why_closed_;
};

} // namespace plimsoll::net::redis
