#include "fleet/worker.hpp"

#include <gtest/gtest.h>

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

const Instant start{1000s};

MemoryReading reading(Bytes anon, Bytes limit) {
    MemoryReading memory;
    memory.anon = anon;
    memory.rss = anon + 10_MiB;
    memory.limit = limit;
    memory.taken = start;
    memory.source = "proc";
    return memory;
}

TEST(MemoryReading, a_stale_reading_is_unknown_not_zero) {
    const MemoryReading memory = reading(300_MiB, 400_MiB);
    EXPECT_EQ(memory.used(start + 9s, 10s), 300_MiB);
    EXPECT_DOUBLE_EQ(memory.pressure(start + 9s, 10s).value(), 0.75);
    EXPECT_FALSE(memory.used(start + 11s, 10s));
    EXPECT_FALSE(memory.pressure(start + 11s, 10s));
}

TEST(MemoryReading, without_a_limit_there_is_no_pressure) {
    MemoryReading memory = reading(300_MiB, {});
    EXPECT_FALSE(memory.pressure(start, 10s));
    memory.limit.reset();
    EXPECT_FALSE(memory.pressure(start, 10s));
    EXPECT_TRUE(memory.used(start, 10s));
}

TEST(MemoryReading, under_a_limit_of_the_address_space_the_worse_pressure_counts) {
    MemoryReading memory = reading(100_MiB, 400_MiB);
    memory.address_space = 540_MiB;
    EXPECT_DOUBLE_EQ(memory.pressure(start, 10s).value(), 0.25) << "without a limit its size means nothing";
    memory.address_space_limit = 600_MiB;
    EXPECT_DOUBLE_EQ(memory.pressure(start, 10s).value(), 0.9);
    memory.limit.reset();
    EXPECT_DOUBLE_EQ(memory.pressure(start, 10s).value(), 0.9);
    EXPECT_FALSE(memory.pressure(start + 11s, 10s)) << "a stale reading is unknown";
}

TEST(Worker, a_place_shows_its_successor_as_soon_as_the_old_one_is_gone) {
    Worker worker;
    worker.current = std::make_shared<Generation>();
    worker.next = std::make_shared<Generation>();
    worker.current->state = WorkerState::draining;
    worker.next->state = WorkerState::serving;
    EXPECT_EQ(worker.state(), WorkerState::draining);
    EXPECT_TRUE(worker.serves());
    worker.current->state = WorkerState::gone;
    EXPECT_EQ(worker.state(), WorkerState::serving);
}

} // namespace
} // namespace plimsoll::fleet
