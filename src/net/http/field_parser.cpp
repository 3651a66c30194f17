#include "net/http/field_parser.hpp"

#include <array>
#include <cstring>
#include <functional>
#include <limits>

#include <boost/beast/http/basic_parser.hpp>

#include "net/http/chars.hpp"

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
constexpr Refusal bad_length = {400, "content_length", "Content-Length must be one number that fits into 63 bits"};
constexpr Refusal bad_framing = {400, "framing",
                                 "Content-Length and Transfer-Encoding must not be given both or repeated"};

constexpr std::size_t beast_names = 512;

// Beast's names -> ours. Beast's lookup costs 5 ns a field; this adds one load.
constexpr std::array<FieldName, beast_names> make_our_names() {
    std::array<FieldName, beast_names> names{};
    auto set = [&names](bh::field field, FieldName name) { names[static_cast<std::size_t>(field)] = name; };
    set(bh::field::host, FieldName::host);
    set(bh::field::content_length, FieldName::content_length);
    set(bh::field::transfer_encoding, FieldName::transfer_encoding);
    set(bh::field::connection, FieldName::connection);
    set(bh::field::keep_alive, FieldName::keep_alive);
    set(bh::field::proxy_connection, FieldName::proxy_connection);
    set(bh::field::te, FieldName::te);
    set(bh::field::trailer, FieldName::trailer);
    set(bh::field::upgrade, FieldName::upgrade);
    set(bh::field::http2_settings, FieldName::http2_settings);
    set(bh::field::proxy_authenticate, FieldName::proxy_authenticate);
    set(bh::field::proxy_authorization, FieldName::proxy_authorization);
    set(bh::field::proxy_authentication_info, FieldName::proxy_authentication_info);
    set(bh::field::expect, FieldName::expect);
    set(bh::field::max_forwards, FieldName::max_forwards);
    set(bh::field::forwarded, FieldName::forwarded);
    set(bh::field::via, FieldName::via);
    set(bh::field::date, FieldName::date);
    set(bh::field::server, FieldName::server);
    set(bh::field::accept, FieldName::accept);
    set(bh::field::content_type, FieldName::content_type);
    set(bh::field::content_encoding, FieldName::content_encoding);
    set(bh::field::content_range, FieldName::content_range);
    set(bh::field::authorization, FieldName::authorization);
    set(bh::field::cache_control, FieldName::cache_control);
    set(bh::field::cookie, FieldName::cookie);
    set(bh::field::set_cookie, FieldName::set_cookie);
    set(bh::field::pragma, FieldName::pragma);
    set(bh::field::range, FieldName::range);
    return names;
}
constexpr auto our_names = make_our_names();

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
    void on_field_impl(bh::field known, boost::beast::string_view name, boost::beast::string_view value,
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
        const FieldName id =
            known == bh::field::unknown ? name_unknown_to_beast(text) : our_names[static_cast<std::size_t>(known)];
        full_ |= !fields_.add({text, {value.data(), value.size()}, id});
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

struct Known {
    std::string_view name; // lower case
    FieldName id;
};

bool starts_with(std::string_view name, std::string_view prefix) {
    return name.size() >= prefix.size() && iequals(name.substr(0, prefix.size()), prefix);
}

FieldName starting_with_x(std::string_view name) {
    constexpr Known known[] = {
        {"x-forwarded-for", FieldName::x_forwarded_for},
        {"x-forwarded-proto", FieldName::x_forwarded_proto},
        {"x-forwarded-host", FieldName::x_forwarded_host},
        {"x-request-id", FieldName::x_request_id},
        {"x-plimsoll-route", FieldName::plimsoll_route},
        {"x-accel-buffering", FieldName::x_accel_buffering},
        {"x-real-ip", FieldName::claims_of_a_proxy},
        {"x-scheme", FieldName::claims_of_a_proxy},
        {"x-url-scheme", FieldName::claims_of_a_proxy},
        {"x-client-ip", FieldName::claims_of_a_proxy},
        {"x-cluster-client-ip", FieldName::claims_of_a_proxy},
        {"x-original-forwarded-for", FieldName::claims_of_a_proxy},
        {"x-original-host", FieldName::claims_of_a_proxy},
        {"x-original-url", FieldName::claims_of_a_proxy},
        {"x-rewrite-url", FieldName::claims_of_a_proxy},
        {"x-remote-user", FieldName::claims_of_a_proxy},
        {"x-authenticated-user", FieldName::claims_of_a_proxy},
        {"x-envoy-external-address", FieldName::claims_of_a_proxy},
        {"x-forwarded", FieldName::claims_of_a_proxy},
    };
    for (const Known& each : known)
        if (iequals(name, each.name)) return each.id;
    if (starts_with(name, "x-forwarded-") || starts_with(name, "x-ssl-")) return FieldName::claims_of_a_proxy;
    if (starts_with(name, "x-plimsoll-")) return FieldName::plimsoll;
    return FieldName::other;
}

} // namespace

FieldName name_unknown_to_beast(std::string_view name) {
    // '_' and '-' are one and the same in HTTP_*, and some servers map every other character there too.
    if (name.find('_') != std::string_view::npos) return FieldName::ambiguous;
    if (starts_with(name, "x-")) return starting_with_x(name);
    constexpr Known known[] = {
        {"traceparent", FieldName::traceparent},
        {"tracestate", FieldName::tracestate},
        {"proxy", FieldName::ambiguous},
        {"front-end-https", FieldName::claims_of_a_proxy},
        {"true-client-ip", FieldName::claims_of_a_proxy},
        {"client-ip", FieldName::claims_of_a_proxy},
        {"cf-connecting-ip", FieldName::claims_of_a_proxy},
        {"fastly-client-ip", FieldName::claims_of_a_proxy},
        {"forwarded-for", FieldName::claims_of_a_proxy},
        {"remote-user", FieldName::claims_of_a_proxy},
        {"remote-groups", FieldName::claims_of_a_proxy},
        {"remote-name", FieldName::claims_of_a_proxy},
        {"remote-email", FieldName::claims_of_a_proxy},
        {"client-cert", FieldName::claims_of_a_proxy}, // RFC 9440
        {"client-cert-chain", FieldName::claims_of_a_proxy},
    };
    for (const Known& each : known)
        if (iequals(name, each.name)) return each.id;
    return FieldName::other;
}

Refusal parse_fields(std::string_view lines, unsigned max_fields, FieldTable& fields) {
    fields.clear();
    return FieldParser(fields, max_fields).parse(lines);
}

} // namespace plimsoll::http
