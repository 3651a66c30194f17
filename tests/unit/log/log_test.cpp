#include "log/blocks.hpp"
#include "log/log.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace plimsoll;
using namespace std::chrono_literals;

namespace {

class LogTest : public testing::Test {
protected:
    LogTest() {
        char path[] = "/tmp/plimsoll-log-XXXXXX";
        directory_ = ::mkdtemp(path);
        settings_.file = file("log");
    }
    ~LogTest() override {
        log::stop();
        for (const auto& name : files_) std::remove(name.c_str());
        ::rmdir(directory_.c_str());
    }
    std::string file(const std::string& name) { return files_.emplace_back(directory_ + "/" + name); }
    std::string content(const std::string& path) {
        std::ifstream stream(path);
        std::stringstream text;
        text << stream.rdbuf();
        return text.str();
    }
    static std::size_t count(const std::string& text, const std::string& word) {
        std::size_t n = 0;
        for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
        return n;
    }
    bool soon(const std::function<bool()>& holds) {
        auto deadline = std::chrono::steady_clock::now() + 5s;
        while (!holds() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
        return holds();
    }

    std::string directory_;
    std::vector<std::string> files_;
    config::Log settings_;
};

TEST_F(LogTest, stopping_writes_what_waits) {
    ASSERT_EQ(log::start(settings_), "");
    for (int i = 0; i < 1000; ++i) log::info("event_happened", {{"i", i}});
    log::stop();
    EXPECT_EQ(count(content(settings_.file), "event_happened"), 1000u);
    log::stop();
    log::info("after_the_end");
    EXPECT_EQ(content(settings_.file).find("after_the_end"), std::string::npos);
}

TEST_F(LogTest, stopping_in_the_middle_of_writing_is_safe) {
    for (int round = 0; round < 300; ++round) {
        log::start(settings_);
        for (int i = 0; i <= round % 7; ++i) log::info("short_life", {{"round", round}});
        log::stop();
    }
    EXPECT_EQ(count(content(settings_.file), "round=299\n"), 299u % 7 + 1);
}

TEST_F(LogTest, a_quiet_log_can_be_watched) {
    log::start(settings_);
    log::info("only_one");
    EXPECT_TRUE(soon([&] { return count(content(settings_.file), "only_one") == 1; }));
}

TEST_F(LogTest, the_level_format_and_file_change_live) {
    log::start(settings_);
    log::debug("too_quiet");
    EXPECT_FALSE(log::enabled(config::LogLevel::debug));
    auto next = settings_;
    next.level = config::LogLevel::debug;
    next.format = "json";
    next.file = file("next");
    ASSERT_EQ(log::start(next), "");
    EXPECT_TRUE(log::enabled(config::LogLevel::debug));
    log::debug("loud_enough");
    log::stop();
    EXPECT_EQ(content(settings_.file).find("too_quiet"), std::string::npos);
    EXPECT_EQ(content(next.file).find(R"({"time":")"), 0u);
    EXPECT_EQ(count(content(next.file), "\"loud_enough\""), 1u);
}

TEST_F(LogTest, level_off_writes_nothing) {
    settings_.level = config::LogLevel::off;
    log::start(settings_);
    log::error("lost_cause");
    EXPECT_FALSE(log::enabled(config::LogLevel::off));
    log::stop();
    EXPECT_EQ(content(settings_.file), "");
}

TEST_F(LogTest, blocks_are_written_in_order_and_whatever_the_level) {
    settings_.level = config::LogLevel::error;
    log::start(settings_);
    std::string expected, block;
    for (int i = 0; i < 200; ++i) {
        block = "line " + std::to_string(i) + "\nand another\n";
        expected += block;
        log::hand_over(block, 2);
        EXPECT_TRUE(block.empty());
    }
    log::stop();
    EXPECT_EQ(content(settings_.file), expected);
}

TEST_F(LogTest, a_block_is_written_though_nothing_follows_it) {
    log::start(settings_);
    std::string block = "the last for a while\n";
    log::hand_over(block, 1);
    EXPECT_TRUE(soon([&] { return count(content(settings_.file), "the last for a while") == 1; }));
}

TEST_F(LogTest, blocks_beyond_the_bound_are_dropped_and_each_line_is_counted) {
    log::Blocks blocks;
    std::string block;
    std::uint64_t kept = 0;
    do block.assign(1 << 20, 'x');
    while (blocks.put(block, 1000) && ++kept < 100);
    EXPECT_EQ(kept, log::Blocks::most_bytes >> 20);
    EXPECT_TRUE(block.empty());
    EXPECT_EQ(blocks.lost(), 1000u);
    std::vector<log::Blocks::Block> taken;
    blocks.take(taken);
    EXPECT_EQ(taken.size(), kept);
    block = "room again";
    EXPECT_TRUE(blocks.put(block, 1));
}

TEST_F(LogTest, a_block_that_was_written_is_used_again) {
    log::Blocks blocks;
    std::string block(40'000, 'x');
    blocks.put(block, 1);
    std::vector<log::Blocks::Block> taken;
    blocks.take(taken);
    blocks.take(taken); // gives back what it took
    block = "next";
    blocks.put(block, 1);
    EXPECT_TRUE(block.empty());
    EXPECT_GE(block.capacity(), 40'000u);
}

TEST_F(LogTest, a_rotated_file_is_opened_again) {
    log::start(settings_);
    log::info("before");
    ASSERT_TRUE(soon([&] { return count(content(settings_.file), "before") == 1; }));
    auto rotated = file("log.1");
    ASSERT_EQ(std::rename(settings_.file.c_str(), rotated.c_str()), 0);
    log::reopen();
    log::info("after");
    log::stop();
    EXPECT_EQ(count(content(rotated), "before"), 1u);
    EXPECT_EQ(count(content(settings_.file), "after"), 1u);
    EXPECT_EQ(count(content(settings_.file), "before"), 0u);
}

TEST_F(LogTest, a_file_that_cannot_be_opened_leaves_the_old_one_in_use) {
    log::start(settings_);
    auto next = settings_;
    next.file = directory_ + "/no/such/directory/log";
    EXPECT_EQ(log::start(next), "the log file " + next.file + " cannot be opened: No such file or directory");
    log::info("still_here");
    log::stop();
    EXPECT_EQ(count(content(settings_.file), "still_here"), 1u);
}

TEST_F(LogTest, what_cannot_be_opened_is_known_before_anything_changes) {
    config::Log settings;
    EXPECT_EQ(log::why_not(settings), "");
    settings.trace = "/nonexistent/trace";
    EXPECT_EQ(log::why_not(settings), "the trace /nonexistent/trace cannot be opened: No such file or directory");
    settings.file = "/nonexistent/log";
    EXPECT_EQ(log::why_not(settings), "the log file /nonexistent/log cannot be opened: No such file or directory");
}

TEST_F(LogTest, the_file_is_not_for_everybody) {
    log::start(settings_);
    struct stat status {};
    ASSERT_EQ(::stat(settings_.file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07, 0u);
}

TEST_F(LogTest, a_full_queue_loses_the_oldest_lines_counts_them_and_blocks_nobody) {
    auto pipe = file("pipe");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    int reader = ::open(pipe.c_str(), O_RDWR | O_NONBLOCK); // nobody reads it yet: after 64 KiB the writer is stuck
    ASSERT_GE(reader, 0);
    settings_.file = pipe;
    ASSERT_EQ(log::start(settings_), "");
    auto before = log::dropped();
    auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 20'000; ++i) log::info("flood", {{"i", i}});
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
    EXPECT_GT(log::dropped(), before);
    auto lost = log::dropped() - before;
    std::string text;
    std::thread drain([&] {
        char buffer[4096];
        while (text.find("the_last") == std::string::npos) {
            auto got = ::read(reader, buffer, sizeof buffer);
            if (got > 0)
                text.append(buffer, static_cast<std::size_t>(got));
            else
                std::this_thread::sleep_for(1ms);
        }
    });
    log::info("the_last");
    log::stop();
    drain.join();
    ::close(reader);
    EXPECT_NE(text.find("i=19999\n"), std::string::npos);
    EXPECT_EQ(count(text, "flood") + (log::dropped() - before), 20'000u);
    EXPECT_GE(log::dropped() - before, lost);
}

TEST_F(LogTest, a_full_disk_is_counted) {
    settings_.file = "/dev/full";
    ASSERT_EQ(log::start(settings_), "");
    auto before = log::dropped();
    log::info("nowhere_to_go");
    EXPECT_TRUE(soon([&] { return log::dropped() == before + 1; }));
}

TEST_F(LogTest, many_threads_write_whole_lines) {
    log::start(settings_);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([t] {
            for (int i = 0; i < 200; ++i) log::info("line", {{"thread", t}, {"end", "here"}});
        });
    for (int i = 0; i < 20; ++i) {
        settings_.level = i % 2 != 0 ? config::LogLevel::debug : config::LogLevel::info;
        log::start(settings_);
        log::reopen();
    }
    for (auto& thread : threads) thread.join();
    log::stop();
    std::istringstream lines(content(settings_.file));
    std::size_t whole = 0;
    for (std::string line; std::getline(lines, line); ++whole) ASSERT_TRUE(line.ends_with("end=here")) << line;
    EXPECT_EQ(whole, 800u);
}

} // namespace
