#include "net/http/plain_fields.hpp"

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "net/http/field_names.hpp"
#include "net/http/field_parser.hpp"
#include "unit/http/corpus.hpp"

namespace plimsoll::http {
namespace {

constexpr unsigned most = 20;

// Whether the short way was taken; then the long way must have led to the same place.
bool agrees_with_beast(std::string_view bytes) {
    static FieldTable plain, judged;
    const auto size = scan_plain_fields(bytes, most, plain);
    if (size == 0) return false;
    EXPECT_LE(size, bytes.size());
    const auto refusal = parse_fields(bytes.substr(0, size), most, judged);
    EXPECT_FALSE(refusal) << refusal.reason << ": " << bytes.substr(0, size);
    EXPECT_EQ(plain.size(), judged.size()) << bytes;
    for (std::size_t i = 0; i < std::min(plain.size(), judged.size()); ++i) {
        EXPECT_EQ(plain[i].name.data(), judged[i].name.data());
        EXPECT_EQ(plain[i].name, judged[i].name);
        EXPECT_EQ(plain[i].value, judged[i].value);
        EXPECT_EQ(plain[i].id, judged[i].id) << plain[i].name;
        if (plain[i].plain) {
            EXPECT_EQ(plain[i].line(), std::string(plain[i].name) + ": " + std::string(plain[i].value) + "\r\n");
        }
    }
    return true;
}

TEST(PlainFields, an_everyday_head_is_plain) {
    const std::string fields = "Host: example.org:8080\r\nUser-Agent: agent/1.0 (X11; Linux)\r\nAccept: */*\r\n"
                               "Cookie: a=b; c=d\r\nX-Real-IP:1.2.3.4\r\nX-Empty:\r\nA_b:  c  \r\n"
                               "Connection: Keep-Alive\r\nContent-Length: 12\r\n\r\n";
    const std::string with_the_next = fields + "GET";
    FieldTable table;
    EXPECT_EQ(scan_plain_fields(with_the_next, most, table), fields.size());
    EXPECT_EQ(table.find(FieldName::claims_of_a_proxy)->value, "1.2.3.4");
    EXPECT_EQ(table.find(FieldName::ambiguous)->value, "c");
    EXPECT_EQ(table.value("x-empty"), "");
    EXPECT_TRUE(table.find("cookie")->plain);
    for (const char* name : {"x-real-ip", "x-empty", "a_b"}) EXPECT_FALSE(table.find(name)->plain) << name;
    EXPECT_TRUE(agrees_with_beast(fields));
    EXPECT_TRUE(agrees_with_beast("Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"));
    EXPECT_TRUE(agrees_with_beast("\r\n"));
}

TEST(PlainFields, what_is_out_of_the_ordinary_is_left_to_the_grammar) {
    FieldTable table;
    for (const std::string lines :
         {"A: b\r\n c\r\n", "A : b\r\n", ": b\r\n", "A\r\n", "A: b\n", "A: \tb\r\n", "A: b\x01\r\n", "A: b\x7f\r\n",
          "A: \xc3\xa4\r\n", "Content-Length: 1\r\nContent-Length: 1\r\n",
          "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "Content-Length: +1\r\n", "Content-Length:\r\n",
          "Content-Length: 1234567890123456789\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Connection: x-one\r\n",
          "Upgrade: websocket\r\n"})
        EXPECT_EQ(scan_plain_fields(lines + "\r\n", most, table), 0U) << lines;
    for (const char* lines : {"", "\r", "A: b\r\n", "A: b\r\n\r", "A: b\r\n\rx", "A"})
        EXPECT_EQ(scan_plain_fields(lines, most, table), 0U) << lines;
    std::string many;
    for (unsigned i = 0; i < most; ++i) many += "A: b\r\n";
    EXPECT_GT(scan_plain_fields(many + "\r\n", most, table), 0U);
    EXPECT_EQ(scan_plain_fields(many + "A: b\r\n\r\n", most, table), 0U);
}

// Every head of the corpus, and each of them with a byte changed somewhere.
TEST(PlainFields, whatever_is_taken_for_plain_the_grammar_accepts_with_the_same_result) {
    std::mt19937_64 random(7);
    constexpr std::string_view strange{"\t\n\r :_-\x7f\x80,;aZ09"};
    std::size_t plain = 0;
    for (const char* path : {"tests/corpus/http/requests.txt", "tests/corpus/http/responses.txt"}) {
        for (const corpus::Case& each : corpus::load(path)) {
            const auto start = each.bytes.find('\n');
            if (start == std::string::npos || each.bytes.size() > 4096) continue;
            auto lines = each.bytes.substr(start + 1);
            plain += agrees_with_beast(lines);
            for (int i = 0; i < 40 && !lines.empty(); ++i) {
                auto changed = lines;
                changed[random() % changed.size()] = strange[random() % strange.size()];
                agrees_with_beast(changed);
            }
        }
    }
    EXPECT_GT(plain, 200U);
}

TEST(FieldNames, are_known_in_any_case_and_as_a_whole_only) {
    EXPECT_EQ(field_name("hOST"), FieldName::host);
    EXPECT_EQ(field_name("Content-Length"), FieldName::content_length);
    EXPECT_EQ(field_name("te"), FieldName::te);
    EXPECT_EQ(field_name("X-FORWARDED-FOR"), FieldName::x_forwarded_for);
    EXPECT_EQ(field_name("proxy"), FieldName::ambiguous);
    for (const char* other : {"hos", "host2", "content-lengti", "tf", "x", "x-", "x-other", "content!length", "h^st"})
        EXPECT_EQ(field_name(other), FieldName::other) << other;
    EXPECT_EQ(field_name("X-Forwarded-Anything"), FieldName::claims_of_a_proxy);
    EXPECT_EQ(field_name("x-Plimsoll-Anything"), FieldName::plimsoll);
    EXPECT_EQ(field_name("content_length"), FieldName::ambiguous);
}

} // namespace
} // namespace plimsoll::http
