// What the proxy itself takes of the host: the numbers that show whether *it* leaks.
#pragma once

#include <cstdint>
#include <optional>

#include "plimsoll/core/bytes.hpp"

namespace plimsoll::admin {

struct Self {
    std::optional<Bytes> rss;
    std::optional<std::uint64_t> open_files, max_files, threads;
    double cpu_seconds = 0;
};
Self read_self();

} // namespace plimsoll::admin
