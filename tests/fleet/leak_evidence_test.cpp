#include "fleet/leak_evidence.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace plimsoll::fleet {
namespace {

boost::json::object parsed(const char* text) { return boost::json::parse(text).as_object(); }

const Growth four_kib{3800, 4200, 1000};

TEST(LeakEvidence, a_container_that_agrees_with_the_growth_keeps_the_leak_and_a_larger_cache_above_it_does_not) {
    const auto found = evidence_of(parsed(R"json({"containers": [
        {"kept_by": "shop.cache (dict, 90000 items)", "length": 90000, "grown": 90000, "bytes": 900000000},
        {"kept_by": "shop.orders._seen (dict, 1000 items) -> Order", "length": 1000, "grown": 1000, "bytes": 3900000}]
})json"),
                                   four_kib);
    EXPECT_EQ(found.at("kept_by").as_string(), "shop.orders._seen (dict, 1000 items)");
}

TEST(LeakEvidence, only_what_a_container_gained_counts) {
    const auto found = evidence_of(parsed(R"json({"containers": [
        {"kept_by": "shop.routes (list, 100 items)", "length": 100, "grown": 1, "bytes": 4000000}]
})json"),
                                   four_kib);
    EXPECT_FALSE(found.contains("kept_by"));
}

TEST(LeakEvidence, a_container_without_a_name_is_told_by_who_has_it_and_by_what_it_is) {
    struct Case {
        const char *chain, *keeper;
    };
    const Case cases[] = {
        {"shop.count -> list (list, 1000 items)", "shop.count (list, 1000 items)"}, // a function's closure
        {"shop.pages (dict, 2 items) -> dict (dict, 1000 items)", "shop.pages (dict, 1000 items)"},
        {"shop.render (lru_cache, 1000 items)", "shop.render (lru_cache, 1000 items)"},
        {"local seen of serve (shop.py:7) -> set (set, 1000 items)",
         "local seen of serve (shop.py:7) (set, 1000 items)"},
        {"shop.orders (dict, 1000 items) -> shop.Order", "shop.orders (dict, 1000 items)"},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.chain);
        const boost::json::object container{
            {"kept_by", each.chain}, {"length", 1000}, {"grown", 1000}, {"bytes", 3900000}};
        const auto found = evidence_of({{"containers", boost::json::array{container}}}, four_kib);
        EXPECT_EQ(found.at("kept_by").as_string(), each.keeper);
    }
}

TEST(LeakEvidence, objects_without_a_container_are_kept_by_the_chain_of_their_type) {
    const auto found = evidence_of(parsed(R"json({"containers": [],
        "types": [{"type": "bytes", "delta_bytes": 100}, {"type": "shop.Order", "delta_bytes": 4000000}],
        "retainers": ["bytes: sys.modules (dict, 5 items)", "shop.Order: class shop.Cart.last -> Order (3 of 3)"]})json"),
                                   four_kib);
    EXPECT_EQ(found.at("kept_by").as_string(), "class shop.Cart.last");
    EXPECT_EQ(found.at("retainers").as_array().size(), 2U);
}

TEST(LeakEvidence, a_handful_of_objects_names_nobody_where_they_differ_or_are_of_a_type_that_is_everywhere) {
    const auto keeper = [](const char* type, const char* chain) {
        const boost::json::object grown{{"type", type}, {"delta_bytes", 4000000}};
        const auto found = evidence_of(
            {{"types", boost::json::array{grown}}, {"retainers", boost::json::array{std::string(type) + ": " + chain}}},
            four_kib);
        return found.contains("kept_by") ? std::string(found.at("kept_by").as_string()) : std::string{};
    };
    EXPECT_EQ(keeper("shop.Order", "class shop.Cart.last -> Order (3 of 3)"), "class shop.Cart.last");
    EXPECT_EQ(keeper("shop.Order", "class shop.Cart.last -> Order (1 of 3)"), "");
    EXPECT_EQ(keeper("shop.Order", "shop.seen (dict, 9 items)"), "shop.seen (dict, 9 items)") << "one, and all of it";
    EXPECT_EQ(keeper("list", "threading._active (dict, 3 items) (3 of 3)"), "");
    EXPECT_EQ(keeper("shop.Order", "class tracemalloc._Traces.__slotnames__ (list, 0 items) (3 of 3)"), "");
    EXPECT_EQ(keeper("shop.Order", "plimsoll_agent.capture.trace._held (dict, 7 items) (3 of 3)"), "");
    EXPECT_EQ(keeper("shop.Order", "local rows of look (/venv/plimsoll_agent/capture/x.py:7) -> Order (3 of 3)"), "");
}

TEST(LeakEvidence, a_container_of_what_traces_is_not_the_applications) {
    const auto found = evidence_of(parsed(R"json({"containers": [
        {"kept_by": "tracemalloc.seen (dict, 1000 items)", "length": 1000, "grown": 1000, "bytes": 4000000},
        {"kept_by": "shop.seen (dict, 1000 items)", "length": 1000, "grown": 1000, "bytes": 3900000}]})json"),
                                   four_kib);
    EXPECT_EQ(found.at("kept_by").as_string(), "shop.seen (dict, 1000 items)");
}

TEST(LeakEvidence, a_cache_that_keeps_an_eighth_of_the_growth_is_not_who_keeps_it) {
    const auto found = evidence_of(parsed(R"json({"containers": [
        {"kept_by": "class app.Repo.permissions (lru_cache)", "length": 400, "grown": 400, "bytes": 520000}]})json"),
                                   four_kib);
    EXPECT_FALSE(found.contains("kept_by"));
}

TEST(LeakEvidence, a_container_of_which_nobody_knows_how_it_began_is_not_said_to_have_grown) {
    const auto found = evidence_of(parsed(R"json({"containers": [
        {"kept_by": "app.CATALOG (dict, 30000 items)", "length": 30000, "grown": null, "bytes": 4000000}]})json"),
                                   four_kib);
    EXPECT_FALSE(found.contains("kept_by"));
}

TEST(LeakEvidence, nobody_is_named_where_the_growth_is_not_known) {
    const auto found = evidence_of(parsed(R"json({"containers": [
        {"kept_by": "a.b (dict, 1 items)", "length": 10, "grown": 10, "bytes": 4000000}]
})json"),
                                   {0, 0, 1000});
    EXPECT_TRUE(found.empty());
}

TEST(LeakEvidence, lines_are_those_that_are_claimed_and_the_heaviest_is_in_front) {
    const auto found = evidence_of(parsed(R"json({"lines": [
        {"file": "a.py", "line": 1, "bytes_per_request": 9000, "claimed": false},
        {"file": "b.py", "line": 2, "bytes_per_request": 1000, "claimed": true, "function": null},
        {"file": "c.py", "line": 3, "bytes_per_request": 3000, "claimed": true, "function": "Orders.add"}]})json"),
                                   four_kib);
    const auto lines = claimed_lines(found);
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].file, "c.py");
    EXPECT_EQ(lines[0].function, "Orders.add");
    EXPECT_EQ(lines[1].function, "");
}

TEST(LeakEvidence, a_leak_is_known_again_by_its_routes_its_function_and_the_applications_types) {
    const auto mark = fingerprint_of(parsed(R"json({
        "routes": [{"route": "GET /a + GET /b", "share": 0.7}, {"route": "GET /c", "share": 0.1}],
        "lines": [{"file": "/srv/43/app/orders.py", "line": 41, "function": "remember", "claimed": true}],
        "types": [{"type": "bytes"}, {"type": "shop.Order"}]})json"));
    EXPECT_EQ(mark.routes, (std::vector<std::string>{"GET /a", "GET /b"}));
    EXPECT_EQ(mark.lines, std::vector<std::string>{"app/orders.py in remember"}) << "wherever the release was unpacked";
    EXPECT_EQ(mark.types, std::vector<std::string>{"shop.Order"});
    EXPECT_TRUE(fingerprint_of({}).empty());
}

TEST(LeakEvidence, what_a_window_left_behind_follows_from_what_was_asked_in_it) {
    const std::vector<RouteShare> routes{{"GET /a", 4000, 3900, 4100, 0.8}, {"GET /b + GET /c", 1000, 900, 1100, 0.2}};
    const std::vector<std::string> names{"other", "GET /a", "GET /b", "GET /c", "GET /d"};
    const auto found = growth_of_routes(routes, names, {7, 100, 50}, {7, 150, 60, 10, 30}, 100);
    ASSERT_TRUE(found);
    EXPECT_DOUBLE_EQ(found->low, 3900 * 0.5 + 900 * 0.2);
    EXPECT_DOUBLE_EQ(found->high, 4100 * 0.5 + 1100 * 0.2);
    const auto none = growth_of_routes(routes, names, {7, 100, 50, 0, 0}, {7, 100, 50, 0, 100}, 100);
    ASSERT_TRUE(none);
    EXPECT_EQ(none->high, 0); // nothing that leaks was asked
    EXPECT_EQ(growth_of_routes({{"every route", 64, 60, 68, 1}}, names, {}, {}, 100)->low, 60);
    EXPECT_FALSE(growth_of_routes({}, names, {}, {}, 100));
}

TEST(LeakEvidence, what_most_descriptors_are_is_told_where_it_is_most_of_them) {
    const auto details = parsed(R"json({"leak": {"what": "descriptors"},
        "open": {"descriptors": {"socket, tcp close-wait": 412, "file": 48}, "threads": {"a": 1, "b": 1, "c": 1}}})json");
    EXPECT_EQ(mostly_in(details, "descriptors"), "socket, tcp close-wait (412 of 460)");
    EXPECT_EQ(mostly_in(details, "threads"), "");
    EXPECT_EQ(mostly_in(details, "children"), "");
    EXPECT_EQ(fingerprint_of(details).types, std::vector<std::string>{"socket, tcp close-wait"});
}

TEST(LeakEvidence, the_growth_of_the_last_lives_is_kept_once_for_each) {
    boost::json::array growth;
    for (unsigned generation = 1; generation <= 9; ++generation)
        for (int times = 0; times < 2; ++times)
            record(growth, {{"worker", "app-1"}, {"generation", generation}, {"times", times}});
    ASSERT_EQ(growth.size(), most_lives);
    EXPECT_EQ(growth.back().at("generation").to_number<int>(), 9);
    EXPECT_EQ(growth.back().at("times").to_number<int>(), 1);
}

TEST(LeakEvidence, the_advice_goes_by_keeper_cycles_and_traces) {
    const auto facts =
        advice_facts(parsed(R"json({"kept_by": "shop.orders._seen (dict, 40213 items)", "gc": {"enabled": false},
        "cycles": {"unreachable": 50000, "finalizers": {"shop.Node": 40000}}, "traces": 100, "libraries": ["lxml", 5]})json"),
                     leak::Class::leaking, "memory");
    EXPECT_EQ(facts.keeper, "shop.orders._seen");
    EXPECT_EQ(facts.keeper_type, "dict");
    EXPECT_TRUE(facts.collector_off && facts.finalizers && facts.traced_in_vain);
    EXPECT_EQ(facts.in_cycles, 50000);
    EXPECT_EQ(facts.libraries, std::vector<std::string>{"lxml"});
    EXPECT_FALSE(advice_facts({}, leak::Class::leaking, "memory").traced_in_vain);
}

TEST(LeakEvidence, a_collector_that_never_comes_by_itself_is_off_though_it_is_enabled) {
    const auto off = [](const char* gc) {
        return advice_facts(parsed(gc), leak::Class::leaking, "memory").collector_off;
    };
    EXPECT_TRUE(off(R"json({"gc": {"enabled": true, "automatic": false, "threshold": [0, 10, 10]}})json"));
    EXPECT_TRUE(off(R"json({"gc": {"enabled": false, "automatic": false}})json"));
    EXPECT_FALSE(off(R"json({"gc": {"enabled": true, "automatic": true}})json"));
    EXPECT_TRUE(off(R"json({"gc": {"enabled": false}})json")); // an older agent's
    EXPECT_FALSE(off(R"json({"gc": {"enabled": true, "automatic": null}})json"));
    EXPECT_FALSE(off("{}"));
}

// What cycles hold is claimed nowhere in a heap that was not collected: that none is claimed says nothing of C code.
TEST(LeakEvidence, only_a_window_that_was_collected_proves_that_no_line_explains_the_growth) {
    const auto uncollected = parsed(R"json({"traces": 100, "window": {"collected": false}, "lines": []})json");
    const auto collected = parsed(R"json({"traces": 100, "window": {"collected": true}, "lines": []})json");
    const auto in_vain = [](const boost::json::object& details) {
        return advice_facts(details, leak::Class::leaking, "memory").traced_in_vain;
    };
    EXPECT_FALSE(in_vain(uncollected));
    EXPECT_TRUE(in_vain(collected));

    boost::json::object details;
    add_answer(details, boost::json::object(uncollected));
    EXPECT_FALSE(in_vain(details));
    add_answer(details, boost::json::object(collected)); // a later one counts
    EXPECT_TRUE(in_vain(details));
    add_answer(details, boost::json::object(uncollected)); // and goes on to count
    EXPECT_TRUE(in_vain(details));
    EXPECT_FALSE(details.at("window").at("collected").as_bool()); // which tells of the last one
    add_answer(details, parsed(R"json({"lines": [{"file": "a.py", "line": 3, "claimed": true}]})json"));
    EXPECT_FALSE(in_vain(details));
}

TEST(LeakEvidence, what_was_cut_off_within_libraries_is_not_c_codes) {
    boost::json::object details;
    add_answer(details, parsed(R"json({"traces": 9, "window": {"collected": true, "cut": true}, "lines": []})json"));
    const leak::AdviceFacts facts = advice_facts(details, leak::Class::leaking, "memory");
    EXPECT_TRUE(facts.stacks_cut);
    EXPECT_FALSE(facts.traced_in_vain);
    add_answer(details, parsed(R"json({"traces": 9, "window": {"collected": true}, "lines": []})json"));
    EXPECT_FALSE(stacks_were_cut(details)); // an earlier window's
    EXPECT_TRUE(advice_facts(details, leak::Class::leaking, "memory").traced_in_vain);
}

TEST(LeakEvidence, a_line_that_keeps_more_than_the_growth_is_told_in_place_of_c_code) {
    boost::json::object details;
    add_answer(details, parsed(R"json({"traces": 9, "lines": [],
        "window": {"collected": true, "exceeds": {"file": "/srv/shop/app/sessions.py", "line": 15}}})json"));
    const auto advice = [&] { return leak::advice(advice_facts(details, leak::Class::leaking, "memory")); };
    EXPECT_TRUE(advice().starts_with("app/sessions.py:15 keeps more")) << advice();
    add_answer(details, parsed(R"json({"traces": 9, "window": {"collected": true, "exceeds": null}})json"));
    EXPECT_TRUE(advice().find("C code") != std::string::npos) << advice();
}

TEST(LeakEvidence, there_is_a_capture_when_something_of_it_is_known) {
    const auto has = [](const char* details) {
        return advice_facts(parsed(details), leak::Class::leaking, "memory").has_capture;
    };
    EXPECT_FALSE(has(R"json({"routes": [], "leak": {"class": "leaking"}})json"));
    EXPECT_TRUE(has(R"json({"types": [{"type": "bytes"}]})json"));
    EXPECT_TRUE(has(R"json({"traces": 9})json"));
}

TEST(LeakEvidence, an_agent_that_tells_of_no_collection_has_collected) {
    boost::json::object details;
    add_answer(details, parsed(R"json({"traces": 100, "window": {"collected": false}})json"));
    add_answer(details, parsed(R"json({"types": []})json")); // no trace
    EXPECT_FALSE(advice_facts(details, leak::Class::leaking, "memory").traced_in_vain);
    add_answer(details, parsed(R"json({"traces": 100})json"));
    EXPECT_TRUE(advice_facts(details, leak::Class::leaking, "memory").traced_in_vain);
}

TEST(LeakEvidence, whatever_an_agent_sends_is_taken_as_it_is_or_not_at_all) {
    const auto found = evidence_of(parsed(R"json({"containers": [7, {"kept_by": [], "length": 0, "bytes": "x"}],
        "types": [null, {}], "retainers": [{}], "lines": [[], {"claimed": 1}], "cycles": [], "open": 3})json"),
                                   four_kib);
    EXPECT_FALSE(found.contains("kept_by"));
    EXPECT_FALSE(found.contains("lines"));
    EXPECT_FALSE(found.contains("cycles"));
    EXPECT_TRUE(claimed_lines(parsed(R"json({"lines": {"claimed": true}})json")).empty());
}

} // namespace
} // namespace plimsoll::fleet
