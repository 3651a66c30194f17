#include "log/trace_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/write_all.hpp"

namespace plimsoll::log {

std::string TraceFile::open(const std::string& path, std::uint64_t most_bytes) {
    int file = -1;
    struct stat status {};
    if (!path.empty()) {
        // Not readable by all: it tells what is asked for.
        file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (file < 0) return "the trace " + path + " cannot be opened: " + std::strerror(errno);
        ::fstat(file, &status);
    }
    write_out();
    close();
    file_ = file;
    path_ = path;
    most_bytes_ = most_bytes;
    bytes_ = static_cast<std::uint64_t>(status.st_size);
    return {};
}

void TraceFile::close() {
    if (file_ >= 0) ::close(file_);
    file_ = -1;
}

void TraceFile::write_out() {
    blocks_.take(taken_);
    for (const auto& block : taken_) {
        if (file_ >= 0 && bytes_ > 0 && bytes_ + block.text.size() > most_bytes_) rotate();
        bytes_ += block.text.size();
        if (file_ < 0 || !write_all(file_, block.text)) lost_ += block.lines;
    }
}

// Where that fails the file is cut to nothing instead: the bound holds, whatever becomes of older lines.
void TraceFile::rotate() {
    if (std::rename(path_.c_str(), (path_ + ".1").c_str()) != 0 && ::ftruncate(file_, 0) != 0) return;
    const int fresh = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fresh >= 0) {
        close();
        file_ = fresh;
    } else if (::ftruncate(file_, 0) != 0) {
        return;
    }
    bytes_ = 0;
}

} // namespace plimsoll::log
