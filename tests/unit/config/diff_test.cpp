#include <gtest/gtest.h>

#include "config/parse.hpp"

using namespace plimsoll;
using namespace plimsoll::config;
using namespace std::chrono_literals;

namespace {

Config some() {
    Config config;
    config.listeners.resize(1);
    for (auto path : {"/api", "/static", "/"}) {
        Route route;
        route.path = path;
        route.pool = "app";
        config.routes.push_back(route);
    }
    Pool pool;
    pool.name = "app";
    pool.source.addresses = {"127.0.0.1:8001"};
    pool.recycle.soft_limit = Level{400_MiB};
    config.pools.push_back(pool);
    return config;
}

std::string changes(const Config& before, const Config& after) {
    std::string text;
    for (const auto& change : diff(before, after)) text += to_string(change) + "\n";
    return text;
}

TEST(Diff, the_same_configuration_has_none) { EXPECT_EQ(changes(some(), some()), ""); }

TEST(Diff, each_changed_key_is_one_line) {
    auto after = some();
    after.pools[0].recycle.soft_limit = Level{300_MiB};
    after.pools[0].recycle.min_serving = 2;
    after.pools[0].queue.timeout = 10s;
    after.log.level = LogLevel::debug;
    after.routes[0].priority = Priority::critical;
    after.routes[0].limits.push_back({.rate = "1/s"});
    EXPECT_EQ(changes(some(), after), R"(log.level: info -> debug
route./api.priority: normal -> critical
route./api.limit[0].key: absent -> ["client"]
route./api.limit[0].name: absent -> ""
route./api.limit[0].rate: absent -> "1/s"
route./api.limit[0].burst: absent -> 0
route./api.limit[0].cost: absent -> 1
route./api.limit[0].inflight: absent -> 0
route./api.limit[0].shared: absent -> false
route./api.limit[0].ipv6_prefix: absent -> 64
route./api.limit[0].allow: absent -> []
route./api.limit[0].mode: absent -> enforce
pool.app.recycle.soft_limit: 400MiB -> 300MiB
pool.app.recycle.min_serving: unset -> 2
pool.app.queue.timeout: 5s -> 10s
)");
}

TEST(Diff, what_cannot_change_live_says_so) {
    auto after = some();
    after.proxy.threads = 7;
    after.listeners[0].address = ":81";
    after.pools[0].source.workers = 9;
    EXPECT_EQ(changes(some(), after), R"(proxy.threads: 0 -> 7 (needs a restart)
listener.:81: absent -> present
pool.app.source.workers: 0 -> 9 (needs a restart)
listener.0.0.0.0:8080: present -> absent
)");
}

TEST(Diff, what_waits_for_a_restart_is_told_at_every_reload) {
    auto next = some();
    next.proxy.threads = 7;
    next.proxy.max_connections = 77;
    next.proxy.rate_keys = 5000;
    next.proxy.control = {"/run/other.sock"};
    next.admin.listen = "127.0.0.1:1";
    next.store.path = "/elsewhere";
    next.log.level = LogLevel::debug;
    next.listeners[0].max_fields = 7;
    next.listeners.push_back({.address = "127.0.0.1:2"});
    next.routes.pop_back();
    next.pools[0].source.addresses = {"127.0.0.1:3"};
    next.pools[0].memory.cgroup_root = "/cgroup";
    next.pools[0].recycle.soft_limit = Level{300_MiB};

    const auto running = in_effect(some(), next);
    for (const auto& change : diff(some(), running)) EXPECT_TRUE(change.live) << change.key;
    const auto waiting = diff(running, next);
    for (const auto& change : waiting) EXPECT_FALSE(change.live) << change.key;
    EXPECT_EQ(waiting.size(), 7u); // neither routes nor listeners are among them
    EXPECT_EQ(diff(some(), next).size(), diff(some(), running).size() + waiting.size());
    EXPECT_EQ(in_effect(running, next), running);
}

TEST(Diff, pools_come_and_go_live_and_one_that_stays_keeps_its_workers) {
    auto next = some();
    next.pools.insert(next.pools.begin(), Pool{.name = "new"});
    next.pools[1].source.workers = 9;
    for (const auto& change : diff(some(), next))
        EXPECT_EQ(change.live, change.key != "pool.app.source.workers") << change.key;
    const auto running = in_effect(some(), next);
    EXPECT_EQ(running.pools.size(), 2u);
    EXPECT_EQ(running.pools[0], next.pools[0]);
    EXPECT_EQ(running.pools[1].source, some().pools[0].source);
    for (const auto& change : diff(next, some())) EXPECT_EQ(change.live, change.key != "pool.app.source.workers");
    EXPECT_EQ(in_effect(running, some()).pools.size(), 1u);
}

TEST(Diff, routes_come_go_and_move_live) {
    auto after = some();
    std::swap(after.routes[0], after.routes[1]);
    after.routes[2].path = "/new";
    EXPECT_EQ(changes(some(), after), R"(route./new: absent -> present
route./: present -> absent
route order: /api, /static -> /static, /api
)");
}

TEST(Diff, a_new_route_in_front_is_no_change_of_the_others) {
    auto after = some();
    Route route;
    route.path = "/first";
    after.routes.insert(after.routes.begin(), route);
    EXPECT_EQ(changes(some(), after), "route./first: absent -> present\n");
}

TEST(Diff, secrets_are_not_shown_but_their_change_is) {
    auto before = some(), after = some();
    before.proxy.token = "old-secret";
    after.proxy.token = "new-secret";
    after.admin.token = "another-secret";
    before.pools[0].source.environment = {{"PASSWORD", "old-secret"}};
    after.pools[0].source.environment = {{"PASSWORD", "new-secret"}};
    auto text = changes(before, after);
    EXPECT_EQ(text.find("secret"), std::string::npos) << text;
    EXPECT_EQ(text, R"(proxy.token: (hidden) -> (hidden, another one) (needs a restart)
admin.token: "" -> (hidden) (needs a restart)
pool.app.source.environment: (hidden) -> (hidden, another one) (needs a restart)
)");
}

TEST(Diff, a_change_of_one_byte_counts) {
    auto after = some();
    after.pools[0].recycle.soft_limit = Level{400_MiB + Bytes{1}};
    EXPECT_EQ(changes(some(), after), "pool.app.recycle.soft_limit: 400MiB -> 419430401\n");
}

} // namespace
