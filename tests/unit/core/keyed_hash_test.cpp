#include "plimsoll/core/keyed_hash.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

// The reference implementation's first words with key 00 01 .. 0f and texts of 0, 1, 2 .. bytes (SipHash-1-3).
TEST(KeyedHash, it_is_siphash_1_3) {
    const HashKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
    EXPECT_EQ(keyed_hash(key, ""), 0xabac0158050fc4dcU);
    EXPECT_EQ(keyed_hash(key, std::string("\0", 1)), 0xc9f49bf37d57ca93U);
    EXPECT_EQ(keyed_hash(key, std::string("\0\1\2\3\4\5\6\7", 8)), 0x369095118d299a8eU);
}

TEST(KeyedHash, another_key_gives_another_order) {
    EXPECT_NE(keyed_hash({1, 2}, "10.0.0.1"), keyed_hash({1, 3}, "10.0.0.1"));
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 100'000; ++i) seen.insert(keyed_hash({1, 2}, std::to_string(i)));
    EXPECT_EQ(seen.size(), 100'000U);
}

} // namespace
} // namespace plimsoll
