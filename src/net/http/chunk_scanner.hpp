// Incremental, strict reader of the chunked coding (RFC 9112, 7.1). Owns no body byte: it tells which of the bytes that
// it is shown are body.
//
//   size --CR LF--> data --CR LF--> size ... size 0 --CR LF--> trailer lines --blank line--> done
//     '--;extension--'
//
// Usage, for any cut of the input:
//     while (scanner.state() == ChunkScanner::State::reading && !bytes.empty()) {
//         auto piece = scanner.next(bytes);
//         send(bytes.substr(piece.framing, piece.data));           // may be empty
//         bytes.remove_prefix(piece.framing + piece.data);
//     }                                                            // done: what is left belongs to the next message
//
// To pass bytes through as they are (one send instead of many small pieces), copy the scanner, let the copy verify()
// the whole buffer, and if it says plain, keep the copy and forward; else decode with the original.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/http/field_edits.hpp"
#include "net/http/fields.hpp"
#include "net/http/refusal.hpp"
#include "net/http/trusted_fields.hpp"

namespace plimsoll::http {

class ByteWriter;

// Fields that do not go on as trailers either, since they do not in the head, or this proxy sets them there. Null: none.
struct LeftOut {
    const TrustedFields* trusted = nullptr; // where the client is not
    const FieldEdits* edits = nullptr;      // the route's
    bool server = false;                    // proxy.server replaces or removes it
    std::string_view connection;            // connection_options()
    bool hold(std::string_view name) const {
        return (trusted && trusted->hold(name)) || (edits && edits->touch(name)) ||
               (server && iequals(name, "server")) || has_member(connection, name);
    }
};

class ChunkScanner {
public:
    enum class State : std::uint8_t { reading, done, broken };
    enum class Of : std::uint8_t { request, response }; // which trailers are a fault, see parse_trailers()
    struct Piece {
        std::size_t framing = 0; // bytes to pass over
        std::size_t data = 0;    // body bytes after them
    };
    struct Verified {
        std::size_t size = 0;   // bytes up to the end of the body, or all
        std::uint64_t data = 0; // body bytes among them
        bool plain = false;     // no fault, no extension, no trailer: fit to be passed through
    };

    ChunkScanner() = default; // of a request, the stricter one
    explicit ChunkScanner(Of of) : of_(of) {}

    // Consumes at least one byte where there is one, until data ends or the bytes do.
    Piece next(std::string_view bytes);
    Verified verify(std::string_view bytes);

    State state() const;
    const Refusal& fault() const { return fault_; }     // broken: status 400; for a worker's body use 502
    std::uint64_t data_bytes() const { return total_; } // body bytes so far
    std::uint64_t left_in_chunk() const { return step_ == Step::data ? left_ : 0; } // could be spliced
    void took(std::uint64_t bytes); // that many of left_in_chunk() went another way

    // Done: the trailer section with its blank line, checked; empty where there was none. parse_trailers() reads it.
    std::string_view trailers() const { return trailers_; }
    bool carries_trailers(const LeftOut& left_out = {}) const; // some of them may be passed on

    static constexpr std::size_t max_extensions = 4096; // bytes in the whole body, leading zeros of sizes too
    static constexpr std::size_t max_trailers = 8192;   // bytes

private:
    // clang-format off
    enum class Step : std::uint8_t {
        size_first, size, size_lf, data, data_cr, data_lf,
        ext_name_first, ext_name, ext_name_white, ext_value_first, ext_token, ext_quoted, ext_quoted_pair, ext_end, ext_end_white,
        trailer_first, trailer, trailer_lf, trailer_last_lf,
        done, broken,
    };
    // clang-format on
    void framing(char c);
    void after_size(char c);
    Step extension(char c) const;
    void trailer(char c);
    void end();
    void fail(std::string_view detail);

    std::uint64_t left_ = 0; // of the chunk
    std::uint64_t total_ = 0;
    std::uint32_t extensions_ = 0;
    Step step_ = Step::size_first;
    Of of_ = Of::request;
    Refusal fault_;
    std::string trailers_; // allocates only where a trailer comes
};

// Reads a trailer section, views into it. Fields that may not stand in one (RFC 9110, 6.5.1) are left out; those that frame,
// route, authenticate or concern the connection are an error in a request.
Refusal parse_trailers(std::string_view bytes, ChunkScanner::Of of, FieldTable& fields);

// "1f40\r\n" for a chunk of n bytes, into a buffer of at least longest_chunk_size; returns its length. A chunk ends in "\r\n" and
// a body in last_chunk, or in "0\r\n", trailer lines and "\r\n".
inline constexpr std::size_t longest_chunk_size = 18;
std::size_t write_chunk_size(std::uint64_t n, char* out);
inline constexpr std::string_view last_chunk = "0\r\n\r\n";
// The same with trailers, written anew from what trailers() gave; a buffer of largest_last_chunk takes all of it.
std::size_t write_last_chunk(std::string_view trailers, ChunkScanner::Of of, std::span<char> out,
                             const LeftOut& left_out = {});
inline constexpr std::size_t largest_last_chunk = 2 * ChunkScanner::max_trailers + 8;
// One Trailer field (RFC 9110, 6.6.2) for all that the head has, without the names of those that do not go on; none where none does.
void write_announcement(ByteWriter& out, const FieldTable& head, const LeftOut& left_out);

} // namespace plimsoll::http
