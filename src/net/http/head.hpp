// Heads of requests and responses: bytes in, a flat and checked head out.
//
//   bytes --> start line --> plain fields? --yes--------------------------------> rules across fields --> complete
//               (ours)            no: every LF after a CR? --> blank line? --> fields -^    or error
//                                     no: error           no: need_more     (Beast)
//
// Errors are found in this order and at the earliest byte, so the verdict does not depend on how the bytes were cut
// into reads: a test cuts a corpus at every byte. Beast's basic_parser knows the grammar of fields; the start line is
// scanned here, since Beast's targets, versions and statuses are laxer than what may reach a worker.
//
// What is refused, and why (docs/http.md has the table with every reason):
//   400  bare CR or LF, obs-fold, white space before a colon, control characters; a target with bytes that no URI has,
//        broken or overlong escapes in its path, user information; none, several or invalid Hosts; several, listed,
//        signed or overflowing Content-Lengths, or one with Transfer-Encoding; chunked that is not last, or in
//        HTTP/1.0; a body on an upgrade or TRACE; a field that must be unique and is not
//   414  a target over its limit     431  a head or a number of fields over theirs
//   417  an expectation other than 100-continue
//   501  a transfer coding before chunked; CONNECT; a method of more than 32 bytes
//   505  not HTTP/1.x, HTTP/2's preface included
//   502  the same faults in a worker's response
//
// Views in a head point into the bytes that were given. Who must wait keeps a copy of `bytes` and parses that again:
// 0.25 us, less than a table of fields that may move would cost every request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "net/http/fields.hpp"
#include "net/http/refusal.hpp"

namespace plimsoll::http {

struct Limits {
    std::size_t max_head = 32 << 10; // start line, fields and the blank line
    unsigned max_fields = 100;       // at most max_fields_ever
    std::size_t max_target = 8 << 10;
};

// How the body is delimited; for requests none, length or chunked.
struct Framing {
    enum class Kind : std::uint8_t { none, length, chunked, until_close, tunnel } kind = Kind::none;
    std::uint64_t length = 0; // kind length, never 0 there: that is none
    bool has_body() const { return kind != Kind::none && kind != Kind::tunnel; }
    friend bool operator==(const Framing&, const Framing&) = default;
};

enum class Method : std::uint8_t { get, head, post, put, del, options, trace, patch, other };
constexpr bool is_idempotent(Method method) { // RFC 9110, 9.2.2
    return method != Method::post && method != Method::patch && method != Method::other;
}
enum class TargetForm : std::uint8_t { origin, absolute, asterisk };

struct RequestHead {
    std::string_view bytes; // all of it, from the start line to the blank line
    std::string_view method_text;
    Method method = Method::get;
    std::uint8_t minor = 1; // HTTP/1.minor: 0 or 1 (a higher one counts as 1)
    TargetForm form = TargetForm::origin;
    std::string_view target;    // as it came
    std::string_view path;      // as it came, escapes and all; "*" for the whole server (OPTIONS only)
    std::string_view query;     // with its '?'; empty where there is none
    std::string_view authority; // the absolute target's, else Host's; empty in HTTP/1.0 only
    std::string_view host;      // authority without port
    Framing framing;
    std::optional<std::uint64_t> content_length; // as sent, 0 too
    bool keep_alive = true;                      // the client allows another request after this one
    bool upgrade = false;                        // a wish that may be tunnelled: never h2c
    std::string_view upgrade_to;                 // its protocols
    bool expect_continue = false;
    bool wants_trailers = false;          // TE: trailers
    bool last_hop = false;                // OPTIONS or TRACE with Max-Forwards 0: answer, do not forward
    bool connection_names_fields = false; // Connection lists more than close, keep-alive and upgrade
    bool several_cookies = false;         // Cookie came in more than one field
    FieldTable fields;
};

struct ResponseHead {
    std::string_view bytes;
    unsigned short status = 0; // 100 to 599
    std::string_view reason;   // may be empty
    std::uint8_t minor = 1;
    Framing framing;
    std::optional<std::uint64_t> content_length; // as sent; may be set where framing is none (HEAD, 304)
    bool keep_alive = false;                     // the worker keeps the connection after this message
    bool interim() const { return status < 200 && status != 101; } // another head follows
    bool event_stream = false;                                     // text/event-stream
    bool unbuffered = false;                                       // X-Accel-Buffering: no
    bool connection_names_fields = false;
    std::string_view route; // X-Plimsoll-Route, which the client does not see
    FieldTable fields;
};

struct Parsed {
    enum class State : std::uint8_t { need_more, complete, error } state = State::need_more;
    std::size_t size = 0; // complete: bytes that the head took; the body follows
    Refusal refusal;      // error
};

// `bytes` is all that came so far of this message; `seen` is how many of them an earlier call has looked at (0 is
// always right, and quick enough unless a client sends byte by byte). The head is meaningful only when the state is
// complete.
Parsed parse_request(std::string_view bytes, std::size_t seen, const Limits& limits, RequestHead& head);

// What the response answers: framing depends on it.
struct Asked {
    bool head = false;           // HEAD: no body, whatever the fields say
    std::string_view upgrade_to; // the protocols that 101 may switch to; empty: it is not allowed
};
Parsed parse_response(std::string_view bytes, std::size_t seen, const Limits& limits, Asked asked, ResponseHead& head);

} // namespace plimsoll::http
