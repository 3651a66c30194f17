#include "plimsoll/policy/episode.hpp"

#include <gtest/gtest.h>

#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using News = Episode::News;

TEST(Episode, is_told_when_it_begins_and_when_it_has_been_over_for_a_while) {
    Episode episode;
    EXPECT_EQ(episode.look(start, false), News::none);
    EXPECT_EQ(episode.look(start + 1s, true), News::began);
    EXPECT_EQ(episode.look(start + 2s, true), News::none);
    EXPECT_EQ(episode.look(start + 5s, false), News::none) << "it may come back";
    EXPECT_EQ(episode.look(start + 14s, false), News::none);
    EXPECT_EQ(episode.look(start + 15s, false), News::ended);
    EXPECT_EQ(episode.lasted(), 4s) << "the quiet after it is no part of it";
    EXPECT_EQ(episode.times(), 1U);
    EXPECT_EQ(episode.look(start + 16s, false), News::none);
}

TEST(Episode, what_comes_back_within_seconds_is_the_same) {
    Episode episode;
    EXPECT_EQ(episode.look(start, true), News::began);
    EXPECT_EQ(episode.look(start + 1s, false), News::none);
    EXPECT_EQ(episode.look(start + 10s, true), News::none);
    EXPECT_EQ(episode.look(start + 20s, false), News::none);
    EXPECT_EQ(episode.look(start + 30s, false), News::ended);
    EXPECT_EQ(episode.lasted(), 20s);
    EXPECT_EQ(episode.times(), 2U);
}

TEST(Episode, what_comes_back_later_is_another_one) {
    Episode episode;
    episode.look(start, true);
    episode.look(start + 1s, false);
    ASSERT_EQ(episode.look(start + 11s, false), News::ended);
    EXPECT_EQ(episode.look(start + 1h, true), News::began);
    episode.look(start + 1h + 2s, false);
    ASSERT_EQ(episode.look(start + 1h + 12s, false), News::ended) << "and ends as soon as the first one did";
    EXPECT_EQ(episode.lasted(), 2s);
    EXPECT_EQ(episode.times(), 1U);
}

// Lines in an hour of what goes on for half of each period.
int lines_of(Duration period) {
    Episode episode;
    int lines = 0;
    for (Duration at{}; at < 1h; at += 500ms) lines += episode.look(start + at, at % period < period / 2) != News::none;
    return lines;
}

TEST(Episode, whatever_flutters_at_whatever_pace_does_not_fill_the_log) {
    EXPECT_EQ(lines_of(1s), 1) << "it lasts";
    EXPECT_EQ(lines_of(10s), 1);
    for (const Duration period : {25s, 40s, 90s, 240s, 500s}) EXPECT_LE(lines_of(period), 16) << period / 1s << " s";
    EXPECT_EQ(lines_of(30min), 4) << "two that have nothing to do with each other";
}

TEST(Episode, with_whom_it_was_about_it_ends_at_once) {
    Episode episode;
    EXPECT_EQ(episode.close(start), News::none);
    episode.look(start, true);
    EXPECT_EQ(episode.close(start + 3s), News::ended);
    EXPECT_EQ(episode.lasted(), 3s);
    EXPECT_FALSE(episode.open());
    EXPECT_EQ(episode.close(start + 4s), News::none);
}

} // namespace
} // namespace plimsoll
