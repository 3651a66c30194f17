#include "plimsoll/leak/recycle_time.hpp"

#include <gtest/gtest.h>

#include "unit/leak/units.hpp"

namespace plimsoll::leak {
namespace {

RecycleOutlook old_one(double early) { return {.lived = 20 * hour, .early = early, .lead = 100, .bound = 100}; }

TEST(RecycleTime, who_may_be_at_its_limit_within_the_lead_goes_at_once) {
    EXPECT_EQ(recycle_time(old_one(100)), RecycleTime::at_once);
    EXPECT_EQ(recycle_time(old_one(101)), RecycleTime::later);
    EXPECT_EQ(recycle_time({.lived = 1, .early = 100, .lead = 100}), RecycleTime::at_once);
}

TEST(RecycleTime, a_recycle_is_given_what_the_last_ones_took_and_never_more_than_its_timeouts) {
    EXPECT_EQ(lead_of(100, std::nullopt, 1), 100) << "nothing is known yet";
    EXPECT_EQ(lead_of(100, 5.0, 1), 15);
    EXPECT_EQ(lead_of(100, 0.4, 1), 10) << "a forecast is no better than this";
    EXPECT_EQ(lead_of(100, 5.0, 4), 60) << "the last of four waits for three";
    EXPECT_EQ(lead_of(100, 5.0, 0), 15);
    EXPECT_EQ(lead_of(100, 50.0, 1), 100);
    EXPECT_EQ(lead_of(4, 5.0, 1), 4);
}

TEST(RecycleTime, where_clients_are_refused_before_the_limit_the_time_is_to_that) {
    // 50 MiB below its limit at 0.1 MiB a second, which is 500 s; below the line 20 MiB.
    const LoadLineAhead ahead{
        .line = 170 * mib, .limit = 200 * mib, .floor = 60 * mib, .room = 50 * mib, .growth = 0.1 * mib};
    EXPECT_EQ(recycle_time(old_one(500)), RecycleTime::later);
    EXPECT_NEAR(sooner(old_one(500), ahead).early, 200, 1e-6);
    EXPECT_EQ(sooner(old_one(90), ahead).early, 90) << "what swings is at the limit sooner still";
    LoadLineAhead near = ahead;
    near.room = 35 * mib;
    EXPECT_EQ(recycle_time(sooner(old_one(350), near)), RecycleTime::at_once);
    near.line = 210 * mib;
    EXPECT_EQ(recycle_time(sooner(old_one(350), near)), RecycleTime::later) << "a hard limit comes before the line";
}

TEST(RecycleTime, who_is_at_the_load_line_goes_at_once_however_far_its_limit_recedes) {
    LoadLineAhead ahead{.line = 170 * mib, .limit = 200 * mib, .floor = 60 * mib, .room = 30 * mib};
    ahead.reached = true; // nobody asks it any more: it does not grow
    RecycleOutlook outlook = old_one(10 * hour);
    EXPECT_EQ(recycle_time(sooner(outlook, ahead)), RecycleTime::at_once);
    outlook.has_soft_limit = true;
    EXPECT_EQ(recycle_time(sooner(outlook, ahead)), RecycleTime::at_once) << "which lies above the line";
    ahead.floor = 165 * mib;
    EXPECT_EQ(recycle_time(sooner(outlook, ahead)), RecycleTime::later) << "its successor would be there at once";
}

TEST(RecycleTime, a_quiet_moment_is_taken_when_the_limit_is_not_far) {
    RecycleOutlook outlook = old_one(900);
    outlook.quiet = true;
    EXPECT_EQ(recycle_time(outlook), RecycleTime::while_quiet);
    outlook.early = 2000;
    EXPECT_EQ(recycle_time(outlook), RecycleTime::later);
    outlook.early = 900;
    outlook.lead = 10;
    EXPECT_EQ(recycle_time(outlook), RecycleTime::while_quiet) << "how fast recycles are has nothing to do with it";
}

TEST(RecycleTime, the_trough_of_the_day_is_taken_when_it_is_there) {
    RecycleOutlook outlook = old_one(10 * hour);
    outlook.trough = 2 * hour;
    EXPECT_EQ(recycle_time(outlook), RecycleTime::later);
    outlook.trough = 0;
    EXPECT_EQ(recycle_time(outlook), RecycleTime::in_trough);
    outlook.early = 40 * hour;
    EXPECT_EQ(recycle_time(outlook), RecycleTime::later);
}

TEST(RecycleTime, a_successor_is_not_recycled_again_in_the_trough_of_the_first) {
    RecycleOutlook outlook{.lived = 1 * hour, .early = 20 * hour, .lead = 100};
    outlook.trough = 0;
    outlook.quiet = true;
    EXPECT_EQ(recycle_time(outlook), RecycleTime::later);
}

TEST(RecycleTime, no_trough_is_promised_that_will_not_be_taken) {
    RecycleOutlook outlook{.lived = 0, .early = 12 * hour, .lead = 100};
    outlook.trough = 100 * 60;
    EXPECT_FALSE(promised_trough(outlook)) << "it will have lived a seventh of its life";
    outlook.trough = 5 * hour;
    EXPECT_EQ(promised_trough(outlook), outlook.trough);
    outlook.trough = 0;
    EXPECT_FALSE(promised_trough(outlook)) << "it is now";
}

TEST(RecycleTime, with_a_soft_limit_only_chances_are_taken_before_it) {
    RecycleOutlook outlook = old_one(50);
    outlook.has_soft_limit = true;
    EXPECT_EQ(recycle_time(outlook), RecycleTime::later);
    outlook.quiet = true;
    EXPECT_EQ(recycle_time(outlook), RecycleTime::while_quiet);
}

} // namespace
} // namespace plimsoll::leak
