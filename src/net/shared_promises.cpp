#include "net/shared_promises.hpp"

#include <utility>

namespace plimsoll::net {

std::shared_ptr<SharedPromises::Account> SharedPromises::account(const std::string& domain) {
    const std::lock_guard lock(mutex_);
    if (const auto found = accounts_.find(domain); found != accounts_.end())
        if (auto account = found->second.lock()) return account;
    std::erase_if(accounts_, [](const auto& each) { return each.second.expired(); });
    auto account = std::make_shared<Account>();
    accounts_[domain] = account;
    return account;
}

PoolPromises::~PoolPromises() {
    while (!joined_.empty()) leave(joined_.begin()->first);
}

void PoolPromises::join(DomainKey key, const std::shared_ptr<SharedPromises>& table, const std::string& domain) {
    leave(key);
    table_ = table;
    joined_[key] = {table->account(domain), Bytes{}};
}

void PoolPromises::leave(DomainKey key) {
    const auto left = joined_.extract(key);
    if (left.empty()) return;
    const std::lock_guard lock(table_->mutex());
    Joined& joined = left.mapped();
    joined.account->promised = joined.account->promised - joined.published;
}

PoolPromises::Turn::Turn(PoolPromises& promises, Gate& gate, bool decides) : promises_(promises), gate_(gate) {
    if (!decides || promises.joined_.empty()) return;
    lock_ = std::unique_lock(promises.table_->mutex());
    for (const auto& [key, joined] : promises.joined_)
        gate.promised_elsewhere(key, joined.account->promised - joined.published);
}

PoolPromises::Turn::~Turn() {
    const bool moved = gate_.promises_moved();
    if (promises_.joined_.empty() || (!moved && !lock_)) return;
    if (!lock_) lock_ = std::unique_lock(promises_.table_->mutex());
    for (auto& [key, joined] : promises_.joined_) {
        const Bytes promised = gate_.promised_to_weighty(key);
        const Bytes before = std::exchange(joined.published, promised);
        joined.account->promised = joined.account->promised - before + promised;
    }
}

} // namespace plimsoll::net
