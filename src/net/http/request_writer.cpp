#include "net/http/byte_writer.hpp"
#include "net/http/chunk_scanner.hpp"
#include "net/http/head_writer.hpp"
#include "net/http/passed_fields.hpp"

namespace plimsoll::http {
namespace {

void write_framing(ByteWriter& out, const RequestHead& head, const Framing& framing) {
    if (framing.kind == Framing::Kind::chunked)
        out << "Transfer-Encoding: chunked\r\n";
    else if (framing.kind == Framing::Kind::length)
        out << "Content-Length: " << framing.length << "\r\n";
    else if (head.content_length || head.framing.has_body()) // an empty body that was told as one
        out << "Content-Length: 0\r\n";
}

void write_max_forwards(ByteWriter& out, const RequestHead& head) {
    if (head.method != Method::options && head.method != Method::trace) return;
    const Field* field = head.fields.find(FieldName::max_forwards);
    if (!field) return;
    if (const auto left = parse_decimal(field->value); left && *left > 0)
        out << "Max-Forwards: " << *left - 1 << "\r\n";
}

void write_announced_trailers(ByteWriter& out, const RequestHead& head, const Forwarding& about) {
    const std::string options = head.connection_names_fields ? connection_options(head.fields) : std::string();
    write_announcement(
        out, head.fields,
        {.trusted = about.trusted ? nullptr : about.trusted_fields, .edits = about.edits, .connection = options});
}

// One field, whatever the client split them into: WSGI servers join fields by commas, and a cookie ends at a semicolon only.
void write_cookies(ByteWriter& out, const RequestHead& head, const Field& this_one) {
    if (head.fields.find(FieldName::cookie) != &this_one) return; // went with the first
    std::string_view before = ": ";
    out << this_one.name;
    for (const Field& field : head.fields) {
        if (field.id != FieldName::cookie) continue;
        out << before << field.value;
        before = "; ";
    }
    out << "\r\n";
}

} // namespace

std::size_t write_request_head(const RequestHead& head, const Forwarding& about, const ToWorker& how,
                               std::span<char> buffer) {
    ByteWriter out(buffer);
    out.join(head.method_text, " ", how.path.empty() ? head.path : how.path, head.query, " HTTP/1.1\r\n");
    out.field("Host", head.authority.empty() ? about.fallback_host : head.authority);
    if (head.upgrade)
        out << "Connection: upgrade\r\nUpgrade: " << head.upgrade_to << "\r\n";
    else
        write_framing(out, head, how.framing);
    // "close" stands alone: there are servers that look for that word only.
    if (!head.upgrade && !how.keep_alive)
        out << "Connection: close\r\n";
    else if (!head.upgrade && head.wants_trailers)
        out << "TE: trailers\r\nConnection: TE\r\n";
    if (how.expect) out << "Expect: 100-continue\r\n";
    write_max_forwards(out, head);

    const FieldEdits* edits = about.edits;
    PassedFields passed(out);
    for (const Field& field : head.fields) {
        if (edits && edits->touch(field.name)) continue;
        if (!reaches_worker(head, field, about)) continue;
        if (field.id == FieldName::cookie && head.several_cookies) {
            passed.write();
            write_cookies(out, head, field);
        } else {
            passed.add(field);
        }
    }
    passed.write();
    if (how.framing.kind == Framing::Kind::chunked) write_announced_trailers(out, head, about);
    if (edits)
        for (const auto& [name, value] : edits->set) out.field(name, value);

    if (!about.peer.empty() ||
        (about.believes(FieldName::x_forwarded_for) && head.fields.find(FieldName::x_forwarded_for))) {
        out << "X-Forwarded-For: ";
        write_forwarded_for(out, head, about);
        out << "\r\n";
    }
    out.field("X-Forwarded-Proto", forwarded_proto(head, about));
    if (const std::string_view host = forwarded_host(head, about); !host.empty()) out.field("X-Forwarded-Host", host);
    if (about.mount == Mount::deeper)
        out.join("X-Forwarded-Prefix: ", told_prefix(head, about), about.stripped, "\r\n");
    out << "Forwarded: ";
    write_forwarded(out, head, about);
    out << "\r\n";
    out.field("X-Request-Id", about.request_id);
    if (const std::string_view trace = traceparent(head, about); !trace.empty()) out.field("traceparent", trace);
    if (!about.via.empty()) out.join(via_version(head.minor), about.via, "\r\n");
    out << "\r\n";
    return out.size();
}

} // namespace plimsoll::http
