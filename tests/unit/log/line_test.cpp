#include "log/line.hpp"

#include <gtest/gtest.h>

using namespace plimsoll;
using namespace plimsoll::log;
using config::LogLevel;

namespace {

// 2026-03-01T02:14:05.117Z
const WallTime night = WallTime{} + std::chrono::milliseconds{1'772'331'245'117};

std::string line(Format format, std::string_view event, Fields fields, LogLevel level = LogLevel::info) {
    std::string out;
    append_line(out, format, night, level, event, fields);
    return out;
}
// What stands between the quotes of the one value.
std::string json_value(std::string_view value) {
    auto text = line(Format::json, "e", {{"v", value}});
    auto start = text.find("\"v\":") + 4;
    return text.substr(start, text.rfind('}') - start);
}
std::string text_value(std::string_view value) {
    auto text = line(Format::text, "e", {{"v", value}});
    auto start = text.find("v=") + 2;
    return text.substr(start, text.size() - 1 - start);
}

TEST(Line, text_is_aligned_and_has_its_keys) {
    EXPECT_EQ(line(Format::text, "worker_drained", {{"worker", "app-1"}, {"took_ms", 41}, {"why", "soft limit"}}),
              "2026-03-01T02:14:05.117Z info  worker_drained       worker=app-1 took_ms=41 why=\"soft limit\"\n");
    EXPECT_EQ(line(Format::text, "ready", {}, LogLevel::error), "2026-03-01T02:14:05.117Z error ready\n");
}

TEST(Line, only_the_coloured_format_has_colours) {
    EXPECT_EQ(line(Format::coloured_text, "ready", {}, LogLevel::warn),
              "2026-03-01T02:14:05.117Z \x1b[33mwarn \x1b[0m ready\n");
    EXPECT_EQ(line(Format::text, "ready", {}, LogLevel::warn).find('\x1b'), std::string::npos);
}

TEST(Line, json_has_every_type) {
    EXPECT_EQ(
        line(Format::json, "e",
             {{"text", "a"}, {"count", std::uint16_t{7}}, {"share", 0.25}, {"on", true}, {"none", 0.0 / 0.0}}),
        R"({"time":"2026-03-01T02:14:05.117Z","level":"info","event":"e","text":"a","count":7,"share":0.25,"on":true,"none":null})"
        "\n");
}

TEST(Line, json_escapes_any_byte) {
    EXPECT_EQ(json_value("a\"b\\c"), R"("a\"b\\c")");
    EXPECT_EQ(json_value(std::string_view("\0\x01\n\r\t\x7f", 6)), R"("\u0000\u0001\n\r\t\u007f")");
    EXPECT_EQ(json_value("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"");
    EXPECT_EQ(json_value("\xf0\x9f\x9a\xa2"), "\"\xf0\x9f\x9a\xa2\"");
    EXPECT_EQ(json_value("\xff"), R"("\ufffd")");
    EXPECT_EQ(json_value("a\xc3"), R"("a\ufffd")");                   // cut off
    EXPECT_EQ(json_value("\xc0\xaf"), R"("\ufffd\ufffd")");           // overlong
    EXPECT_EQ(json_value("\xe0\x80\xaf"), R"("\ufffd\ufffd\ufffd")"); // overlong, three bytes
    EXPECT_EQ(json_value("\xf0\x80\x80\xaf"), R"("\ufffd\ufffd\ufffd\ufffd")");
    EXPECT_EQ(json_value("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")"); // surrogate
    EXPECT_EQ(json_value("\xf4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");
    EXPECT_EQ(json_value("\xe2\x80\xa8"), R"("\u2028")");
}

TEST(Line, text_shows_bytes_that_could_deceive) {
    EXPECT_EQ(text_value("plain-1:/a?b"), "plain-1:/a?b");
    EXPECT_EQ(text_value(""), "\"\"");
    EXPECT_EQ(text_value("a=b"), "\"a=b\"");
    EXPECT_EQ(text_value("x\n2026-03-01T02:14:05.117Z error forged"), R"("x\n2026-03-01T02:14:05.117Z error forged")");
    EXPECT_EQ(text_value("\x1b[2J"), R"("\u001b[2J")");
    EXPECT_EQ(text_value("\x9b"), R"("\x9b")");
    EXPECT_EQ(text_value("\xc2\x9b"), R"("\u009b")");     // the same control character, well-formed
    EXPECT_EQ(text_value("\xe2\x80\xae"), R"("\u202e")"); // right to left from here
    EXPECT_EQ(text_value("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"");
}

TEST(Line, no_value_ends_the_line_or_speaks_to_the_terminal) {
    for (int a = 0; a < 256; ++a)
        for (int b = 0; b < 256; ++b) {
            std::string value{static_cast<char>(a), static_cast<char>(b)};
            for (auto format : {Format::text, Format::json}) {
                auto text = line(format, "e", {{"v", value}});
                text.pop_back();
                for (unsigned char c : text) ASSERT_TRUE(c >= 0x20 && c != 0x7f) << a << " " << b;
                ASSERT_EQ(text.find("\xc2\x9b"), std::string::npos);
            }
        }
}

TEST(Line, an_endless_value_is_cut) {
    auto text = line(Format::text, "e", {{"v", std::string(100'000, 'x')}});
    EXPECT_LT(text.size(), longest_value + 100);
    EXPECT_TRUE(text.ends_with("xx...\n"));
}

} // namespace
