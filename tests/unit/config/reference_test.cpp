// conf/plimsoll.toml is the manual: it must hold every key, and every value in it must be the default.
#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "config/listing.hpp"
#include "config/parse.hpp"

using namespace plimsoll;
using namespace plimsoll::config;

namespace {

constexpr auto path = "conf/plimsoll.toml";

std::string text() {
    std::ifstream file(path);
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
}

// Lines of "#key = value" and "#[[section]]", as numbers from 0.
struct Line {
    std::string content, key; // key: full path, where the line sets or shows one
    bool example = false;
};
std::vector<Line> lines() {
    std::vector<Line> found;
    std::istringstream stream(text());
    std::string section;
    for (std::string content; std::getline(stream, content);) {
        Line line{content, {}, content.size() > 1 && content[0] == '#' && content[1] != ' '};
        auto live = line.example ? content.substr(1) : content;
        if (live.starts_with('[')) {
            section = live.substr(live.find_first_not_of('['));
            section.resize(section.find(']'));
        } else if (auto equals = live.find(" = "); equals != std::string::npos && live[0] != '#' && live[0] != ' ') {
            line.key = section + "." + live.substr(0, equals);
        }
        found.push_back(line);
    }
    return found;
}

TEST(Reference, the_reference_is_a_valid_file) {
    auto parsed = load(path);
    for (const auto& problem : parsed.problems) ADD_FAILURE() << to_string(problem);
    for (const auto& warning : parsed.warnings) ADD_FAILURE() << to_string(warning);
}

TEST(Reference, every_value_in_it_is_the_default) {
    auto config = load(path).config;
    EXPECT_EQ(config.proxy, Proxy{});
    EXPECT_EQ(config.admin, Admin{});
    EXPECT_EQ(config.store, Store{});
    EXPECT_EQ(config.log, Log{});
    EXPECT_EQ(config.redis, Redis{});
    EXPECT_EQ(config.listeners, std::vector{Listener{}});
    Route route;
    route.pool = "app";
    EXPECT_EQ(config.routes, std::vector{route});
    Pool pool;
    pool.name = "app";
    pool.source.addresses = {"127.0.0.1:8001"};
    EXPECT_EQ(config.pools, std::vector{pool});
}

TEST(Reference, every_key_stands_in_it_once) {
    std::multiset<std::string> shown;
    for (const auto& line : lines())
        if (!line.key.empty()) shown.insert(line.key);
    for (const auto& key : all_keys()) EXPECT_EQ(shown.count(key), 1u) << key;
    EXPECT_EQ(shown.size(), all_keys().size());
}

TEST(Reference, every_example_in_it_is_accepted_and_changes_something) {
    auto all = lines();
    auto defaults = load(path).config;
    for (std::size_t shown = 0; shown < all.size(); ++shown) {
        if (!all[shown].example || all[shown].key.empty()) continue;
        SCOPED_TRACE(all[shown].key);
        bool of_limit = all[shown].key.starts_with("route.limit.");
        std::string changed;
        for (std::size_t i = 0; i < all.size(); ++i) {
            bool on =
                i == shown ||
                (of_limit && (all[i].content.starts_with("#[[route.limit]]") || all[i].key == "route.limit.rate"));
            changed += (on && all[i].example ? all[i].content.substr(1) : all[i].content) + "\n";
        }
        auto parsed = parse(changed, path);
        // min_serving = 3 speaks of a pool with more workers than the one address of this file.
        if (all[shown].key == "pool.recycle.min_serving") {
            ASSERT_EQ(parsed.problems.size(), 1u);
            EXPECT_NE(parsed.problems[0].message.find("below the number of workers"), std::string::npos);
            continue;
        }
        for (const auto& problem : parsed.problems) ADD_FAILURE() << to_string(problem);
        EXPECT_NE(parsed.config, defaults);
    }
}

TEST(Reference, keys_that_need_a_restart_say_so) {
    std::set<std::string> restart;
    for (const auto& group : listing(load(path).config)) {
        auto kind = group.name.substr(0, group.name.find('.'));
        for (const auto& entry : group.entries)
            if (!entry.live) restart.insert(kind.empty() ? entry.key : kind + "." + entry.key);
    }
    for (const auto& line : lines()) {
        if (line.key.empty() || line.key.starts_with("pool.source.")) continue; // said once, of the whole section
        EXPECT_EQ(line.content.find("Needs a restart") != std::string::npos, restart.contains(line.key))
            << line.content;
    }
}

} // namespace
