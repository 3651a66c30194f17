#include "fleet/leak_case.hpp"

#include <filesystem>
#include <thread>

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

constexpr double mib = 1 << 20, limit = 100 * mib;

constexpr const char* found_by_a_trace = R"json({"lines": [
    {"file": "/srv/app/orders.py", "line": 41, "function": "remember", "bytes_per_request": 16000, "claimed": true}]})json";

constexpr WallTime beginning{std::chrono::seconds(1'000'000)}; // of the watch

LeakLife life_of(const std::string& worker, unsigned generation, const std::string& release) {
    Worker place;
    place.id = worker;
    Generation process;
    process.number = generation;
    process.started_at = beginning + std::chrono::seconds(generation);
    LeakLife life(place, process, beginning);
    life.release = release;
    return life;
}

// Serves requests of which each leaves so many bytes behind.
void serve(LeakLife& life, LeakCase& found, std::uint64_t requests, double bytes) {
    leak::Detector& memory = life.of(Watched::memory);
    for (std::uint64_t i = 0; i < requests; i += 5) {
        life.requests += 5;
        const auto served = static_cast<double>(life.requests);
        memory.observe({.requests = served, .seconds = served / 50, .used = 20 * mib + served * bytes});
        memory.judge(limit, 50, found.history);
    }
}

class LeakCases : public testing::Test {
protected:
    LeakCases() : threads_(std::make_shared<boost::asio::thread_pool>(1)) {
        char name[] = "/tmp/plimsoll-case-XXXXXX";
        directory_ = ::mkdtemp(name);
        store_.emplace(store::IncidentStore::Settings{directory_});
        journal_.emplace(threads_, *store_, Publish{});
    }
    ~LeakCases() override {
        threads_->join();
        std::error_code ignored; // what is left behind harms nobody
        std::filesystem::remove_all(directory_, ignored);
    }
    // What was said is in the store a moment later.
    store::Incident when(const std::string& id, const std::function<bool(const store::Incident&)>& so) {
        const auto end = Clock::now() + 20s;
        while (!so(*store_->get(id)) && Clock::now() < end) std::this_thread::sleep_for(1ms);
        EXPECT_TRUE(so(*store_->get(id))) << story(*store_->get(id));
        return *store_->get(id);
    }
    store::Incident closed(const std::string& id) {
        return when(id, [](const store::Incident& incident) { return incident.state == "closed"; });
    }
    static std::string story(const store::Incident& incident) {
        std::string text = incident.verdict + "\n";
        for (const auto& entry : incident.timeline) text += entry.event + "\n";
        return text;
    }
    LeakLife accused(const std::string& worker, unsigned generation, const std::string& release,
                     const std::vector<RouteShare>& routes = {}) {
        LeakLife life = life_of(worker, generation, release);
        serve(life, found_, 2600, 16 << 10);
        EXPECT_TRUE(accuses(life.verdict(Watched::memory)));
        found_.accuse(*journal_, life, routes);
        return life;
    }
    LeakLife accused_at(Duration when) { // a hundred seconds after it began
        LeakLife life = life_of("app-1", 1, "42");
        life.began = Instant(when - 100s);
        life.last_read = Instant(when);
        serve(life, found_, 2600, 16 << 10);
        found_.accuse(*journal_, life, {});
        return life;
    }
    bool acquitted(unsigned generation, const std::string& release, std::uint64_t requests = 4500, double asked = 1e9) {
        LeakLife life = life_of("app-1", generation, release);
        serve(life, found_, requests, 0);
        return found_.acquit(
            life, [asked](const std::string&) { return LeakCase::Asks{.here = asked, .anywhere = asked}; }, nobody_);
    }

    std::string directory_;
    std::shared_ptr<boost::asio::thread_pool> threads_;
    std::optional<store::IncidentStore> store_;
    std::optional<Journal> journal_;
    LeakCase found_{Watched::memory, "app"};
    const std::function<bool()> nobody_ = [] { return false; }; // grows beside it
    const LeakCase::Asked asked_ = [](const std::string&) {
        return LeakCase::Asks{.here = 1e9, .anywhere = 1e9};
    }; // often enough to show any leak
    const std::vector<RouteShare> orders_{{"GET /orders/{n}", 16384, 16000, 16800, 0.9}};
};

// Its caches are full already: that it grows no more says nothing of those that begin anew.
TEST(LeakLife, of_a_process_that_served_before_we_came_nobody_knows_the_age) {
    const auto came_late = [](Duration before) {
        Generation process;
        process.started_at = beginning - std::chrono::duration_cast<WallTime::duration>(before);
        LeakLife life({}, process, beginning);
        life.read(process, 100, Instant{1s}, 10s);
        return life.came_late;
    };
    EXPECT_TRUE(came_late(1h));
    EXPECT_FALSE(came_late(10s)) << "they were started together";
    EXPECT_FALSE(came_late(-1h));
    LeakLife life = life_of("app-1", 1, "");
    life.requests = 100;
    EXPECT_EQ(life.served(), 100);
    life.came_late = true;
    EXPECT_EQ(life.served(), 0) << "unknown: what a container has gained in all cannot be told a request";
}

TEST_F(LeakCases, every_generation_that_leaks_joins_one_incident) {
    LeakLife first = accused("app-1", 1, "");
    const std::string id = found_.incident()->id();
    found_.ended(first);
    const LeakLife second = accused("app-1", 2, "");
    EXPECT_EQ(found_.incident()->id(), id);
    EXPECT_TRUE(found_.is_accused(second));
    EXPECT_FALSE(found_.is_accused(first));
    const auto told = when(id, [](const auto& incident) { return incident.timeline.size() >= 2; });
    EXPECT_NE(story(told).find("generation 2 of app-1 leaks"), std::string::npos) << story(told);
}

TEST_F(LeakCases, the_release_that_brought_it_is_named_where_the_one_before_was_there_for_long_enough) {
    EXPECT_FALSE(acquitted(1, "41")) << "there is nothing to close";
    const LeakLife life = accused("app-1", 2, "42");
    LeakReport report;
    found_.describe(report, leak::Class::leaking);
    EXPECT_EQ(report.since_release, "42");
    EXPECT_EQ(report.release_before, "41");
}

TEST_F(LeakCases, a_release_that_went_on_for_longer_without_it_has_mended_it) {
    found_.ended(accused("app-1", 1, "42"));
    const std::string id = found_.incident()->id();
    EXPECT_FALSE(acquitted(2, "43", 3000)) << "2,600 requests were needed to see it: 3,000 without it are not enough";
    EXPECT_TRUE(acquitted(3, "43"));
    EXPECT_EQ(found_.incident(), nullptr);
    EXPECT_TRUE(closed(id).verdict.starts_with("mended in release 43: generation 3 of app-1 served 4500 requests"))
        << closed(id).verdict;
}

TEST_F(LeakCases, growth_that_ended_in_the_same_release_is_not_called_mended) {
    found_.ended(accused("app-1", 1, "42"));
    const std::string id = found_.incident()->id();
    EXPECT_TRUE(acquitted(2, "42"));
    EXPECT_NE(closed(id).verdict.find("though the release is the same"), std::string::npos) << closed(id).verdict;
}

TEST_F(LeakCases, a_case_is_not_closed_while_its_route_was_hardly_asked) {
    found_.ended(accused("app-1", 1, "42", orders_));
    EXPECT_FALSE(acquitted(2, "43", 4500, 700)) << "700 requests would have left 11 MiB";
    EXPECT_TRUE(acquitted(3, "43", 4500, 800));
}

// Its traffic spares app-2 what app-1 leaks, whichever of them began first.
TEST_F(LeakCases, nor_by_a_worker_that_was_there_before_and_may_just_have_been_spared) {
    found_.ended(accused_at(200s));
    const auto proves = [&](Instant began, unsigned generation) {
        LeakLife life = life_of("app-2", generation, "42");
        life.began = began;
        serve(life, found_, 4500, 0);
        return found_.acquit(life, asked_, nobody_);
    };
    EXPECT_FALSE(proves(Instant(50s), 2));
    EXPECT_FALSE(proves(Instant(101s), 3)) << "they were started together";
    EXPECT_TRUE(proves(Instant(210s), 4));
}

TEST_F(LeakCases, but_by_the_accused_worker_itself_when_its_growth_ends) {
    const LeakLife life = accused_at(200s);
    LeakLife later = life_of("app-1", 1, "42"); // the same one: nothing came of it
    later.began = life.began;
    serve(later, found_, 6000, 0);
    EXPECT_FALSE(found_.acquit(later, asked_, nobody_)) << "2,600 of them are those by which it was accused";
    serve(later, found_, 1000, 0);
    EXPECT_TRUE(found_.acquit(later, asked_, nobody_));
}

TEST_F(LeakCases, nor_while_another_one_grows_of_whom_it_is_only_suspected) {
    found_.ended(accused("app-1", 1, "42"));
    LeakLife life = life_of("app-1", 2, "43");
    serve(life, found_, 4500, 0);
    EXPECT_FALSE(found_.acquit(life, asked_, [] { return true; }));
    EXPECT_TRUE(found_.acquit(life, asked_, nobody_));
}

TEST_F(LeakCases, nor_while_another_worker_is_still_accused) {
    const LeakLife life = accused("app-2", 1, "42");
    EXPECT_FALSE(acquitted(2, "43"));
}

TEST_F(LeakCases, a_leak_that_comes_back_goes_on_with_its_story) {
    found_.ended(accused("app-1", 1, "42", orders_));
    const std::string id = found_.incident()->id();
    ASSERT_TRUE(acquitted(2, "43"));
    closed(id);
    const LeakLife life = accused("app-1", 3, "44", orders_);
    EXPECT_EQ(found_.incident()->id(), id);
    const std::string back = "it is back, last seen in release 42"; // noted after it was opened
    const auto told = when(id, [&](const auto& incident) { return story(incident).find(back) != std::string::npos; });
    EXPECT_NE(story(told).find(back), std::string::npos) << story(told);
    EXPECT_EQ(told.state, "open");
    EXPECT_EQ(store_->count(), 1U);
}

TEST_F(LeakCases, one_that_was_opened_before_its_route_was_known_is_closed_with_a_reference) {
    found_.ended(accused("app-1", 1, "42", orders_));
    const std::string id = found_.incident()->id();
    ASSERT_TRUE(acquitted(2, "43"));
    closed(id);
    const LeakLife life = accused("app-1", 3, "44");
    const std::string fresh = found_.incident()->id();
    EXPECT_NE(fresh, id);
    found_.found_routes(*journal_, orders_);
    EXPECT_EQ(found_.incident()->id(), id);
    EXPECT_EQ(closed(fresh).verdict, "the same leak as incident " + id + ": its story goes on there");
}

// Before anybody knew the route it was closed; the one that found it out is closed as this one.
TEST_F(LeakCases, and_what_it_found_out_is_told_where_the_story_goes_on) {
    const auto with_lines = [&](const LeakLife& life) {
        found_.learn(*journal_, life, found_.incident()->id(), boost::json::parse(found_by_a_trace).as_object());
    };
    const LeakLife first = accused("app-1", 1, "42");
    with_lines(first);
    found_.ended(first);
    const std::string id = found_.incident()->id();
    ASSERT_TRUE(acquitted(2, "43"));
    closed(id);
    const LeakLife life = accused("app-1", 3, "44");
    ASSERT_NE(found_.incident()->id(), id);
    found_.found_routes(*journal_, orders_);
    with_lines(life);
    ASSERT_EQ(found_.incident()->id(), id);
    const std::string route = "GET /orders/{n} leaks 16.0 KiB a request (15.6 to 16.4 KiB)";
    when(id, [&](const auto& incident) { return story(incident).find(route) != std::string::npos; });
}

TEST_F(LeakCases, the_story_tells_the_group_at_first_and_the_route_when_the_order_is_sure) {
    using enum leak::Heaviest;
    const RouteShare carts{"GET /carts", 15000, 14000, 17000, 0.4, maybe};
    RouteShare orders = orders_[0];
    orders.heaviest = maybe;
    const LeakLife life = accused("app-1", 1, "42", {orders, carts});
    const std::string id = found_.incident()->id();
    found_.found_routes(*journal_, {carts, orders}); // another draw of the same group: no news
    found_.found_routes(*journal_, {orders, carts});
    orders.heaviest = yes;
    found_.found_routes(*journal_, {orders});
    RouteShare with_prices = orders;
    with_prices.route += " + GET /prices"; // nothing separates them, for a while
    found_.found_routes(*journal_, {with_prices});
    found_.found_routes(*journal_, {orders});
    const std::string known = "GET /orders/{n} leaks 16.0 KiB a request (15.6 to 16.4 KiB)";
    const auto told = when(id, [&](const auto& incident) { return story(incident).find(known) != std::string::npos; });
    std::vector<std::string> routes;
    for (const auto& entry : told.timeline)
        if (entry.event.find("GET /orders") != std::string::npos) routes.push_back(entry.event);
    EXPECT_EQ(routes, (std::vector<std::string>{"one of GET /orders/{n}, GET /carts (order not sure yet) leaks most: "
                                                "GET /orders/{n} 16.0 KiB a request (15.6 to 16.4 KiB)",
                                                known}));
}

TEST_F(LeakCases, another_route_is_another_leak) {
    found_.ended(accused("app-1", 1, "42", orders_));
    const std::string id = found_.incident()->id();
    ASSERT_TRUE(acquitted(2, "43"));
    closed(id);
    const LeakLife life = accused("app-1", 3, "44", {{"GET /carts", 16384, 16000, 16800, 0.9}});
    EXPECT_NE(found_.incident()->id(), id);
}

// One release mends a leak and brings another, before anybody saw that the first one was gone.
class AnotherRelease : public LeakCases {
protected:
    AnotherRelease() {
        const LeakLife life = accused("app-1", 1, "42", orders_);
        found_.learn(*journal_, life, "i-000099", boost::json::parse(found_by_a_trace).as_object());
        EXPECT_TRUE(found_.has_lines());
        found_.ended(life);
        accused("app-1", 2, "43");
    }
    std::size_t lines() const {
        LeakReport report;
        found_.describe(report, leak::Class::leaking);
        return report.lines.size();
    }
};

TEST_F(AnotherRelease, is_traced_anew_and_keeps_the_lines_of_the_route_that_still_leaks) {
    EXPECT_FALSE(found_.has_lines());
    found_.found_routes(*journal_, orders_);
    EXPECT_EQ(lines(), 1U);
}

TEST_F(AnotherRelease, has_not_the_lines_of_a_route_that_does_not_leak_in_it) {
    found_.found_routes(*journal_, {{"GET /carts", 16384, 16000, 16800, 0.9}});
    EXPECT_EQ(lines(), 0U);
}

TEST_F(AnotherRelease, in_which_another_route_leaks_ends_the_story_of_the_first_and_has_its_own) {
    const std::string first = found_.incident()->id();
    found_.found_routes(*journal_, {{"GET /search", 16384, 16000, 16800, 0.9}});
    const std::string second = found_.incident()->id();
    ASSERT_NE(second, first);
    EXPECT_EQ(closed(first).verdict, "not seen in release 43: what leaks there is GET /search, incident " + second);
    EXPECT_TRUE(found_.seen()) << "it is told as the first one was";
    ASSERT_EQ(found_.kept().past.size(), 1U);
    EXPECT_EQ(found_.kept().past[0].release, "42");
    EXPECT_EQ(found_.kept().past[0].mark.lines.size(), 1U);
    when(second, [](const auto& each) { return story(each).find("GET /search leaks") != std::string::npos; });
}

TEST_F(AnotherRelease, is_the_same_leak_where_its_route_is_one_of_several_now) {
    const std::string first = found_.incident()->id();
    RouteShare orders = orders_[0];
    orders.share = 0.05;
    found_.found_routes(*journal_, {{"GET /search", 16384, 16000, 16800, 0.9}, orders});
    EXPECT_EQ(found_.incident()->id(), first);
}

constexpr const char* found_elsewhere = R"json({"lines": [
    {"file": "/srv/app/search.py", "line": 7, "function": "find", "bytes_per_request": 16000, "claimed": true}]})json";

// As a trace does it: what it found is in the incident already when it is told of.
TEST_F(LeakCases, of_one_label_another_line_in_another_release_is_another_leak) {
    found_.has_one_route(true);
    const std::vector<RouteShare> one{{"POST /graphql", 16384, 16000, 16800, 1}};
    const LeakLife life = accused("app-1", 1, "42", one);
    const std::string first = found_.incident()->id();
    found_.learn(*journal_, life, first, boost::json::parse(found_by_a_trace).as_object());
    found_.ended(life);
    const LeakLife next = accused("app-1", 2, "43", one);
    ASSERT_EQ(found_.incident()->id(), first) << "nothing is known yet";
    found_.incident()->details["lines"] = boost::json::parse(found_elsewhere).at("lines");
    found_.learn(*journal_, next, first, found_.incident()->details);
    const std::string second = found_.incident()->id();
    ASSERT_NE(second, first);
    EXPECT_TRUE(found_.has_lines());
    EXPECT_NE(closed(first).details.find("orders.py"), std::string::npos) << "it keeps its own line";
    EXPECT_EQ(closed(first).details.find("search.py"), std::string::npos);
}

TEST_F(LeakCases, of_one_label_or_of_every_route_a_leak_that_was_mended_is_not_said_to_be_back) {
    for (const char* route : {"POST /graphql", "every route"}) {
        SCOPED_TRACE(route);
        found_.has_one_route(route != std::string("every route"));
        const std::vector<RouteShare> one{{route, 16384, 16000, 16800, 1}};
        found_.ended(accused("app-1", 1, "42", one));
        const std::string id = found_.incident()->id();
        ASSERT_TRUE(acquitted(2, "43"));
        found_.ended(accused("app-1", 3, "44", one));
        EXPECT_NE(found_.incident()->id(), id);
        ASSERT_TRUE(acquitted(4, "45"));
    }
}

TEST_F(LeakCases, the_line_of_a_leak_that_was_mended_is_told_again_only_when_a_trace_finds_it) {
    const auto told = [&] {
        LeakReport report;
        found_.describe(report, leak::Class::leaking);
        return report.lines.size();
    };
    const auto found = boost::json::parse(found_by_a_trace).as_object();
    const LeakLife first = accused("app-1", 1, "42", orders_);
    const std::string id = found_.incident()->id();
    found_.learn(*journal_, first, id, found);
    EXPECT_EQ(told(), 1U);
    found_.ended(first);
    ASSERT_TRUE(acquitted(2, "43"));
    const LeakLife again = accused("app-1", 3, "44", orders_);
    ASSERT_EQ(found_.incident()->id(), id);
    EXPECT_EQ(told(), 0U);
    EXPECT_FALSE(found_.has_lines());
    found_.learn(*journal_, again, id, found);
    EXPECT_EQ(told(), 1U);
}

TEST_F(LeakCases, in_the_same_release_a_line_outlives_a_route_that_was_wrong) {
    const LeakLife life = accused("app-1", 1, "42", {{"GET /carts", 16384, 16000, 16800, 0.9}});
    found_.learn(*journal_, life, "i-000099", boost::json::parse(found_by_a_trace).as_object());
    found_.found_routes(*journal_, orders_);
    EXPECT_TRUE(found_.has_lines());
}

// 200 requests of which none went to the route that leaks most.
TEST_F(LeakCases, the_line_of_another_route_does_not_end_the_search_and_is_not_lost_by_it) {
    const RouteShare report{"GET /report", 2 * mib, 2 * mib, 2 * mib, 0.9};
    const LeakLife life = accused("app-1", 1, "42", {report, orders_[0]});
    const auto learn = [&](const char* asked, const char* file, bool claimed) {
        found_.learn(*journal_, life, "i-000099",
                     {{"asked", {{"requests", 200}, {"routes", boost::json::parse(asked)}}},
                      {"lines", boost::json::array{{{"file", file},
                                                    {"line", 7},
                                                    {"function", "f"},
                                                    {"bytes_per_request", 10000},
                                                    {"claimed", claimed}}}}});
        LeakReport told;
        found_.describe(told, leak::Class::leaking);
        return told.lines.empty() ? "" : told.lines[0].file + " of " + told.lines[0].route;
    };
    EXPECT_EQ(learn(R"({"GET /orders/{n}": 120})", "orders.py", true), "orders.py of GET /orders/{n}");
    EXPECT_FALSE(found_.has_lines());
    EXPECT_EQ(learn("{}", "nobody.py", false), "orders.py of GET /orders/{n}");
    EXPECT_EQ(learn(R"({"GET /report": 1})", "report.py", true), "report.py of GET /report");
    EXPECT_TRUE(found_.has_lines());
    EXPECT_EQ(learn(R"({"GET /orders/{n}": 120})", "orders.py", true), "report.py of GET /report");
    EXPECT_TRUE(found_.has_lines());
}

// No process is as old as the one that was accused first: they are replaced with every deploy.
TEST_F(LeakCases, several_processes_prove_together_what_none_of_them_lives_long_enough_for) {
    found_.ended(accused("app-1", 1, "42"));
    const std::string id = found_.incident()->id();
    EXPECT_FALSE(acquitted(2, "43", 2500)) << "so young the leak would not have shown";
    EXPECT_FALSE(acquitted(3, "43", 2700));
    EXPECT_TRUE(acquitted(4, "44", 2700));
    EXPECT_NE(closed(id).verdict.find("2 processes served 5400 requests"), std::string::npos) << closed(id).verdict;
}

TEST_F(LeakCases, but_an_accusation_takes_away_what_they_had_proved) {
    found_.ended(accused("app-1", 1, "42"));
    EXPECT_FALSE(acquitted(2, "42", 2700));
    found_.ended(accused("app-1", 3, "42"));
    EXPECT_FALSE(acquitted(4, "42", 2700));
    EXPECT_TRUE(acquitted(5, "42", 2700));
}

TEST_F(LeakCases, the_soonest_accusation_says_how_long_a_proof_takes) {
    LeakLife slow = life_of("app-1", 1, "42");
    serve(slow, found_, 9000, 16 << 10);
    found_.accuse(*journal_, slow, {});
    const double first = found_.proof();
    found_.ended(slow);
    found_.ended(accused("app-1", 2, "42"));
    EXPECT_EQ(first, 13500);
    EXPECT_EQ(found_.proof(), 3900);
}

class MendedByDeletion : public LeakCases {
protected:
    bool acquitted_where_asked(const std::string& release, double anywhere, double requests, Duration later = 25h) {
        LeakLife life = life_of("app-1", ++generation_, release);
        life.last_read = Instant(later);
        serve(life, found_, 4500, 0);
        const auto asked = [=](const std::string&) { return LeakCase::Asks{0, anywhere, requests}; };
        return found_.acquit(life, asked, nobody_);
    }
    unsigned generation_ = 1;
};

TEST_F(MendedByDeletion, a_route_that_nobody_asks_of_the_next_release_is_gone) {
    found_.ended(accused("app-1", 1, "42", orders_)); // nine requests in ten were its
    EXPECT_FALSE(acquitted_where_asked("42", 0, 9000)) << "it is there still";
    EXPECT_FALSE(acquitted_where_asked("43", 1, 9000)) << "and here";
    EXPECT_FALSE(acquitted_where_asked("43", 0, 10)) << "that may be chance";
    EXPECT_FALSE(acquitted_where_asked("43", 0, 9000, 8h)) << "a nightly job asks nothing all day";
    EXPECT_FALSE(acquitted_where_asked("", 0, 9000)) << "nobody knows what changed";
    EXPECT_TRUE(acquitted_where_asked("43", 0, 9000));
}

TEST_F(LeakCases, a_route_whose_interval_reaches_below_nothing_does_not_keep_a_case_open_for_ever) {
    found_.ended(accused("app-1", 1, "42", {{"GET /orders/{n}", 16384, -100, 33000, 0.9}}));
    EXPECT_TRUE(acquitted(2, "43"));
}

TEST_F(LeakCases, while_a_predecessor_holds_the_store_its_open_incident_is_waited_for) {
    const LeakLife life = accused("app-1", 1, "");
    const std::string id = found_.incident()->id();
    when(id, [](const auto& incident) { return !incident.timeline.empty(); });
    store::IncidentStore successors(store::IncidentStore::Settings{directory_});
    ASSERT_FALSE(successors.problem().empty());
    Journal journal(threads_, successors, Publish{});
    LeakCase successor(Watched::memory, "app");
    successor.resume(journal, found_.kept());
    EXPECT_EQ(successor.incident(), nullptr);
    EXPECT_EQ(successor.kept().incident, id) << "it must not be lost if this one ends meanwhile";
    threads_->join();
    store_.reset(); // the predecessor ends
    for (const auto end = Clock::now() + 30s; !successor.incident() && Clock::now() < end;) {
        std::this_thread::sleep_for(10ms);
        successors.sweep(); // it looks whether it can have the store now
        successor.go_on(journal);
    }
    ASSERT_NE(successor.incident(), nullptr);
    EXPECT_EQ(successor.incident()->id(), id);
}

TEST_F(LeakCases, all_of_it_is_known_after_a_restart) {
    found_.ended(accused("app-1", 1, "42", orders_));
    const std::string id = found_.incident()->id();
    when(id, [](const auto& incident) { return incident.details.find("/orders/") != std::string::npos; });
    LeakCase again(Watched::memory, "app");
    again.resume(*journal_, found_.kept());
    ASSERT_TRUE(again.incident());
    EXPECT_EQ(again.incident()->id(), id);
    EXPECT_TRUE(again.incident()->details.contains("routes")) << "what was found out is not lost";
    LeakReport report;
    again.describe(report, leak::Class::leaking);
    ASSERT_EQ(report.routes.size(), 1U) << "the verdict must not lose its route until it is learned anew";
    EXPECT_EQ(report.routes[0].route, "GET /orders/{n}");
    EXPECT_EQ(again.kept().releases, found_.kept().releases);
    EXPECT_EQ(again.kept().release, "42");
}

TEST_F(LeakCases, after_a_restart_too_one_that_was_opened_as_new_may_turn_out_to_be_of_the_past) {
    const LeakLife first = accused("app-1", 1, "42", orders_);
    found_.ended(first);
    const std::string id = found_.incident()->id();
    ASSERT_TRUE(acquitted(2, "43"));
    closed(id);
    found_.ended(accused("app-1", 3, "44"));
    ASSERT_NE(found_.incident()->id(), id);
    LeakCase again(Watched::memory, "app");
    again.resume(*journal_, found_.kept());
    again.found_routes(*journal_, orders_);
    EXPECT_EQ(again.incident()->id(), id);
}

TEST_F(LeakCases, a_route_of_an_earlier_release_is_not_told_of_the_one_that_leaks_now) {
    found_.ended(accused("app-1", 1, "42", orders_));
    const LeakLife life = accused("app-1", 2, "43");
    LeakReport report;
    found_.describe(report, leak::Class::leaking);
    EXPECT_TRUE(report.routes.empty());
    found_.found_routes(*journal_, orders_);
    found_.describe(report, leak::Class::leaking);
    EXPECT_EQ(report.routes.size(), 1U);
}

TEST_F(LeakCases, whose_only_route_becomes_sure_tells_it_once) {
    std::vector<RouteShare> only = orders_;
    only[0].heaviest = leak::Heaviest::maybe;
    const LeakLife life = accused("app-1", 1, "42", only);
    const std::string id = found_.incident()->id();
    only[0].heaviest = leak::Heaviest::yes;
    found_.found_routes(*journal_, only);
    found_.incident()->note("the end");
    const std::string text = story(
        when(id, [](const auto& each) { return !each.timeline.empty() && each.timeline.back().event == "the end"; }));
    EXPECT_EQ(text.find("GET /orders/{n} leaks"), text.rfind("GET /orders/{n} leaks")) << text;
}

TEST_F(LeakCases, what_a_recycles_capture_found_becomes_part_of_the_story) {
    const LeakLife life = accused("app-1", 1, "42");
    const std::string id = found_.incident()->id();
    found_.learn(*journal_, life, "i-000099",
                 boost::json::parse(R"json({
        "lines": [{"file": "/srv/app/orders.py", "line": 41, "function": "remember", "bytes_per_request": 16000, "claimed": true}],
        "containers": [{"kept_by": "shop.orders._seen (dict, 2600 items)", "length": 2600, "grown": 2600, "bytes": 42598400
}]
})json")
                     .as_object());
    const auto told =
        when(id, [](const auto& incident) { return incident.details.find("kept_by") != std::string::npos; });
    EXPECT_NE(story(told).find("incident i-000099 found: the memory is allocated by app/orders.py:41 in `remember`"),
              std::string::npos)
        << story(told);
    LeakReport report;
    found_.describe(report, leak::Class::leaking);
    EXPECT_EQ(report.kept_by, "shop.orders._seen (dict, 2600 items)");
    ASSERT_EQ(report.lines.size(), 1U);
    EXPECT_NE(report.advice.find("`shop.orders._seen` only grows"), std::string::npos) << report.advice;
}

} // namespace
} // namespace plimsoll::fleet
