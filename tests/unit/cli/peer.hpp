// A peer on a unix socket that does what a test tells it, one connection after another.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

class Peer {
public:
    // `serve` is given each connection and its number, from 0; it is closed afterwards.
    explicit Peer(std::function<void(int fd, int number)> serve) : serve_(std::move(serve)) {
        char path[] = "/tmp/plimsoll-cli-XXXXXX";
        directory_ = ::mkdtemp(path);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
        listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
        ok_ = ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
              ::listen(listener_, 8) == 0;
        thread_ = std::thread([this] { run(); });
    }
    ~Peer() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
        ::unlink(socket_path().c_str());
        ::rmdir(directory_.c_str());
    }
    bool ok() const { return ok_; }
    std::string socket_path() const { return directory_ + "/admin.sock"; }
    std::string address() const { return "unix:" + socket_path(); }

    // Up to the end of the head, and as much of the body as its length says it has.
    static std::string read_request(int fd) {
        std::string text;
        char byte = 0;
        while (text.find("\r\n\r\n") == std::string::npos && ::recv(fd, &byte, 1, 0) == 1) text += byte;
        return text;
    }
    static void send(int fd, std::string_view text) { ::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }
    static std::string answer(int status, const std::string& body, const std::string& fields = "") {
        return "HTTP/1.1 " + std::to_string(status) + " Some Reason\r\nContent-Type: application/json\r\n" + fields +
               "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
    }
    // Until the client has gone.
    static void wait_for_end(int fd) {
        char buffer[4096];
        while (::recv(fd, buffer, sizeof buffer, 0) > 0) {
        }
    }

private:
    void run() {
        for (int number = 0;; ++number) {
            int fd = ::accept(listener_, nullptr, nullptr);
            if (fd < 0) return;
            serve_(fd, number);
            ::close(fd);
        }
    }
    std::function<void(int, int)> serve_;
    std::string directory_;
    int listener_ = -1;
    bool ok_ = false;
    std::thread thread_;
};
