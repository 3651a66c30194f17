// What the fuzz targets share: an input is one byte of choices and then the bytes of a connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace fuzz {

struct Input {
    std::uint8_t choice = 0;
    std::string_view bytes;
    Input(const std::uint8_t* data, std::size_t size) {
        if (size == 0) return;
        choice = data[0];
        bytes = {reinterpret_cast<const char*>(data) + 1, size - 1};
    }
};

// Cuts at places that depend on `choice`: pieces of 1 to 64 bytes.
inline std::vector<std::string_view> cut(std::string_view bytes, std::uint8_t choice) {
    std::vector<std::string_view> pieces;
    for (std::uint32_t state = choice + 1U; !bytes.empty();) {
        state = state * 1664525U + 1013904223U;
        const std::size_t size = choice % 4 == 0 ? 1 : 1 + (state >> 16) % 64;
        pieces.push_back(bytes.substr(0, size));
        bytes.remove_prefix(pieces.back().size());
    }
    return pieces;
}

inline void require(bool holds, const char* claim) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", claim);
    std::abort();
}

} // namespace fuzz
