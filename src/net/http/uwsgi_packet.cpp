#include "net/http/uwsgi_packet.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "net/http/byte_writer.hpp"
#include "net/http/chars.hpp"
#include "net/http/target.hpp"

namespace plimsoll::http {
namespace {

constexpr std::size_t header_size = 4;

// Pairs of strings, each after its length; values may be written in pieces.
class VariableWriter {
public:
    explicit VariableWriter(std::span<char> out) : out_(out) {}

    void add(std::string_view name, std::string_view value) {
        start(name);
        append(value);
        finish();
    }
    void add(std::string_view name, std::uint64_t number) {
        std::array<char, 20> digits;
        const char* end = std::to_chars(digits.begin(), digits.end(), number).ptr;
        add(name, std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
    }
    // "X-Real-IP" -> HTTP_X_REAL_IP
    void start_field(std::string_view name) {
        begin_string();
        append("HTTP_");
        for (char c : name) append(c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
        finish();
        begin_string();
    }
    void start(std::string_view name) {
        begin_string();
        append(name);
        finish();
        begin_string();
    }
    void append(std::string_view text) {
        if (text.size() > out_.size() - at_) return void(full_ = true);
        at_ += text.copy(out_.data() + at_, text.size());
    }
    void append(char c) { append(std::string_view(&c, 1)); }
    void append_decoded(std::string_view text) { // never longer than what it was
        const std::size_t room = out_.size() - at_;
        if (text.size() > room && decoded_size(text) > room) return void(full_ = true);
        at_ += decode_escapes(text, out_.data() + at_);
    }
    void finish() {
        if (full_) return;
        const std::size_t size = at_ - string_ - 2; // the whole packet is not larger than what 16 bits can tell
        out_[string_] = static_cast<char>(size & 0xff);
        out_[string_ + 1] = static_cast<char>(size >> 8);
    }
    // What ByteWriter-based functions write comes through here.
    template <class Write>
    void add_written(std::string_view name, Write write) {
        start(name);
        ByteWriter writer(out_.subspan(at_));
        write(writer);
        full_ |= writer.overflowed();
        at_ += writer.size();
        finish();
    }
    std::size_t size() const { return full_ ? 0 : at_; }

private:
    void begin_string() {
        string_ = at_;
        append(std::string_view("\0\0", 2));
    }
    std::span<char> out_;
    std::size_t at_ = 0;
    std::size_t string_ = 0;
    bool full_ = false;
};

std::string_view port_of(std::string_view authority, bool https) {
    const std::size_t bracket = authority.find(']');
    const std::size_t colon = authority.find(':', bracket == authority.npos ? 0 : bracket);
    if (colon != authority.npos) return authority.substr(colon + 1);
    return https ? "443" : "80";
}

void add_fields(VariableWriter& out, const RequestHead& head, const Forwarding& about) {
    const FieldTable& fields = head.fields;
    const FieldEdits* edits = about.edits;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const Field& field = fields[i];
        if (!reaches_worker(head, field, about) || (edits && edits->touch(field.name))) continue;
        if (field.id == FieldName::via) continue; // with ours
        if (field.id == FieldName::content_type) {
            out.add("CONTENT_TYPE", field.value);
            continue;
        }
        if (fields.find(field.name) != &field) continue; // went with the first of its name
        out.start_field(field.name);
        out.append(field.value);
        for (std::size_t j = i + 1; j < fields.size(); ++j) {
            if (!iequals(fields[j].name, field.name)) continue;
            out.append(field.id == FieldName::cookie ? "; " : ", ");
            out.append(fields[j].value);
        }
        out.finish();
    }
    if (!edits) return;
    for (const auto& [name, value] : edits->set) {
        if (iequals(name, "content-type")) {
            out.add("CONTENT_TYPE", value);
            continue;
        }
        out.start_field(name);
        out.append(value);
        out.finish();
    }
}

void write_via(VariableWriter& out, const RequestHead& head, const Forwarding& about) {
    if (about.via.empty() && !head.fields.find(FieldName::via)) return;
    out.add_written("HTTP_VIA", [&](ByteWriter& text) {
        std::string_view comma;
        for (const Field& field : head.fields) {
            if (field.id != FieldName::via || !reaches_worker(head, field, about)) continue;
            text << comma << field.value;
            comma = ", ";
        }
        if (!about.via.empty()) text << comma << "1." << std::uint64_t{head.minor} << ' ' << about.via;
    });
}

void add_about_client(VariableWriter& out, const RequestHead& head, const Forwarding& about) {
    if (!about.peer.empty() ||
        (about.believes(FieldName::x_forwarded_for) && head.fields.find(FieldName::x_forwarded_for)))
        out.add_written("HTTP_X_FORWARDED_FOR", [&](ByteWriter& text) { write_forwarded_for(text, head, about); });
    out.add("HTTP_X_FORWARDED_PROTO", forwarded_proto(head, about));
    if (const std::string_view host = forwarded_host(head, about); !host.empty())
        out.add("HTTP_X_FORWARDED_HOST", host);
    if (about.mount == Mount::deeper) {
        out.start("HTTP_X_FORWARDED_PREFIX");
        out.append(told_prefix(head, about));
        out.append(about.stripped);
        out.finish();
    }
    out.add_written("HTTP_FORWARDED", [&](ByteWriter& text) { write_forwarded(text, head, about); });
    write_via(out, head, about);
    out.add("HTTP_X_REQUEST_ID", about.request_id);
    if (const std::string_view trace = traceparent(head, about); !trace.empty()) out.add("HTTP_TRACEPARENT", trace);
}

} // namespace

std::size_t write_uwsgi_packet(const RequestHead& head, const Forwarding& about, const UwsgiRequest& how,
                               std::span<char> buffer) {
    if (buffer.size() < header_size) return 0;
    VariableWriter out(buffer.subspan(header_size, std::min(buffer.size(), max_uwsgi_packet) - header_size));
    const std::string_view path = how.path.empty() ? head.path : how.path;
    const bool deeper = about.mount == Mount::deeper;
    const std::string_view told = deeper ? told_prefix(head, about) : std::string_view{};
    const std::string_view stripped = deeper ? about.stripped : std::string_view{};
    const bool https = forwarded_proto(head, about) == "https";

    out.add("REQUEST_METHOD", head.method_text);
    out.start("REQUEST_URI");
    out.append(told);
    out.append(stripped);
    out.append(path);
    out.append(head.query);
    out.finish();
    out.start("SCRIPT_NAME");
    out.append_decoded(told);
    out.append(stripped);
    out.finish();
    out.start("PATH_INFO");
    out.append_decoded(path);
    out.finish();
    out.add("QUERY_STRING", head.query.empty() ? head.query : head.query.substr(1));
    out.add("SERVER_PROTOCOL", head.minor == 0 ? "HTTP/1.0" : "HTTP/1.1");
    out.add("REQUEST_SCHEME", https ? "https" : "http");
    if (https) out.add("HTTPS", "on");
    out.add("REMOTE_ADDR", how.client);
    if (how.client_port) out.add("REMOTE_PORT", std::uint64_t{how.client_port});
    out.add("SERVER_NAME", head.host.empty() ? about.fallback_host : head.host);
    out.add("SERVER_PORT", port_of(head.authority, https));
    if (how.content_length > 0 || head.content_length) out.add("CONTENT_LENGTH", how.content_length);
    out.add("HTTP_HOST", head.authority.empty() ? about.fallback_host : head.authority);
    if (head.upgrade) {
        out.add("HTTP_CONNECTION", "Upgrade");
        out.add("HTTP_UPGRADE", head.upgrade_to);
    }
    add_fields(out, head, about);
    add_about_client(out, head, about);

    const std::size_t size = out.size();
    if (size == 0) return 0;
    buffer[0] = 0;
    buffer[1] = static_cast<char>(size & 0xff);
    buffer[2] = static_cast<char>(size >> 8);
    buffer[3] = 0;
    return header_size + size;
}

} // namespace plimsoll::http
