#include "net/http/page_head.hpp"

#include "net/http/byte_writer.hpp"

namespace plimsoll::http {

std::size_t write_page_head(const Answer& answer, const PageHead& how, std::span<char> buffer) {
    ByteWriter out(buffer);
    const auto own = [&](std::string_view name, std::string_view value) {
        if (!value.empty() && !(how.edits && how.edits->touch(name))) out.field(name, value);
    };
    out << "HTTP/1.1 " << std::uint64_t{how.status} << ' ' << standard_reason(how.status) << "\r\n";
    own("Date", answer.date);
    if (how.length > 0) own("Content-Type", how.content_type);
    if (how.status != 204 && how.status != 304) out << "Content-Length: " << how.length << "\r\n"; // RFC 9110, 8.6
    own("Location", how.location);
    if (!how.reason.empty()) {
        own("Cache-Control", "no-store");
        out.field("X-Plimsoll-Reason", how.reason);
    }
    const bool told_when_to_come = how.retry_after_seconds > 0;
    if (told_when_to_come) out << "Retry-After: " << std::uint64_t{how.retry_after_seconds} << "\r\n";
    own("X-Request-Id", answer.request_id);
    if (answer.server == ServerField::own) out << own_server_field;
    if (how.edits)
        for (const auto& [name, value] : how.edits->set)
            if (!told_when_to_come || !iequals(name, "Retry-After")) out.field(name, value);
    out << answer.own_fields;
    if (!answer.keep_alive)
        out << "Connection: close\r\n";
    else if (answer.minor == 0)
        out << "Connection: keep-alive\r\n";
    out << "\r\n";
    return out.size();
}

} // namespace plimsoll::http
