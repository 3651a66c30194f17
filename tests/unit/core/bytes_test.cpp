#include "plimsoll/core/bytes.hpp"

#include <gtest/gtest.h>

namespace plimsoll {
namespace {

TEST(Bytes, amounts_with_units_are_read) {
    const struct {
        const char* text;
        std::int64_t bytes;
    } cases[] = {{"0", 0},
                 {"4096", 4096},
                 {"100kB", 100'000},
                 {"1KiB", 1024},
                 {"512MiB", 1 << 29},
                 {"512 MiB", 1 << 29},
                 {"1.5GiB", 3LL << 29},
                 {"2TB", 2'000'000'000'000}};
    for (const auto& c : cases) {
        SCOPED_TRACE(c.text);
        ASSERT_TRUE(parse_bytes(c.text));
        EXPECT_EQ(parse_bytes(c.text)->count, c.bytes);
    }
}

TEST(Bytes, anything_else_is_no_amount) {
    for (const char* text : {"", "-1", "+1", "MiB", "12 XiB", "1e3", "1..2", "12MiB ", " 12", "12  MiB", "12 ",
                             "99999999TiB", "nan", "inf", "0x10"}) {
        SCOPED_TRACE(text);
        EXPECT_FALSE(parse_bytes(text));
    }
}

TEST(Bytes, humans_read_three_or_four_figures) {
    EXPECT_EQ(to_string(Bytes{0}), "0 B");
    EXPECT_EQ(to_string(Bytes{1023}), "1023 B");
    EXPECT_EQ(to_string(512_MiB), "512.0 MiB");
    EXPECT_EQ(to_string(Bytes{-1536}), "-1.5 KiB");
    EXPECT_EQ(to_string(3_GiB), "3.0 GiB");
}

} // namespace
} // namespace plimsoll
