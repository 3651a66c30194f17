#include <ctime>

#include <gtest/gtest.h>

#include "tests/fleet/stage.hpp"
#include "tests/fleet/stranger.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

double thread_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// The thread sanitizer costs each reading twenty times its time, and has nothing to find in the eight hundred others.
#ifdef __SANITIZE_THREAD__
constexpr std::size_t workers = 200;
#else
constexpr std::size_t workers = 1000;
#endif

// One server stands behind all the addresses, so that a thousand places cost one process. A real core needs 3 % for it
// without optimization; the bound leaves room for sanitizers.
TEST(Fleet, a_thousand_workers_are_watched_with_a_fraction_of_one_core) {
    Stage stage;
    const std::string path = (stage.directory / "a.sock").string();
    const std::string last = "app-" + std::to_string(workers);
    Stranger server(stage, "app.py", {"--socket", path});
    stage.pool().source.kind = config::SourceKind::static_addresses;
    stage.pool().source.addresses.assign(workers, "unix:" + path);
    stage.pool().memory.interval = 500ms;
    stage.pool().recycle.soft_limit = config::Level{0.9};
    ASSERT_EQ(stage.start(), "");
    // A view of so many costs more than a step of what it is asked about.
    auto next_look = Clock::now();
    const auto seldom = [&](const auto& condition) {
        return [&next_look, condition] {
            if (Clock::now() < next_look) return false;
            const bool met = condition();
            next_look = Clock::now() + 200ms;
            return met;
        };
    };
    ASSERT_TRUE(stage.until(seldom([&] { return stage.view().serving == workers; }), 120s));
    ASSERT_TRUE(stage.until(seldom([&] { return stage.worker(last).memory.pss.has_value(); }), 120s));
    const double before = thread_seconds();
    stage.until([] { return false; }, 3s);
    EXPECT_LT((thread_seconds() - before) / 3, 0.5);
}

} // namespace
} // namespace plimsoll::fleet
