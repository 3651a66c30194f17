// Counts of the last while, in a ring of buckets that expire whole: what is older than `span` counts no more.
#pragma once

#include <array>
#include <cstdint>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

template <std::size_t kinds>
class Window {
public:
    using Counts = std::array<std::uint32_t, kinds>;

    void add(Instant now, Duration span, std::size_t kind) {
        const auto number = number_of(now, span);
        Bucket& bucket = buckets_[static_cast<std::size_t>(number) % size];
        if (bucket.number != number) bucket = {number, {}};
        ++bucket.counts[kind];
    }
    Counts sum(Instant now, Duration span) const {
        const auto newest = number_of(now, span);
        Counts counts{};
        for (const Bucket& bucket : buckets_)
            if (bucket.number > newest - static_cast<std::int64_t>(size) && bucket.number <= newest)
                for (std::size_t kind = 0; kind < kinds; ++kind) counts[kind] += bucket.counts[kind];
        return counts;
    }
    void clear() { buckets_ = {}; }

private:
    static constexpr std::size_t size = 5;
    struct Bucket {
        std::int64_t number = -1; // since the clock began, in fifths of the span
        Counts counts{};
    };
    static std::int64_t number_of(Instant now, Duration span) {
        return now.time_since_epoch().count() / (span.count() / static_cast<std::int64_t>(size) + 1);
    }
    std::array<Bucket, size> buckets_;
};

} // namespace plimsoll
