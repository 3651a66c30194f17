#include "peer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.hpp"

namespace plimsoll::net::testing {

namespace {

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

bool wait_for(int fd, short events, std::chrono::milliseconds within) {
    pollfd poll{fd, events, 0};
    int result;
    do result = ::poll(&poll, 1, static_cast<int>(within.count()));
    while (result < 0 && errno == EINTR);
    return result > 0;
}

} // namespace

int Message::status() const { return head.size() < 12 ? 0 : std::atoi(head.c_str() + 9); }

std::string Message::field(std::string_view name) const {
    const auto found = all(name);
    return found.empty() ? std::string{} : found.front();
}

std::vector<std::string> Message::all(std::string_view name) const {
    std::vector<std::string> found;
    const auto text = lower(head);
    const auto line = "\r\n" + std::string(name) + ":";
    for (auto at = text.find(line); at != text.npos; at = text.find(line, at + 1)) {
        const auto from = text.find_first_not_of(' ', at + line.size());
        found.push_back(head.substr(from, text.find("\r\n", from) - from));
    }
    return found;
}

bool Message::has(std::string_view name) const {
    return lower(head).find("\r\n" + std::string(name) + ":") != std::string::npos;
}

Peer::Peer(int fd) : fd_(fd) {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Peer::Peer(Peer&& other) noexcept { *this = std::move(other); }

Peer& Peer::operator=(Peer&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(buffer_, other.buffer_);
    std::swap(reset_, other.reset_);
    std::swap(over_, other.over_);
    return *this;
}

Peer::~Peer() { close(); }

Peer Peer::connect(const std::string& text) {
    sockaddr_storage storage{};
    socklen_t length = 0;
    const auto address = parse_address(text);
    if (!address || !to_sockaddr(*address, storage, length)) return {};
    Peer peer(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(peer.fd_, reinterpret_cast<sockaddr*>(&storage), length) != 0) peer.close();
    return peer;
}

void Peer::small_window() {
    const int size = 128 << 10;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

bool Peer::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto went = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (went > 0)
            bytes.remove_prefix(static_cast<std::size_t>(went));
        else if (errno != EAGAIN || !wait_for(fd_, POLLOUT, patience))
            return false;
    }
    return true;
}

bool Peer::fill() {
    if (over_ || fd_ < 0 || !wait_for(fd_, POLLIN, patience)) return false;
    char bytes[65536];
    const auto got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got < 0 && errno == ECONNRESET) reset_ = true;
    if (got <= 0) {
        over_ = true;
        return false;
    }
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
}

std::string Peer::read_some(std::size_t most) {
    if (buffer_.empty()) fill();
    auto some = buffer_.substr(0, most);
    buffer_.erase(0, some.size());
    return some;
}

std::string Peer::read_to_end() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
}

bool Peer::buffer_up_to(std::size_t size) {
    while (buffer_.size() < size)
        if (!fill()) return false;
    return true;
}

Message Peer::read_message(bool request, bool to_head) {
    Message message;
    std::size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
        if (!fill()) return message;
    message.head = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    const auto status = request ? 0 : message.status();
    const bool none = to_head || (!request && (status < 200 || status == 204 || status == 304));
    if (none) {
        message.complete = true;
    } else if (lower(message.field("transfer-encoding")) == "chunked") {
        while (true) {
            std::size_t line;
            while ((line = buffer_.find("\r\n")) == std::string::npos)
                if (!fill()) return message;
            const auto size = std::stoul(buffer_.substr(0, line), nullptr, 16);
            if (size == 0) {
                while ((end = buffer_.find("\r\n\r\n", line)) == std::string::npos)
                    if (!fill()) return message;
                message.head += buffer_.substr(line + 2, end - line); // trailers, for field()
                buffer_.erase(0, end + 4);
                message.complete = true;
                return message;
            }
            if (!buffer_up_to(line + 2 + size + 2)) return message;
            message.body += buffer_.substr(line + 2, size);
            buffer_.erase(0, line + 2 + size + 2);
        }
    } else if (message.has("content-length")) {
        const auto size = std::stoul(message.field("content-length"));
        buffer_up_to(size);
        message.body = buffer_.substr(0, size);
        buffer_.erase(0, message.body.size());
        message.complete = message.body.size() == size;
    } else if (request) {
        message.complete = true;
    } else {
        message.body = read_to_end();
        message.complete = over_ && !reset_;
    }
    return message;
}

Message Peer::read_request(bool to_head) { return read_message(true, to_head); }
Message Peer::read_response(bool to_head) { return read_message(false, to_head); }

Message Peer::read_packet(bool to_head) {
    Message message;
    constexpr std::size_t header = 4;
    const auto number = [this](std::size_t at) {
        return static_cast<std::size_t>(static_cast<unsigned char>(buffer_[at]) |
                                        static_cast<unsigned char>(buffer_[at + 1]) << 8);
    };
    if (!buffer_up_to(header)) return message;
    const auto size = header + number(1);
    if (buffer_[0] != 0 || buffer_[3] != 0 || !buffer_up_to(size)) return message;
    std::vector<std::string> texts;
    for (std::size_t at = header; at + 2 <= size; at += 2 + texts.back().size()) {
        if (at + 2 + number(at) > size) return message;
        texts.push_back(buffer_.substr(at + 2, number(at)));
    }
    buffer_.erase(0, size);
    for (std::size_t i = 0; i + 1 < texts.size(); i += 2) message.head += "\r\n" + texts[i] + ": " + texts[i + 1];
    message.head = message.field("request_method") + " " + message.field("request_uri") + " " +
                   message.field("server_protocol") + message.head + "\r\n\r\n";
    message.complete = texts.size() % 2 == 0;
    if (to_head || !message.has("content_length")) return message;
    const auto length = std::stoul(message.field("content_length"));
    message.complete = buffer_up_to(length) && message.complete;
    message.body = buffer_.substr(0, length);
    buffer_.erase(0, message.body.size());
    return message;
}

bool Peer::ended(std::chrono::milliseconds within) {
    if (!buffer_.empty()) return false;
    if (over_) return true;
    if (!wait_for(fd_, POLLIN, within)) return false;
    return !fill();
}

bool Peer::silent_for(std::chrono::milliseconds span) { return buffer_.empty() && !wait_for(fd_, POLLIN, span); }

bool Peer::was_read() const {
    const auto port_by = [this](auto name) {
        sockaddr_in at{};
        socklen_t size = sizeof at;
        name(fd_, reinterpret_cast<sockaddr*>(&at), &size);
        return unsigned{ntohs(at.sin_port)};
    };
    const unsigned theirs = port_by(::getpeername), ours = port_by(::getsockname);
    return eventually([&] {
        std::ifstream sockets("/proc/net/tcp");
        for (std::string line; std::getline(sockets, line);) {
            unsigned local = 0, remote = 0, unread = 0;
            if (std::sscanf(line.c_str(), "%*d: %*x:%x %*x:%x %*x %*x:%x", &local, &remote, &unread) == 3 &&
                local == theirs && remote == ours)
                return unread == 0;
        }
        return false;
    });
}

void Peer::finish_writing() { ::shutdown(fd_, SHUT_WR); }

void Peer::close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

void Peer::reset() {
    const linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

Origin::Origin(Script serve, bool unix_socket) : serve_(std::move(serve)) {
    static std::atomic<int> number{0};
    path_ = unix_socket ? "/tmp/plimsoll-test-" + std::to_string(::getpid()) + "-" + std::to_string(++number) : "";
    sockaddr_storage storage{};
    socklen_t length = 0;
    to_sockaddr(*parse_address(unix_socket ? "unix:" + path_ : "127.0.0.1:0"), storage, length);
    fd_ = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::bind(fd_, reinterpret_cast<sockaddr*>(&storage), length);
    ::listen(fd_, 128);
    if (unix_socket) {
        address_ = "unix:" + path_;
    } else {
        length = sizeof storage;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length);
        address_ = "127.0.0.1:" + std::to_string(ntohs(reinterpret_cast<sockaddr_in&>(storage).sin_port));
    }
    acceptor_ = std::thread([this] { accept_all(); });
}

void Origin::accept_all() {
    while (!stopping_) {
        if (!wait_for(fd_, POLLIN, std::chrono::milliseconds{20})) continue;
        const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        ++connections_;
        const std::lock_guard lock(mutex_);
        threads_.emplace_back([this, fd] {
            Peer peer(fd);
            {
                const std::lock_guard guard(mutex_);
                open_.push_back(&peer);
            }
            serve_(peer);
            const std::lock_guard guard(mutex_);
            std::erase(open_, &peer);
        });
    }
}

void Origin::stop_listening() {
    stopping_ = true;
    if (acceptor_.joinable()) acceptor_.join();
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    if (!path_.empty()) ::unlink(path_.c_str());
}

Origin::~Origin() {
    stop_listening();
    {
        const std::lock_guard lock(mutex_); // hang up on scripts that wait
        for (auto* peer : open_) ::shutdown(peer->fd(), SHUT_RDWR);
    }
    for (auto& thread : threads_) thread.join();
}

void echo(Peer& peer) {
    while (true) {
        const auto request = peer.read_request();
        if (!request.complete) return;
        const auto line = request.head.substr(0, request.head.find(" HTTP/"));
        const auto body = line + " " + request.body;
        if (!peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                       (line.starts_with("HEAD") ? "" : body)))
            return;
    }
}

Origin::Script answers_once(const std::atomic<bool>& released) {
    return [&released](Peer& peer) {
        while (peer.read_request().complete) {
            eventually([&] { return released.load(); });
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    };
}

} // namespace plimsoll::net::testing
