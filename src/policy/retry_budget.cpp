#include "plimsoll/policy/retry_budget.hpp"

#include <algorithm>

namespace plimsoll {

void RetryBudget::request_ended() {
    if (requests_ > 0) --requests_;
}

bool RetryBudget::take() {
    const double allowed = std::max(static_cast<double>(settings_.minimum), settings_.share * requests_);
    if (retries_ + 1 > allowed) return false;
    ++retries_;
    return true;
}

void RetryBudget::give() {
    if (retries_ > 0) --retries_;
}

} // namespace plimsoll
