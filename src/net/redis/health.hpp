// What all reactors know of Redis together: whether to ask it at all, what came of the questions so far, and the one line in
// the log when it is lost and when it is back for good. Held for some 50 ns a question.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "net/redis/settings.hpp"
#include "net/server.hpp"
#include "plimsoll/policy/store_guard.hpp"

namespace plimsoll::net::redis {

class Health {
public:
    // Another server, or none: what is known of the one before counts for nothing, but that it was lost is still the last that was
    // told. So the first answer of the new one is told as well.
    void use(const std::shared_ptr<const Settings>& settings);

    // Reactors go over to another server one by one. `of`: whom the connection speaks to; what one to the server before still
    // hears is counted, and proves nothing about this one.
    bool passing() const;
    bool admits(const Settings& of, Instant now); // true: ask, and tell what came of it
    void answered(const Settings& of, Instant now, Duration took);
    void failed(const Settings& of, Instant now, RedisResult how, const std::string& problem);
    // No connection took the question. As long as another reactor has one, that proves nothing about Redis.
    void unsent(const Settings& of, Instant now, RedisResult how, const std::string& problem);
    void withdrawn(const Settings& of, Instant now); // who asked has left: it proves nothing
    void not_asked(RedisResult how);                 // skipped, busy
    void unreachable(const Settings& of, Instant now, const std::string& problem);
    void connected(bool yes);
    void add_to(ServerStats& stats) const;

private:
    // With the lock held.
    bool concerns(const Settings& of) const { return settings_.get() == &of; }
    void tell(StoreGuard::News news, const std::string& problem);

    mutable std::mutex mutex_;
    std::shared_ptr<const Settings> settings_;
    StoreGuard guard_{Duration::zero()};
    std::uint64_t without_ = 0; // requests that were decided without it since it was told as lost
    RedisStats stats_;
};

} // namespace plimsoll::net::redis
