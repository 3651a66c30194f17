// The worker's answer on its way to the client: reads, checks the framing, frames anew, sends.
//
// What the client does not take at once goes to the exchange's outbox (memory, then a file), so the worker is read as fast as
// it gives and its slot is free when its last byte is here. A large body of known length goes from socket to socket
// through a pipe while the client keeps up.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/exchange.hpp"
#include "net/io/pipes.hpp"

namespace plimsoll::net {

struct Workspace;

class Download {
public:
    enum class State : std::uint8_t { head, body, complete, closed, failed_to_send, malformed, no_room };

    Download(Exchange& exchange, io::Stream& client, Workspace& workspace);
    Download(const Download&) = delete;
    Download& operator=(const Download&) = delete;
    ~Download() { drop_pipe(); }

    // One read from the worker, and what follows from it. Call when the worker is readable and wants_more().
    void receive();
    bool wants_more() const;
    State state() const { return state_; }
    bool reading() const { return state_ == State::head || state_ == State::body; }
    bool awaits_head() const { return state_ == State::head; }
    bool nothing_came() const { return !something_came_; }
    // While it splices it is woken for large pieces only. A worker that takes long to make one is asked for less.
    bool holds_out() const { return low_mark_ > 1; }
    void settle_for_less();
    bool tunnel() const { return framing_.kind == http::Framing::Kind::tunnel; }
    bool worker_may_be_kept() const { return keep_worker_; }
    bool all_sent() const { return exchange_.outbox.empty() && (!pipe_ || pipe_.filled == 0); }
    bool unheard() const { return unheard_; } // the client left, and the worker was let finish
    // Of what counts as answered: bytes that a client who left has not been handed. The framing of chunks that waits is among them.
    std::uint64_t not_sent() const { return lost_ + exchange_.outbox.unread() + (pipe_ ? pipe_.filled : 0); }
    void flush(); // sends what waits for the client, as far as it goes
    const http::Refusal& fault() const { return fault_; }

private:
    void receive_copying();
    void receive_splicing();
    bool may_splice() const;
    void hold_out_for(std::size_t bytes);
    void keep_in_pipe();
    void pipe_to_outbox();
    void drop_pipe();
    void take(char* bytes, std::size_t size);
    std::string_view take_heads(std::string_view bytes);
    void begin(const http::ResponseHead& head);
    void take_body(std::string_view bytes);
    std::string_view decode_chunks(std::string_view bytes);
    void deliver(std::string_view payload);
    std::string_view last_chunk_after(bool nothing, std::span<char> out);
    void worker_closed(bool failed);
    void send(std::span<iovec> parts);
    void client_left();

    Exchange& exchange_;
    io::Stream& client_;
    Workspace& workspace_;
    http::ChunkScanner scanner_{http::ChunkScanner::Of::response};
    http::Framing framing_; // the worker's
    std::uint64_t left_ = 0;
    State state_ = State::head;
    bool keep_worker_ = false, buffered_ = true, something_came_ = false, unheard_ = false;
    std::size_t head_size_ = 0; // of our head, written to the workspace and not sent yet
    unsigned interim_ = 0;      // answers before the one that counts
    std::size_t low_mark_ = 1;
    bool slow_worker_ = false;
    bool corked_ = false;            // the kernel holds a segment back that is not full
    std::string held_;               // a head that is not complete yet
    std::string connection_options_; // of an answer in chunks: what of its trailers ends here
    io::Pipes::Lease pipe_;
    std::uint64_t lost_ = 0;  // bytes that were on their way to the client when it left
    std::size_t charged_ = 0; // of what waits in the pipe for a slow client, to the budget of buffers
    http::Refusal fault_;
};

} // namespace plimsoll::net
