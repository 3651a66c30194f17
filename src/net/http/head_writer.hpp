// Heads as they are sent: written anew, field by field, never passed through.
//
// To the worker: origin-form target; exactly one Host; exactly one framing field; no hop-by-hop field and none that
// Connection lists; no X-Plimsoll-*; no name that WSGI could mistake for another; "Via: 1.1 plimsoll" added (RFC
// 9110, 7.6.3 asks it of a gateway towards the origin), under the name that the operator chose or not at all. About the client: X-Forwarded-For, -Proto, -Host, Forwarded,
// X-Request-Id, traceparent. From an untrusted peer all such claims are dropped and written new; from a trusted one
// they are kept, as far as it writes them itself (own_claims.hpp), and the peer appended.
//
// To the client: no hop-by-hop field, no X-Plimsoll-* of the worker's; framing as *we* frame it; Date added where the
// worker sent none (RFC 9110, 6.6.1); Server as ServerField says; Via where the operator wants clients to know.
//
// Each function writes into the caller's buffer and returns the length, or 0 where it does not fit (answer 431 or 502).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "net/http/field_edits.hpp"
#include "net/http/head.hpp"
#include "net/http/own_claims.hpp"
#include "net/http/trusted_fields.hpp"

namespace plimsoll::http {

// What an application is told of where it is mounted (X-Forwarded-Prefix; SCRIPT_NAME by uwsgi): it begins its links with that.
enum class Mount : std::uint8_t {
    as_told, // by a trusted peer: the path goes on as it came
    deeper,  // there, and what was stripped of the path behind it
    unsaid,  // something else stands in the place of what was stripped: no beginning of a link would lead back
};

// What is told to the worker about this request, beyond its own head.
struct Forwarding {
    std::string_view peer;                        // the peer's address as text; empty on a unix socket
    bool trusted = false;                         // TrustedProxies::trusts(peer)
    bool tls = false;                             // the client's connection
    std::string_view fallback_host = "localhost"; // for HTTP/1.0 without Host
    std::string_view request_id;                  // told_request_id(), or the Identity's
    std::string_view traceparent;                 // used unless a trusted peer gave one; empty: none is added
    std::string_view via = "plimsoll";            // our name in Via; empty: we are not in it
    const FieldEdits* edits = nullptr;            // the route's
    const TrustedFields* trusted_fields = nullptr;
    const OwnClaims* claims = nullptr; // of a trusted peer; null: all are
    Mount mount = Mount::as_told;
    std::string_view stripped; // of the path

    bool believes(FieldName id) const { return trusted && (!claims || claims->hold(id)); }
    bool believes(const Field& field) const { return trusted && (!claims || claims->hold(field)); }
};

// The head for an HTTP worker. `framing` is how the body will be sent: a buffered chunked body may go with its length.
// `path` replaces the head's path where it is not empty. `expect` passes "Expect: 100-continue" on.
struct ToWorker {
    Framing framing;
    std::string_view path;
    bool keep_alive = true; // false: "Connection: close"
    bool expect = false;
};
std::size_t write_request_head(const RequestHead& head, const Forwarding& about, const ToWorker& how,
                               std::span<char> out);

// The value of a field about the client, as the worker gets it: shared by the HTTP and the uwsgi writer.
class ByteWriter;
void write_forwarded_for(ByteWriter& out, const RequestHead& head, const Forwarding& about);
void write_forwarded(ByteWriter& out, const RequestHead& head, const Forwarding& about);
constexpr std::string_view via_version(std::uint8_t minor) { return minor == 0 ? "Via: 1.0 " : "Via: 1.1 "; }
std::string_view forwarded_proto(const RequestHead& head, const Forwarding& about);
std::string_view forwarded_host(const RequestHead& head, const Forwarding& about);
std::string_view traceparent(const RequestHead& head, const Forwarding& about);
// What a trusted peer calls the request: the worker, the client and the logs get the same. Empty: nothing, or nonsense.
std::string_view told_request_id(const RequestHead& head, const Forwarding& about);
// What the path of a trusted peer's client began with before that; empty: it told nothing, or no path.
std::string_view told_prefix(const RequestHead& head, const Forwarding& about);
// Whether a field of the client's reaches the worker under its own name.
bool reaches_worker(const RequestHead& head, const Field& field, const Forwarding& about);

enum class ServerField : std::uint8_t { pass, drop, own };
inline constexpr std::string_view own_server_field = "Server: plimsoll\r\n";

struct ToClient {
    Framing framing;        // as the body will be sent
    std::uint8_t minor = 1; // the client's version
    bool keep_alive = true;
    std::string_view date; // http_date() of now
    ServerField server = ServerField::pass;
    std::string_view request_id;       // sent as X-Request-Id where not empty and the worker sent none
    std::string_view own_fields;       // whole lines, each with its CR LF
    std::string_view via;              // our name in Via; empty: we are not in it
    const FieldEdits* edits = nullptr; // the route's
};
std::size_t write_response_head(const ResponseHead& head, const ToClient& how, std::span<char> out);

// Framing towards the client for a response framed as `from`: HTTP/1.0 clients know no chunks, and what ends with the
// worker's connection is chunked for HTTP/1.1 clients so that theirs can stay.
Framing client_framing(const Framing& from, std::uint8_t client_minor);

// A whole answer of our own: head and body. Content-Length always; JSON (RFC 9457) where Accept asks for it.
struct Answer {
    Refusal refusal;
    unsigned retry_after_seconds = 0; // 0: no Retry-After
    bool head_only = false;           // HEAD
    bool json = false;                // wants_json(head)
    bool keep_alive = false;
    std::uint8_t minor = 1;
    std::string_view date;
    std::string_view request_id;
    std::string_view own_fields; // whole lines, each with its CR LF
    ServerField server = ServerField::pass;
    const FieldEdits* edits = nullptr; // the route's, where it is known
};
// Of a refusal its own fields stay what they are whatever the route sets or removes: what the body is, that nobody stores it, and
// when to come again.
bool is_of_refusals(std::string_view name);
std::size_t write_refusal(const Answer& answer, std::span<char> out);
bool wants_json(const RequestHead& head);
// The answer to OPTIONS or TRACE that must not be forwarded (head.last_hop). Of `how` it takes what is not about refusals.
std::size_t write_last_hop(const RequestHead& head, const Answer& how, std::span<char> out);
void write_connection(ByteWriter& out, bool keep_alive, std::uint8_t minor); // towards a client, where it must be said

inline constexpr std::string_view continue_head = "HTTP/1.1 100 Continue\r\n\r\n";

using DateText = std::array<char, 29>;                         // "Sun, 06 Nov 1994 08:49:37 GMT"
DateText http_date(std::chrono::system_clock::time_point now); // once a second is enough

// Identity of a request from 24 random bytes: 32 hexadecimal digits, and a W3C traceparent with the same trace id.
// `trace_share` of them have its flag "sampled", those that OpenTelemetry's ratio sampler takes by their trace id: an application
// whose sampler follows the parent records these, and nothing of the others.
struct Identity {
    Identity(std::array<std::uint64_t, 3> random, double trace_share = 1);
    std::string_view request_id() const { return {text_.data() + 3, 32}; }
    std::string_view traceparent() const { return {text_.data(), text_.size()}; }

private:
    std::array<char, 55> text_; // 00-<32>-<16>-<2>
};

} // namespace plimsoll::http
