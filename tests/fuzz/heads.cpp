// Heads and bodies of both directions: no cut changes what is read, and what is written is read back as the same request.
#include <algorithm>
#include <array>
#include <string>

#include "fuzz/input.hpp"
#include "net/http/field_parser.hpp"
#include "net/http/forwarded.hpp"
#include "net/http/head_writer.hpp"
#include "net/http/plain_fields.hpp"
#include "net/http/target.hpp"
#include "unit/http/transcript.hpp"

namespace {

namespace http = plimsoll::http;

void check_routing_path(std::string_view path) {
    std::vector<char> scratch(path.size());
    const std::string_view seen = http::routing_path(path, scratch);
    if (seen.empty() || path == "*") return;
    fuzz::require(seen.front() == '/', "a routing path begins with a slash");
    for (std::string_view trap : {"/../", "/./", "//"})
        fuzz::require(seen.find(trap) == std::string_view::npos, "a routing path is resolved");
    fuzz::require(!seen.ends_with("/..") && !seen.ends_with("/."), "a routing path is resolved to its end");
}

void check_written_request(const http::RequestHead& head, bool trusted) {
    std::array<char, 128 << 10> buffer;
    const http::Forwarding about{.peer = "192.0.2.1", .trusted = trusted, .request_id = "id", .traceparent = "trace"};
    const std::string_view written(buffer.data(),
                                   http::write_request_head(head, about, {.framing = head.framing}, buffer));
    fuzz::require(!written.empty(), "a head of 32 KiB fits into 128 KiB");

    static http::RequestHead again;
    const http::Limits wide{.max_head = 128 << 10, .max_fields = 256, .max_target = 64 << 10};
    const http::Parsed parsed = http::parse_request(written, 0, wide, again);
    fuzz::require(parsed.state == http::Parsed::State::complete && parsed.size == written.size(),
                  "a written head is one head");
    fuzz::require(again.method_text == head.method_text && again.path == head.path && again.query == head.query &&
                      (head.authority.empty() || again.authority == head.authority) && again.upgrade == head.upgrade,
                  "a written head asks for the same");
    fuzz::require(head.upgrade || again.framing == head.framing, "a written head has the same framing");
    for (const http::Field& field : again.fields)
        fuzz::require(field.id != http::FieldName::ambiguous && field.id != http::FieldName::plimsoll,
                      "no ambiguous name reaches a worker");
}

void check_request(std::string_view bytes, bool trusted) {
    static http::RequestHead head;
    if (http::parse_request(bytes, 0, {}, head).state != http::Parsed::State::complete) return;
    check_routing_path(head.path);
    check_written_request(head, trusted);
    http::TrustedProxies proxies;
    std::string problem;
    proxies.parse({"192.0.2.0/24", "10.0.0.0/8"}, problem);
    fuzz::require(http::parse_ip(proxies.client({"192.0.2.1"}, head.fields).address).has_value(),
                  "a client has an address");
}

void check_response(std::string_view bytes, http::Asked asked) {
    static http::ResponseHead head, again;
    if (http::parse_response(bytes, 0, {}, asked, head).state != http::Parsed::State::complete) return;
    std::array<char, 128 << 10> buffer;
    const http::Framing framing = http::client_framing(head.framing, 1);
    const std::string_view written(buffer.data(),
                                   http::write_response_head(head, {.framing = framing, .date = "date"}, buffer));
    const http::Limits wide{.max_head = 128 << 10, .max_fields = 256};
    const http::Parsed parsed = http::parse_response(written, 0, wide, asked, again);
    fuzz::require(parsed.state == http::Parsed::State::complete && parsed.size == written.size(),
                  "a written head is one head");
    fuzz::require(again.status == head.status && again.framing == framing, "a written head means the same");
}

// The short way through everyday fields leads where the long one does, or nowhere.
void check_plain_fields(std::string_view bytes) {
    static http::FieldTable plain, judged;
    const auto size = http::scan_plain_fields(bytes, 100, plain);
    if (size == 0) return;
    fuzz::require(!http::parse_fields(bytes.substr(0, size), 100, judged), "plain fields are fields");
    fuzz::require(plain.size() == judged.size(), "plain fields are the same ones");
    for (std::size_t i = 0; i < plain.size(); ++i)
        fuzz::require(plain[i].name == judged[i].name && plain[i].value == judged[i].value &&
                          plain[i].id == judged[i].id,
                      "plain fields are the same ones");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::Input input(data, size);
    const bool requests = input.choice & 1;
    const http::Asked asked{.head = (input.choice & 2) != 0, .upgrade_to = (input.choice & 4) != 0 ? "websocket" : ""};
    const auto whole = transcript::read(requests, asked, {input.bytes});
    const auto pieces = transcript::read(requests, asked, fuzz::cut(input.bytes, input.choice));
    fuzz::require(whole.all() == pieces.all(), "a cut changes nothing");
    if (requests)
        check_request(input.bytes, (input.choice & 2) != 0);
    else
        check_response(input.bytes, asked);
    const auto start_line = std::min(input.bytes.find('\n'), input.bytes.size() - 1);
    check_plain_fields(input.bytes.substr(start_line + 1));
    return 0;
}
