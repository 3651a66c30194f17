// The answer to OPTIONS and TRACE with Max-Forwards 0: whoever gets that is the last hop and says what it got (RFC 9110, 7.6.2
// and 9.3.8), or what it takes (9.3.7).
#include <string>

#include "net/http/byte_writer.hpp"
#include "net/http/head_writer.hpp"

namespace plimsoll::http {
namespace {

// A reflection must not hand credentials to scripts that could not read them otherwise.
bool may_be_reflected(const Field& field) {
    return field.id != FieldName::authorization && field.id != FieldName::cookie &&
           field.id != FieldName::proxy_authorization && field.id != FieldName::plimsoll;
}

std::string reflection(const RequestHead& head) {
    std::string text(head.bytes.substr(0, head.bytes.find('\n') + 1));
    for (const Field& field : head.fields)
        if (may_be_reflected(field)) text.append(field.name).append(": ").append(field.value).append("\r\n");
    return text + "\r\n";
}

} // namespace

std::size_t write_last_hop(const RequestHead& head, const Answer& how, std::span<char> buffer) {
    const std::string body = head.method == Method::trace ? reflection(head) : std::string{};
    ByteWriter out(buffer);
    out << "HTTP/1.1 200 OK\r\n";
    if (!how.date.empty()) out.field("Date", how.date);
    if (head.method == Method::trace)
        out.field("Content-Type", "message/http");
    else
        out.field("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE");
    out << "Content-Length: " << std::uint64_t{body.size()} << "\r\n";
    if (!how.request_id.empty()) out.field("X-Request-Id", how.request_id);
    write_connection(out, how.keep_alive, how.minor);
    out << "\r\n" << body;
    return out.size();
}

} // namespace plimsoll::http
