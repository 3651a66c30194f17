#include "plimsoll/fleet/domain_keys.hpp"

#include <set>

#include <gtest/gtest.h>

#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;

TEST(DomainKeys, a_name_keeps_its_key_and_no_two_have_the_same) {
    DomainKeys keys;
    const auto a = keys.key_of("/a", start), b = keys.key_of("/b", start);
    ASSERT_TRUE(a && b);
    EXPECT_NE(*a, *b);
    EXPECT_NE(*a, 0) << "0 is no domain";
    EXPECT_EQ(keys.key_of("/a", start + 1h), a);
}

TEST(DomainKeys, who_is_named_is_not_forgotten) {
    DomainKeys keys;
    keys.key_of("/stays", start);
    keys.key_of("/goes", start);
    keys.key_of("/stays", start + 9min);
    const auto forgotten = keys.forget(start + 11min);
    ASSERT_EQ(forgotten.size(), 1U);
    EXPECT_EQ(forgotten[0].first, "/goes");
}

TEST(DomainKeys, ten_thousand_containers_one_after_the_other_find_a_key_and_share_none) {
    DomainKeys keys;
    Instant now = start;
    std::map<std::string, DomainKey> living;
    for (int i = 0; i < 10'000; ++i, now += 1min) {
        const auto name = "/docker/" + std::to_string(i);
        const auto key = keys.key_of(name, now);
        ASSERT_TRUE(key) << i;
        for (const auto& [gone, its] : keys.forget(now)) EXPECT_EQ(living.extract(gone).mapped(), its);
        for (const auto& [other, its] : living) EXPECT_NE(its, *key) << name << " and " << other;
        living[name] = *key;
    }
    EXPECT_LE(keys.size(), 11U);
}

TEST(DomainKeys, beyond_the_bound_nobody_gets_one) {
    DomainKeys keys;
    for (std::size_t i = 0; i < DomainKeys::most; ++i) EXPECT_TRUE(keys.key_of(std::to_string(i), start));
    EXPECT_FALSE(keys.key_of("one more", start));
    EXPECT_TRUE(keys.key_of("0", start));
}

} // namespace
} // namespace plimsoll
