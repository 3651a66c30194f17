#include "log/sink.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace plimsoll::log {
namespace {

constexpr std::size_t block = 32 << 10;

// All of it, or false. Standard error may be a non-blocking pipe of somebody else's making: then it is waited for.
bool write_all(int file, std::string_view text) {
    while (!text.empty()) {
        auto count = ::write(file, text.data(), text.size());
        if (count >= 0) {
            text.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            pollfd waiting{file, POLLOUT, 0};
            if (::poll(&waiting, 1, 1000) <= 0) return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

} // namespace

Sink::~Sink() {
    write_out();
    write_blocks();
    if (file_ != 2) ::close(file_);
}

std::string Sink::open(const std::string& path) {
    int file = 2;
    if (!path.empty()) {
        // Not readable by all: paths and addresses of clients stand in it.
        file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (file < 0) return "the log file " + path + " cannot be opened: " + std::strerror(errno);
    }
    std::lock_guard lock(mutex_);
    write_out();
    if (file_ != 2) ::close(file_);
    file_ = file;
    path_ = path;
    return {};
}

std::string Sink::reopen() {
    std::string path;
    {
        std::lock_guard lock(mutex_);
        path = path_;
    }
    return open(path);
}

void Sink::sink_it_(const spdlog::details::log_msg& message) {
    if (message.payload.size() == 0) {
        write_out();
        return write_blocks();
    }
    pending_.append(message.payload.data(), message.payload.size());
    ++pending_lines_;
    if (pending_.size() >= block || !more_waits_()) write_out();
}

void Sink::flush_() { write_out(); }

void Sink::write_blocks() {
    blocks_.take(taken_);
    for (const auto& block : taken_)
        if (!write_all(file_, block.text)) lost_ += block.lines;
}

void Sink::write_out() {
    if (!pending_.empty() && !write_all(file_, pending_)) lost_ += pending_lines_;
    pending_.clear();
    pending_lines_ = 0;
}

} // namespace plimsoll::log
