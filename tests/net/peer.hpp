// Raw sockets for tests, on both ends of the proxy. Blocking, with a deadline on everything, so that a broken proxy makes a
// test fail instead of hang.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace plimsoll::net::testing {

inline constexpr std::chrono::milliseconds patience{10'000};

// An HTTP message as it came over the wire; body is decoded.
struct Message {
    std::string head, body;
    bool complete = false; // false: the connection ended before the message did
    int status() const;
    std::string field(std::string_view name) const;            // first one, lower case name; empty where there is none
    std::vector<std::string> all(std::string_view name) const; // in the order in which they came
    bool has(std::string_view name) const;
};

class Peer {
public:
    Peer() = default;
    explicit Peer(int fd);
    Peer(Peer&& other) noexcept;
    Peer& operator=(Peer&& other) noexcept;
    ~Peer();
    static Peer connect(const std::string& address); // "127.0.0.1:80", "unix:/path"

    bool send(std::string_view bytes);               // false: the other side is gone
    std::string read_some(std::size_t most = 65536); // empty: end, error or out of patience
    std::string read_to_end();
    Message read_request(bool to_head = false);
    // Of the uwsgi protocol, its variables as lines of a head: "GET /path HTTP/1.1", "REQUEST_METHOD: GET" and so on.
    Message read_packet(bool to_head = false);
    Message read_response(bool to_head = false);             // skips nothing: a 100 is a message too
    bool ended(std::chrono::milliseconds within = patience); // is the end what comes next?
    bool silent_for(std::chrono::milliseconds span);         // nothing comes, not even the end
    bool was_read() const; // within `patience` the other side, of this host and over IPv4, has read all that was sent
    bool was_reset() const { return reset_; }
    void finish_writing();
    void close();
    void reset();        // close with RST
    void small_window(); // a receive buffer that does not grow; a client calls it at once
    int fd() const { return fd_; }

private:
    Message read_message(bool request, bool to_head);
    bool buffer_up_to(std::size_t size); // false: the end came first
    bool fill();                         // one read into buffer_

    int fd_ = -1;
    std::string buffer_;
    bool reset_ = false, over_ = false;
};

// A worker by script: each connection is handled by `serve` on a thread of its own.
class Origin {
public:
    using Script = std::function<void(Peer&)>;
    explicit Origin(Script serve, bool unix_socket = false);
    ~Origin();
    const std::string& address() const { return address_; }
    int connections() const { return connections_; }
    void stop_listening(); // connects are refused from now on

private:
    void accept_all();
    Script serve_;
    std::string address_, path_;
    int fd_ = -1;
    std::atomic<int> connections_ = 0;
    std::atomic<bool> stopping_ = false;
    std::thread acceptor_;
    std::mutex mutex_;
    std::vector<std::thread> threads_;
    std::vector<Peer*> open_;
};

// Answers every request on a connection with 200 and "METHOD PATH BODY".
void echo(Peer& peer);
// Answers with an empty 200, each time when `released` is true.
Origin::Script answers_once(const std::atomic<bool>& released);

template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds within = patience) {
    const auto deadline = std::chrono::steady_clock::now() + within;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return true;
}

} // namespace plimsoll::net::testing
