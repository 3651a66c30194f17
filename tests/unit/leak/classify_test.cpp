#include "plimsoll/leak/classify.hpp"

#include <gtest/gtest.h>

#include "unit/leak/units.hpp"

namespace plimsoll::leak {
namespace {

// 4 KiB a request over 20,000 requests of a worker with 400 MiB of headroom, at ten requests a second.
Evidence growing() {
    Evidence evidence;
    evidence.age = 20'000;
    evidence.trend = {.slope = 4096, .low = 4000, .high = 4200};
    evidence.floor = 100 * mib;
    evidence.level = evidence.floor + 4096 * evidence.age;
    return evidence;
}
constexpr Situation ordinary{.limit = 500 * mib, .requests_a_second = 10};

Situation after(double then, double later, double peak) {
    Situation situation = ordinary;
    situation.precedent = History::Precedent{.then = then, .later = later, .peak = peak, .curves = 1, .older = true};
    return situation;
}

TEST(Classify, growth_that_goes_on_is_a_leak) { EXPECT_EQ(classify(growing(), ordinary, {}).kind, Class::leaking); }

TEST(Classify, growth_that_fades_is_a_cache_however_much_of_the_headroom_is_gone) {
    Evidence evidence = growing();
    evidence.exponent = 0.1;
    evidence.trend = {.slope = 200, .low = 190, .high = 210};
    evidence.level = evidence.floor + 300 * mib;
    evidence.age = 200'000;
    EXPECT_EQ(classify(evidence, ordinary, {}).kind, Class::cache);
}

TEST(Classify, that_who_is_accused_fades_while_lots_are_drawn_is_no_answer_but_a_precedent_is) {
    Evidence evidence = growing();
    evidence.steered = true;
    EXPECT_EQ(classify(evidence, ordinary, {}).kind, Class::leaking) << "that it goes on is seen all the same";
    evidence.exponent = evidence.late_exponent = 0.7; // a little
    EXPECT_EQ(classify(evidence, ordinary, {}).kind, Class::unknown);
    evidence.exponent = evidence.late_exponent = 0.3;
    EXPECT_EQ(classify(evidence, after(4096, 0, 200 * mib), {}).kind, Class::cache)
        << "earlier ones did the same, and stopped";
    EXPECT_GT(lasting_trend(evidence, 20'000), 0) << "nor do its siblings learn from it that it ended";
    EXPECT_LT(lasting_trend(evidence, 20'000), 4096) << "nor that it goes on as ever";
    evidence.trend = {.slope = 0, .low = -10, .high = 10};
    EXPECT_EQ(classify(evidence, ordinary, {}).kind, Class::steady) << "that it stands still is seen";
    EXPECT_EQ(lasting_trend(evidence, 20'000), 0);
}

TEST(Classify, growth_that_faded_once_and_now_goes_on_is_a_leak_under_a_warm_up) {
    Evidence evidence = growing();
    evidence.exponent = evidence.late_exponent = 0.7;
    EXPECT_EQ(classify(evidence, ordinary, {}).kind, Class::cache) << "it fades still";
    evidence.late_exponent = 1;
    EXPECT_EQ(classify(evidence, ordinary, {}).kind, Class::leaking);
    evidence.exponent = 0.3;
    evidence.trend = {.slope = 200, .low = 190, .high = 210};
    EXPECT_NE(classify(evidence, ordinary, {}).kind, Class::leaking) << "too little of it is left to arrive";
}

TEST(Classify, who_faded_and_settles_is_suspected_but_not_accused_however_much_is_gone) {
    Evidence evidence = growing();
    evidence.exponent = evidence.late_exponent = 0.2;
    evidence.age = 5000;
    evidence.level = evidence.floor + 200 * mib;
    EXPECT_EQ(classify(evidence, ordinary, {}).kind, Class::cache);
    evidence.settles = true;
    const Finding finding = classify(evidence, ordinary, {});
    EXPECT_EQ(finding.kind, Class::leaking);
    EXPECT_LT(finding.confidence, Thresholds{}.sure);
}

TEST(Classify, a_trend_that_is_not_sure_accuses_nobody) {
    Evidence evidence = growing();
    evidence.trend.low = -10;
    EXPECT_EQ(classify(evidence, ordinary, {}).kind, Class::steady);
}

TEST(Classify, less_growth_than_the_allocators_grain_accuses_nobody) {
    Evidence evidence = growing();
    evidence.trend = {.slope = 200, .low = 190, .high = 210};
    evidence.level = evidence.floor + 4 * mib;
    Situation tight = ordinary;
    tight.limit = evidence.level + 60 * mib;
    EXPECT_EQ(classify(evidence, tight, {}).kind, Class::steady);
}

TEST(Classify, what_earlier_processes_did_decides) {
    EXPECT_EQ(classify(growing(), after(4096, 4096, 390 * mib), {}).kind, Class::leaking);
    EXPECT_EQ(classify(growing(), after(4096, 0, 90 * mib), {}).kind, Class::cache);
    EXPECT_EQ(classify(growing(), after(0, 0, 90 * mib), {}).kind, Class::steady); // higher and lower, like they were
    EXPECT_EQ(classify(growing(), after(0, 0, 10 * mib), {}).kind, Class::leaking) << "more than any of them ever had";
}

TEST(Classify, to_know_earlier_processes_never_accuses_less_than_to_know_none) {
    Evidence evidence = growing();
    evidence.level = evidence.floor + 200 * mib; // half of the headroom
    Situation situation = after(4096, 4096, 390 * mib);
    situation.precedent->older = false;
    const double alone = classify(evidence, ordinary, {}).confidence;
    EXPECT_GE(alone, Thresholds{}.sure);
    EXPECT_GE(classify(evidence, situation, {}).confidence, alone);
    EXPECT_LT(classify(growing(), situation, {}).confidence, Thresholds{}.sure) << "of one age they may fill alike";
}

TEST(Classify, whom_a_recycle_kept_from_growing_older_accuses_as_if_it_were) {
    Situation situation = after(4096, 4096, 390 * mib);
    const double by_an_older_one = classify(growing(), situation, {}).confidence;
    situation.precedent->older = false;
    situation.precedent->accused = true;
    EXPECT_EQ(classify(growing(), situation, {}).confidence, by_an_older_one);
}

TEST(Classify, under_rising_load_it_takes_more_than_for_an_ordinary_accusation) {
    Evidence ramp = growing();
    ramp.load_rise = 1.5; // sessions would grow as well
    ramp.level = ramp.floor + 200 * mib;
    const Finding half = classify(ramp, ordinary, {});
    EXPECT_EQ(half.kind, Class::leaking);
    EXPECT_LT(half.confidence, Thresholds{}.sure);
    ramp.level = ramp.floor + 260 * mib;
    EXPECT_GE(classify(ramp, ordinary, {}).confidence, Thresholds{}.sure) << "nobody waits for the limit";
}

TEST(Classify, a_leak_beside_a_cache_that_is_full_is_seen_before_much_more_is_gone) {
    Evidence evidence = growing();
    const Situation cached = after(0, 0, 200 * mib); // half of the headroom
    evidence.level = evidence.floor + 205 * mib;
    EXPECT_EQ(classify(evidence, cached, {}).kind, Class::steady);
    evidence.level = evidence.floor + 215 * mib;
    EXPECT_EQ(classify(evidence, cached, {}).kind, Class::leaking);
}

TEST(Classify, what_other_releases_did_excuses_a_cache_and_accuses_nobody) {
    const auto before = [](double then, double later, double peak) {
        Situation situation = after(then, later, peak);
        situation.precedent->others = true;
        return situation;
    };
    Evidence young = growing(); // its first hundreds of requests: an ordinary cache fills
    young.age = 500;
    young.level = young.floor + 4096 * young.age;
    Situation mended = before(4096, 4096, 390 * mib);
    mended.limit = young.floor + 16 * mib;
    EXPECT_EQ(classify(young, mended, {}).kind, Class::warming);
    mended.precedent->others = false;
    EXPECT_EQ(classify(young, mended, {}).kind, Class::leaking);
    EXPECT_EQ(classify(growing(), before(4096, 0, 90 * mib), {}).kind, Class::cache);
    EXPECT_EQ(classify(growing(), before(4096, 4096, 390 * mib), {}).kind, Class::leaking) << "by what it shows itself";
}

TEST(Classify, a_process_that_came_near_its_limit_acquits_nobody) {
    EXPECT_EQ(classify(growing(), after(4096, 0, 380 * mib), {}).kind, Class::leaking);
}

TEST(Classify, the_young_are_warming_and_confidence_comes_with_evidence) {
    Evidence young = growing();
    young.age = 1900;
    young.level = young.floor + 4096 * young.age;
    young.trend = {.slope = 6000, .low = 5900, .high = 6100};
    EXPECT_EQ(classify(young, ordinary, {}).kind, Class::warming);
    const double alone = classify(growing(), ordinary, {}).confidence;
    const double with_past = classify(growing(), after(4096, 4096, 390 * mib), {}).confidence;
    EXPECT_LT(alone, Thresholds{}.sure);
    EXPECT_GE(with_past, 0.9);
}

} // namespace
} // namespace plimsoll::leak
