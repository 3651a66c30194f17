#include "net/http/head.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/http/field_parser.hpp"
#include "net/http/plain_fields.hpp"
#include "net/http/start_line.hpp"
#include "net/http/target.hpp"

namespace plimsoll::http {
namespace {

constexpr Refusal bad_line_end = {400, "bad_line_end", "lines of a head must end with CR LF"};
constexpr Refusal too_large = {431, "head_too_large", "the message head is larger than this proxy accepts"};
constexpr Refusal bad_host = {400, "bad_host", "HTTP/1.1 asks for exactly one Host field, with a valid host in it"};
constexpr Refusal bad_coding = {400, "transfer_encoding",
                                "chunked must be the last transfer coding, once, and in HTTP/1.1"};
// A recipient should pass over them in a list (RFC 9110, 5.6.1.2). Here servers differ in what the body is, which smuggles requests.
constexpr Refusal empty_codings = {400, "transfer_encoding", "Transfer-Encoding must not have empty elements"};
constexpr Refusal unknown_coding = {501, "transfer_encoding", "chunked is the only transfer coding that is served"};
constexpr Refusal long_connection = {431, "head_too_large", "the Connection field names more than anybody needs to"};
constexpr Refusal repeated = {400, "repeated_field", "a field that must be unique came several times"};
constexpr Refusal upgrade_body = {400, "upgrade_with_body", "a request for an upgrade must not have a body"};
constexpr Refusal trace_body = {400, "trace_with_body", "a TRACE request must not have a body"};
constexpr Refusal bad_expectation = {417, "expectation", "100-continue is the only expectation that can be met"};

Parsed error(const Refusal& refusal) { return {Parsed::State::error, 0, refusal}; }
Parsed worker_error(const Refusal& refusal) { return error({502, "bad_response", refusal.detail}); }

struct HeadEnd {
    Parsed::State state;
    std::size_t size = 0; // complete: up to and with the blank line
};

// Looks for the blank line; on the way every LF must follow a CR. (A CR without LF is a control character in some
// field, which the grammar of fields refuses.) A hop from LF to LF costs no more than a search for CR LF CR LF.
HeadEnd find_head_end(std::string_view bytes, std::size_t seen) {
    const char* const end = bytes.data() + bytes.size();
    const char* at = bytes.data() + (seen > 3 ? std::min(seen, bytes.size()) - 3 : 0);
    while (at < end) {
        at = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
        if (!at) break;
        if (at == bytes.data() || at[-1] != '\r') return {Parsed::State::error};
        if (end - at > 2 && at[1] == '\r') { // at the beginning of a line: the blank one, or a fault
            if (at[2] != '\n') return {Parsed::State::error};
            return {Parsed::State::complete, static_cast<std::size_t>(at + 3 - bytes.data())};
        }
        ++at;
    }
    return {Parsed::State::need_more};
}

struct Fields {
    Parsed::State state;
    Refusal refusal{};   // error
    std::size_t end = 0; // complete: behind the blank line
};

Fields read_fields(std::string_view head, std::size_t from, std::size_t seen, unsigned max_fields, FieldTable& table) {
    if (const auto plain = scan_plain_fields(head.substr(from), max_fields, table); plain > 0)
        return {Parsed::State::complete, {}, from + plain};
    const HeadEnd end = find_head_end(head, std::max(seen, from));
    if (end.state == Parsed::State::error) return {end.state, bad_line_end};
    if (end.state == Parsed::State::need_more) return {end.state};
    const Refusal refusal = parse_fields(head.substr(from, end.size - from), max_fields, table);
    return {refusal ? Parsed::State::error : Parsed::State::complete, refusal, end.size};
}

// Each field that goes on is looked for among them, so a list is as long as anybody needs and no longer.
constexpr std::size_t longest_options = 1 << 10;

struct ConnectionOptions {
    bool close = false, keep_alive = false, upgrade = false, names_fields = false;
    std::size_t length = 0;
    void read(std::string_view list) {
        length += list.size();
        for (std::string_view option; next_member(list, option);) {
            if (iequals(option, "close"))
                close = true;
            else if (iequals(option, "keep-alive"))
                keep_alive = true;
            else if (iequals(option, "upgrade"))
                upgrade = true;
            else
                names_fields = true;
        }
    }
    bool too_long() const { return names_fields && length > longest_options; }
    bool persistent(std::uint8_t minor) const { return !close && (minor == 1 || keep_alive); }
};

// Fields of which there may be one only, by what they decide.
struct Singles {
    const Field *host = nullptr, *content_length = nullptr, *transfer_encoding = nullptr, *max_forwards = nullptr,
                *content_type = nullptr, *authorization = nullptr;
    // Lists may come in several fields (RFC 9110, 5.3).
    const Field* upgrade = nullptr;
    bool several_upgrades = false, expects_continue = false, expects_more = false, wants_trailers = false;
    unsigned cookies = 0;
    const Field *buffering = nullptr, *route = nullptr; // the last word of a worker's
    ConnectionOptions connection;
    Refusal refusal;               // of the first one that came twice
    bool several_framings = false; // whatever else came twice before

    explicit Singles(const FieldTable& fields) {
        for (const Field& field : fields) {
            switch (field.id) {
            case FieldName::host: once(host, field, bad_host); break;
            case FieldName::content_length: once_framing(content_length, field); break;
            case FieldName::transfer_encoding: once_framing(transfer_encoding, field); break;
            case FieldName::upgrade: several_upgrades |= std::exchange(upgrade, &field) != nullptr; break;
            case FieldName::te: wants_trailers |= has_member(field.value, "trailers"); break;
            case FieldName::expect: read_expectations(field.value); break;
            case FieldName::max_forwards: once(max_forwards, field, repeated); break;
            case FieldName::content_type: once(content_type, field, repeated); break;
            case FieldName::authorization: once(authorization, field, repeated); break;
            case FieldName::connection: connection.read(field.value); break;
            case FieldName::cookie: ++cookies; break;
            case FieldName::x_accel_buffering: buffering = &field; break;
            case FieldName::plimsoll_route: route = &field; break;
            default: break;
            }
        }
    }
    void read_expectations(std::string_view list) {
        for (std::string_view each; next_member(list, each);)
            (iequals(each, "100-continue") ? expects_continue : expects_more) = true;
    }
    void once_framing(const Field*& slot, const Field& field) {
        several_framings |= slot != nullptr;
        once(slot, field, bad_framing);
    }
    void once(const Field*& slot, const Field& field, const Refusal& fault) {
        if (slot && !refusal) refusal = fault;
        slot = &field;
    }
};

Refusal check_transfer_encoding(std::string_view codings, std::uint8_t minor) {
    if (minor == 0) return bad_coding;
    if (iequals(codings, "chunked")) return {};
    bool last_is_chunked = false;
    unsigned chunked = 0, others = 0;
    for (std::string_view coding; next_member(codings, coding);) {
        last_is_chunked = iequals(coding, "chunked");
        last_is_chunked ? ++chunked : ++others;
    }
    // Where chunked is last, the length is known but the coding before it is not ours to undo. Else there is no length
    // at all.
    if (last_is_chunked && chunked == 1) return others > 0 ? unknown_coding : empty_codings;
    return bad_coding;
}

Refusal read_framing(const Singles& singles, std::uint8_t minor, std::optional<std::uint64_t>& content_length,
                     Framing& framing) {
    if (singles.content_length && singles.transfer_encoding) return bad_framing;
    if (singles.transfer_encoding) {
        framing = {Framing::Kind::chunked, 0};
        return check_transfer_encoding(singles.transfer_encoding->value, minor);
    }
    if (singles.content_length) {
        content_length = parse_decimal(singles.content_length->value);
        if (!content_length) return bad_length;
        if (*content_length > 0) framing = {Framing::Kind::length, *content_length};
    }
    return {};
}

Refusal check_host(const Singles& singles, RequestHead& head) {
    if (!singles.host) return head.minor == 0 ? Refusal{} : bad_host;
    const std::string_view authority = singles.host->value;
    const std::string_view host = host_of(authority);
    if (host.empty()) return bad_host;
    if (head.form != TargetForm::absolute) { // else the target's counts, and Host is ignored (RFC 9112, 3.2.2)
        head.host = host;
        head.authority = authority.ends_with(':') ? authority.substr(0, authority.size() - 1) : authority;
    }
    return {};
}

// What a worker calls its route goes into metrics, which are UTF-8, and stays there: as our agent would write it, or it is none.
constexpr std::size_t longest_label = 200;
bool is_label(std::string_view text) {
    return text.size() <= longest_label && std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// Rules across the fields of a request.
Refusal check_request(RequestHead& head) {
    const Singles singles(head.fields);
    if (singles.refusal) return singles.refusal;
    if (Refusal refusal = check_host(singles, head)) return refusal;
    if (Refusal refusal = read_framing(singles, head.minor, head.content_length, head.framing)) return refusal;

    if (singles.connection.too_long()) return long_connection;
    head.connection_names_fields = singles.connection.names_fields;
    head.several_cookies = singles.cookies > 1;
    head.keep_alive = singles.connection.persistent(head.minor);
    // A wish may be ignored (RFC 9110, 7.8). One for h2c is: a tunnel for it would carry requests past every check. So is
    // one that is spread over several fields: nobody who means it does that.
    if (singles.upgrade && !singles.upgrade->value.empty() && !singles.several_upgrades && singles.connection.upgrade &&
        head.minor == 1 && !has_member(singles.upgrade->value, "h2c")) {
        head.upgrade = true;
        head.upgrade_to = singles.upgrade->value;
        if (head.framing.has_body()) return upgrade_body;
    }
    if (head.method == Method::trace && head.framing.has_body()) return trace_body;
    head.wants_trailers = singles.wants_trailers && head.minor == 1;
    if (head.minor == 1) { // HTTP/1.0 knows no expectations: ignored (RFC 9110, 10.1.1)
        if (singles.expects_more) return bad_expectation;
        head.expect_continue = singles.expects_continue && head.framing.has_body();
    }
    if (singles.max_forwards && (head.method == Method::options || head.method == Method::trace))
        head.last_hop = parse_decimal(singles.max_forwards->value) == 0;
    return {};
}

// A worker that does not say what it switches to, or chooses what nobody asked for, may mean anything: a tunnel would carry
// requests past every check (RFC 9110, 7.8 and 15.2.2).
Refusal check_switch(const Singles& singles, std::string_view asked) {
    if (asked.empty()) return {502, "bad_response", "the worker switched protocols, which nobody had asked for"};
    constexpr Refusal unsaid = {502, "bad_response", "the worker switched protocols without saying to which"};
    if (!singles.upgrade || singles.several_upgrades) return unsaid;
    std::string_view list = singles.upgrade->value, protocol;
    bool named = false;
    for (; next_member(list, protocol); named = true)
        if (!has_member(asked, protocol))
            return {502, "bad_response", "the worker switched to a protocol that nobody had asked for"};
    return named ? Refusal{} : unsaid;
}

Refusal check_response(ResponseHead& head, Asked asked) {
    const Singles singles(head.fields);
    if (singles.several_framings) return bad_framing;
    if (Refusal refusal = read_framing(singles, head.minor, head.content_length, head.framing)) return refusal;

    if (singles.connection.too_long()) return long_connection;
    head.connection_names_fields = singles.connection.names_fields;
    head.keep_alive = singles.connection.persistent(head.minor);
    if (head.status == 101) {
        if (Refusal refusal = check_switch(singles, asked.upgrade_to)) return refusal;
        head.framing = {Framing::Kind::tunnel, 0};
        head.keep_alive = false;
    } else if (head.status < 200 || head.status == 204) {
        if (head.framing.has_body())
            head.keep_alive = false; // if it does send a body, nobody takes it for the next answer
        head.framing = {};
        head.content_length.reset();
    } else if (head.status == 304 || asked.head) {
        if (head.status == 304 && head.framing.kind == Framing::Kind::chunked)
            head.keep_alive = false; // chunks may follow all the same
        head.framing = {};
    } else if (!head.content_length && head.framing.kind == Framing::Kind::none) {
        head.framing = {Framing::Kind::until_close, 0};
        head.keep_alive = false;
    }

    if (singles.content_type) {
        constexpr std::string_view event_stream = "text/event-stream";
        head.event_stream = iequals(singles.content_type->value.substr(0, event_stream.size()), event_stream);
    }
    if (singles.buffering) head.unbuffered = iequals(singles.buffering->value, "no");
    if (singles.route && is_label(singles.route->value)) head.route = singles.route->value;
    return {};
}

// Empty lines before a request are passed over: some clients send one after a body (RFC 9112, 2.2). A few are.
constexpr std::size_t most_empty_lines = 8;

HeadEnd skip_empty_lines(std::string_view bytes) {
    std::size_t at = 0;
    for (; at < bytes.size(); ++at) {
        const char line_end = at % 2 == 0 ? '\r' : '\n';
        if (bytes[at] == line_end && at < 2 * most_empty_lines) continue;
        const bool between_lines = at % 2 == 0 && bytes[at] != '\r' && bytes[at] != '\n';
        return {between_lines ? Parsed::State::complete : Parsed::State::error, at};
    }
    return {Parsed::State::need_more};
}

} // namespace

Parsed parse_request(std::string_view bytes, std::size_t seen, const Limits& limits, RequestHead& head) {
    const HeadEnd empty_lines = skip_empty_lines(bytes);
    if (empty_lines.state == Parsed::State::error) return error(bad_line_end);
    if (empty_lines.state == Parsed::State::need_more) return {};
    bytes.remove_prefix(empty_lines.size);
    seen -= std::min(seen, empty_lines.size);

    const std::string_view within = bytes.substr(0, limits.max_head);
    const auto need_more = [&] { return within.size() == limits.max_head ? error(too_large) : Parsed{}; };
    // A start line that an earlier call has seen whole is not scanned again before the head is complete: it was good.
    if (within.substr(0, seen).find('\n') != std::string_view::npos &&
        find_head_end(within, seen).state == Parsed::State::need_more)
        return need_more();

    const StartLine start = scan_request_line(within, limits.max_target, head);
    if (start.state == Parsed::State::error) return error(start.refusal);
    if (start.state == Parsed::State::need_more) return need_more();
    if (Refusal refusal = split_target(head)) return error(refusal);

    const Fields fields = read_fields(within, start.size, seen, limits.max_fields, head.fields);
    if (fields.state == Parsed::State::need_more) return need_more();
    if (fields.refusal) return error(fields.refusal);
    head.bytes = bytes.substr(0, fields.end);

    head.framing = {};
    head.content_length.reset();
    head.upgrade = head.expect_continue = head.last_hop = false;
    head.upgrade_to = {};
    if (Refusal refusal = check_request(head)) return error(refusal);
    return {Parsed::State::complete, empty_lines.size + fields.end, {}};
}

Parsed parse_response(std::string_view bytes, std::size_t seen, const Limits& limits, Asked asked, ResponseHead& head) {
    const std::string_view within = bytes.substr(0, limits.max_head);
    const auto need_more = [&] { return within.size() == limits.max_head ? worker_error(too_large) : Parsed{}; };
    const StartLine start = scan_status_line(within, head);
    if (start.state == Parsed::State::error) return error(start.refusal);
    if (start.state == Parsed::State::need_more) return need_more();

    const Fields fields = read_fields(within, start.size, seen, limits.max_fields, head.fields);
    if (fields.state == Parsed::State::need_more) return need_more();
    if (fields.refusal) return worker_error(fields.refusal);
    head.bytes = bytes.substr(0, fields.end);

    head.framing = {};
    head.content_length.reset();
    head.event_stream = head.unbuffered = false;
    head.route = {};
    if (Refusal refusal = check_response(head, asked)) return worker_error(refusal);
    return {Parsed::State::complete, fields.end, {}};
}

} // namespace plimsoll::http
