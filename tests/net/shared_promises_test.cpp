#include "net/shared_promises.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "net/pool.hpp"

namespace plimsoll::net {
namespace {

using namespace std::chrono_literals;

struct Patient : Waiter {
    void wake(Permit permit, Reason, Duration) override { granted = std::move(permit); }
    Permit granted;
};

// A pool of two workers in a cgroup of 600 MiB, of which 330 are held; reports need 200.
class Tenant {
public:
    static constexpr DomainKey container = 1;
    Tenant(const std::shared_ptr<SharedPromises>& table, const std::string& cgroup) : pool_("app", config::Pool{}) {
        for (auto& worker : workers_) {
            worker = pool_.add(Endpoint{}, 1);
            pool_.observe(worker, 0.2, MemorySight{25_MiB, std::nullopt, {container, 0}});
            pool_.accept(worker, true);
            pool_.rose(worker, {25_MiB, 25_MiB, true});
        }
        pool_.share_domain(container, table, cgroup);
        pool_.observe_domain(container, 100_MiB, 600_MiB);
        report_ = pool_.cost_label("GET", "/report");
        for (unsigned i = 0; i < MemoryCosts::confident; ++i) {
            Permit permit = ask().permit;
            const WorkerKey worker = permit.endpoint().key;
            permit.finish(Outcome::success);
            pool_.rose(worker, {225_MiB, 25_MiB, true});
        }
        for (int reading = 0; reading < 2; ++reading) pool_.observe_domain(container, 330_MiB, 600_MiB);
    }
    Pool::Arrival ask() {
        Gate::Facts facts;
        facts.label = report_;
        return pool_.arrive(Clock::now(), facts, waiter_);
    }
    Pool& pool() { return pool_; }
    Patient& waiter() { return waiter_; }
    void forget() { pool_.forget_domain(container); }

private:
    Pool pool_;
    Patient waiter_; // its permit goes before the pool
    WorkerKey workers_[2] = {};
    CostKey report_ = 0;
};

struct SharedPromisesTest : ::testing::Test {
    std::shared_ptr<SharedPromises> table = std::make_shared<SharedPromises>();
    Tenant web{table, "/container"}, admin{table, "/container"}, elsewhere{table, "/other"};
};

TEST_F(SharedPromisesTest, room_that_one_pool_has_promised_is_not_promised_by_another) {
    Permit first = web.ask().permit;
    ASSERT_TRUE(first);
    EXPECT_FALSE(admin.ask().permit) << "there is room for one";
    EXPECT_TRUE(elsewhere.ask().permit) << "in another container there is room";
    first.finish(Outcome::success);
    admin.pool().tick(Clock::now());
    EXPECT_TRUE(admin.waiter().granted) << "what the other gave back is room here";
}

TEST_F(SharedPromisesTest, what_another_pool_holds_of_the_use_is_not_counted_twice) {
    Permit first = web.ask().permit;
    // It has taken half of it by now, and the base is as it was.
    for (int reading = 0; reading < 3; ++reading) admin.pool().observe_domain(Tenant::container, 430_MiB, 600_MiB);
    first.finish(Outcome::success);
    admin.pool().observe_domain(Tenant::container, 330_MiB, 600_MiB);
    EXPECT_TRUE(admin.ask().permit);
}

TEST_F(SharedPromisesTest, a_pool_that_leaves_takes_its_promises_with_it) {
    Permit first = web.ask().permit;
    ASSERT_FALSE(admin.ask().permit);
    web.forget();
    admin.pool().tick(Clock::now());
    EXPECT_TRUE(admin.waiter().granted);
}

TEST_F(SharedPromisesTest, of_two_that_ask_at_the_same_moment_one_begins) {
    constexpr int enough = 100;
    std::atomic<int> running{0}, most{0}, begun{0};
    const auto client = [&](Tenant& tenant) {
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        while (begun < enough && std::chrono::steady_clock::now() < deadline) {
            Pool::Arrival arrival = tenant.ask();
            if (arrival.ticket != 0) tenant.pool().leave(Clock::now(), arrival.ticket);
            if (!arrival.permit) continue;
            const int now = ++running;
            if (now > most) most = now;
            ++begun;
            std::this_thread::yield();
            --running;
            arrival.permit.finish(Outcome::success);
        }
    };
    std::thread other([&] { client(admin); });
    client(web);
    other.join();
    EXPECT_GE(begun, enough);
    EXPECT_EQ(most, 1);
}

} // namespace
} // namespace plimsoll::net
