// The PROXY header: its verdict does not depend on how the bytes were cut, and what it names is an address.
#include <string>

#include "fuzz/input.hpp"
#include "net/http/forwarded.hpp"
#include "net/http/proxy_protocol.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace http = plimsoll::http;
    using Header = http::ProxyHeader;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto whole = http::parse_proxy_header(bytes);
    if (whole.state == Header::State::complete) {
        fuzz::require(whole.size <= bytes.size() && whole.size <= http::longest_proxy_v2, "a header is bounded");
        fuzz::require((whole.source == Header::Source::client) == http::parse_ip(whole.address).has_value(),
                      "a client has an address, and nobody else");
    }
    fuzz::require(whole.state != Header::State::need_more || size < http::longest_proxy_v2, "waiting has a bound");
    // Byte by byte is quadratic: the interesting cuts are at the front, and right before the end.
    for (std::size_t cut = 0; cut < std::min<std::size_t>(size, 256); ++cut) {
        const auto part = http::parse_proxy_header(bytes.substr(0, cut));
        if (part.state == Header::State::need_more) continue;
        fuzz::require(part.state == whole.state && part.size == whole.size && part.address == whole.address,
                      "a verdict is final");
        break;
    }
    if (whole.state == Header::State::complete)
        fuzz::require(http::parse_proxy_header(bytes.substr(0, whole.size - 1)).state == Header::State::need_more,
                      "a header ends with its last byte");
    return 0;
}
