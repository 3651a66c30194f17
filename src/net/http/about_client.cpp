// What a worker is told about the client, from the fields of a trusted peer or from what we saw ourselves.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "net/http/byte_writer.hpp"
#include "net/http/chars.hpp"
#include "net/http/forwarded.hpp"
#include "net/http/head_writer.hpp"
#include "net/http/target.hpp"

namespace plimsoll::http {
namespace {

constexpr std::size_t max_request_id = 128;

using Bytes16 = unsigned char __attribute__((vector_size(16)));

// Sixteen digits at once: half bytes side by side, and those above 9 moved on from ':' to 'a'.
char* write_hex(std::uint64_t number, char* out) {
    if constexpr (std::endian::native == std::endian::little) number = __builtin_bswap64(number);
    const auto bytes = std::bit_cast<Bytes16>(std::array<std::uint64_t, 2>{number, 0});
    const Bytes16 half_bytes =
        __builtin_shufflevector(bytes >> 4, bytes & 15, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const auto beyond_9 = std::bit_cast<Bytes16>(half_bytes > 9);
    const Bytes16 digits = half_bytes + '0' + (beyond_9 & ('a' - '9' - 1));
    std::memcpy(out, &digits, sizeof digits);
    return out + sizeof digits;
}

// The value of a trusted peer's field; empty where it is not believed or told nothing.
std::string_view believed(const RequestHead& head, const Forwarding& about, FieldName id) {
    if (!about.believes(id)) return {};
    const Field* field = head.fields.find(id);
    return field ? field->value : std::string_view{};
}

// version "-" trace-id "-" parent-id "-" flags; all zero ids are invalid (W3C Trace Context, 3.2.2).
bool is_traceparent(std::string_view text) {
    constexpr std::size_t size = 55;
    if (text.size() != size || text[2] != '-' || text[35] != '-' || text[52] != '-' || text.starts_with("ff"))
        return false;
    for (std::size_t i = 0; i < size; ++i)
        if (i != 2 && i != 35 && i != 52 && (!is(hex_char, text[i]) || lower(text[i]) != text[i])) return false;
    const auto all_zero = [&](std::size_t from, std::size_t count) {
        return text.substr(from, count).find_first_not_of('0') == std::string_view::npos;
    };
    return !all_zero(3, 32) && !all_zero(36, 16);
}

void append_believed(ByteWriter& out, const RequestHead& head, const Forwarding& about, FieldName id, bool& first) {
    if (!about.believes(id)) return;
    for (const Field& field : head.fields) {
        if (field.id != id || field.value.empty()) continue;
        if (!first) out << ", ";
        out << field.value;
        first = false;
    }
}

// What a trusted peer told of the request that it got; empty: nothing, or nonsense.
std::string_view told_proto(const RequestHead& head, const Forwarding& about) {
    std::string_view list = believed(head, about, FieldName::x_forwarded_proto);
    if (std::string_view proto; next_member(list, proto))
        for (std::string_view known : {"http", "https"})
            if (iequals(proto, known)) return known;
    return {};
}

std::string_view told_host(const RequestHead& head, const Forwarding& about) {
    std::string_view list = believed(head, about, FieldName::x_forwarded_host);
    std::string_view host;
    return next_member(list, host) && !host_of(host).empty() ? host : std::string_view{};
}

// RFC 7239, 6: whatever holds a colon is quoted, IPv6 stands in brackets, and a port has five digits at most.
void write_node(ByteWriter& out, std::string_view node) {
    const std::size_t close = node.find(']');
    const std::size_t colon = node.rfind(':');
    const bool one_colon = colon != std::string_view::npos && node.find(':') == colon;
    const bool bracketed = node.starts_with('[');
    const bool port = colon != std::string_view::npos && (bracketed ? colon > close : one_colon);
    const bool fits = !port || node.size() - colon - 1 <= 5;
    const bool ipv4_in_brackets = bracketed && node.find(':') > close;
    if (!fits || ipv4_in_brackets || !parse_ip(node))
        out << "unknown";
    else if (colon == std::string_view::npos)
        out << node;
    else if (bracketed || port)
        out.join("\"", node, "\"");
    else
        out.join("\"[", node, "]\"");
}

// The elements of those before us, as X-Forwarded-For names them; the last of them, for whoever is the client may have begun the
// list with as many as he likes. False: it names nobody.
bool write_nodes(ByteWriter& out, const RequestHead& head, const Forwarding& about) {
    if (!about.believes(FieldName::x_forwarded_for)) return false;
    constexpr std::size_t most = 64;
    std::size_t members = 0;
    for (const Field& field : head.fields)
        if (field.id == FieldName::x_forwarded_for)
            members += 1 + static_cast<std::size_t>(std::ranges::count(field.value, ','));
    std::size_t passed_over = members - std::min(members, most);
    bool any = false;
    for (const Field& field : head.fields) {
        if (field.id != FieldName::x_forwarded_for) continue;
        std::string_view list = field.value;
        for (std::string_view node; next_member(list, node);) {
            if (passed_over > 0) {
                --passed_over;
                continue;
            }
            out << (any ? ", for=" : "for=");
            write_node(out, node);
            any = true;
        }
    }
    return any;
}

// A prefix without the slashes at its end; empty: it is none.
std::string_view mount_of(std::string_view prefix) {
    while (prefix.ends_with('/')) prefix.remove_suffix(1);
    return is_mount_path(prefix) ? prefix : std::string_view{};
}

struct Reached { // how, and under which name
    std::string_view host, proto;
};
void write_reached(ByteWriter& out, const Reached& reached, std::string_view before) {
    if (!reached.host.empty()) {
        out.join(before, "host=\"", reached.host, "\"");
        before = ";";
    }
    if (!reached.proto.empty()) out.join(before, "proto=", reached.proto);
}

} // namespace

void write_forwarded_for(ByteWriter& out, const RequestHead& head, const Forwarding& about) {
    bool first = true;
    append_believed(out, head, about, FieldName::x_forwarded_for, first);
    if (about.peer.empty()) return;
    if (!first) out << ", ";
    out << about.peer;
}

// A trusted peer that tells of those before it in the older fields alone has its word written in this one as well, so that both
// say the same: what it told of host and protocol stands with the client that it had them from, and what it did not tell is
// what we saw, with the peer.
void write_forwarded(ByteWriter& out, const RequestHead& head, const Forwarding& about) {
    bool first = true;
    append_believed(out, head, about, FieldName::forwarded, first);
    Reached seen{head.authority, about.tls ? "https" : "http"};
    if (first && about.trusted) {
        const Reached told{told_host(head, about), told_proto(head, about)};
        const bool tells = !told.host.empty() || !told.proto.empty();
        const bool names = write_nodes(out, head, about);
        if (tells && !names) out << "for=unknown";
        write_reached(out, told, ";");
        if (!told.host.empty()) seen.host = {};
        if (!told.proto.empty()) seen.proto = {};
        first = !names && !tells;
    }
    if (about.peer.empty() && seen.host.empty() && seen.proto.empty()) return;
    if (!first) out << ", ";
    if (about.peer.find(':') != std::string_view::npos)
        out.join("for=\"[", about.peer, "]\"");
    else if (!about.peer.empty())
        out.join("for=", about.peer);
    write_reached(out, seen, about.peer.empty() ? "" : ";");
}

std::string_view forwarded_proto(const RequestHead& head, const Forwarding& about) {
    if (const std::string_view told = told_proto(head, about); !told.empty()) return told;
    return about.tls ? "https" : "http";
}

std::string_view forwarded_host(const RequestHead& head, const Forwarding& about) {
    const std::string_view told = told_host(head, about);
    return told.empty() ? head.authority : told;
}

std::string_view told_request_id(const RequestHead& head, const Forwarding& about) {
    const std::string_view id = believed(head, about, FieldName::x_request_id);
    return id.size() <= max_request_id && all_are(id_char, id) ? id : std::string_view{};
}

std::string_view told_prefix(const RequestHead& head, const Forwarding& about) {
    return mount_of(believed(head, about, FieldName::x_forwarded_prefix));
}

std::string_view traceparent(const RequestHead& head, const Forwarding& about) {
    const std::string_view trace = believed(head, about, FieldName::traceparent);
    return is_traceparent(trace) ? trace : about.traceparent;
}

bool reaches_worker(const RequestHead& head, const Field& field, const Forwarding& about) {
    if (is_of_this_hop(field.id)) return false;
    const auto named_as_trusted = [&] { return about.trusted_fields && about.trusted_fields->hold(field.name); };
    switch (field.id) {
    case FieldName::x_forwarded_for:
    case FieldName::x_forwarded_proto:
    case FieldName::x_forwarded_host:
    case FieldName::forwarded:
    case FieldName::x_request_id:
    case FieldName::traceparent:
    case FieldName::ambiguous:
    case FieldName::plimsoll_route:
    case FieldName::plimsoll: return false;
    case FieldName::x_forwarded_prefix:
        if (about.mount != Mount::as_told || !about.believes(field) || mount_of(field.value).empty()) return false;
        break;
    case FieldName::tracestate: // of that traceparent, and of no other (W3C Trace Context, 3.3)
        if (!about.believes(field) || !is_traceparent(believed(head, about, FieldName::traceparent))) return false;
        break;
    case FieldName::claims_of_a_proxy:
        if (!about.believes(field) && !(about.trusted && named_as_trusted())) return false;
        break;
    case FieldName::max_forwards:
        if (head.method == Method::options || head.method == Method::trace) return false; // counted down instead
        break;
    default:
        if (!about.trusted && named_as_trusted()) return false;
    }
    if (!head.connection_names_fields) return true;
    return std::none_of(head.fields.begin(), head.fields.end(), [&field](const Field& each) {
        return each.id == FieldName::connection && has_member(each.value, field.name);
    });
}

Identity::Identity(std::array<std::uint64_t, 3> random, double trace_share) {
    const bool sampled = trace_share >= 1 || static_cast<double>(random[1] | 1) < trace_share * 0x1p64;
    char* at = std::copy_n("00-", 3, text_.data());
    at = write_hex(random[0], at);
    at = write_hex(random[1] | 1, at); // an id of zeros is invalid
    *at++ = '-';
    at = write_hex(random[2] | 1, at);
    std::copy_n(sampled ? "-01" : "-00", 3, at);
}

} // namespace plimsoll::http
