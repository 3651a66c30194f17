#include "net/http/head.hpp"

#include <gtest/gtest.h>

#include "unit/http/corpus.hpp"
#include "unit/http/transcript.hpp"

namespace {

struct Suite {
    const char* path;
    bool requests;
};
constexpr Suite suites[] = {{"tests/corpus/http/requests.txt", true}, {"tests/corpus/http/responses.txt", false}};

plimsoll::http::Asked asked(const corpus::Case& each) {
    return {each.name.find("(head)") != std::string::npos,
            each.name.find("(upgrade)") != std::string::npos ? "websocket" : ""};
}
std::string full_verdict(const std::string& verdict) { return verdict == "accept" ? "accept 1" : verdict; }

TEST(HttpCorpus, every_case_gets_its_verdict) {
    for (const Suite& suite : suites) {
        for (const corpus::Case& each : corpus::load(suite.path)) {
            SCOPED_TRACE(each.name + ", " + each.section);
            const auto reader = transcript::read(suite.requests, asked(each), {each.bytes});
            EXPECT_EQ(reader.verdict(), full_verdict(each.verdict)) << reader.all();
            for (const auto& [key, value] : each.expected) {
                const auto found = reader.last().find(key);
                EXPECT_EQ(found == reader.last().end() ? "(absent)" : found->second, value) << key;
            }
        }
    }
}

// Two pieces, for every place of the cut; in the long cases, which repeat themselves, for every 17th.
TEST(HttpCorpus, a_cut_anywhere_changes_nothing) {
    for (const Suite& suite : suites) {
        for (const corpus::Case& each : corpus::load(suite.path)) {
            const std::string_view bytes = each.bytes;
            const std::string whole = transcript::read(suite.requests, asked(each), {bytes}).all();
            const std::size_t stride = bytes.size() > 2048 ? 17 : 1;
            for (std::size_t cut = 1; cut < bytes.size(); cut += stride) {
                const auto reader =
                    transcript::read(suite.requests, asked(each), {bytes.substr(0, cut), bytes.substr(cut)});
                ASSERT_EQ(reader.all(), whole) << each.name << " cut at " << cut;
            }
        }
    }
}

TEST(HttpCorpus, byte_by_byte_changes_nothing) {
    for (const Suite& suite : suites) {
        for (const corpus::Case& each : corpus::load(suite.path)) {
            if (each.bytes.size() > 2'048) continue;
            std::vector<std::string_view> pieces;
            for (const char& byte : each.bytes) pieces.emplace_back(&byte, 1);
            EXPECT_EQ(transcript::read(suite.requests, asked(each), pieces).all(),
                      transcript::read(suite.requests, asked(each), {each.bytes}).all())
                << each.name;
        }
    }
}

// What waits for more must be possible to complete: a fault that more bytes cannot mend is told at once.
TEST(HttpCorpus, faults_in_start_lines_are_told_before_the_head_is_complete) {
    for (std::string_view bytes : {"GET / HTTP/2", "GET  ", "\x16\x03", "GET /\x01", "G@", "CONNECT a", "\n"})
        EXPECT_EQ(transcript::read(true, {}, {bytes}).verdict().substr(0, 6), "refuse") << bytes;
}

} // namespace
