#include "net/http/chunk_scanner.hpp"

#include <string>

#include <gtest/gtest.h>

namespace plimsoll::http {
namespace {

TEST(ChunkScanner, a_piece_is_framing_and_then_data) {
    ChunkScanner scanner;
    const auto piece = scanner.next("5\r\nhello\r\n0\r\n\r\n");
    EXPECT_EQ(piece.framing, 3U);
    EXPECT_EQ(piece.data, 5U);
    const auto rest = scanner.next("\r\n0\r\n\r\nGET");
    EXPECT_EQ(rest.framing, 7U);
    EXPECT_EQ(rest.data, 0U);
    EXPECT_EQ(scanner.state(), ChunkScanner::State::done);
    EXPECT_EQ(scanner.data_bytes(), 5U);
}

TEST(ChunkScanner, data_may_go_another_way) {
    ChunkScanner scanner;
    EXPECT_EQ(scanner.next("ffff\r\nab").data, 2U);
    EXPECT_EQ(scanner.left_in_chunk(), 0xfffdU);
    scanner.took(0xfffd);
    EXPECT_EQ(scanner.left_in_chunk(), 0U);
    EXPECT_EQ(scanner.next("\r\n0\r\n\r\n").framing, 7U);
    EXPECT_EQ(scanner.state(), ChunkScanner::State::done);
    EXPECT_EQ(scanner.data_bytes(), 0xffffU);
}

TEST(ChunkScanner, plain_framing_is_fit_to_be_passed_through) {
    struct Row {
        const char* bytes;
        bool plain;
    };
    for (const Row& row : {Row{"5\r\nhello\r\n0\r\n\r\n", true}, Row{"5\r\nhel", true}, Row{"5", true},
                           Row{"5\r\nhello\r\n0\r\n\r", true}, Row{"5;a\r\nhello\r\n", false},
                           Row{"0\r\nX: y\r\n\r\n", false}, Row{"0\r\nX", false}, Row{"5\r\nhellooo", false},
                           Row{"5 ;a\r\n", false}, Row{"5;", false}, Row{"5 ", false}}) {
        ChunkScanner scanner;
        EXPECT_EQ(scanner.verify(row.bytes).plain, row.plain) << row.bytes;
    }
}

TEST(ChunkScanner, verify_stops_at_the_end_of_the_body) {
    ChunkScanner scanner;
    const auto verified = scanner.verify("2\r\nab\r\n1\r\nc\r\n0\r\n\r\nHTTP/1.1 200 OK");
    EXPECT_EQ(verified.size, 18U);
    EXPECT_EQ(verified.data, 3U);
    EXPECT_TRUE(verified.plain);
    EXPECT_EQ(scanner.state(), ChunkScanner::State::done);
}

TEST(ChunkScanner, nothing_is_taken_after_the_end_or_a_fault) {
    for (const char* bytes : {"0\r\n\r\n", "x"}) {
        ChunkScanner scanner;
        scanner.next(bytes);
        const auto piece = scanner.next("5\r\nhello");
        EXPECT_EQ(piece.framing + piece.data, 0U) << bytes;
    }
}

TEST(ChunkScanner, extensions_are_bounded_over_the_whole_body) {
    ChunkScanner scanner;
    std::string body;
    for (int i = 0; i < 100; ++i) body += "1;" + std::string(50, 'a') + "\r\nx\r\n";
    EXPECT_FALSE(scanner.verify(body).plain);
    EXPECT_EQ(scanner.state(), ChunkScanner::State::broken);
}

TEST(ChunkScanner, trailers_are_kept_with_their_blank_line) {
    ChunkScanner scanner;
    scanner.next("0\r\nA: 1\r\nB: 2\r\n\r\nrest");
    ASSERT_EQ(scanner.state(), ChunkScanner::State::done);
    EXPECT_EQ(scanner.trailers(), "A: 1\r\nB: 2\r\n\r\n");
    FieldTable fields;
    EXPECT_FALSE(parse_trailers(scanner.trailers(), ChunkScanner::Of::request, fields));
    ASSERT_EQ(fields.size(), 2U);
    EXPECT_EQ(fields.value("b"), "2");
}

void expect_in_trailer(const char* name, bool refused) {
    const std::string trailers = std::string(name) + ": 1\r\nX-Good: 2\r\n\r\n";
    FieldTable fields;
    for (const auto of : {ChunkScanner::Of::request, ChunkScanner::Of::response}) {
        const bool fault = refused && of == ChunkScanner::Of::request;
        EXPECT_EQ(parse_trailers(trailers, of, fields).status, fault ? 400 : 0) << name;
        if (!fault) {
            ASSERT_EQ(fields.size(), 1U) << name;
            EXPECT_EQ(fields[0].name, "X-Good");
        }
        ChunkScanner scanner(of);
        scanner.next("0\r\n" + trailers);
        EXPECT_EQ(scanner.state(), fault ? ChunkScanner::State::broken : ChunkScanner::State::done) << name;
        EXPECT_EQ(scanner.fault().reason, fault ? "trailer" : "") << name;
        if (fault) continue;
        EXPECT_TRUE(scanner.carries_trailers()) << name;
        ChunkScanner alone(of);
        alone.next("0\r\n" + std::string(name) + ": 1\r\n\r\n");
        EXPECT_EQ(alone.state(), ChunkScanner::State::done) << name;
        EXPECT_FALSE(alone.carries_trailers()) << name;
    }
}

TEST(ChunkScanner, who_frames_routes_or_authenticates_itself_in_a_trailer_is_refused_and_an_answer_goes_on_without) {
    for (const char* name :
         {"Content-Length", "Transfer-Encoding", "Host", "Trailer", "TE", "Authorization", "Proxy-Authorization",
          "Cookie", "Connection", "Keep-Alive", "Upgrade", "Expect", "Max-Forwards"})
        expect_in_trailer(name, true);
}

TEST(ChunkScanner, what_comes_too_late_in_a_trailer_or_would_be_taken_for_ours_is_left_out) {
    for (const char* name : {"Set-Cookie", "Content-Type", "Content-Encoding", "Content-Range", "Cache-Control",
                             "Range", "Vary", "Expires", "If-Match", "X-Forwarded-For", "X-Real-IP", "Forwarded",
                             "X-Request-Id", "X-Plimsoll-Route", "Proxy", "A_B", "Content_Length"})
        expect_in_trailer(name, false);
}

TEST(ChunkScanner, sizes_are_written_as_they_are_read) {
    for (std::uint64_t size : {std::uint64_t{1}, std::uint64_t{0x1f40}, (std::uint64_t{1} << 63) - 1}) {
        char text[18];
        const std::string_view line(text, write_chunk_size(size, text));
        ChunkScanner scanner;
        EXPECT_EQ(scanner.next(line).framing, line.size());
        EXPECT_EQ(scanner.left_in_chunk(), size);
    }
}

} // namespace
} // namespace plimsoll::http
