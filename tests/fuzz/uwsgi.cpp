// Any request that is accepted makes a packet that a server can read: lengths add up, no name twice, the address is ours.
#include <map>
#include <string>

#include "fuzz/input.hpp"
#include "net/http/uwsgi_packet.hpp"

namespace {

namespace http = plimsoll::http;

std::size_t number(std::string_view bytes, std::size_t at) {
    fuzz::require(at + 2 <= bytes.size(), "a length lies within the packet");
    return static_cast<unsigned char>(bytes[at]) | static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + 1]))
                                                       << 8;
}

void check_packet(std::string_view packet) {
    fuzz::require(packet.size() <= http::max_uwsgi_packet && number(packet, 1) == packet.size() - 4,
                  "the size is right");
    std::map<std::string_view, std::string_view> variables;
    for (std::size_t at = 4; at < packet.size();) {
        std::string_view text[2];
        for (std::string_view& each : text) {
            const std::size_t size = number(packet, at);
            fuzz::require(at + 2 + size <= packet.size(), "a string lies within the packet");
            each = packet.substr(at + 2, size);
            at += 2 + size;
        }
        fuzz::require(variables.emplace(text[0], text[1]).second, "no variable comes twice");
    }
    fuzz::require(variables.at("REMOTE_ADDR") == "192.0.2.1", "the client's address is ours to tell");
    fuzz::require(variables.count("HTTP_PROXY") == 0 && variables.count("HTTP_TRANSFER_ENCODING") == 0,
                  "no forgery comes through");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::Input input(data, size);
    static http::RequestHead head;
    const http::Limits wide{.max_head = 1 << 20, .max_fields = 256, .max_target = 1 << 20};
    if (http::parse_request(input.bytes, 0, wide, head).state != http::Parsed::State::complete) return 0;
    const http::Forwarding about{.peer = "192.0.2.1",
                                 .trusted = (input.choice & 1) != 0,
                                 .request_id = "id",
                                 .mount = (input.choice & 2) != 0 ? http::Mount::deeper : http::Mount::as_told,
                                 .stripped = "/app"};
    const http::UwsgiRequest how{
        .content_length = head.framing.length, .path = (input.choice & 4) != 0 ? "/rest" : "", .client = "192.0.2.1"};
    // A buffer of exactly the size that is needed, or of any smaller one: not a byte is written beyond.
    static std::vector<char> large(http::max_uwsgi_packet);
    const std::size_t needed = http::write_uwsgi_packet(head, about, how, large);
    if (needed == 0) return 0;
    check_packet({large.data(), needed});
    std::vector<char> exact(needed);
    fuzz::require(http::write_uwsgi_packet(head, about, how, exact) == needed, "what fits is written");
    std::vector<char> small(needed - 1 - input.choice % needed);
    fuzz::require(http::write_uwsgi_packet(head, about, how, small) == 0, "what does not fit is not written");
    return 0;
}
