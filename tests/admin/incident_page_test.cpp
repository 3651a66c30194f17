#include "admin/incident_page.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "admin/charts.hpp"
#include "admin/harness.hpp"
#include "admin/markup.hpp"

namespace plimsoll::admin {
namespace {

namespace json = boost::json;

const std::string evil = R"json(</title></style><script>alert(1)</script><img src=x onerror="alert('2')">)json";

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Every text in the document is the attacker's.
json::value poisoned(json::value value) {
    if (value.is_string()) return json::string(evil);
    if (value.is_array())
        for (auto& each : value.get_array()) each = poisoned(std::move(each));
    if (value.is_object()) {
        json::object renamed;
        for (auto& member : value.get_object()) renamed[member.key()] = poisoned(std::move(member.value()));
        return renamed;
    }
    return value;
}

json::object story() {
    return json::
        parse(R"json({"id": "i-000042", "state": "closed", "verdict": "GET /orders/{n} leaks 3.9 KiB a request", "worker": "app-1",
        "pool": "app", "generation": 3, "trigger": "leak", "opened_at": "2026-11-28T03:40:00.000Z", "closed_at": null,
        "kept_by": "shop.orders._seen (dict, 40213 items)", "release": {"since": "43", "before": "42"},
        "timeline": [{"at": "2026-11-28T03:40:00.000Z", "event": "drained in 41 ms"}],
        "routes": [{"route": "GET /orders/{n}", "bytes_per_request": 4000, "low": 3900, "high": 4100, "share": 0.93, "heaviest": "yes"}],
        "lines": [{"file": "/srv/shop/orders.py", "line": 41, "function": "remember", "bytes_per_request": 3990, "bytes": 798000,
                   "count": 200, "claimed": true, "traceback": ["/srv/shop/orders.py:41", "/srv/shop/main.py:7"]}],
        "types": [{"type": "shop.Order", "delta": 4000, "count": 4010, "bytes": 12345678}],
        "retainers": ["shop.Order: shop.orders._seen (dict, 40213 items) -> Order"],
        "open": {"descriptors": {"socket, tcp close-wait": 412}},
        "capture": {"status": "done"},
        "recycle": {"outcome": "done", "drained_ms": 41, "lost": 0, "memory_before": 300000000, "memory_after": 60000000},
        "growth": [{"worker": "app-1", "generation": 3, "limit": 400000000, "what": "memory",
                    "marks": [[0, 50000000], [1000, 150000000], [2000, 250000000]]}]})json")
            .as_object();
}

std::vector<Evidence> files() {
    const std::string folded = "main.py:1;orders.py:41 4096\nmain.py:1;json.py:9 1024\n",
                      stacks = "Thread 1: in leak()";
    return {{"stacks.txt", stacks, {19}},
            {"trace.folded", folded, {60}},
            {"trace.snapshot", "", {1234567}},
            {"retainers.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>", {40}}};
}

TEST(IncidentPage, has_the_whole_story_with_its_pictures) {
    const std::string page = incident_page(story(), files(), "1.0");
    for (const char* part : {"GET /orders/{n} leaks 3.9 KiB a request", "drained in 41 ms", "/srv/shop/orders.py:41",
                             "in <code>remember</code>", "/srv/shop/main.py:7", "shop.Order", "40213 items",
                             "close-wait", "93 %", "43, 42 did not have it", "<polyline", "limit 381.5 MiB",
                             "class=\"flame\"", "Thread 1: in leak()", "data:image/svg+xml;base64,", "trace.snapshot"})
        EXPECT_TRUE(holds(page, part)) << part;
}

TEST(IncidentPage, nothing_that_an_attacker_chose_is_markup) {
    const std::string clean = incident_page(story(), files(), "1.0");
    std::vector<Evidence> hostile = files();
    for (Evidence& file : hostile)
        if (!file.content.empty()) file.content = evil + ";" + evil + " 4096\n" + evil;
    for (Evidence& file : hostile) file.name = evil + file.name;
    const std::string page = incident_page(poisoned(story()).as_object(), hostile, evil);
    EXPECT_FALSE(holds(page, "<script"));
    EXPECT_FALSE(holds(page, "<img src=x"));
    EXPECT_TRUE(holds(page, "&lt;script&gt;"));
    // As many elements as with honest names: none was opened, none was closed.
    const auto count = [](const std::string& text, const std::string& part) {
        std::size_t found = 0;
        for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
        return found;
    };
    for (const char* element : {"<title>", "</style>", "<p", "<img", "<h2"})
        EXPECT_LE(count(page, element), count(clean, element)) << element;
}

TEST(IncidentPage, kinds_of_what_is_open_are_the_attackers_too) {
    json::object incident = story();
    incident["open"] = json::object{{evil, json::object{{evil, 3}}}};
    EXPECT_FALSE(holds(incident_page(incident, {}, "1.0"), "<script"));
}

TEST(IncidentPage, refers_to_nothing_outside_itself_and_says_so_to_the_browser) {
    const std::string page = incident_page(story(), files(), "1.0");
    EXPECT_TRUE(holds(page, "default-src &#39;none&#39;")) << "in its head, before anything else";
    for (const char* part : {"http://", "https://", "<link", "<script", "@import", "url("})
        EXPECT_FALSE(holds(page, part)) << part;
}

TEST(IncidentPage, whatever_shape_the_details_have_there_is_a_page) {
    for (const char* text :
         {R"json({})json",
          R"json({"growth": 7, "lines": {}, "routes": [1, null, {"route": 5}], "open": [1], "recycle": null})json",
          R"json({"growth": [{"marks": [[1], ["a", 2], [1e308, 1e308], [-1, 5]]}, 3], "timeline": [[], "x"],
                                 "lines": [{"line": -1e300, "bytes": "x", "traceback": {}}], "types": "x"})json"}) {
        const std::string page = incident_page(json::parse(text).as_object(), {}, "1.0");
        EXPECT_TRUE(holds(page, "</html>"));
    }
}

TEST(FlameGraph, is_bounded_however_deep_and_wide_the_stacks_are) {
    std::string deep = "f";
    for (int i = 0; i < 5000; ++i) deep += ";f";
    std::string folded = deep + " 1\n";
    for (int i = 0; i < 50'000; ++i) folded += "a" + std::to_string(i) + " 10\n";
    EXPECT_LT(flame_graph(folded).size(), 1U << 20);
    EXPECT_EQ(flame_graph("no number\n;; x\n 5e400\nnan nan\n"), "");
}

TEST(Markup, control_characters_and_what_turns_text_around_become_visible) {
    EXPECT_EQ(escaped("a\x01\x1b[31m\tb\n"), "a\xEF\xBF\xBD\xEF\xBF\xBD[31m\tb\n");
    EXPECT_EQ(escaped("gnp.\xE2\x80\xAE"), "gnp.\xEF\xBF\xBD");
    EXPECT_EQ(escaped("\xC3"), "\xEF\xBF\xBD");
    EXPECT_EQ(escaped("<a href=\"x\" title='&'>"), "&lt;a href=&quot;x&quot; title=&#39;&amp;&#39;&gt;");
    EXPECT_EQ(base64("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
    EXPECT_EQ(count_text(40213), "40,213");
    EXPECT_EQ(count_text(-1234567), "-1,234,567");
}

using incident_html = AdminTest;

TEST_F(incident_html, an_incident_is_served_as_a_page_that_may_do_nothing) {
    start();
    const std::string id = store_->open("app", "app-1", 1, "leak", "app-1 leaks");
    ASSERT_EQ(store_->add_file(id, "stacks.txt", "Thread 1"), "");
    const auto reply = get("/v1/incidents/" + id + ".html");
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(holds(reply.body, "app-1 leaks"));
    EXPECT_TRUE(holds(reply.body, "Thread 1"));
    EXPECT_TRUE(holds(reply.fields.at("content-security-policy"), "sandbox"));
    EXPECT_EQ(reply.fields.at("content-type"), "text/html; charset=utf-8");
    EXPECT_EQ(get("/v1/incidents/i-999999.html").status, 404);
    EXPECT_EQ(get("/v1/incidents/.html").status, 404);
}

} // namespace
} // namespace plimsoll::admin
