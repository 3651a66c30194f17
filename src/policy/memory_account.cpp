#include "plimsoll/policy/memory_account.hpp"

#include <algorithm>

namespace plimsoll {

void MemoryAccount::observe(std::optional<Bytes> use, std::optional<Bytes> limit) {
    if (!use || !limit || limit->count <= 0) {
        known_ = false;
        return;
    }
    const Bytes lowest = std::max(*use - most_promised_, Bytes{});
    base_ = known_ ? std::clamp(base_, lowest, *use) : lowest;
    limit_ = *limit;
    most_promised_ = promised_ + others_;
    known_ = true;
}

void MemoryAccount::promise(Bytes need) {
    promised_ = promised_ + need;
    most_promised_ = std::max(most_promised_, promised_ + others_);
}

void MemoryAccount::promised_elsewhere(Bytes others) {
    others_ = others;
    most_promised_ = std::max(most_promised_, promised_ + others_);
}

void MemoryAccount::end(Bytes need) { promised_ = std::max(promised_ - need, Bytes{}); }

void MemoryAccount::keeps(Bytes amount) { base_ = base_ + amount; }

Bytes MemoryAccount::room() const {
    const Bytes usable{static_cast<std::int64_t>(static_cast<double>(limit_.count) * (1 - margin))};
    return std::max(usable - base_, Bytes{});
}

double MemoryAccount::pressure() const {
    return known_ ? static_cast<double>(base_.count) / static_cast<double>(limit_.count) : -1;
}

Bytes MemoryAccount::headroom() const { return known_ ? std::max(room() - promised_ - others_, Bytes{}) : Bytes{}; }

bool MemoryAccount::fits(Bytes need) const {
    return !known_ || need.count <= limit_.count / negligible || need <= headroom();
}

bool MemoryAccount::ever_fits(Bytes need) const {
    return !known_ || need.count <= limit_.count / negligible || need <= room();
}

} // namespace plimsoll
