#pragma once

#include <cstdint>
#include <random>

#include "plimsoll/core/keyed_hash.hpp"

namespace plimsoll::net {

// Nobody can know it who cannot read our memory: it is written nowhere.
inline HashKey random_key() {
    std::random_device source;
    const auto word = [&source] { return std::uint64_t{source()} << 32 | source(); };
    const auto low = word();
    return {low, word()};
}

} // namespace plimsoll::net
