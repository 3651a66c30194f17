#include "net/upload.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "net/io/loop.hpp"

namespace plimsoll::net {

using Kind = http::Framing::Kind;

void Upload::expect(http::Framing framing, std::uint64_t max_body, std::size_t memory, bool streamed,
                    const http::LeftOut& no_trailers) {
    framing_ = framing;
    left_ = framing.length;
    max_body_ = max_body;
    streamed_ = streamed;
    state_ = framing.has_body() ? State::more : State::complete;
    if (framing.kind == Kind::length && framing.length > max_body) state_ = State::too_large;
    no_trailers_ = no_trailers;
    connection_options_.assign(no_trailers.connection);
    spool_.limit({memory, streamed ? 0 : max_body, streamed});
}

http::LeftOut Upload::no_trailers() const {
    auto left_out = no_trailers_;
    left_out.connection = connection_options_;
    return left_out;
}

http::Framing Upload::framing_to_worker(bool takes_chunks) const {
    if (streamed_ || framing_.kind != Kind::chunked) return framing_;
    if (takes_chunks && scanner_.carries_trailers(no_trailers())) return framing_;
    if (received_ == 0) return {};
    return {Kind::length, received_};
}

bool Upload::append_last_chunk(std::string_view before) {
    std::array<char, http::largest_last_chunk> text;
    const auto size = http::write_last_chunk(scanner_.trailers(), http::ChunkScanner::Of::request, text, no_trailers());
    return spool_.append(before) && spool_.append({text.data(), size});
}

bool Upload::frame_as_one_chunk(std::span<char> out, std::size_t& used) {
    used = 0;
    if (streamed_) return true;
    if (out.size() < http::longest_chunk_size) return false;
    if (received_ > 0) used = http::write_chunk_size(received_, out.data());
    // A request that is sent again has it already.
    return std::exchange(framed_, true) || append_last_chunk(received_ > 0 ? "\r\n" : "");
}

void Upload::add(std::string_view data) {
    received_ += data.size();
    if (received_ > max_body_)
        state_ = State::too_large;
    else if (!store(data))
        state_ = State::no_room;
}

bool Upload::store(std::string_view data) { return spool_.append(data) && !spool_.out_of_files(); }

bool Upload::store_loose(std::string_view all) noexcept {
    try {
        return store(all);
    } catch (const std::bad_alloc&) { // its session stands in a queue: nothing may take it from there but itself
        return false;
    }
}

std::string_view Upload::take(std::string_view bytes) {
    if (state_ != State::more) return bytes;
    if (framing_.kind == Kind::chunked) return take_chunks(bytes);
    const auto mine = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
    add(mine);
    left_ -= mine.size();
    if (left_ == 0 && state_ == State::more) state_ = State::complete;
    return bytes.substr(mine.size());
}

bool Upload::forward_chunk(std::string_view data) {
    char size[http::longest_chunk_size];
    return spool_.append({size, http::write_chunk_size(data.size(), size)}) && spool_.append(data) &&
           spool_.append("\r\n");
}

// What is to be buffered is first moved together in place, over the framing between it (the bytes are the reactor's or the
// session's own): a client may send chunks of a byte, and each would cost a write to the file.
std::string_view Upload::take_chunks(std::string_view bytes) {
    char* const begin = const_cast<char*>(bytes.data());
    char* end = begin;
    while (state_ == State::more && !bytes.empty()) {
        const auto piece = scanner_.next(bytes);
        const auto data = bytes.substr(piece.framing, piece.data);
        bytes.remove_prefix(piece.framing + piece.data);
        received_ += data.size();
        if (received_ + scanner_.left_in_chunk() > max_body_) {
            state_ = State::too_large; // its size says so, whether it comes or not
            break;
        }
        if (streamed_ && !data.empty() && !forward_chunk(data)) state_ = State::no_room;
        if (!streamed_ && !data.empty()) {
            if (end != data.data()) std::memmove(end, data.data(), data.size());
            end += data.size();
        }
        if (state_ != State::more) break;
        if (scanner_.state() == http::ChunkScanner::State::broken) state_ = State::broken;
        if (scanner_.state() == http::ChunkScanner::State::done) {
            state_ = State::complete;
            if (streamed_ && !append_last_chunk({})) state_ = State::no_room;
        }
    }
    const bool goes_on = state_ == State::more || state_ == State::complete;
    if (goes_on && end != begin && !store({begin, static_cast<std::size_t>(end - begin)})) state_ = State::no_room;
    return bytes;
}

void Upload::read(io::Stream& client, io::ReadAhead& beyond) {
    // A body of known length is read straight to where it stays, and never beyond its end.
    if (framing_.kind == Kind::length) {
        // Room for what has come and as much again: who sends a byte at a time must not take a share of the buffers for bytes that
        // may never come.
        const bool has_room = spool_.left_in_chunk() > 0;
        const std::uint64_t most = streamed_ ? loop_.read_size() : io::Loop::scratch_size;
        const std::uint64_t come = has_room ? most : client.unread() + received_;
        const auto wanted = std::clamp<std::uint64_t>(come, 1, most);
        const auto to = spool_.room(static_cast<std::size_t>(std::min(left_, wanted)));
        if (!to.empty()) {
            const auto io = client.read(to.data(), to.size());
            if (io.kind != io::Io::done) return io_ended(io);
            spool_.commit(io.bytes);
            received_ += io.bytes;
            left_ -= io.bytes;
            if (left_ == 0) state_ = State::complete;
            return;
        }
    }
    auto most = io::Loop::scratch_size;
    if (framing_.kind == Kind::length)
        most = static_cast<std::size_t>(std::min<std::uint64_t>(left_, most));
    else
        most = loop_.read_size(); // there may be no room for what follows the chunks
    char* scratch = loop_.scratch();
    const auto io = client.read(scratch, most);
    if (io.kind != io::Io::done) return io_ended(io);
    if (const auto next = take({scratch, io.bytes}); !next.empty()) beyond.append(next);
}

bool Upload::lacks_more_than(std::size_t unread) const {
    if (state_ != State::more) return false;
    return framing_.kind == Kind::length ? unread < left_ : unread == 0;
}

void Upload::io_ended(const io::Io& io) {
    if (io.kind == io::Io::closed) state_ = State::cut_short; // it may still read what we say to that
    if (io.kind == io::Io::failed) state_ = State::gone;
}

} // namespace plimsoll::net
