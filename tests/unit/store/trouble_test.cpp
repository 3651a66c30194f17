// What goes wrong around a store: crashes, full and broken disks, a second Plimsoll, foreign databases.
#include "store/incident_store.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "unit/store/directory.hpp"

namespace plimsoll::store {
namespace {

namespace fs = std::filesystem;

void execute(const std::string& path, const char* sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
}

// Writes incidents for ever, and tells each id over the pipe once the store has it.
[[noreturn]] void write_for_ever(const std::string& path, int told) {
    IncidentStore store(in(path));
    for (;;) {
        const auto id = store.open("app", "app-1", 1, "soft_limit", "growing");
        store.note(id, "draining");
        store.set_capture_status(id, "running");
        store.add_file(id, "evidence.txt", std::string(200'000, 'e'));
        store.set_capture_status(id, "done");
        store.close(id);
        if (::write(told, (id + "\n").c_str(), id.size() + 1) < 0) ::_exit(1);
    }
}

TEST(a_killed_plimsoll, loses_nothing_that_it_had_told_and_leaves_nothing_half_written) {
    Directory directory;
    std::size_t told_in_all = 0, abandoned = 0;
    for (int round = 0; round < 25; ++round) {
        int told[2];
        ASSERT_EQ(::pipe(told), 0);
        const int child = ::fork();
        if (child == 0) {
            ::close(told[0]);
            write_for_ever(directory.path(), told[1]);
        }
        ::close(told[1]);
        char first;
        ASSERT_EQ(::read(told[0], &first, 1), 1) << "the child came to writing";
        std::this_thread::sleep_for(std::chrono::microseconds{997 * round}); // where in its loop it dies is the point
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        std::string ids(1, first), block(4096, '\0');
        for (ssize_t n; (n = ::read(told[0], block.data(), block.size())) > 0;)
            ids.append(block, 0, static_cast<std::size_t>(n));
        ::close(told[0]);

        IncidentStore store(in(directory.path()));
        ASSERT_EQ(store.problem(), "");
        ASSERT_TRUE(store.warnings().empty()) << store.warnings().front();
        abandoned += store.abandoned().size();
        EXPECT_LE(store.abandoned().size(), 1U);
        std::istringstream lines(ids);
        for (std::string id; std::getline(lines, id);) {
            ++told_in_all;
            const auto incident = store.get(id);
            ASSERT_TRUE(incident) << id;
            EXPECT_EQ(incident->state, "closed");
            EXPECT_EQ(store.read_file(id, "evidence.txt").value_or(""), std::string(200'000, 'e'));
        }
        for (const auto& incident : store.list(10'000)) {
            EXPECT_NE(incident.state, "open") << incident.id;
            for (const auto& file : incident.files)
                EXPECT_EQ(file.size, Bytes{200'000}) << incident.id << " " << file.name;
        }
    }
    for (const auto& entry : fs::recursive_directory_iterator(directory.path() + "/incidents"))
        EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
    EXPECT_GE(told_in_all, 25U);
    EXPECT_GE(abandoned, 1U) << "some round must have died in the middle";
}

TEST(a_second_plimsoll, is_told_whose_the_directory_is_and_heals_when_it_is_free) {
    Directory directory;
    auto first = std::make_unique<IncidentStore>(in(directory.path()));
    first->close(first->open("app", "w", 1, "death", "of the first"));
    IncidentStore second(in(directory.path()));
    EXPECT_EQ(second.problem(), directory.path() + " is in use by another Plimsoll (pid " + std::to_string(::getpid()) +
                                    "): choose another [store] path");
    EXPECT_EQ(second.why_no_capture(), second.problem());
    const auto id = second.open("app", "w", 1, "death", "of the second");
    EXPECT_EQ(id.substr(0, 2), "m-") << "no number that the first could give out";
    EXPECT_NE(second.add_file(id, "a.txt", "x"), "");
    EXPECT_EQ(second.directory(id), "");
    EXPECT_EQ(second.list(10).size(), 1U);

    first.reset();
    second.note(id, "still going");
    EXPECT_EQ(second.problem(), "");
    EXPECT_EQ(second.add_file(id, "a.txt", "x"), "");
    EXPECT_EQ(second.list(10).size(), 2U);
    EXPECT_EQ(second.get(id)->state, "open");
    EXPECT_EQ(second.count(), 2U);
}

TEST(a_directory_that_cannot_be_made, is_a_problem_until_it_can) {
    Directory directory;
    const auto path = directory.path() + "/state";
    std::ofstream(path) << "a file is in the way";
    IncidentStore store(in(path));
    EXPECT_NE(store.problem().find(path), std::string::npos);
    EXPECT_NE(store.problem().find("choose another [store] path"), std::string::npos);
    const auto id = store.open("app", "w", 1, "death", "while it was away");
    store.close(id);
    EXPECT_EQ(store.get(id)->state, "closed");
    fs::remove(path);
    store.sweep();
    EXPECT_EQ(store.problem(), "");
    EXPECT_EQ(store.get(id)->verdict, "while it was away");
    EXPECT_EQ(store.open("app", "w", 1, "death", "").substr(0, 2), "i-");
}

TEST(memory, is_bounded_while_nothing_can_be_written) {
    auto settings = in("/proc/nowhere");
    settings.max_unwritten = 10;
    IncidentStore store(settings);
    const auto open = store.open("app", "w", 1, "death", "");
    for (int i = 0; i < 30; ++i) store.close(store.open("app", "w", 1, "death", ""));
    EXPECT_EQ(store.count(), 11U);
    EXPECT_EQ(store.forgotten(), 20U);
    EXPECT_TRUE(store.get(open));
}

TEST(a_database_of_a_newer_plimsoll, is_left_alone_and_named) {
    Directory directory;
    const auto path = directory.path() + "/incidents.db";
    { IncidentStore store(in(directory.path())); }
    execute(path, "PRAGMA user_version = 7");
    IncidentStore store(in(directory.path()));
    EXPECT_EQ(store.problem(),
              path + ": its schema is version 7 and this Plimsoll knows 1: start the newer Plimsoll, or choose "
                     "another [store] path");
    EXPECT_TRUE(store.warnings().empty());
}

TEST(a_damaged_database, is_moved_aside_and_its_evidence_keeps_its_number) {
    Directory directory;
    const auto path = directory.path() + "/incidents.db";
    {
        IncidentStore store(in(directory.path()));
        for (int i = 0; i < 50; ++i) {
            const auto id = store.open("app", "w", 1, "death", std::string(1000, 'v'));
            ASSERT_EQ(store.add_file(id, "a.txt", "x"), "");
            store.close(id);
        }
    }
    for (const bool header : {true, false}) { // no database at all; one with pages of rubbish
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(header ? 0 : 4096);
        const std::string rubbish(header ? 100 : 8192, header ? 'r' : '\xa5');
        file.write(rubbish.data(), static_cast<std::streamsize>(rubbish.size()));
        file.close();
        IncidentStore store(in(directory.path()));
        EXPECT_EQ(store.problem(), "");
        ASSERT_EQ(store.warnings().size(), 1U);
        EXPECT_NE(store.warnings()[0].find("moved to " + path + ".damaged-"), std::string::npos) << store.warnings()[0];
        EXPECT_EQ(store.open("app", "w", 1, "death", ""), header ? "i-000051" : "i-000052");
        if (header) {
            ASSERT_EQ(store.add_file("i-000051", "a.txt", "x"), "");
            for (int i = 0; i < 50; ++i) store.note("i-000051", std::string(1000, 'v'));
        }
        EXPECT_TRUE(fs::exists(directory.path() + "/incidents/i-000001/a.txt"));
        if (!header) continue;
    }
}

TEST(a_database_damaged_while_in_use, begins_anew_with_all_that_is_open) {
    Directory directory;
    const auto path = directory.path() + "/incidents.db";
    IncidentStore store(in(directory.path()));
    const auto first = store.open("app", "w", 1, "death", "first"),
               second = store.open("app", "w", 1, "death", "second");
    execute(path, "PRAGMA writable_schema = 1; UPDATE sqlite_master SET rootpage = 9999 WHERE name = 'incidents'; "
                  "PRAGMA schema_version = 99");
    for (int i = 0; i < 3; ++i) store.note(first, "after the damage");
    EXPECT_EQ(store.problem(), "");
    EXPECT_EQ(store.warnings().size(), 1U);
    EXPECT_EQ(store.count(), 2U);
    store.close(first);
    store.close(second);
    EXPECT_EQ(store.get(first)->timeline.size(), 3U);
    EXPECT_EQ(store.get(second)->verdict, "second");
}

TEST(a_nearly_full_disk, refuses_captures_with_the_figures) {
    Directory directory;
    auto settings = in(directory.path());
    settings.min_free = {1LL << 60};
    IncidentStore store(settings);
    const auto id = store.open("app", "w", 1, "death", "");
    EXPECT_NE(store.why_no_capture().find("are free in " + directory.path()), std::string::npos);
    EXPECT_EQ(store.add_file(id, "a.txt", "x"), store.why_no_capture());
    EXPECT_EQ(store.problem(), "") << "the story itself is still written";
}

class FullDisk : public testing::Test {
protected:
    void SetUp() override {
        if (::mount("none", directory_.path().c_str(), "tmpfs", 0, "size=1m,mode=0700") != 0)
            GTEST_SKIP() << "a tmpfs of one's own cannot be mounted: " << std::strerror(errno);
        mounted_ = true;
    }
    void TearDown() override {
        if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
    }
    void fill() {
        std::ofstream ballast(directory_.path() + "/ballast");
        const std::string block(4096, 'b');
        while (ballast.write(block.data(), 4096) && ballast.flush()) {
        }
    }
    void make_space() { fs::remove(directory_.path() + "/ballast"); }

    Directory directory_;
    bool mounted_ = false;
};
using a_full_disk = FullDisk;

TEST_F(a_full_disk, keeps_incidents_in_memory_and_writes_them_when_space_returns) {
    std::vector<std::string> ids;
    {
        IncidentStore store(in(directory_.path()));
        ASSERT_EQ(store.problem(), "");
        fill();
        for (int i = 0; i < 40; ++i) {
            ids.push_back(store.open("app", "w", 1, "death", std::string(2000, 'v')));
            store.note(ids.back(), std::string(2000, 'n'));
            store.close(ids.back());
        }
        EXPECT_NE(store.problem().find("full"), std::string::npos) << store.problem();
        EXPECT_EQ(store.why_no_capture(), store.problem());
        EXPECT_NE(store.add_file(ids[0], "a.txt", "x"), "");
        EXPECT_EQ(store.list(100).size(), 40U);
        EXPECT_EQ(store.count(), 40U);
        EXPECT_EQ(store.get(ids[20])->timeline.size(), 1U);
        make_space();
        store.sweep();
        EXPECT_EQ(store.problem(), "");
        EXPECT_EQ(store.why_no_capture(), "");
    }
    IncidentStore store(in(directory_.path()));
    EXPECT_EQ(store.count(), 40U);
    for (const auto& id : ids) EXPECT_EQ(store.get(id)->state, "closed") << id;
}

TEST_F(a_full_disk, leaves_no_half_file) {
    IncidentStore store(in(directory_.path()));
    const auto id = store.open("app", "w", 1, "death", "");
    ASSERT_EQ(store.append_file(id, "log.txt", "before"), "");
    const std::string large(4 << 20, 'x');
    const auto why = store.add_file(id, "a.txt", large);
    EXPECT_NE(why.find("No space left on device"), std::string::npos) << why;
    EXPECT_NE(store.append_file(id, "log.txt", large), "");
    EXPECT_EQ(store.read_file(id, "log.txt"), "before");
    EXPECT_EQ(store.get(id)->files.size(), 1U);
    EXPECT_EQ(store.add_file(id, "a.txt", "small enough"), "");
}

TEST_F(a_full_disk, at_the_start_is_a_problem_that_heals) {
    fill();
    IncidentStore store(in(directory_.path()));
    EXPECT_NE(store.problem(), "");
    const auto id = store.open("app", "w", 1, "death", "");
    make_space();
    store.note(id, "space again");
    EXPECT_EQ(store.problem(), "");
    EXPECT_EQ(store.count(), 1U);
}

} // namespace
} // namespace plimsoll::store
