#include "plimsoll/leak/experiment.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

using namespace std::chrono_literals;
using Change = Experiment::Change;
using End = Experiment::End;

constexpr Instant t0{1h};

Experiment::Sight sight(std::uint64_t requests, std::uint64_t intervals) {
    return {.suspected = true, .workers = 4, .requests = requests, .intervals = intervals};
}

Experiment running(std::uint64_t requests = 0) {
    Experiment experiment;
    EXPECT_EQ(experiment.look(t0, {}, sight(requests, 0), 7), Change::began);
    return experiment;
}

TEST(Experiment, begins_with_a_suspicion_that_is_not_explained) {
    Experiment experiment;
    auto calm = sight(0, 0);
    calm.suspected = false;
    EXPECT_EQ(experiment.look(t0, {}, calm, 1), Change::none);
    auto known = sight(0, 0);
    known.sure = true;
    EXPECT_EQ(experiment.look(t0, {}, known, 1), Change::none);
    EXPECT_EQ(experiment.look(t0, {}, sight(0, 0), 1), Change::began);
    EXPECT_NE(experiment.salt(), 0U);
}

TEST(Experiment, needs_two_workers_and_leave_to_run) {
    Experiment experiment;
    auto alone = sight(0, 0);
    alone.workers = 1;
    EXPECT_EQ(experiment.look(t0, {}, alone, 1), Change::none);
    EXPECT_EQ(experiment.look(t0, {.on = false}, sight(0, 0), 1), Change::none);
    auto early = sight(0, 0);
    early.ready = false; // nobody has looked at what passive traffic tells
    EXPECT_EQ(experiment.look(t0, {}, early, 1), Change::none);
}

TEST(Experiment, ends_in_one_of_four_ways) {
    struct Case {
        const char* name;
        void (*change)(Experiment::Sight&);
        End end;
    };
    const Case cases[] = {
        {"the answer is sure", [](Experiment::Sight& s) { s.sure = true; }, End::answered},
        {"the budget is used up", [](Experiment::Sight& s) { s.requests = 100'000; }, End::spent},
        {"clients wait longer", [](Experiment::Sight& s) { s.p99_risen = true; }, End::slower},
        {"nobody is suspect", [](Experiment::Sight& s) { s.suspected = false; }, End::over},
        {"one worker is left", [](Experiment::Sight& s) { s.workers = 1; }, End::over},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.name);
        Experiment experiment = running();
        auto seen = sight(10, 1);
        each.change(seen);
        EXPECT_EQ(experiment.look(t0 + 1s, {}, seen, 2), Change::ended);
        EXPECT_EQ(experiment.ended(), each.end);
        EXPECT_EQ(experiment.salt(), 0U);
    }
    Experiment experiment = running();
    EXPECT_EQ(experiment.look(t0 + 1s, {.on = false}, sight(10, 1), 2), Change::ended);
}

TEST(Experiment, rests_after_it_was_of_no_use_and_not_after_an_answer) {
    Experiment experiment = running();
    auto risen = sight(10, 1);
    risen.p99_risen = true;
    experiment.look(t0 + 1s, {}, risen, 2);
    EXPECT_EQ(experiment.look(t0 + 59min, {}, sight(20, 2), 3), Change::none);
    EXPECT_EQ(experiment.look(t0 + 62min, {}, sight(20, 2), 3), Change::began);
    auto sure = sight(30, 3);
    sure.sure = true;
    experiment.look(t0 + 63min, {}, sure, 4);
    EXPECT_EQ(experiment.look(t0 + 64min, {}, sight(40, 4), 5), Change::began);
}

TEST(Experiment, an_epoch_is_long_enough_in_requests_and_in_readings) {
    Experiment experiment = running();
    EXPECT_EQ(experiment.look(t0 + 1s, {}, sight(2400, 11), 2), Change::none);
    EXPECT_EQ(experiment.look(t0 + 2s, {}, sight(2399, 12), 2), Change::none);
    EXPECT_EQ(experiment.look(t0 + 3s, {}, sight(2400, 12), 2), Change::turned);
    EXPECT_EQ(experiment.epochs(), 2U);
}

TEST(Experiment, one_epoch_of_six_is_for_comparison) {
    Experiment experiment = running();
    unsigned varied = 1, control = 0;
    for (unsigned turn = 1; turn < 30; ++turn) {
        ASSERT_EQ(experiment.look(t0 + 1s, {}, sight(2400 * turn, 12 * turn), turn), Change::turned);
        ++(experiment.salt() == 0 ? control : varied);
    }
    EXPECT_EQ(control, 5U);
    EXPECT_EQ(varied, 25U);
}

TEST(Lots, half_of_the_open_labels_are_at_home_and_nobody_else) {
    const std::vector<Candidate> open{{3, 0.1}, {5, 0.1}, {8, 0.1}, {9, 0.1}};
    for (std::uint64_t salt = 1; salt < 50; ++salt) {
        const Lots lots = draw_lots(salt, 12, open, 8);
        EXPECT_EQ(std::ranges::count(lots.home, true), 2);
        for (std::size_t label = 0; label < 12; ++label)
            EXPECT_TRUE(!lots.home[label] || std::ranges::find(open, label, &Candidate::label) != open.end()) << label;
    }
}

TEST(Lots, the_likeliest_is_always_at_home_somewhere_and_each_other_one_half_of_the_time) {
    const std::vector<Candidate> open{{3, 0.1}, {1, 0.1}, {2, 0.1}};
    unsigned first = 0, other = 0;
    for (std::uint64_t salt = 1; salt <= 400; ++salt) {
        const Lots lots = draw_lots(salt, 5, open, 4);
        first += lots.home[3] ? 1 : 0;
        other += lots.home[2] ? 1 : 0;
    }
    EXPECT_EQ(first, 400U);
    EXPECT_NEAR(other, 100, 40); // of two others one comes with it, half of the time
}

TEST(Lots, as_many_workers_are_homes_as_the_labels_there_need) {
    const std::vector<Candidate> rare{{1, 0.05}}, frequent{{1, 0.3}};
    EXPECT_EQ(draw_lots(1, 30, {}, 8).homes.size(), 4U);
    EXPECT_EQ(draw_lots(1, 30, rare, 8).homes.size(), 1U);
    EXPECT_EQ(draw_lots(1, 30, frequent, 8).homes.size(), 4U);
    EXPECT_EQ(draw_lots(1, 30, {}, 2).homes.size(), 1U);
}

TEST(Lots, every_worker_is_a_home_some_time_and_every_pair_of_labels_is_parted) {
    std::set<std::size_t> homes;
    std::set<std::pair<std::size_t, std::size_t>> parted;
    for (std::uint64_t salt = 1; salt <= 40; ++salt) {
        const Lots lots = draw_lots(salt, 20, {}, 3);
        homes.insert(lots.homes.begin(), lots.homes.end());
        for (std::size_t a = 0; a < 20; ++a)
            for (std::size_t b = 0; b < a; ++b)
                if (lots.home[a] != lots.home[b]) parted.emplace(a, b);
    }
    EXPECT_EQ(homes.size(), 3U);
    EXPECT_EQ(parted.size(), 190U);
}

TEST(Lots, nothing_to_draw_from_is_no_trouble) {
    EXPECT_TRUE(draw_lots(1, 0, {}, 0).homes.empty());
    const std::vector<Candidate> gone{{7, 0.5}};
    EXPECT_EQ(std::ranges::count(draw_lots(1, 3, gone, 2).home, true), 0);
}

} // namespace
} // namespace plimsoll::leak
