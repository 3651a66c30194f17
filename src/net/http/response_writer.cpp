#include <algorithm>

#include "net/http/byte_writer.hpp"
#include "net/http/chunk_scanner.hpp"
#include "net/http/head_writer.hpp"
#include "net/http/passed_fields.hpp"

namespace plimsoll::http {
namespace {

// "application/json;q=0": a range of Accept with a weight of nothing (RFC 9110, 12.4.2).
bool is_refused(std::string_view range) {
    for (auto at = range.find(';'); at != std::string_view::npos; at = range.find(';', at + 1)) {
        const auto parameter = range.substr(std::min(range.find_first_not_of(" \t", at + 1), range.size()));
        if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
        const auto weight = parameter.substr(2, parameter.find_first_of("; \t") - 2);
        return weight.find_first_not_of("0.") == std::string_view::npos;
    }
    return false;
}

bool reaches_client(const ResponseHead& head, const Field& field, const ToClient& how) {
    switch (field.id) {
    case FieldName::content_length:
    case FieldName::transfer_encoding:
    case FieldName::connection:
    case FieldName::keep_alive:
    case FieldName::proxy_connection:
    case FieldName::te:
    case FieldName::trailer:
    case FieldName::proxy_authenticate:
    case FieldName::proxy_authentication_info:
    case FieldName::http2_settings:
    case FieldName::plimsoll_route:
    case FieldName::plimsoll: return false;
    case FieldName::upgrade: return head.status == 101 || head.status == 426; // which says what to upgrade to
    case FieldName::server:
        if (how.server != ServerField::pass) return false;
        break;
    default: break;
    }
    if (!head.connection_names_fields) return true;
    return std::none_of(head.fields.begin(), head.fields.end(), [&field](const Field& each) {
        return each.id == FieldName::connection && has_member(each.value, field.name);
    });
}

void write_framing(ByteWriter& out, const ResponseHead& head, const Framing& framing) {
    if (framing.kind == Framing::Kind::chunked)
        out << "Transfer-Encoding: chunked\r\n";
    else if (framing.kind == Framing::Kind::length)
        out << "Content-Length: " << framing.length << "\r\n";
    else if (framing.kind == Framing::Kind::none && head.content_length) // HEAD, 304: what the body would be; or 0
        out << "Content-Length: " << *head.content_length << "\r\n";
}

void write_announced_trailers(ByteWriter& out, const ResponseHead& head, const ToClient& how) {
    // Where the worker frames otherwise none will come.
    if (how.framing.kind != Framing::Kind::chunked || head.framing.kind != Framing::Kind::chunked) return;
    const std::string options = head.connection_names_fields ? connection_options(head.fields) : std::string();
    write_announcement(out, head.fields,
                       {.edits = how.edits, .server = how.server != ServerField::pass, .connection = options});
}

void write_status_line(ByteWriter& out, unsigned status, std::string_view reason) {
    const auto digit = [status](unsigned unit) { return static_cast<char>('0' + status / unit % 10); };
    const char line[] = {'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', digit(100), digit(10), digit(1), ' '};
    out.join(std::string_view(line, sizeof line), reason, "\r\n");
}

} // namespace

void write_connection(ByteWriter& out, bool keep_alive, std::uint8_t minor) {
    if (!keep_alive)
        out << "Connection: close\r\n";
    else if (minor == 0)
        out << "Connection: keep-alive\r\n";
}

std::size_t write_response_head(const ResponseHead& head, const ToClient& how, std::span<char> buffer) {
    ByteWriter out(buffer);
    bool date = false, request_id = false, upgrade = false;
    write_status_line(out, head.status, head.reason.empty() ? standard_reason(head.status) : head.reason);
    PassedFields passed(out);
    for (const Field& field : head.fields) {
        if (!reaches_client(head, field, how) || (how.edits && how.edits->touch(field.name))) continue;
        date |= field.id == FieldName::date;
        request_id |= field.id == FieldName::x_request_id;
        upgrade |= field.id == FieldName::upgrade;
        passed.add(field);
    }
    passed.write();
    write_announced_trailers(out, head, how);
    if (head.status == 101) {
        out << "Connection: upgrade\r\n";
    } else if (!head.interim()) {
        write_framing(out, head, how.framing);
        write_connection(out, how.keep_alive, how.minor);
        if (upgrade) out << "Connection: upgrade\r\n"; // of 426, which says what to upgrade to
    }
    if (!head.interim()) {
        if (how.edits) {
            date |= how.edits->touch("Date");
            request_id |= how.edits->touch("X-Request-Id");
            for (const auto& [name, value] : how.edits->set) out.field(name, value);
        }
        if (!date && !how.date.empty()) out.field("Date", how.date);
        if (how.server == ServerField::own) out << own_server_field;
        if (!how.via.empty()) out.join(via_version(head.minor), how.via, "\r\n");
        if (!request_id && !how.request_id.empty()) out.field("X-Request-Id", how.request_id);
        out << how.own_fields;
    }
    out << "\r\n";
    return out.size();
}

Framing client_framing(const Framing& from, std::uint8_t client_minor) {
    const bool unknown_length = from.kind == Framing::Kind::chunked || from.kind == Framing::Kind::until_close;
    if (!unknown_length) return from;
    return {client_minor == 0 ? Framing::Kind::until_close : Framing::Kind::chunked, 0};
}

bool wants_json(const RequestHead& head) {
    for (const Field& field : head.fields) {
        if (field.id != FieldName::accept) continue;
        for (std::string_view rest = field.value; !rest.empty();) {
            const auto end = std::min(rest.find(','), rest.size());
            const auto range = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            const bool json =
                range.find("/json") != std::string_view::npos || range.find("+json") != std::string_view::npos;
            if (json && !is_refused(range)) return true;
        }
    }
    return false;
}

bool is_of_refusals(std::string_view name) {
    constexpr std::string_view names[] = {"content-type",
                                          "content-encoding",
                                          "content-language",
                                          "content-location",
                                          "content-range",
                                          "content-disposition",
                                          "etag",
                                          "last-modified",
                                          "expires",
                                          "cache-control",
                                          "cdn-cache-control",
                                          "surrogate-control",
                                          "retry-after"};
    return std::ranges::any_of(names, [name](auto each) { return iequals(name, each); });
}

std::size_t write_refusal(const Answer& answer, std::span<char> buffer) {
    const Refusal& refusal = answer.refusal;
    const std::string_view title = standard_reason(refusal.status);
    std::array<char, 1024> text; // all of it is static text of ours: it fits
    ByteWriter body(text);
    const auto status = std::uint64_t{refusal.status};
    if (answer.json)
        body << R"({"type":"about:blank","title":")" << title << R"(","status":)" << status << R"(,"reason":")"
             << refusal.reason << R"(","detail":")" << refusal.detail << "\"}\n";
    else
        body << status << ' ' << title << ": " << refusal.reason << '\n' << refusal.detail << '\n';

    ByteWriter out(buffer);
    write_status_line(out, refusal.status, title);
    const auto touched = [&](std::string_view name) { return answer.edits && answer.edits->touch(name); };
    if (!answer.date.empty() && !touched("Date")) out.field("Date", answer.date);
    out.field("Content-Type", answer.json ? "application/problem+json" : "text/plain; charset=utf-8");
    out << "Content-Length: " << std::uint64_t{body.size()} << "\r\n";
    out << "Cache-Control: no-store\r\n";
    out.field("X-Plimsoll-Reason", refusal.reason);
    if (answer.retry_after_seconds > 0) out << "Retry-After: " << std::uint64_t{answer.retry_after_seconds} << "\r\n";
    if (!answer.request_id.empty() && !touched("X-Request-Id")) out.field("X-Request-Id", answer.request_id);
    if (answer.server == ServerField::own) out << own_server_field;
    if (answer.edits)
        for (const auto& [name, value] : answer.edits->set)
            if (!is_of_refusals(name)) out.field(name, value);
    out << answer.own_fields;
    write_connection(out, answer.keep_alive, answer.minor);
    out << "\r\n";
    if (!answer.head_only) out << std::string_view(text.data(), body.size());
    return out.size();
}

DateText http_date(std::chrono::system_clock::time_point now) {
    using namespace std::chrono;
    constexpr std::string_view days = "SunMonTueWedThuFriSat", months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const auto day = floor<std::chrono::days>(now);
    const year_month_day date(day);
    const hh_mm_ss time(floor<seconds>(now - day));
    DateText text;
    char* at = text.data();
    const auto put = [&at](std::string_view part) { at += part.copy(at, part.size()); };
    const auto number = [&at](unsigned value, unsigned digits) {
        for (unsigned i = digits; i-- > 0; value /= 10) at[i] = static_cast<char>('0' + value % 10);
        at += digits;
    };
    put(days.substr(std::size_t{weekday(day).c_encoding()} * 3, 3));
    put(", ");
    number(static_cast<unsigned>(date.day()), 2);
    put(" ");
    put(months.substr(std::size_t{static_cast<unsigned>(date.month()) - 1} * 3, 3));
    put(" ");
    number(static_cast<unsigned>(static_cast<int>(date.year())), 4);
    put(" ");
    number(static_cast<unsigned>(time.hours().count()), 2);
    put(":");
    number(static_cast<unsigned>(time.minutes().count()), 2);
    put(":");
    number(static_cast<unsigned>(time.seconds().count()), 2);
    put(" GMT");
    return text;
}

} // namespace plimsoll::http
