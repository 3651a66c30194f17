// What all pools have promised to requests under limits that several of them live under: one container, one host.
//
//   pool A --publish--> account of "/sys/fs/cgroup/x" <--publish-- pool B
//   pool A <---- what the others have promised there ---- before it decides about a request that needs much
//
// Each pool has a gate and a lock of its own, and between two readings sees nothing of what another has let in: 200 MB of room
// would be promised twice. So whoever decides about a request that needs much holds the lock of the table from being told until
// his own promise is published; requests with small needs, which are nearly all, neither take the lock nor touch an account.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/policy/gate.hpp"

namespace plimsoll::net {

// Of the whole program. The lock of a pool is taken before that of the table, never the other way round.
class SharedPromises {
public:
    struct Account {
        Bytes promised; // by all pools
    };
    // The same for all who name it, as long as one of them holds it.
    std::shared_ptr<Account> account(const std::string& domain);
    std::mutex& mutex() { return mutex_; }

private:
    std::mutex mutex_; // guards all below, and the accounts
    std::map<std::string, std::weak_ptr<Account>> accounts_;
};

// A pool's part of it, under the pool's lock.
class PoolPromises {
public:
    PoolPromises() = default;
    PoolPromises(const PoolPromises&) = delete;
    PoolPromises& operator=(const PoolPromises&) = delete;
    ~PoolPromises();
    void join(DomainKey key, const std::shared_ptr<SharedPromises>& table, const std::string& domain);
    void leave(DomainKey key);

    // Around whatever the gate does that may begin or end a request. `decides`: about one that needs much, so that it has
    // to be told of the others first.
    class Turn {
    public:
        Turn(PoolPromises& promises, Gate& gate, bool decides);
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        ~Turn();

    private:
        PoolPromises& promises_;
        Gate& gate_;
        std::unique_lock<std::mutex> lock_;
    };

private:
    struct Joined {
        std::shared_ptr<SharedPromises::Account> account;
        Bytes published;
    };
    std::shared_ptr<SharedPromises> table_; // null: nothing is shared
    std::unordered_map<DomainKey, Joined> joined_;
};

} // namespace plimsoll::net
