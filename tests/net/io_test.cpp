// The readiness layer by itself: deadlines, wake-ups, tasks, spools.
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/io/loop.hpp"
#include "net/io/read_ahead.hpp"
#include "net/io/spool.hpp"
#include "net/io/stream.hpp"
#include "net/io/task.hpp"

namespace plimsoll::net::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Probe : Source {
    void ready(std::uint32_t) override {}
    void expired() override { ++times; }
    int times = 0;
};

TEST(Deadlines, those_of_one_span_expire_in_the_order_they_were_armed_and_others_do_not_wait_for_them) {
    Deadlines deadlines;
    Probe early, late, quick;
    const Instant start{};
    deadlines.arm(early, seconds{10}, start);
    deadlines.arm(late, seconds{10}, start + seconds{1});
    deadlines.arm(quick, seconds{2}, start + seconds{1});
    EXPECT_EQ(deadlines.next(), start + seconds{3});
    deadlines.expire(start + seconds{3});
    EXPECT_EQ(quick.times, 1);
    EXPECT_EQ(early.times, 0);
    deadlines.expire(start + seconds{10});
    EXPECT_EQ(early.times, 1);
    EXPECT_EQ(late.times, 0);
    deadlines.expire(start + seconds{100});
    EXPECT_EQ(late.times, 1);
    EXPECT_EQ(deadlines.next(), std::nullopt);
}

TEST(Deadlines, times_that_everybody_chooses_himself_expire_in_their_order_and_leave_nothing) {
    Deadlines deadlines;
    Probe spanned, late, early, moved;
    const Instant start{};
    deadlines.arm(spanned, seconds{2}, start);
    deadlines.arm_at(late, start + seconds{3});
    deadlines.arm_at(early, start + seconds{1});
    deadlines.arm_at(moved, start + seconds{1});
    deadlines.arm(moved, seconds{5}, start);
    {
        Probe gone;
        deadlines.arm_at(gone, start);
    }
    EXPECT_EQ(deadlines.next(), start + seconds{1});
    deadlines.expire(start + seconds{1});
    EXPECT_EQ(early.times, 1);
    EXPECT_EQ(spanned.times + late.times + moved.times, 0);
    EXPECT_FALSE(Deadlines::armed(early));
    EXPECT_EQ(deadlines.next(), start + seconds{2});
    Deadlines::disarm(late);
    deadlines.expire(start + seconds{9});
    EXPECT_EQ(spanned.times, 1);
    EXPECT_EQ(moved.times, 1);
    EXPECT_EQ(late.times, 0);
    EXPECT_EQ(deadlines.next(), std::nullopt);
}

TEST(Deadlines, arming_again_moves_and_disarming_or_destroying_removes) {
    Deadlines deadlines;
    Probe moved, removed;
    {
        Probe gone;
        deadlines.arm(gone, seconds{1}, Instant{});
        deadlines.arm(moved, seconds{1}, Instant{});
        deadlines.arm(removed, seconds{1}, Instant{});
    }
    deadlines.arm(moved, seconds{5}, Instant{} + seconds{1});
    Deadlines::disarm(removed);
    Deadlines::disarm(removed);
    deadlines.expire(Instant{} + seconds{5});
    EXPECT_EQ(moved.times + removed.times, 0);
    deadlines.expire(Instant{} + seconds{6});
    EXPECT_EQ(moved.times, 1);
}

Task<int> doubled(int number) { co_return number * 2; }
Task<int> sum_of_doubles(int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) sum += co_await doubled(i);
    co_return sum;
}
Task<> thrower() {
    throw std::runtime_error("no");
    co_return;
}
Detached run(int& result, bool& caught) {
    result = co_await sum_of_doubles(1000);
    try {
        co_await thrower();
    } catch (const std::runtime_error&) {
        caught = true;
    }
}

TEST(Task, one_that_never_waits_runs_to_its_end_at_once_and_errors_arrive_at_the_caller) {
    int result = 0;
    bool caught = false;
    run(result, caught);
    EXPECT_EQ(result, 999'000);
    EXPECT_TRUE(caught);
}

Detached count_turns(Wakeup& wakeup, int& turns, int most) {
    while (turns < most) {
        co_await next_turn(wakeup);
        ++turns;
    }
}

TEST(Wakeup, one_that_rings_for_itself_lets_the_others_run_in_between) {
    RunQueue queue;
    Wakeup a(queue), b(queue);
    int turns_a = 0, turns_b = 0;
    count_turns(a, turns_a, 10);
    count_turns(b, turns_b, 10);
    for (int i = 1; i <= 10; ++i) {
        queue.run();
        EXPECT_EQ(turns_a, i);
        EXPECT_EQ(turns_b, i);
    }
    queue.run();
    EXPECT_TRUE(queue.empty());
}

struct Pair {
    Pair() {
        int fds[2];
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);
        stream = std::make_unique<Stream>(loop, fds[0]);
        other = fds[1];
    }
    ~Pair() { ::close(other); }
    std::string read() {
        std::string all(1 << 20, '\0');
        const auto got = ::recv(other, all.data(), all.size(), 0);
        all.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return all;
    }
    Budgets budgets;
    Loop loop{budgets};
    std::unique_ptr<Stream> stream;
    int other;
};

std::string numbers(std::size_t size) {
    std::string text;
    for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + ",";
    text.resize(size);
    return text;
}

class SpoolOfSize : public ::testing::TestWithParam<std::size_t> {};

TEST_P(SpoolOfSize, what_goes_in_comes_out_through_memory_and_file_and_the_memory_is_given_back) {
    Pair pair;
    const auto bytes = numbers(GetParam());
    {
        Spool spool(pair.loop);
        spool.limit({16'384, 1 << 30});
        for (std::size_t at = 0; at < bytes.size(); at += 7'777)
            ASSERT_TRUE(spool.append(std::string_view(bytes).substr(at, 7'777)));
        EXPECT_EQ(spool.in_file(), GetParam() > 100'000);
        EXPECT_LE(pair.loop.buffers.used(), 16'384u + 7'777u + 4'096u);
        std::string came;
        while (!spool.empty()) {
            ASSERT_NE(spool.send_to(*pair.stream).kind, Io::failed);
            came += pair.read();
        }
        EXPECT_TRUE(came == bytes);
        EXPECT_FALSE(spool.in_file());
    }
    EXPECT_EQ(pair.loop.buffers.used(), 0u);
}
INSTANTIATE_TEST_SUITE_P(sizes, SpoolOfSize, ::testing::Values(1, 4'096, 16'384, 1'000'000));

TEST(Spool, one_that_is_kept_can_be_sent_again) {
    for (const std::size_t size : {5'000u, 500'000u}) {
        Pair pair;
        Spool spool(pair.loop);
        spool.limit({16'384, 1 << 30});
        spool.keep_for_replay();
        const auto bytes = numbers(size);
        ASSERT_TRUE(spool.append(bytes));
        for (int i = 0; i < 2; ++i) {
            std::string came;
            while (!spool.empty()) {
                spool.send_to(*pair.stream);
                came += pair.read();
            }
            EXPECT_TRUE(came == bytes);
            spool.rewind();
        }
    }
}

TEST(Spool, without_a_file_it_asks_for_a_pause_and_takes_the_rest_of_one_read) {
    Pair pair;
    Spool spool(pair.loop);
    spool.limit({8'192, 0});
    EXPECT_TRUE(spool.takes_more());
    ASSERT_TRUE(spool.append(numbers(60'000)));
    EXPECT_FALSE(spool.takes_more());
    EXPECT_FALSE(spool.in_file());
}

TEST(Spool, memory_in_all_is_bounded) {
    Pair pair;
    pair.loop.buffers.set_limit(20'000);
    Spool one(pair.loop), other(pair.loop);
    one.limit({16'384, 0});
    other.limit({16'384, 0});
    EXPECT_TRUE(one.append(numbers(16'000)));
    EXPECT_FALSE(other.append(numbers(16'000)));
    one.clear();
    EXPECT_TRUE(other.append(numbers(16'000)));
}

TEST(ReadAhead, is_used_up_where_it_lies_and_counts_for_as_long_as_it_is_held) {
    Budget budget;
    ReadAhead ahead(budget);
    ahead.assign(numbers(40'000));
    const char* const first = ahead.view().data();
    for (std::size_t used = 0; used < 40'000; used += 100, ahead.use(100))
        ASSERT_EQ(ahead.view().data(), first + used) << "the rest was moved";
    EXPECT_TRUE(ahead.empty());
    EXPECT_GE(budget.used(), 40'000u) << "what was used is still there";
    ahead.append("next");
    EXPECT_EQ(ahead.view(), "next");
    for (int i = 0; i < 1'000; ++i) { // a piece of the next one is always there
        ahead.append(numbers(1'000));
        ahead.use(1'000);
    }
    EXPECT_EQ(ahead.view().size(), 4u);
    EXPECT_LE(budget.used(), 40'001u) << "what was used is in the way";
    ahead.release();
    EXPECT_EQ(budget.used(), 0u);
}

TEST(Stream, how_soon_its_end_came_behind_its_last_bytes_is_known_however_late_it_is_asked) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    Budgets budgets;
    Loop loop{budgets};
    for (const bool soon : {true, false}) {
        const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), size), 0);
        Stream stream(loop, ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        ASSERT_EQ(::send(client, "all", 3, 0), 3);
        if (!soon) std::this_thread::sleep_for(milliseconds{300}); // how long it takes, not what is waited for
        ::shutdown(client, SHUT_WR);
        if (soon) std::this_thread::sleep_for(milliseconds{300});
        EXPECT_TRUE(stream.has_ended());
        EXPECT_EQ(stream.ended_within(milliseconds{150}), soon);
        ::close(client);
    }
    ::close(listener);
}

// What fork() does to every socket until the child execs: workers are started, and commands run, while others are served.
TEST(Stream, one_that_is_gone_is_told_nothing_though_a_copy_of_its_socket_is_still_open) {
    Budgets budgets;
    Loop loop{budgets};
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    const int copy = ::dup(ends[0]);
    {
        Stream gone(loop, ends[0]);
        ASSERT_TRUE(gone.watch());
    }
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    EXPECT_EQ(loop.poller.poll(), 0);
    ::close(copy);
    ::close(ends[1]);
}

} // namespace
} // namespace plimsoll::net::io
