// Deaths of a pool's workers that follow one another are one story: what takes a worker down every few seconds would bury all
// other incidents under its own.
//
//   apart --the third within 60 s--> loop --60 s without one--> apart
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

class DeathLoop {
public:
    static constexpr std::size_t many = 3;
    static constexpr Duration within = std::chrono::seconds{60};

    enum class News : std::uint8_t { apart, began, goes_on };
    News died(Instant now) {
        const bool was_open = open(now);
        const bool close_together =
            last_.front() && now - *last_.front() < within; // it is the oldest of the two before
        last_ = {last_.back(), now};
        if (was_open) {
            ++deaths_;
            return News::goes_on;
        }
        if (!close_together) {
            began_.reset();
            return News::apart;
        }
        began_ = now;
        deaths_ = many;
        return News::began;
    }
    bool open(Instant now) const { return began_ && now - *last_.back() < within; }
    std::uint64_t deaths() const { return deaths_; } // of the loop that is open, or was last

private:
    std::array<std::optional<Instant>, many - 1> last_; // the last deaths, oldest first
    std::optional<Instant> began_;                      // unset: apart
    std::uint64_t deaths_ = 0;
};

} // namespace plimsoll
