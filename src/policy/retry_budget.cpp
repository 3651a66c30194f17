#include "plimsoll/policy/retry_budget.hpp"

namespace plimsoll {

void RetryBudget::configure(const Settings& settings) {
    settings_ = settings;
    saved_ = std::min(saved_, settings_.most_saved);
}

bool RetryBudget::take() {
    if (saved_ >= 1)
        saved_ -= 1;
    else if (retries_ >= settings_.minimum)
        return false;
    ++retries_;
    return true;
}

void RetryBudget::give() {
    if (retries_ > 0) --retries_;
}

} // namespace plimsoll
