#include "plimsoll/core/keyed_hash.hpp"

#include <bit>

namespace plimsoll {

namespace {

struct State {
    std::uint64_t a, b, c, d;

    void round() {
        a += b;
        b = std::rotl(b, 13) ^ a;
        a = std::rotl(a, 32);
        c += d;
        d = std::rotl(d, 16) ^ c;
        a += d;
        d = std::rotl(d, 21) ^ a;
        c += b;
        b = std::rotl(b, 17) ^ c;
        c = std::rotl(c, 32);
    }
    void take(std::uint64_t word) {
        d ^= word;
        round();
        a ^= word;
    }
};

// Up to eight bytes, the first one lowest, on machines of either order.
std::uint64_t word_of(std::string_view bytes) {
    std::uint64_t word = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) word = word << 8 | static_cast<unsigned char>(bytes[i]);
    return word;
}

} // namespace

std::uint64_t keyed_hash(HashKey key, std::string_view text) {
    State state{key.low ^ 0x736f6d6570736575, key.high ^ 0x646f72616e646f6d, key.low ^ 0x6c7967656e657261,
                key.high ^ 0x7465646279746573};
    const auto size = static_cast<std::uint64_t>(text.size());
    for (; text.size() >= 8; text.remove_prefix(8)) state.take(word_of(text.substr(0, 8)));
    state.take(word_of(text) | size << 56);
    state.c ^= 0xff;
    for (int i = 0; i < 3; ++i) state.round();
    return state.a ^ state.b ^ state.c ^ state.d;
}

} // namespace plimsoll
