#include "plimsoll/leak/trace_budget.hpp"

#include <algorithm>

namespace plimsoll::leak {

namespace {

using namespace std::chrono_literals;

Duration half_share(Duration time, std::size_t workers) {
    const double all = static_cast<double>(std::max<std::size_t>(workers, 1));
    return std::chrono::duration_cast<Duration>(time * (TraceBudget::share / 2 * all));
}

} // namespace

Duration TraceBudget::purse(std::size_t workers) { return half_share(1h, workers); }

Duration TraceBudget::left(Instant now, std::size_t workers) const {
    const Duration owed = std::max<Duration>(owed_ - half_share(now - at_, workers), 0s);
    return std::max<Duration>(purse(workers) - owed, 0s);
}

bool TraceBudget::may_begin(Instant now, std::size_t workers, Duration least) const {
    return now >= not_before_ && left(now, workers) >= std::min(least, purse(workers));
}

void TraceBudget::spend(Instant now, std::size_t workers, Duration cost, bool fruitless) {
    owed_ = purse(workers) - left(now, workers) + cost;
    at_ = now;
    fruitless_ = fruitless ? fruitless_ + 1 : 0;
    const unsigned doublings = std::min(fruitless_, 16U);
    not_before_ = now + (fruitless ? std::min<Duration>(rest * (1U << doublings) / 2, longest_rest) : rest);
}

} // namespace plimsoll::leak
