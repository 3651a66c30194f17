#include "fleet/gate_watch.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "log/log.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

struct Nobody : net::Waiter {
    void wake(net::Permit, Reason, Duration) override {}
};

// Two workers that were never started: what becomes of their requests the test says. Looks are at times of its own.
struct GateWatched : testing::Test {
    GateWatched() {
        char path[] = "/tmp/plimsoll-gate-XXXXXX";
        directory = ::mkdtemp(path);
        log.file = (directory / "log").string();
        settings.name = "app";
    }
    ~GateWatched() override {
        log::stop();
        std::filesystem::remove_all(directory);
    }
    void start() {
        ASSERT_EQ(log::start(log), "");
        net = std::make_shared<net::Pool>("app", settings);
        for (const char* id : {"app-1", "app-2"}) {
            net::Endpoint endpoint;
            endpoint.worker = id;
            keys.push_back(net->add(std::move(endpoint), 1));
            net->accept(keys.back(), true);
            names[keys.back()] = id;
        }
        watch.emplace(
            net, [this](WorkerKey key) { return names[key]; },
            [this](const std::string& event, boost::json::object facts) {
                if (event == "gate") events.push_back(std::move(facts));
            });
    }
    void ask(RouteKey route, WorkerKey whom_it_fails_at) {
        Gate::Facts facts;
        facts.route = route;
        facts.draw = asked++ % 2 == 0 ? 0.1 : 0.9; // one worker, and the other
        auto arrival = net->arrive(Clock::now(), facts, nobody);
        if (!arrival.permit) return;
        const bool fails = whom_it_fails_at == 0 || arrival.permit.endpoint().key == whom_it_fails_at;
        arrival.permit.finish(fails ? Outcome::failure : Outcome::success);
    }
    void look() { watch->look(now += 1s, settings); }
    void look_for(Duration length) {
        for (const Instant end = now + length; now < end;) look();
    }
    std::string logged() {
        log::stop();
        std::stringstream text;
        text << std::ifstream(log.file).rdbuf();
        return text.str();
    }
    static std::size_t count(const std::string& text, const std::string& word) {
        std::size_t n = 0;
        for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
        return n;
    }

    std::filesystem::path directory;
    config::Log log;
    config::Pool settings;
    std::vector<boost::json::object> events;
    std::shared_ptr<net::Pool> net;
    std::vector<WorkerKey> keys;
    std::map<WorkerKey, std::string> names;
    std::optional<GateWatch> watch;
    Nobody nobody;
    unsigned asked = 0;
    Instant now{1000s};
};

TEST_F(GateWatched, a_panic_is_one_line_and_one_event_at_its_beginning_and_at_its_end) {
    start();
    for (const WorkerKey key : keys) net->set_ailing(key, true);
    look_for(5s);
    for (const WorkerKey key : keys) net->set_ailing(key, false);
    look_for(30s);
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].at("pool"), "app");
    EXPECT_EQ(events[0].at("what"), "health_panic");
    EXPECT_EQ(events[0].at("state"), "began");
    EXPECT_EQ(events[0].at("mode"), "enforce");
    EXPECT_EQ(events[1].at("state"), "ended");
    EXPECT_EQ(events[1].at("took_ms"), 5000);
    EXPECT_EQ(events[1].at("refused"), 0);
    const std::string text = logged();
    EXPECT_EQ(count(text, "health_panic_began"), 1U) << text;
    EXPECT_NE(text.find("2 of 2 workers"), std::string::npos) << text;
    EXPECT_EQ(count(text, "health_panic_ended"), 1U) << text;
    EXPECT_NE(text.find("took_ms=5000"), std::string::npos) << text;
}

TEST_F(GateWatched, a_tripped_worker_is_told_by_name_even_after_it_is_gone) {
    start();
    look();
    for (int i = 0; i < 100 && net->breaker(keys[1]).trips == 0; ++i) ask(0, keys[1]);
    look();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].at("what"), "worker_breaker");
    EXPECT_EQ(events[0].at("worker"), "app-2");
    names.clear();
    net->remove(keys[1]);
    look();
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[1].at("worker"), "app-2");
    EXPECT_EQ(events[1].at("state"), "ended");
    EXPECT_EQ(events[1].at("why"), "the worker has gone");
    EXPECT_NE(logged().find("worker_breaker_began"), std::string::npos);
}

TEST_F(GateWatched, a_route_in_shadow_tells_whom_it_would_have_refused_and_wakes_nobody) {
    settings.breaker.mode = Mode::off;
    settings.breaker.routes = Mode::shadow;
    start();
    look();
    const RouteKey route = net->route_key("GET /report");
    for (int i = 0; i < 40; ++i) ask(route, 0);
    look();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].at("what"), "route_breaker");
    EXPECT_EQ(events[0].at("route"), "GET /report");
    EXPECT_EQ(events[0].at("mode"), "shadow");
    auto off = settings;
    off.breaker.routes = Mode::off;
    net->configure(off); // it passes again; what it is called is the settings' of the fleet
    look_for(20s);
    ASSERT_EQ(events.size(), 2U);
    EXPECT_GT(events[1].at("refused").as_uint64(), 0U);
    const std::string text = logged();
    EXPECT_EQ(count(text, " warn "), 0U) << text;
    EXPECT_EQ(count(text, "route_breaker_began"), 1U) << text;
}

} // namespace
} // namespace plimsoll::fleet
