#include "net/http/chunk_scanner.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "net/http/byte_writer.hpp"
#include "net/http/chars.hpp"
#include "net/http/field_names.hpp"
#include "net/http/field_parser.hpp"

namespace plimsoll::http {
namespace {

constexpr unsigned max_trailer_fields = 64;

constexpr Refusal forbidden_trailer = {400, "trailer",
                                       "a trailer holds a field that must stand in the head: framing, routing, "
                                       "authentication, or one that concerns the connection"};

bool is_white(char c) { return c == ' ' || c == '\t'; }
bool is_text(char c) { // what may stand in quotes or in a field
    const auto byte = static_cast<unsigned char>(c);
    return c == '\t' || (byte >= ' ' && byte != 0x7f);
}

enum class InTrailer : std::uint8_t { passes, left_out, refused };

// RFC 9110, 6.5.1: nothing goes on that must be known before the content is read, nor what an application would take for a
// statement of the proxy's. A request that frames, routes or authenticates itself in a trailer means to be read in two ways.
InTrailer judge(FieldName id, std::string_view name) {
    if (is_of_this_hop(id)) return InTrailer::refused;
    switch (id) {
    case FieldName::other: break;
    case FieldName::date:
    case FieldName::server:
    case FieldName::via: return InTrailer::passes;
    case FieldName::max_forwards:
    case FieldName::authorization:
    case FieldName::cookie: return InTrailer::refused;
    default: return InTrailer::left_out;
    }
    constexpr std::string_view known_too_late[] = {
        "if-match",         "if-none-match", "if-modified-since", "if-unmodified-since",
        "if-range",         "age",           "expires",           "location",
        "retry-after",      "vary",          "www-authenticate",  "origin",
        "content-location", "cookie2",       "set-cookie2",       "alt-svc",
        "early-data"};
    const bool late = std::ranges::any_of(known_too_late, [name](auto each) { return iequals(name, each); });
    return late ? InTrailer::left_out : InTrailer::passes;
}

} // namespace

ChunkScanner::State ChunkScanner::state() const {
    return step_ == Step::done ? State::done : step_ == Step::broken ? State::broken : State::reading;
}

void ChunkScanner::fail(std::string_view detail) {
    fault_ = {400, "bad_chunk", detail};
    step_ = Step::broken;
}

ChunkScanner::Piece ChunkScanner::next(std::string_view bytes) {
    Piece piece;
    while (piece.framing < bytes.size() && step_ != Step::data && state() == State::reading)
        framing(bytes[piece.framing++]);
    if (step_ == Step::data && piece.framing < bytes.size()) {
        piece.data = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - piece.framing));
        took(piece.data);
    }
    return piece;
}

void ChunkScanner::took(std::uint64_t bytes) {
    total_ += bytes;
    left_ -= bytes;
    if (left_ == 0) step_ = Step::data_cr;
}

ChunkScanner::Verified ChunkScanner::verify(std::string_view bytes) {
    Verified verified;
    const std::uint32_t extensions = extensions_;
    while (verified.size < bytes.size() && state() == State::reading) {
        const Piece piece = next(bytes.substr(verified.size));
        verified.size += piece.framing + piece.data;
        verified.data += piece.data;
    }
    verified.plain = state() != State::broken && extensions_ == extensions && trailers_.empty();
    return verified;
}

void ChunkScanner::framing(char c) {
    switch (step_) {
    case Step::size_first:
        if (!is(hex_char, c)) return fail("a chunk must begin with its size in hexadecimal digits");
        left_ = hex_value(c);
        step_ = Step::size;
        return;
    case Step::size:
        if (!is(hex_char, c)) return after_size(c);
        if (left_ >> 59) return fail("a chunk's size is too large");
        if (left_ == 0 && ++extensions_ > max_extensions) return fail("a chunk's size has too many zeros before it");
        left_ = left_ << 4 | hex_value(c);
        return;
    case Step::size_lf:
        if (c != '\n') return fail("a chunk's size must end with CR LF");
        step_ = left_ > 0 ? Step::data : Step::trailer_first;
        return;
    case Step::data_cr:
        if (c != '\r') return fail("a chunk is longer than its size says");
        step_ = Step::data_lf;
        return;
    case Step::data_lf:
        if (c != '\n') return fail("a chunk must end with CR LF");
        step_ = Step::size_first;
        return;
    case Step::trailer_first:
    case Step::trailer:
    case Step::trailer_lf:
    case Step::trailer_last_lf: return trailer(c);
    default:
        if (++extensions_ > max_extensions) return fail("chunk extensions are longer than this proxy accepts");
        step_ = extension(c);
        if (step_ == Step::broken)
            fail("a chunk extension is malformed, or white space stands at the end of a chunk's size line");
    }
}

void ChunkScanner::after_size(char c) {
    if (c == '\r')
        step_ = Step::size_lf;
    else if (c == ';')
        step_ = Step::ext_name_first;
    else if (is_white(c)) // only before a ';' (RFC 9112, 7.1.1)
        step_ = Step::ext_end_white;
    else
        return fail("a chunk's size is followed by something else than CR LF or an extension");
    if (c != '\r') ++extensions_;
}

// ";" name [ "=" (token | quoted string) ], with white space around ";" and "=" but none at the end of the line.
ChunkScanner::Step ChunkScanner::extension(char c) const {
    switch (step_) {
    case Step::ext_name_first:
        if (is_white(c)) return step_;
        return is(token_char, c) ? Step::ext_name : Step::broken;
    case Step::ext_name:
        if (is(token_char, c)) return step_;
        if (c == '=') return Step::ext_value_first;
        if (is_white(c)) return Step::ext_name_white;
        break;
    case Step::ext_name_white:
        if (is_white(c)) return step_;
        if (c == '=') return Step::ext_value_first;
        return c == ';' ? Step::ext_name_first : Step::broken;
    case Step::ext_value_first:
        if (is_white(c)) return step_;
        if (c == '"') return Step::ext_quoted;
        return is(token_char, c) ? Step::ext_token : Step::broken;
    case Step::ext_token:
        if (is(token_char, c)) return step_;
        if (is_white(c)) return Step::ext_end_white;
        break;
    case Step::ext_quoted:
        if (c == '"') return Step::ext_end;
        if (c == '\\') return Step::ext_quoted_pair;
        return is_text(c) ? step_ : Step::broken;
    case Step::ext_quoted_pair: return is_text(c) ? Step::ext_quoted : Step::broken;
    case Step::ext_end:
        if (is_white(c)) return Step::ext_end_white;
        break;
    default: // ext_end_white
        if (is_white(c)) return step_;
        return c == ';' ? Step::ext_name_first : Step::broken;
    }
    if (c == ';') return Step::ext_name_first;
    return c == '\r' ? Step::size_lf : Step::broken;
}

void ChunkScanner::trailer(char c) {
    const bool no_trailers =
        trailers_.empty() && (c == '\r' || step_ == Step::trailer_last_lf); // just the last empty line
    if (!no_trailers) {
        if (trailers_.size() == max_trailers) return fail("trailers are longer than this proxy accepts");
        trailers_ += c;
    }
    constexpr std::string_view malformed = "trailers must be fields, and lines that end with CR LF";
    switch (step_) {
    case Step::trailer_first:
    case Step::trailer:
        if (c == '\r')
            step_ = step_ == Step::trailer ? Step::trailer_lf : Step::trailer_last_lf;
        else if (is_text(c))
            step_ = Step::trailer;
        else
            fail(malformed);
        return;
    default:
        if (c != '\n') return fail(malformed);
        if (step_ == Step::trailer_last_lf) return end();
        step_ = Step::trailer_first;
    }
}

void ChunkScanner::end() {
    step_ = Step::done;
    if (trailers_.empty()) return;
    thread_local FieldTable fields;
    if (Refusal refusal = parse_trailers(trailers_, of_, fields)) {
        fault_ = refusal;
        step_ = Step::broken;
    }
}

bool ChunkScanner::carries_trailers(const LeftOut& left_out) const {
    thread_local FieldTable fields;
    if (trailers_.empty() || parse_trailers(trailers_, of_, fields)) return false;
    return !std::ranges::all_of(fields, [&](const Field& field) { return left_out.hold(field.name); });
}

Refusal parse_trailers(std::string_view bytes, ChunkScanner::Of of, FieldTable& fields) {
    fields.clear();
    if (bytes.empty()) return {};
    thread_local FieldTable all;
    if (Refusal refusal = parse_fields(bytes, max_trailer_fields, all)) return {400, "trailer", refusal.detail};
    for (const Field& field : all) {
        const InTrailer verdict = judge(field.id, field.name);
        if (verdict == InTrailer::passes)
            fields.add(field);
        else if (verdict == InTrailer::refused && of == ChunkScanner::Of::request)
            return forbidden_trailer;
    }
    return {};
}

std::size_t write_last_chunk(std::string_view trailers, ChunkScanner::Of of, std::span<char> out,
                             const LeftOut& left_out) {
    thread_local FieldTable fields;
    ByteWriter writer(out);
    writer << "0\r\n";
    if (!trailers.empty() && !parse_trailers(trailers, of, fields))
        for (const Field& field : fields)
            if (!left_out.hold(field.name)) writer.field(field.name, field.value);
    writer << "\r\n";
    return writer.size();
}

void write_announcement(ByteWriter& out, const FieldTable& head, const LeftOut& left_out) {
    std::string_view before = "Trailer: ";
    unsigned left = max_trailer_fields; // more are not taken, and each name is looked for in several lists
    for (const Field& field : head) {
        if (field.id != FieldName::trailer) continue;
        std::string_view list = field.value;
        for (std::string_view name; left > 0 && next_member(list, name); --left) {
            if (judge(field_name(name), name) != InTrailer::passes || left_out.hold(name)) continue;
            out << before << name;
            before = ", ";
        }
    }
    if (before == ", ") out << "\r\n";
}

std::size_t write_chunk_size(std::uint64_t n, char* out) {
    char* end = std::to_chars(out, out + 16, n, 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    return static_cast<std::size_t>(end - out);
}

} // namespace plimsoll::http
