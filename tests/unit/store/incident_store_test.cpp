#include "store/incident_store.hpp"

#include <fstream>
#include <thread>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "store/utf8.hpp"
#include "unit/store/directory.hpp"

namespace plimsoll::store {
namespace {

namespace fs = std::filesystem;

unsigned mode(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777U : 0U;
}

TEST(incidents, are_the_same_after_a_restart) {
    Directory directory;
    std::string id;
    {
        IncidentStore store(in(directory.path()));
        ASSERT_EQ(store.problem(), "");
        id = store.open("app", "app-1", 3, "soft_limit", "");
        EXPECT_EQ(id, "i-000001");
        store.note(id, "drained in 41 ms");
        store.note(id, "captured");
        store.set_verdict(id, "grew past 400 MiB");
        store.set_capture_status(id, "done");
        store.set_details(id, R"({"routes":[]})");
        EXPECT_EQ(store.add_file(id, "stacks.txt", "main\n"), "");
        store.close(id);
    }
    IncidentStore store(in(directory.path()));
    EXPECT_TRUE(store.abandoned().empty());
    const auto incident = store.get(id);
    ASSERT_TRUE(incident);
    EXPECT_EQ(incident->pool, "app");
    EXPECT_EQ(incident->worker, "app-1");
    EXPECT_EQ(incident->generation, 3U);
    EXPECT_EQ(incident->state, "closed");
    EXPECT_EQ(incident->trigger, "soft_limit");
    EXPECT_EQ(incident->verdict, "grew past 400 MiB");
    EXPECT_EQ(incident->capture_status, "done");
    EXPECT_EQ(incident->details, R"({"routes":[]})");
    EXPECT_TRUE(incident->closed_at);
    ASSERT_EQ(incident->timeline.size(), 2U);
    EXPECT_EQ(incident->timeline[0].event, "drained in 41 ms");
    ASSERT_EQ(incident->files.size(), 1U);
    EXPECT_EQ(incident->files[0].name, "stacks.txt");
    EXPECT_EQ(incident->files[0].size, Bytes{5});
    EXPECT_EQ(store.read_file(id, "stacks.txt"), "main\n");
}

TEST(incidents, what_was_open_is_abandoned_with_the_reason_at_the_next_open) {
    Directory directory;
    std::string bare, with_files;
    {
        IncidentStore store(in(directory.path()));
        bare = store.open("app", "app-1", 1, "operator", "");
        store.set_capture_status(bare, "running");
        with_files = store.open("app", "app-2", 1, "operator", "");
        store.set_capture_status(with_files, "running");
        ASSERT_EQ(store.add_file(with_files, "stacks.txt", "x"), "");
    }
    IncidentStore store(in(directory.path()));
    EXPECT_EQ(store.abandoned(), (std::vector<std::string>{bare, with_files}));
    EXPECT_EQ(store.get(bare)->state, "abandoned");
    EXPECT_EQ(store.get(bare)->capture_status, "failed");
    EXPECT_EQ(store.get(with_files)->capture_status, "partial");
    EXPECT_EQ(store.get(bare)->timeline.back().event, "abandoned: Plimsoll ended while this was open");
    EXPECT_TRUE(store.get(bare)->closed_at);
}

TEST(incidents, one_that_is_gone_on_with_is_not_called_abandoned_in_its_own_story) {
    Directory directory;
    std::string id;
    {
        IncidentStore store(in(directory.path()));
        id = store.open("app", "app-1", 1, "leak", "");
        store.note(id, "app-1 leaks");
    }
    IncidentStore store(in(directory.path()));
    ASSERT_EQ(store.get(id)->state, "abandoned");
    ASSERT_TRUE(store.reopen(id));
    EXPECT_EQ(store.get(id)->state, "open");
    EXPECT_EQ(store.get(id)->timeline.back().event, "app-1 leaks");
}

TEST(incidents, are_listed_newest_first_by_pool_and_within_the_limit) {
    Directory directory;
    IncidentStore store(in(directory.path()));
    for (int i = 0; i < 6; ++i) {
        const auto id = store.open(i % 2 == 0 ? "even" : "odd", "w", 1, "death", "");
        store.note(id, "noted");
        if (i < 4) store.close(id);
    }
    const auto all = store.list(100);
    ASSERT_EQ(all.size(), 6U);
    EXPECT_EQ(all.front().id, "i-000006");
    EXPECT_EQ(all.back().id, "i-000001");
    EXPECT_TRUE(all.front().timeline.empty());
    const auto odd = store.list(2, "odd");
    ASSERT_EQ(odd.size(), 2U);
    EXPECT_EQ(odd[0].id, "i-000006");
    EXPECT_EQ(odd[1].id, "i-000004");
    EXPECT_EQ(store.count(), 6U);
    EXPECT_TRUE(store.list(0).empty());
}

TEST(incidents, a_closed_one_can_still_be_told_more_but_is_closed_once) {
    Directory directory;
    IncidentStore store(in(directory.path()));
    const auto id = store.open("app", "w", 1, "death", "");
    store.close(id, "closed");
    const auto closed_at = store.get(id)->closed_at;
    store.close(id, "abandoned");
    store.note(id, "the successor serves");
    EXPECT_EQ(store.get(id)->state, "closed");
    EXPECT_EQ(store.get(id)->closed_at, closed_at);
    EXPECT_EQ(store.get(id)->timeline.back().event, "the successor serves");
    store.note("i-999999", "nobody's");
    EXPECT_FALSE(store.get("i-999999"));
}

TEST(incidents, one_that_was_closed_can_be_opened_again_and_is_as_it_was) {
    Directory directory;
    std::string id;
    {
        IncidentStore store(in(directory.path()));
        id = store.open("app", "app-1", 1, "leak", "app-1 leaks");
        store.set_details(id, R"({"routes": []})");
        store.note(id, "first");
        store.close(id);
    }
    IncidentStore store(in(directory.path()));
    const auto again = store.reopen(id);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->details, R"({"routes": []})");
    EXPECT_EQ(store.get(id)->state, "open");
    EXPECT_FALSE(store.get(id)->closed_at);
    store.note(id, "second");
    store.close(id);
    EXPECT_EQ(store.get(id)->timeline.size(), 2U);
    EXPECT_EQ(store.get(id)->state, "closed");
    EXPECT_FALSE(store.reopen("i-999999"));
}

TEST(incidents, numbers_are_not_used_again_after_a_sweep) {
    Directory directory;
    auto settings = in(directory.path());
    settings.max_incidents = 0;
    {
        IncidentStore store(settings);
        store.close(store.open("app", "w", 1, "death", ""));
        store.sweep();
        EXPECT_EQ(store.count(), 0U);
    }
    IncidentStore store(settings);
    EXPECT_EQ(store.open("app", "w", 1, "death", ""), "i-000002");
}

TEST(incidents, foreign_bytes_become_valid_text) {
    Directory directory;
    IncidentStore store(in(directory.path()));
    const auto id = store.open("app", "w", 1, "death",
                               "a\xff"
                               "b");
    store.note(id, "\xc3\x28 \xed\xa0\x80 \xf0\x9f\x98\x80");
    store.set_details(id, "{not json");
    store.set_details(id, "[]");
    store.close(id);
    EXPECT_EQ(store.get(id)->verdict, "a\xef\xbf\xbd"
                                      "b");
    ASSERT_EQ(store.get(id)->timeline.size(), 3U);
    EXPECT_EQ(store.get(id)->timeline[0].event, "\xef\xbf\xbd( \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x98\x80");
    EXPECT_EQ(store.get(id)->timeline[1].event, "details left out: no JSON object");
    EXPECT_EQ(store.get(id)->details, "{}");
    EXPECT_EQ(valid_utf8("abc\xf0\x9f\x98\x80", 6), "abc") << "a character is not cut in two";
}

TEST(incidents, a_timeline_has_a_bound) {
    Directory directory;
    IncidentStore store(in(directory.path()));
    const auto id = store.open("app", "w", 1, "death", "");
    for (int i = 0; i < 1100; ++i) store.note(id, "note " + std::to_string(i));
    const auto timeline = store.get(id)->timeline;
    EXPECT_EQ(timeline.size(), 1000U);
    EXPECT_EQ(timeline.front().event, "note 0");
    EXPECT_EQ(timeline[199].event, "note 199");
    EXPECT_EQ(timeline[200].event, "(more was noted here than is kept)");
    EXPECT_EQ(timeline[201].event, "note 301");
    EXPECT_EQ(timeline.back().event, "note 1099") << "how it ended";
}

TEST(files, nobody_else_may_read_them) {
    Directory directory;
    const auto path = directory.path() + "/made/deep";
    IncidentStore store(in(path));
    const auto id = store.open("app", "w", 1, "death", "");
    ASSERT_EQ(store.add_file(id, "a.txt", "x"), "");
    ASSERT_EQ(store.append_file(id, "b.txt", "x"), "");
    EXPECT_EQ(mode(path), 0700U);
    EXPECT_EQ(mode(store.directory(id)), 0700U);
    for (const auto file :
         {"/incidents.db", "/incidents.db-wal", "/incidents/i-000001/a.txt", "/incidents/i-000001/b.txt", "/lock"})
        EXPECT_EQ(mode(path + file), 0600U) << file;
}

TEST(files, no_name_escapes_the_directory) {
    Directory directory;
    IncidentStore store(in(directory.path()));
    const auto id = store.open("app", "w", 1, "death", "");
    for (const std::string name :
         {"", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a b", "a\n", "\xc3\xa9", "a\\b"}) {
        EXPECT_NE(store.add_file(id, name, "x"), "") << name;
        EXPECT_FALSE(store.read_file(id, name)) << name;
    }
    EXPECT_NE(store.add_file(id, std::string(101, 'a'), "x"), "");
    EXPECT_NE(store.add_file("../" + id, "a.txt", "x"), "");
    EXPECT_FALSE(store.read_file("..", "incidents.db"));
    EXPECT_EQ(store.directory("../.."), "");
}

TEST(files, a_link_is_not_followed) {
    Directory directory;
    IncidentStore store(in(directory.path()));
    const auto id = store.open("app", "w", 1, "death", "");
    const auto secret = directory.path() + "/secret";
    std::ofstream(secret) << "secret";
    fs::create_symlink(secret, store.directory(id) + "/link");
    EXPECT_FALSE(store.read_file(id, "link"));
    EXPECT_NE(store.append_file(id, "link", "x"), "");
    EXPECT_TRUE(store.get(id)->files.empty());
}

TEST(files, appending_grows_a_file_and_writing_replaces_it) {
    Directory directory;
    IncidentStore store(in(directory.path()));
    const auto id = store.open("app", "w", 1, "death", "");
    EXPECT_EQ(store.append_file(id, "out.txt", "one "), "");
    EXPECT_EQ(store.append_file(id, "out.txt", "two"), "");
    EXPECT_EQ(store.read_file(id, "out.txt"), "one two");
    EXPECT_EQ(store.add_file(id, "out.txt", "three"), "");
    EXPECT_EQ(store.read_file(id, "out.txt"), "three");
}

TEST(files, what_an_operators_command_left_is_listed) {
    Directory directory;
    IncidentStore store(in(directory.path()));
    const auto id = store.open("app", "w", 1, "death", "");
    std::ofstream(store.directory(id) + "/py-spy.txt") << "stacks";
    EXPECT_EQ(store.get(id)->files.at(0).name, "py-spy.txt");
    EXPECT_EQ(store.list(1).at(0).files.size(), 1U);
}

TEST(sweeping, by_age_spares_what_is_open) {
    Directory directory;
    auto settings = in(directory.path());
    settings.max_age = std::chrono::seconds{-1}; // everything is too old
    settings.clock_settles = {};
    IncidentStore store(settings);
    const auto open = store.open("app", "w", 1, "death", ""), closed = store.open("app", "w", 1, "death", "");
    for (const auto& id : {open, closed}) ASSERT_EQ(store.add_file(id, "a.txt", "x"), "");
    store.close(closed);
    store.sweep();
    EXPECT_TRUE(store.get(open));
    EXPECT_EQ(store.read_file(open, "a.txt"), "x");
    EXPECT_FALSE(store.get(closed));
    EXPECT_FALSE(fs::exists(directory.path() + "/incidents/" + closed));
}

TEST(sweeping, by_age_awaits_that_the_clock_is_believed) {
    Directory directory;
    auto settings = in(directory.path());
    settings.max_age = std::chrono::seconds{-1};
    IncidentStore store(settings);
    const auto closed = store.open("app", "w", 1, "death", "");
    store.close(closed);
    store.sweep();
    EXPECT_TRUE(store.get(closed));
}

TEST(sweeping, happens_by_itself_when_one_closes_and_when_the_store_is_opened) {
    Directory directory;
    auto settings = in(directory.path());
    settings.max_incidents = 2;
    settings.sweep_pause = {};
    {
        IncidentStore store(settings);
        for (int i = 0; i < 5; ++i) store.close(store.open("app", "w", 1, "death", ""));
        EXPECT_EQ(store.count(), 2U);
    }
    settings.max_incidents = 1;
    EXPECT_EQ(IncidentStore(settings).count(), 1U);
}

TEST(sweeping, by_size_takes_the_oldest_evidence_and_keeps_the_story) {
    Directory directory;
    auto settings = in(directory.path());
    settings.max_size = 10_KiB;
    IncidentStore store(settings);
    const std::string evidence(4 << 10, 'x');
    std::vector<std::string> ids;
    for (int i = 0; i < 3; ++i) {
        ids.push_back(store.open("app", "w", 1, "death", ""));
        EXPECT_EQ(store.add_file(ids.back(), "a.txt", evidence), "");
        store.set_capture_status(ids.back(), "done");
        store.close(ids.back());
    }
    EXPECT_FALSE(store.read_file(ids[0], "a.txt"));
    EXPECT_EQ(store.get(ids[0])->capture_status, "removed");
    EXPECT_NE(store.get(ids[0])->timeline.back().event.find("removed"), std::string::npos);
    EXPECT_TRUE(store.read_file(ids[1], "a.txt"));
    EXPECT_TRUE(store.read_file(ids[2], "a.txt"));
}

TEST(sweeping, what_is_open_is_never_given_up_for_space) {
    Directory directory;
    auto settings = in(directory.path());
    settings.max_size = 10_KiB;
    IncidentStore store(settings);
    const std::string evidence(4 << 10, 'x');
    const auto id = store.open("app", "w", 1, "death", "");
    EXPECT_EQ(store.add_file(id, "a.txt", evidence), "");
    EXPECT_EQ(store.add_file(id, "b.txt", evidence), "");
    EXPECT_EQ(store.add_file(id, "c.txt", evidence), "captures take 8.0 KiB of [store] max_size 10.0 KiB");
    EXPECT_EQ(store.get(id)->files.size(), 2U);
}

TEST(threads, may_all_use_the_store_at_once) {
    Directory directory;
    IncidentStore store(in(directory.path()));
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&store, t] {
            for (int i = 0; i < 20; ++i) {
                const auto id = store.open("app", "w-" + std::to_string(t), 1, "death", "");
                store.note(id, "noted");
                store.add_file(id, "a.txt", "x");
                (void)store.list(5);
                (void)store.problem();
                store.close(id);
                if (i % 7 == 0) store.sweep();
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(store.count(), 80U);
    EXPECT_EQ(store.opened().size(), 1U);
    EXPECT_EQ(store.opened().at(0).count, 80U);
}

} // namespace
} // namespace plimsoll::store
