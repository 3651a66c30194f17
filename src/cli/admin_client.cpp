#include "cli/admin_client.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/place.hpp"

namespace plimsoll::cli {
namespace {

namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;

struct Socket {
    int fd = -1;
    explicit Socket(int family) : fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {}
    Socket(Socket&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
    Socket& operator=(Socket&&) = delete;
    ~Socket() {
        if (fd >= 0) ::close(fd);
    }
};

// 0: ready. Else ETIMEDOUT, or the errno of poll.
int await(int fd, short events, Clock::time_point deadline) {
    for (;;) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return ETIMEDOUT;
        pollfd waiting{fd, events, 0};
        int ready = ::poll(&waiting, 1, static_cast<int>(left));
        if (ready > 0) return 0;
        if (ready < 0 && errno != EINTR) return errno;
    }
}

// 0, or the errno that it came to.
int connect_within(int fd, const sockaddr* address, socklen_t length, Clock::time_point deadline) {
    if (fd < 0) return errno;
    if (::connect(fd, address, length) == 0) return 0;
    if (errno != EINPROGRESS) return errno; // EAGAIN: the backlog of a unix socket is full
    if (int error = await(fd, POLLOUT, deadline); error != 0) return error;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

std::optional<Socket> connect_unix(const std::string& path, Clock::time_point deadline, std::string& reason) {
    Socket socket(AF_UNIX);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1); // parse_place has checked that it fits
    int error = connect_within(socket.fd, reinterpret_cast<sockaddr*>(&address), sizeof address, deadline);
    if (error == 0) return socket;
    reason = std::strerror(error);
    return {};
}

std::optional<Socket> connect_tcp(const config::Place& place, Clock::time_point deadline, std::string& reason) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    auto host = place.host.empty() || place.host == "0.0.0.0" ? "127.0.0.1" : place.host == "::" ? "::1" : place.host;
    if (int error = ::getaddrinfo(host.c_str(), std::to_string(place.port).c_str(), &hints, &found); error != 0) {
        reason = ::gai_strerror(error);
        return {};
    }
    std::optional<Socket> connected;
    for (auto* candidate = found; candidate != nullptr && !connected; candidate = candidate->ai_next) {
        Socket socket(candidate->ai_family);
        int error = connect_within(socket.fd, candidate->ai_addr, candidate->ai_addrlen, deadline);
        if (error == 0)
            connected.emplace(std::move(socket));
        else
            reason = std::strerror(error);
    }
    ::freeaddrinfo(found);
    return connected;
}

int send_all(int fd, std::string_view bytes, Clock::time_point deadline) {
    while (!bytes.empty()) {
        auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0)
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        else if (errno == EAGAIN) {
            if (int error = await(fd, POLLOUT, deadline); error != 0) return error;
        } else if (errno != EINTR)
            return errno;
    }
    return 0;
}

constexpr auto foreign = "does not speak as Plimsoll's admin API: is this its address?";

// Reads one answer. Empty: it is whole; else what was wrong with it.
std::string receive(int fd, http::response_parser<http::string_body>& parser, const AdminClient::Bounds& bounds,
                    Clock::time_point deadline) {
    std::string pending, beginning;
    char buffer[64 << 10];
    while (!parser.is_done()) {
        if (int error = await(fd, POLLIN, std::min(deadline, Clock::now() + bounds.silence)); error != 0)
            return error == ETIMEDOUT ? "did not answer in time"
                                      : std::string("stopped answering: ") + std::strerror(error);
        auto got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got < 0) return std::string("stopped answering: ") + std::strerror(errno);
        boost::beast::error_code error;
        if (got == 0) {
            if (!parser.got_some()) return "hung up without an answer";
            parser.put_eof(error);
            if (error && !std::string_view("HTTP/").starts_with(beginning.substr(0, 5))) return foreign;
            if (error) return "hung up in the middle of its answer";
            continue;
        }
        pending.append(buffer, static_cast<std::size_t>(got));
        if (beginning.size() < 5) beginning.append(buffer, std::min<std::size_t>(5, static_cast<std::size_t>(got)));
        while (!pending.empty() && !parser.is_done()) {
            auto used = parser.put(boost::asio::buffer(pending), error);
            pending.erase(0, used);
            if (error == http::error::need_more) break;
            if (error == http::error::body_limit) return "answered with more than this command can hold";
            if (error) return foreign;
        }
    }
    return {};
}

std::optional<unsigned> seconds_of(std::string_view text) {
    if (text.empty() || text.size() > 6 || text.find_first_not_of("0123456789") != std::string_view::npos) return {};
    return static_cast<unsigned>(std::stoul(std::string(text)));
}

std::string one_request(std::string_view method, std::string_view target, std::string_view host, std::string_view token,
                        std::string_view body) {
    std::string request;
    auto line = [&request](std::initializer_list<std::string_view> parts) {
        for (auto part : parts) request += part;
        request += "\r\n";
    };
    line({method, " ", target, " HTTP/1.1"});
    line({"Host: ", host});
    line({"User-Agent: plimsoll"});
    line({"Accept: application/json"});
    if (!token.empty()) line({"Authorization: Bearer ", token});
    if (method == "POST") line({"Content-Length: ", std::to_string(body.size())});
    line({"Connection: close"});
    line({});
    return request += body;
}

} // namespace

AdminClient::AdminClient(std::string address, std::string token, Bounds bounds)
    : address_(std::move(address)), token_(std::move(token)), bounds_(bounds) {}

std::optional<Answer> AdminClient::ask(std::string_view method, std::string_view target, std::string_view body,
                                       std::string& why_not) const {
    std::string reason;
    auto place = config::parse_place(address_, reason);
    if (!place) {
        why_not = config::place_problem(address_);
        return {};
    }
    auto deadline = Clock::now() + bounds_.total;
    auto connected = Clock::now() + bounds_.connect;
    auto socket =
        place->unix_socket ? connect_unix(place->path, connected, reason) : connect_tcp(*place, connected, reason);
    if (!socket) {
        why_not = "no proxy answers at " + address_ + " (" + reason +
                  "): is `plimsoll serve` running, with this as its [admin] listen? "
                  "Another address: --admin or PLIMSOLL_ADMIN";
        return {};
    }
    auto host = place->unix_socket ? std::string("localhost") : address_.substr(address_.starts_with("tcp:") ? 4 : 0);
    if (host.starts_with(':')) host = "127.0.0.1" + host;
    // A peer that answers early and closes makes the sending fail: what it said still counts.
    int unsent = send_all(socket->fd, one_request(method, target, host, token_, body), deadline);
    http::response_parser<http::string_body> parser;
    parser.body_limit(bounds_.size);
    parser.header_limit(64 << 10);
    auto trouble = receive(socket->fd, parser, bounds_, deadline);
    if (!trouble.empty()) {
        why_not = address_ + " " + (unsent != 0 ? std::string("took no request: ") + std::strerror(unsent) : trouble);
        return {};
    }
    auto message = parser.release();
    auto retry = message[http::field::retry_after];
    return Answer{message.result_int(), std::move(message.body()), seconds_of({retry.data(), retry.size()})};
}

std::string url_encoded(std::string_view segment) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string encoded;
    for (unsigned char c : segment) {
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '_' || c == '.' || c == '~';
        if (plain)
            encoded += static_cast<char>(c);
        else
            (encoded += '%') += hex[c >> 4], encoded += hex[c & 15];
    }
    return encoded;
}

} // namespace plimsoll::cli
