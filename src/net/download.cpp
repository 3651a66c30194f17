#include "net/download.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <sys/uio.h>
#include <unistd.h>

#include "net/http/byte_writer.hpp"
#include "net/io/loop.hpp"
#include "net/workspace.hpp"

namespace plimsoll::net {

using Kind = http::Framing::Kind;

namespace {

constexpr std::uint64_t longest_pause = 3600; // of a worker's Retry-After; the breaker has its own bound
constexpr std::size_t worth_splicing = 64 << 10;
// Holds a head and most bodies. Of a large body the rest can then go from socket to socket without ever being copied.
constexpr std::size_t first_of_answer = 16 << 10;
constexpr std::size_t worth_waiting = 256 << 10; // fewer wakeups, a third less CPU on 1 MB
// Answers to one request: of hints there are a few, of "still processing" some more.
constexpr unsigned most_interim = 100;
constexpr http::Limits limits_of_answer{60 << 10, http::max_fields_ever, 0};

iovec part_of(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

} // namespace

Download::Download(Exchange& exchange, io::Stream& client, Workspace& workspace)
    : exchange_(exchange), client_(client), workspace_(workspace) {}

bool Download::wants_more() const {
    if (!reading()) return false;
    return buffered_ ? exchange_.outbox.takes_more() : all_sent();
}

void Download::receive() {
    if (pipe_ || may_splice())
        receive_splicing();
    else
        receive_copying();
}

void Download::receive_copying() {
    char* scratch = client_.loop().scratch();
    const auto before = held_.size();
    if (before) std::memcpy(scratch, held_.data(), before);
    const auto most = buffered_ ? io::Loop::scratch_size : client_.loop().read_size();
    const auto room = state_ == State::head && before < first_of_answer ? first_of_answer : most;
    const auto io = exchange_.worker->read(scratch + before, room - before);
    if (io.kind == io::Io::blocked) return;
    if (io.kind != io::Io::done) return worker_closed(io.kind == io::Io::failed);
    something_came_ = true;
    held_.clear();
    take(scratch, before + io.bytes);
}

void Download::worker_closed(bool failed) {
    if (state_ == State::body && framing_.kind == Kind::until_close && !failed) {
        state_ = State::complete;
        return deliver({});
    }
    state_ = State::closed;
}

void Download::take(char* bytes, std::size_t size) {
    std::string_view rest{bytes, size};
    if (state_ == State::head) rest = take_heads(rest);
    if (state_ == State::body) take_body(rest);
}

// Interim answers may come before the one that counts; they are passed on as they come.
std::string_view Download::take_heads(std::string_view bytes) {
    const http::Asked asked{exchange_.method == http::Method::head, exchange_.upgrade_to};
    auto& head = workspace_.response;
    while (!bytes.empty()) {
        const auto parsed = http::parse_response(bytes, 0, limits_of_answer, asked, head);
        if (parsed.state == http::Parsed::State::need_more) {
            held_.assign(bytes);
            return {};
        }
        if (parsed.state == http::Parsed::State::error) {
            fault_ = parsed.refusal;
            state_ = State::malformed;
            return {};
        }
        bytes.remove_prefix(parsed.size);
        if (!head.interim()) {
            begin(head);
            return bytes;
        }
        if (++interim_ > most_interim) {
            fault_ = {502, "too_many_interim", "the worker sent more interim answers than any client waits for"};
            state_ = State::malformed;
            return {};
        }
        // A 100 answers an expectation of the client's only where that was passed on.
        const bool wanted = head.status != 100 || exchange_.expects_continue;
        if (!wanted || exchange_.minor == 0) continue;
        http::ToClient how;
        how.keep_alive = true;
        how.server = exchange_.snapshot.server;
        if (exchange_.route->actions) how.edits = &exchange_.route->actions->response;
        const auto size = http::write_response_head(head, how, workspace_.out);
        auto part = part_of({workspace_.out.data(), size});
        send({&part, 1});
        if (state_ != State::head) return {};               // half of it may have gone: nothing can follow
        exchange_.answer_began = !exchange_.outbox.empty(); // it promises nothing: a refusal may still follow
    }
    return {};
}

void Download::begin(const http::ResponseHead& head) {
    framing_ = head.framing;
    left_ = framing_.length;
    // An application that sends a body even to HEAD, or behind a 204 or 304, may be late with it: that must not become the next
    // answer. Only who says that its length is 0 is believed.
    const bool body_may_follow =
        exchange_.method == http::Method::head || (framing_.kind == Kind::none && head.content_length.value_or(1) > 0);
    keep_worker_ =
        head.keep_alive && framing_.kind != Kind::until_close && framing_.kind != Kind::tunnel && !body_may_follow;
    // Dates are for caches: a worker that sheds says seconds.
    if (head.status == 503 || head.status == 429)
        if (const auto pause = http::parse_decimal(head.fields.value("retry-after")))
            exchange_.permit.asked_to_pause(std::chrono::seconds{std::min<std::uint64_t>(*pause, longest_pause)});
    if (head.unbuffered || head.event_stream || tunnel())
        exchange_.permit.become_stream(head.status < 500 ? Outcome::success : Outcome::failure,
                                       head.event_stream || tunnel());
    buffered_ = !(exchange_.route->rule.stream || head.unbuffered || head.event_stream || tunnel());
    exchange_.outbox.limit(
        {exchange_.snapshot.body_memory, buffered_ ? exchange_.snapshot.response_file : 0, !buffered_});
    exchange_.status = head.status;
    exchange_.first_byte_took = client_.loop().now - exchange_.sent_at;
    exchange_.worker_route = head.route;
    if (framing_.kind == Kind::chunked && head.connection_names_fields)
        connection_options_ = http::connection_options(head.fields);
    exchange_.answer_framing = http::client_framing(framing_, exchange_.minor);
    // A request that is still on its way cannot be told from the next one once the answer is complete.
    if (exchange_.answer_framing.kind == Kind::until_close || !exchange_.upload.complete())
        exchange_.keep_alive = false;

    http::ToClient how;
    how.framing = exchange_.answer_framing;
    how.minor = exchange_.minor;
    how.keep_alive = exchange_.keep_alive;
    how.date = workspace_.date_text();
    how.request_id = exchange_.request_id;
    how.own_fields = exchange_.own_fields;
    how.server = exchange_.snapshot.server;
    how.via = exchange_.snapshot.via_to_clients;
    if (exchange_.route->actions) how.edits = &exchange_.route->actions->response;
    // Behind it the size of the first chunk must fit.
    head_size_ = http::write_response_head(
        head, how, std::span(workspace_.out).first(workspace_.out.size() - http::longest_chunk_size));
    if (head_size_ == 0) {
        fault_ = {502, "head_too_large", "the worker's answer has a head that is too large"};
        state_ = State::malformed;
        return;
    }
    state_ = State::body;
}

void Download::take_body(std::string_view bytes) {
    switch (framing_.kind) {
    case Kind::none:
        state_ = State::complete;
        keep_worker_ = keep_worker_ && bytes.empty();
        return deliver({});
    case Kind::length: {
        const auto mine = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
        left_ -= mine.size();
        if (left_ == 0) state_ = State::complete;
        keep_worker_ = keep_worker_ && mine.size() == bytes.size();
        return deliver(mine);
    }
    case Kind::chunked: {
        const auto payload = decode_chunks(bytes);
        if (state_ == State::malformed && !exchange_.answer_began) return; // a plain 502 is still possible
        return deliver(payload);
    }
    case Kind::until_close: return deliver(bytes);
    case Kind::tunnel: state_ = State::complete; return deliver(bytes);
    }
}

// Moves the data together in place, over the framing between it, and returns it as one piece.
std::string_view Download::decode_chunks(std::string_view bytes) {
    char* begin = nullptr;
    char* end = nullptr;
    while (scanner_.state() == http::ChunkScanner::State::reading && !bytes.empty()) {
        const auto piece = scanner_.next(bytes);
        // The bytes lie in the scratch buffer, which is ours to write to.
        char* data = const_cast<char*>(bytes.data()) + piece.framing;
        if (piece.data) {
            if (!begin) begin = end = data;
            if (end != data) std::memmove(end, data, piece.data);
            end += piece.data;
        }
        bytes.remove_prefix(piece.framing + piece.data);
    }
    if (scanner_.state() == http::ChunkScanner::State::broken) {
        fault_ = scanner_.fault();
        state_ = State::malformed;
    }
    if (scanner_.state() == http::ChunkScanner::State::done) {
        state_ = State::complete;
        keep_worker_ = keep_worker_ && bytes.empty();
    }
    return {begin, static_cast<std::size_t>(end - begin)};
}

void Download::deliver(std::string_view payload) {
    const bool last = state_ == State::complete;
    auto head_size = std::exchange(head_size_, 0);
    if (!unheard_) exchange_.answer_bytes += payload.size();
    std::array<iovec, 3> parts;
    std::size_t count = 0;
    std::string_view tail;
    std::array<char, 2 + http::largest_last_chunk> trailer_text;
    if (exchange_.answer_framing.kind == Kind::chunked) {
        if (!payload.empty()) {
            head_size += http::write_chunk_size(payload.size(), workspace_.out.data() + head_size);
            tail = "\r\n";
        }
        if (last) {
            tail = last_chunk_after(payload.empty(), trailer_text);
        }
    }
    if (head_size) parts[count++] = part_of({workspace_.out.data(), head_size});
    if (!payload.empty()) parts[count++] = part_of(payload);
    if (!tail.empty()) parts[count++] = part_of(tail);
    if (count) send({parts.data(), count});
}

// What ends the last chunk, if there was one; "0", the worker's trailers as far as they may be passed on, and the blank line.
std::string_view Download::last_chunk_after(bool nothing, std::span<char> out) {
    if (scanner_.trailers().empty()) return nothing ? http::last_chunk : std::string_view("\r\n0\r\n\r\n");
    http::ByteWriter writer(out);
    if (!nothing) writer << "\r\n";
    const auto before = writer.size();
    const http::LeftOut not_told{.edits = exchange_.route->actions ? &exchange_.route->actions->response : nullptr,
                                 .server = exchange_.snapshot.server != http::ServerField::pass,
                                 .connection = connection_options_};
    const auto size =
        http::write_last_chunk(scanner_.trailers(), http::ChunkScanner::Of::response, out.subspan(before), not_told);
    return {out.data(), before + size};
}

void Download::send(std::span<iovec> parts) {
    exchange_.answer_began = true;
    if (unheard_) return;
    auto& outbox = exchange_.outbox;
    if (all_sent() && client_.is(io::Stream::writable)) {
        std::size_t total = 0;
        for (const auto& part : parts) total += part.iov_len;
        io::Io io;
        if (parts.size() > 1 && total <= worth_joining) {
            // The first part may be in the workspace already; what follows it there is free.
            char* to = workspace_.out.data();
            std::size_t at = 0;
            for (auto& part : parts) {
                if (to + at != part.iov_base) std::memcpy(to + at, part.iov_base, part.iov_len);
                at += part.iov_len;
            }
            parts[0] = {to, total};
            parts = parts.first(1);
        }
        if (parts.size() == 1) {
            io = client_.write({static_cast<char*>(parts[0].iov_base), parts[0].iov_len});
            parts[0] = {static_cast<char*>(parts[0].iov_base) + io.bytes, parts[0].iov_len - io.bytes};
        } else {
            io = client_.write(parts);
        }
        exchange_.flushed += io.bytes;
        if (io.kind == io::Io::done) return;
        if (io.kind != io::Io::blocked) {
            for (const auto& part : parts) lost_ += part.iov_len;
            return client_left();
        }
    }
    for (const auto& part : parts)
        if (!outbox.append({static_cast<char*>(part.iov_base), part.iov_len})) state_ = State::no_room;
}

void Download::flush() {
    auto& outbox = exchange_.outbox;
    auto io = outbox.empty() ? io::Io{} : outbox.send_to(client_);
    exchange_.flushed += io.bytes;
    while (io.kind == io::Io::done && outbox.empty() && pipe_ && pipe_.filled > 0) {
        corked_ = left_ >= worth_splicing && buffered_ && exchange_.worker->is(io::Stream::readable);
        io = client_.splice_from(pipe_.ends().out, pipe_.filled, corked_);
        pipe_.filled -= io.bytes;
        exchange_.flushed += io.bytes;
    }
    if (io.kind == io::Io::failed || io.kind == io::Io::closed) client_left();
}

// An answer that nobody hears is still read where it has an end: then the worker is not interrupted by it.
void Download::client_left() {
    unheard_ = buffered_ && exchange_.route->target->upstream.finish_abandoned;
    if (!unheard_) {
        state_ = State::failed_to_send;
        return;
    }
    lost_ = not_sent();
    exchange_.outbox.clear();
    drop_pipe();
}

bool Download::may_splice() const {
    return state_ == State::body && framing_.kind == Kind::length && left_ >= worth_splicing && !unheard_ &&
           exchange_.outbox.empty() && client_.is(io::Stream::writable) && !client_.loop().buffers.full();
}

void Download::hold_out_for(std::size_t bytes) {
    if (bytes == low_mark_) return;
    low_mark_ = bytes;
    exchange_.worker->wake_for(bytes);
}

void Download::settle_for_less() {
    slow_worker_ = true;
    hold_out_for(1);
}

void Download::receive_splicing() {
    auto& worker = *exchange_.worker;
    if (!pipe_) pipe_ = client_.loop().pipes.lease();
    if (!pipe_) return receive_copying();
    const auto space = pipe_.ends().capacity - std::min(pipe_.ends().capacity, pipe_.filled);
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, space));
    auto io = wanted ? worker.splice_to(pipe_.ends().in, wanted, pipe_.filled == 0) : io::Io{io::Io::blocked};
    if (io.kind == io::Io::closed || io.kind == io::Io::failed) {
        state_ = State::closed;
        return;
    }
    // The worker pauses: what the kernel holds back until more comes, up to 200 ms, must not wait for it.
    if (io.kind == io::Io::blocked && pipe_.filled == 0 && std::exchange(corked_, false)) client_.push();
    pipe_.filled += io.bytes;
    left_ -= io.bytes;
    exchange_.answer_bytes += io.bytes;
    if (client_.is(io::Stream::writable)) flush();
    // The pipe is full and the client does not keep up: go on through the outbox, so that the worker need not wait.
    if (io.kind == io::Io::blocked && pipe_.filled > 0 && !client_.is(io::Stream::writable)) pipe_to_outbox();
    if (left_ == 0 && state_ == State::body) {
        state_ = State::complete;
        keep_in_pipe();
    }
    hold_out_for(may_splice() && buffered_ && !slow_worker_
                     ? static_cast<std::size_t>(std::min<std::uint64_t>(left_, worth_waiting))
                     : 1);
    if (pipe_.filled == 0 && (state_ != State::body || left_ < worth_splicing)) drop_pipe();
}

// The answer is whole, and its end waits for the client. That is no less memory for being the kernel's.
void Download::keep_in_pipe() {
    charged_ = pipe_.filled;
    client_.loop().buffers.overdraw(charged_); // it is there already; where memory is full no other pipe is filled
}

void Download::pipe_to_outbox() {
    char* scratch = client_.loop().scratch();
    while (pipe_.filled > 0) {
        const auto got = ::read(pipe_.ends().out, scratch, std::min(pipe_.filled, io::Loop::scratch_size));
        if (got <= 0 || !exchange_.outbox.append({scratch, static_cast<std::size_t>(got)})) {
            state_ = State::no_room;
            return;
        }
        pipe_.filled -= static_cast<std::size_t>(got);
    }
    drop_pipe();
}

void Download::drop_pipe() {
    client_.loop().buffers.give(std::exchange(charged_, 0));
    pipe_ = {};
}

} // namespace plimsoll::net
