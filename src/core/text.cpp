#include "plimsoll/core/text.hpp"

namespace plimsoll {

Character first_character(std::string_view text) {
    auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    auto lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
    std::uint32_t code = lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3fU);
    }
    constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < least[length] || surrogate || code > 0x10ffff) return {};
    return {code, length};
}

bool is_control(std::uint32_t code) {
    auto within = [code](std::uint32_t first, std::uint32_t last) { return code >= first && code <= last; };
    return within(0, 0x1f) || within(0x7f, 0x9f) || within(0x200e, 0x200f) || within(0x2028, 0x202e) ||
           within(0x2066, 0x2069) || code == 0xfeff;
}

} // namespace plimsoll
