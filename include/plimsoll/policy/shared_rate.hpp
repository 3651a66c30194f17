// How often, over several proxies: GCRA (rate_limit.hpp) on times that all of them keep in one Redis.
//
//   owed = min(max(tat - now, 0), window)        after = owed + T * cost        allowed if after <= window
//
// One script decides on all shared limits of a request at once, so nobody comes between reading and writing, and a request that
// one of them refuses costs nothing at the others. `now` is the server's own clock: proxies whose clocks differ still count
// alike. A key expires when its debts are paid, so Redis holds clients that owe something and nobody else; and no debt is
// believed beyond the window, so that a clock that was set back locks nobody out.
//
// Needs Redis 5 or later (TIME before a write). Pure: what is said to Redis and what its answer means, no connection.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plimsoll/policy/rate_limit.hpp"

namespace plimsoll {

struct SharedSpend {
    std::string key; // in Redis
    RateRule rule;
    bool enforced = true; // false: a shadow; the limits after it are asked whatever it says
};

std::string_view shared_rate_script();

// What follows the script, or its digest, in EVAL: the number of keys, the keys, then four numbers of each.
std::vector<std::string> shared_rate_arguments(std::span<const SharedSpend> spends);

// In the order of the spends; fewer where an enforced one refuses, which is the last then. Nothing: this is no answer of the
// script to so many.
std::optional<std::vector<RateVerdict>> shared_rate_verdicts(std::span<const std::int64_t> answer, std::size_t asked);

// What one of `proxies` may let pass by itself, so that all of them together keep the rule.
RateRule local_share(const RateRule& rule, unsigned proxies);

} // namespace plimsoll
