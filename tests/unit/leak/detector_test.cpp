#include "plimsoll/leak/detector.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "unit/leak/units.hpp"

namespace plimsoll::leak {
namespace {

constexpr double limit = 512 * mib, base = 100 * mib;

// Ten requests a second, a reading each second; every third reading shows what a request holds for a moment.
const Verdict& live(Detector& detector, const History& history, double requests,
                    const std::function<double(double)>& kept, const std::function<void(Reading&)>& more = {}) {
    for (double n = detector.age() + 10; n <= requests; n += 10) {
        Reading reading{.requests = n, .seconds = n / 10, .used = base + kept(n)};
        if (static_cast<long>(n) % 30 == 0) reading.used += 20 * mib;
        if (more) more(reading);
        detector.observe(reading);
        detector.judge(limit, 10, history);
    }
    return detector.verdict();
}

double leak_of_4k(double n) { return 4096 * n; }
double cache_of_60_mib(double n) { return std::min(60 * mib, 4096 * n); }

TEST(Detector, what_does_not_grow_is_steady_whatever_requests_hold_meanwhile) {
    Detector detector;
    EXPECT_EQ(live(detector, {}, 20'000, [](double) { return 0.0; }).kind, Class::steady);
    EXPECT_FALSE(detector.verdict().forecast);
}

TEST(Detector, a_leak_of_4_kib_is_said_within_5000_requests_with_its_bytes_and_its_end) {
    Detector detector;
    const Verdict& verdict = live(detector, {}, 5000, leak_of_4k);
    EXPECT_EQ(verdict.kind, Class::leaking);
    EXPECT_NEAR(verdict.slope, 4096, 50);
    EXPECT_LE(verdict.low, 4096);
    EXPECT_GE(verdict.high, 4096);
    ASSERT_TRUE(verdict.forecast);
    const double left = (limit - 20 * mib - base) / 4096 - 5000; // what requests hold is at the limit first
    EXPECT_NEAR(verdict.forecast->requests, left, left * 0.02);
    ASSERT_TRUE(verdict.forecast->seconds);
    EXPECT_NEAR(*verdict.forecast->seconds, left / 10, left * 0.002);
}

// A feature is switched on after hours in which nothing grew.
TEST(Detector, a_leak_that_begins_late_is_said_long_before_half_is_gone) {
    for (const double healthy : {20'000, 100'000})
        for (const double bytes : {2048, 65536}) {
            SCOPED_TRACE(healthy);
            SCOPED_TRACE(bytes);
            Detector detector;
            const auto kept = [&](double n) { return bytes * std::max(0.0, n - healthy); };
            live(detector, {}, healthy, kept);
            ASSERT_NE(detector.verdict().kind, Class::leaking);
            double n = healthy;
            while (detector.verdict().kind != Class::leaking && kept(n) < 0.5 * limit)
                live(detector, {}, n += 10, kept);
            const double gone = kept(n) / (limit - base);
            EXPECT_LT(gone, 0.45);
            EXPECT_NEAR(detector.verdict().slope, bytes, 0.6 * bytes) << "part of what it looks at is healthy";
            EXPECT_GE(detector.verdict().since, healthy);
            ASSERT_TRUE(detector.verdict().forecast);
            // Until it is sure, and on to the limit.
            while (kept(n) < 0.95 * (limit - base)) {
                live(detector, {}, n += 100, kept);
                ASSERT_EQ(detector.verdict().kind, Class::leaking) << kept(n) / (limit - base);
            }
            EXPECT_GE(detector.verdict().confidence, Thresholds{}.sure);
            EXPECT_NEAR(detector.verdict().slope, bytes, 0.1 * bytes);
        }
}

// The first morning of a process that began at night: memory follows a load that it has never seen.
TEST(Detector, what_rises_with_the_first_morning_is_no_late_leak) {
    Detector detector;
    double n = 0;
    for (double t = 0; t < 86'400; t += 20) {
        const double load = 10 * (1 - 0.8 * std::cos(2 * 3.14159265 * t / 86'400));
        n += 20 * load;
        detector.observe({.requests = n, .seconds = t, .used = base + 0.015 * (limit - base) * load});
        EXPECT_NE(detector.judge(limit, load, {}).kind, Class::leaking) << t / 3600;
    }
}

// A model that is loaded at the first request for it, and what it keeps besides.
TEST(Detector, what_comes_at_once_late_in_a_life_is_suspected_for_a_moment_at_most) {
    Detector detector;
    const auto kept = [](double n) {
        return n < 100'000 ? 0.0 : 0.3 * (limit - base) + 20 * mib * (1 - std::exp((100'000 - n) / 500));
    };
    for (double n = 10; n < 150'000; n += 500) {
        const Verdict& verdict = live(detector, {}, n, kept);
        EXPECT_TRUE(verdict.kind != Class::leaking || verdict.confidence < Thresholds{}.sure) << n;
        EXPECT_TRUE(verdict.kind != Class::leaking || n < 105'000) << n;
    }
}

// A leak that takes ten hours is looked at every twenty minutes near its end; a recycle needs less than two.
TEST(Detector, between_two_looks_the_forecast_goes_on_with_each_request) {
    Detector detector;
    const double end = 360'000, slope = (limit - 20 * mib - base) / end;
    const auto kept = [&](double n) { return slope * n; };
    live(detector, {}, end / 2, kept);
    ASSERT_EQ(detector.verdict().kind, Class::leaking);
    for (double n = end / 2 + 10; n < end - 500; n += 10) {
        live(detector, {}, n, kept);
        const double left = (end - n) / 10;
        ASSERT_NEAR(*detector.verdict().forecast->seconds, left, 0.02 * left + 5) << n;
    }
}

// Teeth of 80 MiB on a leak: the worker is killed on a tooth, long before its trend is at the limit.
TEST(Detector, a_leak_below_a_sawtooth_ends_at_its_teeth) {
    const auto kept = [](double n) { return 800 * n + 80 * mib * std::fmod(n, 4000) / 4000; };
    Detector detector;
    live(detector, {}, 300'000, kept);
    double killed = detector.age();
    while (base + kept(killed) < limit) killed += 10;
    const auto forecast = detector.verdict().forecast;
    ASSERT_TRUE(forecast);
    EXPECT_LE(detector.age() + forecast->requests_early, killed);
    EXPECT_GE(detector.age() + forecast->requests_late, killed);
    EXPECT_NEAR(detector.age() + forecast->requests, killed, 0.15 * killed);
}

TEST(Detector, the_forecast_goes_with_the_rate_at_which_requests_come_now) {
    Detector detector;
    live(detector, {}, 20'000, leak_of_4k);
    const double seconds = *detector.verdict().forecast->seconds;
    EXPECT_NEAR(*detector.judge(limit, 40, {}).forecast->seconds, seconds / 4, 1);
    EXPECT_FALSE(detector.judge(limit, 0, {}).forecast->seconds);
}

TEST(Detector, of_a_first_process_it_is_not_sure_until_much_is_gone) {
    Detector detector;
    EXPECT_LT(live(detector, {}, 6000, leak_of_4k).confidence, Thresholds{}.sure);
    EXPECT_GE(live(detector, {}, 50'000, leak_of_4k).confidence, Thresholds{}.sure);
}

TEST(Detector, a_young_process_that_is_accused_in_a_hurry_stays_accused_while_it_leaks) {
    for (const double kib : {64.0, 128.0, 256.0}) {
        Detector detector;
        bool accused = false; // half of it is gone before it is old enough to tell
        for (double n = 3, used = 0; used < 250 * mib; n += 3) {
            used = 17 * mib + kib * 1024 * n;
            detector.observe({.requests = n, .seconds = n / 80, .used = used});
            detector.judge(260 * mib, 80, {});
            accused = accused || detector.verdict().kind == Class::leaking;
            ASSERT_TRUE(!accused || detector.verdict().kind == Class::leaking) << kib << " KiB a request, at " << n;
        }
        EXPECT_TRUE(accused) << kib << " KiB a request";
    }
}

// A thousand requests a second, ten readings: the worker is full in 2.8 s.
TEST(Detector, a_leak_that_fills_its_worker_in_seconds_is_said_before_half_is_gone) {
    Detector detector;
    const double headroom = 140 * mib, each = 50 * 1024;
    double n = 0;
    for (; detector.verdict().kind != Class::leaking && n * each < headroom; n += 100) {
        detector.observe({.requests = n, .seconds = n / 1000, .used = base + n * each});
        detector.judge(base + headroom, 1000, {});
    }
    EXPECT_LE((n - 100) * each / headroom, 0.5);
}

TEST(Detector, live_bytes_that_are_told_seldom_still_tell_holes_from_a_leak) {
    Detector detector;
    const auto seldom = [](Reading& reading) { // each 40 s, as of a heap with very many holes
        if (static_cast<long>(reading.requests) % 400 == 0) reading.live = 50 * mib + 300 * reading.requests;
    };
    for (double n = 3200; n < 40'000; n *= 1.05) {
        live(detector, {}, n, leak_of_4k, seldom);
        EXPECT_EQ(detector.verdict().kind, Class::fragmentation) << "at " << n;
    }
}

TEST(Detector, warm_up_accuses_nobody_at_any_age) {
    Detector detector;
    for (double n = 200; n < 40'000; n *= 1.1) {
        live(detector, {}, n, [](double age) { return 80 * mib * (1 - std::exp(-age / 400)); });
        EXPECT_NE(detector.verdict().kind, Class::leaking) << "at " << n;
    }
    EXPECT_EQ(detector.verdict().kind, Class::steady);
}

TEST(Detector, a_leak_below_a_warm_up_is_said_when_the_warm_up_is_nearly_over) {
    Detector detector;
    const auto kept = [](double n) { return 80 * mib * (1 - std::exp(-n / 700)) + leak_of_4k(n); };
    EXPECT_EQ(live(detector, {}, 5000, kept).kind, Class::leaking);
}

TEST(Detector, a_cache_that_an_earlier_process_filled_is_a_cache_from_the_beginning) {
    History history;
    Detector earlier(1), later(2);
    live(earlier, history, 60'000, cache_of_60_mib);
    earlier.end();
    history.learn(earlier.curve());
    for (double n = 100; n < 14'000; n *= 1.1) {
        live(later, history, n, cache_of_60_mib);
        EXPECT_NE(later.verdict().kind, Class::leaking) << "at " << n;
    }
    EXPECT_EQ(later.verdict().kind, Class::cache);
}

TEST(Detector, a_leak_that_an_earlier_process_had_is_known_again_at_once) {
    History history;
    Detector earlier(1), later(2);
    live(earlier, history, 60'000, leak_of_4k);
    earlier.end();
    history.learn(earlier.curve());
    const Verdict& verdict = live(later, history, 2000, leak_of_4k);
    EXPECT_EQ(verdict.kind, Class::leaking);
    EXPECT_GE(verdict.confidence, 0.9);
}

TEST(Detector, a_leak_stays_accused_at_the_age_at_which_the_one_before_was_recycled_for_it) {
    History history;
    Detector earlier(1), later(2);
    live(earlier, history, 60'000, leak_of_4k); // more than half of its headroom: it was accused
    earlier.end();
    history.learn(earlier.curve());
    for (double n = 2000; n < 70'000; n *= 1.1)
        EXPECT_GE(live(later, history, n, leak_of_4k).confidence, 0.9) << "at " << n;
}

TEST(Detector, a_leak_whose_process_ended_under_rising_load_does_not_acquit_the_next) {
    History history;
    Detector earlier(1), later(2);
    live(earlier, history, 5000, leak_of_4k);
    double seconds = 500;
    for (double n = 5010; n < 15'000; n += 10) {
        seconds += 1 / (1 + n / 2000);
        earlier.observe({.requests = n, .seconds = seconds, .used = base + 4096 * n});
        earlier.judge(limit, 10, history);
    }
    earlier.end();
    history.learn(earlier.curve());
    EXPECT_EQ(live(later, history, 3000, leak_of_4k).kind, Class::leaking);
}

TEST(Detector, a_new_leak_is_found_though_earlier_processes_had_none) {
    History history;
    Detector earlier(1), later(2);
    live(earlier, history, 60'000, cache_of_60_mib);
    earlier.end();
    history.learn(earlier.curve());
    EXPECT_EQ(live(later, history, 40'000, leak_of_4k).kind, Class::leaking);
}

TEST(Detector, an_accusation_is_taken_back_when_growth_ends) {
    Detector detector;
    const auto fills = [](double n) { return std::min(40 * mib, 4096 * n); };
    live(detector, {}, 7000, fills);
    ASSERT_EQ(detector.verdict().kind, Class::leaking); // nobody can tell yet
    EXPECT_EQ(live(detector, {}, 60'000, fills).kind, Class::steady);
}

TEST(Detector, holes_in_the_heap_are_no_leak) {
    Detector detector;
    const Verdict& verdict = live(detector, {}, 20'000, leak_of_4k, [](Reading& reading) { reading.live = 80 * mib; });
    EXPECT_EQ(verdict.kind, Class::fragmentation);
}

TEST(Detector, private_pages_that_grow_alone_are_unsharing) {
    Detector detector;
    const Verdict& verdict = live(
        detector, {}, 20'000, [](double) { return 0.0; },
        [](Reading& reading) { reading.private_pages = 4096 * reading.requests; });
    EXPECT_EQ(verdict.kind, Class::unsharing);
}

TEST(Detector, growth_that_comes_with_more_traffic_waits_for_its_judgement) {
    Detector detector;
    double seconds = 0;
    for (double n = 10; n < 6000; n += 10) { // requests come three times as fast in the end
        seconds += 1 / (1 + n / 3000);
        detector.observe({.requests = n, .seconds = seconds, .used = base + 4096 * n});
        EXPECT_NE(detector.judge(limit, 10, {}).kind, Class::leaking) << "at " << n;
    }
}

TEST(Detector, more_traffic_takes_no_accusation_back) {
    Detector detector;
    live(detector, {}, 5000, leak_of_4k);
    ASSERT_EQ(detector.verdict().kind, Class::leaking);
    double seconds = 500;
    for (double n = 5010; n < 15'000; n += 10) { // and requests come ever faster
        seconds += 1 / (1 + n / 2000);
        detector.observe({.requests = n, .seconds = seconds, .used = base + 4096 * n});
        EXPECT_EQ(detector.judge(limit, 10, {}).kind, Class::leaking) << "at " << n;
    }
}

// An experiment draws by lot what a worker is asked: it gets fewer of the leaking requests than before, and grows by less.
TEST(Detector, whose_growth_fades_while_lots_are_drawn_stays_accused) {
    const auto is_acquitted = [](bool steered) {
        const auto kept = [](double n) { return 14'000 * std::min(n, 2600.0) + 2500 * std::max(n - 2600, 0.0); };
        const auto by_lot = [=](Reading& reading) { reading.steered = steered && reading.requests > 2600; };
        Detector detector;
        EXPECT_EQ(live(detector, {}, 2600, kept).kind, Class::leaking);
        bool so = false;
        while (detector.age() < 8000)
            so = live(detector, {}, detector.age() + 10, kept, by_lot).kind != Class::leaking || so;
        return so;
    };
    EXPECT_TRUE(is_acquitted(false)) << "else this shows nothing";
    EXPECT_FALSE(is_acquitted(true));
}

TEST(Detector, who_grows_no_more_is_acquitted_whether_lots_are_drawn_or_not) {
    const auto kept = [](double n) { return 14'000 * std::min(n, 2600.0); };
    Detector detector;
    ASSERT_EQ(live(detector, {}, 2600, kept).kind, Class::leaking);
    EXPECT_NE(live(detector, {}, 9000, kept, [](Reading& reading) { reading.steered = true; }).kind, Class::leaking);
}

// Whom nobody can explain is experimented with again and again.
TEST(Detector, and_in_the_end_by_what_fades_though_lots_are_drawn_for_ever) {
    const auto kept = [](double n) {
        return 14'000 * std::min(n, 2600.0) + 12 * mib * std::log2(std::max(n / 2600, 1.0));
    };
    Detector detector;
    ASSERT_EQ(live(detector, {}, 2600, kept).kind, Class::leaking);
    const auto by_lot = [](Reading& reading) { reading.steered = true; };
    EXPECT_NE(live(detector, {}, 7 * 2600, kept, by_lot).kind, Class::leaking);
}

// Lots hold nobody back who is not accused, and their votes against him count no more than ever.
TEST(Detector, a_cache_is_one_while_lots_are_drawn) {
    const auto kept = [](double n) { return 20 * mib * std::log2(1 + n / 1000); };
    Detector detector;
    for (double n = 10; n < 40'000; n += 10)
        EXPECT_NE(live(detector, {}, n, kept, [](Reading& reading) { reading.steered = true; }).kind, Class::leaking)
            << n;
    EXPECT_EQ(detector.verdict().kind, Class::cache);
}

TEST(Detector, growth_too_slow_for_the_horizon_is_nobodys_emergency) {
    Detector detector;
    Thresholds hour;
    hour.horizon = 3600;
    Detector slow(0, hour);
    const Verdict& verdict = live(slow, {}, 20'000, [](double n) { return 1024 * n; });
    EXPECT_EQ(verdict.kind, Class::steady);
    EXPECT_TRUE(verdict.slow);
}

TEST(Detector, descriptors_are_watched_like_bytes) {
    Thresholds thresholds;
    thresholds.least_growth = 32;
    Detector detector(0, thresholds);
    for (double n = 10; n < 8000; n += 10) {
        detector.observe({.requests = n, .seconds = n / 10, .used = 20 + std::floor(n / 50)});
        detector.judge(1024, 10, {});
    }
    EXPECT_EQ(detector.verdict().kind, Class::leaking);
    EXPECT_NEAR(detector.verdict().slope, 0.02, 0.001);
}

} // namespace
} // namespace plimsoll::leak
