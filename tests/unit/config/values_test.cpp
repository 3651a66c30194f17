#include "config/values.hpp"

#include <gtest/gtest.h>

#include "config/nearest.hpp"
#include "config/place.hpp"

using namespace plimsoll;
using namespace plimsoll::config;
using namespace std::chrono_literals;

namespace {

TEST(Duration, has_a_number_and_a_unit) {
    struct Case {
        const char* text;
        std::optional<Duration> expect;
    };
    const Case cases[] = {{"250ms", 250ms},  {"2s", 2s},     {"1.5s", 1500ms},
                          {"1h", 1h},        {"10m", 10min}, {"30d", 720h},
                          {"0s", 0s},        {"5 s", 5s},    {"3us", 3us},
                          {"", {}},          {"5", {}},      {"s", {}},
                          {"-1s", {}},       {"1e3s", {}},   {"1.s", {}},
                          {".5s", {}},       {"5sec", {}},   {"5s ", {}},
                          {"99999999d", {}}, {"1.2.3s", {}}, {"99999999999999999999999999999999999999s", {}},
                          {"infs", {}},      {"0x10s", {}}};
    for (const auto& c : cases) EXPECT_EQ(parse_duration(c.text), c.expect) << c.text;
}

TEST(Duration, is_shown_in_its_largest_whole_unit) {
    EXPECT_EQ(to_text(Duration{1500ms}), "1500ms");
    EXPECT_EQ(to_text(Duration{90s}), "90s");
    EXPECT_EQ(to_text(Duration{10min}), "10m");
    EXPECT_EQ(to_text(Duration{720h}), "30d");
    EXPECT_EQ(to_text(Duration::zero()), "0s");
    for (auto text : {"250ms", "75s", "1h", "3us", "7ns"}) EXPECT_EQ(to_text(*parse_duration(text)), text);
}

TEST(Size, is_shown_exactly_and_as_one_would_write_it) {
    EXPECT_EQ(to_text(400_MiB), "400MiB");
    EXPECT_EQ(to_text(Bytes{1536 << 20}), "1536MiB");
    EXPECT_EQ(to_text(2_GiB), "2GiB");
    EXPECT_EQ(to_text(Bytes{1001}), "1001");
    EXPECT_EQ(to_text(Bytes{}), "0");
}

TEST(Share, is_a_fraction_or_a_percentage) {
    EXPECT_DOUBLE_EQ(*parse_share("85%"), 0.85);
    EXPECT_DOUBLE_EQ(*parse_share("0.85"), 0.85);
    EXPECT_DOUBLE_EQ(*parse_share("100 %"), 1);
    for (auto text : {"101%", "1.5", "-1%", "%", "", "85 percent", "nan"}) EXPECT_FALSE(parse_share(text)) << text;
    EXPECT_EQ(to_text(0.85), "85%");
    EXPECT_EQ(to_text(0.125), "12.5%");
}

TEST(Level, is_a_size_or_a_share_of_the_limit) {
    EXPECT_EQ(parse_level("400MiB"), (Level{400_MiB}));
    EXPECT_EQ(parse_level("80%"), (Level{0.8}));
    EXPECT_FALSE(parse_level("80"
                             "percent"));
    EXPECT_EQ((Level{0.5}).of(10_MiB), 5_MiB);
    EXPECT_EQ((Level{3_MiB}).of(10_MiB), 3_MiB);
}

TEST(Rate, is_a_number_a_time_unit) {
    EXPECT_DOUBLE_EQ(parse_rate("100/s")->per_second, 100);
    EXPECT_DOUBLE_EQ(parse_rate("30/m")->per_second, 0.5);
    EXPECT_DOUBLE_EQ(parse_rate("3600/h")->per_second, 1);
    for (auto text : {"100", "100/d", "0/s", "-1/s", "/s", "100 /s", "100/s "}) EXPECT_FALSE(parse_rate(text)) << text;
}

TEST(Nearest, finds_what_was_meant_and_nothing_far_away) {
    const std::vector<std::string> keys = {"soft_limit", "hard_limit", "min_serving", "kind", "path"};
    EXPECT_EQ(nearest("soft_limt", keys), "soft_limit");
    EXPECT_EQ(nearest("soft-limit", keys), "soft_limit");
    EXPECT_EQ(nearest("SoftLimit", keys), "soft_limit");
    EXPECT_EQ(nearest("knid", keys), "kind");
    EXPECT_EQ(nearest("minserving", keys), "min_serving");
    EXPECT_EQ(nearest("colour", keys), "");
    EXPECT_EQ(nearest("x", keys), "");
    EXPECT_EQ(nearest("", keys), "");
    EXPECT_EQ(nearest(std::string(10'000, 'x'), keys), "");
    EXPECT_EQ(edit_distance("ab", "ba"), 1u);
    EXPECT_EQ(edit_distance("", "abc"), 3u);
}

TEST(Place, has_one_of_the_forms_that_the_net_layer_reads) {
    struct Case {
        const char* text;
        std::optional<Place> expect;
    };
    const Case cases[] = {
        {"127.0.0.1:80", Place{false, "127.0.0.1", 80, ""}},
        {"[::1]:80", Place{false, "::1", 80, ""}},
        {"tcp:host:80", Place{false, "host", 80, ""}},
        {":8080", Place{false, "", 8080, ""}},
        {"my_app-1.example.org:1", Place{false, "my_app-1.example.org", 1, ""}},
        {"unix:/run/a.sock", Place{true, "", 0, "/run/a.sock"}},
        {"/run/a.sock", Place{true, "", 0, "/run/a.sock"}},
        {"127.0.0.1", {}},
        {"127.0.0.1:", {}},
        {"127.0.0.1:65536", {}},
        {"127.0.0.1:-1", {}},
        {"::1:80", {}},
        {"[::1]", {}},
        {"[::g]:80", {}},
        {"unix:a.sock", {}},
        {"unix:", {}},
        {"", {}},
        {"a b:80", {}},
        {"300.1.1.1:80", {}},
        {"http://a:80", {}},
        {"127.0.0.1:80/x", {}},
        {"host:http", {}},
    };
    for (const auto& c : cases) {
        std::string why_not;
        EXPECT_EQ(parse_place(c.text, why_not), c.expect) << c.text;
        EXPECT_EQ(why_not.empty(), c.expect.has_value()) << c.text;
    }
    std::string why_not;
    EXPECT_TRUE(parse_place("unix:/" + std::string(106, 'x'), why_not));
    EXPECT_FALSE(parse_place("unix:/" + std::string(107, 'x'), why_not));
}

TEST(Place, knows_what_this_machine_alone_can_reach) {
    std::string why_not;
    for (auto text : {"127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1", "unix:/a"})
        EXPECT_TRUE(parse_place(text, why_not)->loopback()) << text;
    for (auto text : {"0.0.0.0:1", ":1", "10.0.0.1:1", "[::]:1", "127.example.org:1"})
        EXPECT_FALSE(parse_place(text, why_not)->loopback()) << text;
}

TEST(Network, is_an_address_with_or_without_a_length) {
    for (auto text : {"10.0.0.0/8", "192.0.2.7", "fd00::/8", "::1", "0.0.0.0/0"}) EXPECT_TRUE(is_network(text)) << text;
    for (auto text :
         {"10.0.0.0/33", "10.0.0/8", "fd00::/129", "host/8", "10.0.0.0/", "10.0.0.0/x", "", "/8", "10.0.0.0/-1"})
        EXPECT_FALSE(is_network(text)) << text;
}

} // namespace
