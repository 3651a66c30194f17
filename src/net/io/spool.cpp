#include "net/io/spool.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/uio.h>
#include <unistd.h>

#include "net/io/loop.hpp"

namespace plimsoll::net::io {

namespace {

constexpr std::size_t smallest_chunk = 4 << 10;
constexpr std::size_t largest_chunk = 64 << 10;

} // namespace

void Spool::clear() {
    loop_.buffers.give(held_);
    chunks_.clear();
    held_ = chunk_ = offset_ = 0;
    size_ = unread_ = 0;
    if (file_ >= 0) {
        ::close(file_);
        loop_.files.give(static_cast<std::size_t>(file_end_));
    }
    file_ = -1;
    file_end_ = file_at_ = 0;
}

bool Spool::add_chunk(std::size_t wanted) {
    const auto capacity = std::clamp(wanted, smallest_chunk, largest_chunk);
    if (!loop_.buffers.take(capacity)) {
        if (!limits_.overdraws) return false;
        loop_.buffers.overdraw(capacity);
    }
    held_ += capacity;
    chunks_.push_back({std::make_unique_for_overwrite<char[]>(capacity), static_cast<std::uint32_t>(capacity), 0});
    return true;
}

std::size_t Spool::left_in_chunk() const {
    return chunks_.empty() ? 0 : chunks_.back().capacity - chunks_.back().filled;
}

std::span<char> Spool::room(std::size_t wanted) {
    if (wanted == 0 || file_ >= 0) return {}; // order: what follows a file goes into the file
    if (left_in_chunk() == 0 && (held_ >= limits_.memory || !add_chunk(wanted))) return {};
    auto& last = chunks_.back();
    return {last.bytes.get() + last.filled, std::min(wanted, left_in_chunk())};
}

void Spool::commit(std::size_t used) {
    if (used == 0) return;
    chunks_.back().filled += static_cast<std::uint32_t>(used);
    size_ += used;
    unread_ += used;
}

bool Spool::takes_more() const {
    if (file_ >= 0 || (held_ >= limits_.memory && left_in_chunk() == 0 && limits_.file > 0))
        return static_cast<std::uint64_t>(file_end_) < limits_.file && !loop_.files.full();
    return held_ < limits_.memory || left_in_chunk() > 0;
}

bool Spool::out_of_files() const { return file_ >= 0 && loop_.files.full(); }

bool Spool::append(std::string_view bytes) {
    while (!bytes.empty()) {
        auto to = room(bytes.size());
        if (to.empty() && limits_.file > 0) return append_to_file(bytes);
        if (to.empty() && !add_chunk(bytes.size())) return false; // the rest of one read goes over the limit
        if (to.empty()) to = {chunks_.back().bytes.get(), std::min(bytes.size(), left_in_chunk())};
        std::memcpy(to.data(), bytes.data(), to.size());
        commit(to.size());
        bytes.remove_prefix(to.size());
    }
    return true;
}

bool Spool::append_to_file(std::string_view bytes) {
    if (file_ < 0) file_ = open_temporary_file();
    if (file_ < 0) return false;
    auto end = file_end_;
    for (auto rest = bytes; !rest.empty();) {
        const auto wrote = ::pwrite(file_, rest.data(), rest.size(), end);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false; // no space: what was written lies beyond the end and is not there
        end += wrote;
        rest.remove_prefix(static_cast<std::size_t>(wrote));
    }
    loop_.files.overdraw(bytes.size());
    file_end_ = end;
    size_ += bytes.size();
    unread_ += bytes.size();
    return true;
}

Io Spool::send_to(Stream& stream, std::string_view& before) {
    if (!holds_anything()) { // of nearly all requests only the head is to be sent
        if (before.empty()) return {};
        const auto io = stream.write(before);
        before.remove_prefix(io.bytes);
        return io;
    }
    std::size_t total = 0;
    while (unread_ > 0 || !before.empty()) {
        const auto io = chunk_ < chunks_.size() || !before.empty() ? send_memory(stream, before) : send_file(stream);
        total += io.bytes;
        const auto ahead = std::min(io.bytes, before.size());
        before.remove_prefix(ahead);
        sent(io.bytes - ahead);
        if (io.kind != Io::done) return {io.kind, total};
    }
    return {Io::done, total};
}

Io Spool::send_memory(Stream& stream, std::string_view before) {
    std::array<iovec, 8> parts;
    std::size_t count = 0;
    if (!before.empty()) parts[count++] = {const_cast<char*>(before.data()), before.size()};
    auto skip = offset_;
    for (auto i = chunk_; i < chunks_.size() && count < parts.size(); ++i, skip = 0)
        parts[count++] = {chunks_[i].bytes.get() + skip, chunks_[i].filled - skip};
    if (count == 1) return stream.write({static_cast<char*>(parts[0].iov_base), parts[0].iov_len});
    return stream.write(std::span(parts.data(), count));
}

Io Spool::send_file(Stream& stream) {
    off_t at = file_at_;
    return stream.send_file(file_, at, static_cast<std::size_t>(file_end_ - file_at_));
}

void Spool::sent(std::size_t bytes) {
    unread_ -= bytes;
    while (bytes > 0 && chunk_ < chunks_.size()) {
        const auto step = std::min<std::size_t>(bytes, chunks_[chunk_].filled - offset_);
        bytes -= step;
        offset_ += step;
        if (offset_ < chunks_[chunk_].filled) break;
        ++chunk_;
        offset_ = 0;
    }
    file_at_ += static_cast<std::int64_t>(bytes);
    if (replayable_) return;
    if (unread_ == 0) {
        const auto size = size_;
        clear();
        size_ = size;
    } else if (chunk_ > 0) {
        drop_chunks(chunk_);
    }
}

void Spool::drop_chunks(std::size_t count) {
    std::size_t freed = 0;
    for (std::size_t i = 0; i < count; ++i) freed += chunks_[i].capacity;
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(count));
    chunk_ -= count;
    held_ -= freed;
    loop_.buffers.give(freed);
}

void Spool::give_up_replay() {
    if (std::exchange(replayable_, false)) sent(0);
}

void Spool::rewind() {
    chunk_ = offset_ = 0;
    file_at_ = 0;
    unread_ = size_;
}

} // namespace plimsoll::net::io
