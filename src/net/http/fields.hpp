// Fields of a head, flat: names and values are views into the bytes that were read, in an array of fixed size. Nothing
// is allocated, nothing is copied; the table lives as long as those bytes do.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plimsoll::http {

// The fields that a proxy must know by name. All others are passed on as they came.
enum class FieldName : std::uint8_t {
    other,
    // Framing and routing: read once, written anew. (plain_fields.cpp: those that need a look at their value stand together,
    // from content_length to upgrade.)
    host,
    content_length,
    transfer_encoding,
    // Hop-by-hop (RFC 9110, 7.6.1) and fields that mean something to a proxy only: never passed on as they came.
    connection,
    keep_alive,
    proxy_connection,
    te,
    trailer,
    upgrade,
    http2_settings,
    proxy_authenticate,
    proxy_authorization,
    proxy_authentication_info,
    expect,
    max_forwards,
    // What a proxy tells the application about the client: believed from a trusted proxy only.
    x_forwarded_for,
    x_forwarded_proto,
    x_forwarded_host,
    forwarded,
    x_request_id,
    traceparent,
    tracestate,
    x_forwarded_prefix,
    claims_of_a_proxy, // X-Forwarded-*, X-Real-IP, Front-End-Https and their kind
    // A forgery: names that WSGI's HTTP_* cannot tell from another one ("X_Real_IP"), and "Proxy" (HTTP_PROXY).
    ambiguous,
    // Plimsoll's own.
    plimsoll_route,
    plimsoll,
    // Others that are looked at on the way.
    via,
    date,
    server,
    accept,
    content_type,
    content_encoding,
    content_range,
    authorization,
    cache_control,
    cookie,
    set_cookie,
    pragma,
    range,
    x_accel_buffering,
};

// Framing, routing and what concerns one connection: read on this hop, written anew for the next.
constexpr bool is_of_this_hop(FieldName id) { return id >= FieldName::host && id <= FieldName::expect; }

struct Field {
    std::string_view name, value; // value without white space around it
    FieldName id;
    // It was read as it would be written: name, colon, one space, value and CR LF lie in one piece.
    bool plain = false;
    std::string_view line() const { return {name.data(), name.size() + 2 + value.size() + 2}; } // where it is plain
};

inline constexpr std::size_t max_fields_ever = 256; // the array's size; Limits::max_fields is the setting

// 10 KB: one per thread, never in a coroutine's frame.
class FieldTable {
public:
    void clear() { count_ = 0; }
    bool add(std::string_view name, std::string_view value, FieldName id, bool plain = false) { // false: full
        if (count_ == fields_.size()) return false;
        Field& added = fields_[count_++];
        added.name = name;
        added.value = value;
        added.id = id;
        added.plain = plain;
        return true;
    }
    bool add(const Field& field) { return add(field.name, field.value, field.id, field.plain); }
    const Field* begin() const { return fields_.data(); }
    const Field* end() const { return fields_.data() + count_; }
    std::size_t size() const { return count_; }
    const Field& operator[](std::size_t i) const { return fields_[i]; }

    const Field* find(FieldName id) const;               // the first, or null
    const Field* find(std::string_view name) const;      // any name, without regard to case
    std::string_view value(std::string_view name) const; // of the first; empty where there is none

private:
    std::array<Field, max_fields_ever> fields_;
    std::size_t count_ = 0;
};

std::optional<std::uint64_t> parse_decimal(std::string_view text);            // digits only, at most 2^63 - 1
std::optional<std::chrono::nanoseconds> parse_seconds(std::string_view text); // "3", "2.5"; at most a day

bool iequals(std::string_view a, std::string_view b); // ASCII, without regard to case
std::size_t ihash(std::string_view text);             // the same for all that are iequal (FNV-1a)
struct IHash {                                        // both for tables that are asked with views
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return ihash(text); }
};
struct IEqual {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const { return iequals(a, b); }
};

// Takes the next member off a comma-separated list, without white space around it; empty members are passed over.
// False: the list is used up.
bool next_member(std::string_view& list, std::string_view& member);
bool has_member(std::string_view list, std::string_view member); // without regard to case
// All that Connection lists, as one list: fields of those names, in the head or among the trailers, end here (RFC 9110, 7.6.1).
std::string connection_options(const FieldTable& fields);

} // namespace plimsoll::http
