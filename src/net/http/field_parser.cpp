#include "net/http/field_parser.hpp"

#include <cstring>
#include <functional>
#include <limits>

#include <boost/beast/http/basic_parser.hpp>

#include "net/http/field_names.hpp"

namespace plimsoll::http {
namespace {

namespace bh = boost::beast::http;
using boost::beast::error_code;

constexpr Refusal malformed = {400, "malformed_field",
                               "a header field is malformed: it needs a name, a colon right after it, "
                               "a value without control characters, and CR LF"};
constexpr Refusal folded = {400, "line_folding",
                            "a header field is folded over several lines, which is obsolete and refused"};
constexpr Refusal too_many = {431, "too_many_fields", "the message has more header fields than this proxy accepts"};

class FieldParser final : public bh::basic_parser<true> {
public:
    FieldParser(FieldTable& fields, unsigned max_fields) : fields_(fields), max_fields_(max_fields) {
        skip(true); // the body is not Beast's
        body_limit(boost::none);
        header_limit(std::numeric_limits<std::uint32_t>::max());
    }

    Refusal parse(std::string_view lines) {
        constexpr std::string_view start_line = "GET / HTTP/1.1\r\n";
        end_ = lines.data() + lines.size();
        error_code ec;
        put(boost::asio::const_buffer(start_line.data(), start_line.size()), ec);
        const std::size_t used = put(boost::asio::const_buffer(lines.data(), lines.size()), ec);
        if (ec == bh::error::bad_content_length)
            return fields_.find(FieldName::transfer_encoding) ? bad_framing : bad_length;
        if (ec == bh::error::bad_transfer_encoding || ec == bh::error::multiple_content_length) return bad_framing;
        if (ec == bh::error::header_limit || folded_) return folded; // the limit is that of Beast's buffer for folding
        if (ec || used != lines.size()) return malformed;
        return full_ ? too_many : Refusal{};
    }

private:
    void on_field_impl(bh::field, boost::beast::string_view name, boost::beast::string_view value,
                       error_code&) override {
        // Between the colon and the value stands white space only. CR there, or a value elsewhere: Beast has folded
        // lines.
        const char* after_colon = name.data() + name.size() + 1;
        if (std::less<>{}(value.data(), after_colon) || std::less<>{}(end_, value.data()))
            folded_ = true;
        else if (value.data() - after_colon > 1)
            folded_ |= std::memchr(after_colon, '\r', static_cast<std::size_t>(value.data() - after_colon)) != nullptr;

        if (fields_.size() >= max_fields_) {
            full_ = true; // told at the end: a malformed field further down is the graver fault
            return;
        }
        const std::string_view text(name.data(), name.size());
        full_ |= !fields_.add({text, {value.data(), value.size()}, field_name(text)});
    }
    void on_request_impl(bh::verb, boost::beast::string_view, boost::beast::string_view, int, error_code&) override {}
    void on_response_impl(int, boost::beast::string_view, int, error_code&) override {}
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(boost::beast::string_view, error_code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view, error_code&) override { return 0; }
    void on_finish_impl(error_code&) override {}

    FieldTable& fields_;
    unsigned max_fields_;
    const char* end_ = nullptr;
    bool folded_ = false;
    bool full_ = false;
};

} // namespace

Refusal parse_fields(std::string_view lines, unsigned max_fields, FieldTable& fields) {
    fields.clear();
    return FieldParser(fields, max_fields).parse(lines);
}

} // namespace plimsoll::http
