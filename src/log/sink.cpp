#include "log/sink.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "log/write_all.hpp"

namespace plimsoll::log {
namespace {

constexpr std::size_t block = 32 << 10;

} // namespace

Sink::~Sink() {
    write_out();
    write_blocks();
    trace_.write_out();
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

std::string Sink::trace_to(const std::string& path, std::uint64_t most_bytes) {
    std::lock_guard lock(mutex_);
    return trace_.open(path, most_bytes);
}

std::string Sink::reopen() {
    std::string path, trace_problem;
    {
        std::lock_guard lock(mutex_);
        path = path_;
        trace_problem = trace_.reopen();
    }
    auto problem = open(path);
    return problem.empty() ? trace_problem : problem;
}

void Sink::sink_it_(const spdlog::details::log_msg& message) {
    if (message.payload.size() == 0) {
        write_out();
        write_blocks();
        return trace_.write_out();
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
