#include "store/utf8.hpp"

namespace plimsoll::store {
namespace {

// The length of the valid sequence at the front; 0: there is none. Surrogates, overlong forms and what lies beyond
// U+10FFFF are excluded by the bounds of the second byte.
std::size_t sequence(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto lead = byte(0);
    if (lead < 0x80) return 1;
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
    const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < low || byte(1) > high) return 0;
    for (std::size_t i = 2; i < length; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    return length;
}

} // namespace

std::string valid_utf8(std::string_view text, std::size_t bound) {
    std::string valid;
    while (!text.empty()) {
        const auto length = sequence(text);
        const auto piece = length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, length);
        if (valid.size() + piece.size() > bound) break;
        valid += piece;
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return valid;
}

} // namespace plimsoll::store
