// The request's body on its way from the client to the worker.
//
// Buffered (the rule): read to its end before a worker is asked for, and then sent with its length, whether it came in chunks
// or not; with trailers, which a length leaves no place for, as one chunk. Streamed (`stream = true` in the route): passed on as
// it comes, in chunks if it came in chunks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/http/chunk_scanner.hpp"
#include "net/http/head.hpp"
#include "net/io/read_ahead.hpp"
#include "net/io/spool.hpp"

namespace plimsoll::net {

class Upload {
public:
    enum class State : std::uint8_t { more, complete, broken, too_large, cut_short, gone, no_room };

    explicit Upload(io::Loop& loop) : spool_(loop), loop_(loop) {}

    // `no_trailers`: fields that are left out of its trailers.
    void expect(http::Framing framing, std::uint64_t max_body, std::size_t memory, bool streamed,
                const http::LeftOut& no_trailers = {});
    // Takes what belongs to the body and returns what follows it.
    std::string_view take(std::string_view bytes);
    void read(io::Stream& client, io::ReadAhead& beyond); // one read; `beyond` gets what follows the body
    void all_is_loose(std::uint64_t bytes) {              // it lies elsewhere, complete (Exchange::loose)
        received_ = bytes;
        state_ = State::complete;
    }
    // Has to wait, after all. False: there is no room, or no memory.
    bool store_loose(std::string_view all) noexcept;

    State state() const { return state_; }
    bool complete() const { return state_ == State::complete; }
    const http::Refusal& fault() const { return scanner_.fault(); }
    http::Framing framing_to_worker(bool takes_chunks) const; // valid when complete, or streamed
    // Behind the head, where framing_to_worker() told chunks for a buffered body: the size of the only chunk. False: no room.
    bool frame_as_one_chunk(std::span<char> out, std::size_t& used);
    bool lacks_more_than(std::size_t unread) const; // is what is still to come more than these bytes, for certain?
    std::uint64_t received() const { return received_; }
    bool streamed() const { return streamed_; }
    io::Spool& spool() { return spool_; }

private:
    void io_ended(const io::Io& io);
    http::LeftOut no_trailers() const;
    bool append_last_chunk(std::string_view before);
    std::string_view take_chunks(std::string_view bytes);
    bool forward_chunk(std::string_view data);
    void add(std::string_view data);
    bool store(std::string_view data);

    io::Spool spool_;
    io::Loop& loop_;
    http::ChunkScanner scanner_;
    http::Framing framing_;
    std::uint64_t left_ = 0, max_body_ = 0, received_ = 0;
    State state_ = State::complete;
    bool streamed_ = false, framed_ = false;
    http::LeftOut no_trailers_; // but for what Connection names, whose views do not last
    std::string connection_options_;
};

} // namespace plimsoll::net
