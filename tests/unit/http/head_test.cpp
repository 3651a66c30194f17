#include "net/http/head.hpp"

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace plimsoll::http {
namespace {

struct Request {
    std::string bytes; // outlives the views in the head
    RequestHead head;
    Parsed parsed;
    explicit Request(std::string text, Limits limits = {}) : bytes(std::move(text)) {
        parsed = parse_request(bytes, 0, limits, head);
    }
};

TEST(RequestHead, a_head_ends_where_its_body_begins) {
    const Request request("POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    ASSERT_EQ(request.parsed.state, Parsed::State::complete);
    EXPECT_EQ(request.bytes.substr(request.parsed.size), "body");
    EXPECT_EQ(request.head.bytes, request.bytes.substr(0, request.parsed.size));
}

TEST(RequestHead, an_empty_line_in_front_counts_as_taken_but_not_as_head) {
    const Request request("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nnext");
    ASSERT_EQ(request.parsed.state, Parsed::State::complete);
    EXPECT_EQ(request.bytes.substr(request.parsed.size), "next");
    EXPECT_TRUE(request.head.bytes.starts_with("GET"));
}

TEST(RequestHead, fields_are_found_by_name_in_any_case_and_by_id) {
    const Request request("GET / HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-one: 2\r\nCookie: c\r\n\r\n");
    ASSERT_EQ(request.head.fields.size(), 4U);
    EXPECT_EQ(request.head.fields.value("x-ONE"), "1");
    EXPECT_EQ(request.head.fields.find(FieldName::cookie)->value, "c");
    EXPECT_EQ(request.head.fields.find("absent"), nullptr);
}

TEST(RequestHead, a_table_that_is_used_again_holds_nothing_of_the_last_request) {
    RequestHead head;
    const std::string upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, x-a\r\nUpgrade: websocket\r\n\r\n";
    const std::string chunked = "POST http://y:1/?q HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: "
                                "chunked\r\n\r\n";
    const std::string plain = "GET / HTTP/1.0\r\n\r\n";
    for (const std::string& first : {upgrade, chunked}) {
        ASSERT_EQ(parse_request(first, 0, {}, head).state, Parsed::State::complete);
        ASSERT_EQ(parse_request(plain, 0, {}, head).state, Parsed::State::complete);
        EXPECT_EQ(head.fields.size(), 0U);
        EXPECT_EQ(head.framing, Framing{});
        EXPECT_FALSE(head.content_length);
        EXPECT_FALSE(head.upgrade || head.expect_continue || head.connection_names_fields || head.keep_alive);
        EXPECT_TRUE(head.upgrade_to.empty() && head.host.empty() && head.authority.empty() && head.query.empty());
    }
}

TEST(RequestHead, limits_are_the_callers) {
    const std::string text = "GET /abc HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
    EXPECT_EQ(Request(text, {.max_head = text.size()}).parsed.state, Parsed::State::complete);
    EXPECT_EQ(Request(text, {.max_head = text.size() - 1}).parsed.refusal.status, 431);
    EXPECT_EQ(Request(text, {.max_fields = 2}).parsed.state, Parsed::State::complete);
    EXPECT_EQ(Request(text, {.max_fields = 1}).parsed.refusal.status, 431);
    EXPECT_EQ(Request(text, {.max_target = 4}).parsed.state, Parsed::State::complete);
    EXPECT_EQ(Request(text, {.max_target = 3}).parsed.refusal.status, 414);
}

TEST(RequestHead, more_fields_than_the_table_holds_are_refused_whatever_the_limit) {
    std::string text = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (std::size_t i = 0; i < max_fields_ever; ++i) text += "A: b\r\n";
    EXPECT_EQ(Request(text + "\r\n", {.max_fields = 100'000}).parsed.refusal.reason, "too_many_fields");
}

TEST(RequestHead, a_malformed_field_is_told_before_too_many_of_them) {
    EXPECT_EQ(Request("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nB : c\r\n\r\n", {.max_fields = 1}).parsed.refusal.status,
              400);
}

TEST(RequestHead, length_and_coding_together_are_told_as_such_in_either_order) {
    for (const char* fields :
         {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
          "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n"})
        EXPECT_EQ(Request("POST / HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n").parsed.refusal.reason,
                  "framing")
            << fields;
}

TEST(RequestHead, a_coding_that_is_not_served_is_told_apart_from_elements_that_are_empty) {
    const auto told = [](const std::string& codings) {
        return Request("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " + codings + "\r\n\r\n").parsed.refusal;
    };
    EXPECT_EQ(told("gzip, chunked").status, 501);
    for (const char* codings : {",chunked", "chunked,", " , chunked ,"}) {
        EXPECT_EQ(told(codings).status, 400) << codings;
        EXPECT_NE(told(codings).detail.find("empty"), std::string_view::npos) << codings;
    }
}

TEST(RequestHead, every_refusal_has_a_word_and_a_sentence) {
    for (const char* text : {"GET\r\n", "GET / HTTP/2.0\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA\r\n\r\n",
                             "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n"}) {
        const Request request(text);
        ASSERT_EQ(request.parsed.state, Parsed::State::error);
        EXPECT_FALSE(request.parsed.refusal.reason.empty());
        EXPECT_EQ(request.parsed.refusal.reason.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"),
                  std::string_view::npos);
        EXPECT_GT(request.parsed.refusal.detail.size(), request.parsed.refusal.reason.size());
    }
}

TEST(RequestHead, idempotent_methods_are_those_of_the_rfc) {
    for (Method method : {Method::get, Method::head, Method::put, Method::del, Method::options, Method::trace})
        EXPECT_TRUE(is_idempotent(method));
    for (Method method : {Method::post, Method::patch, Method::other}) EXPECT_FALSE(is_idempotent(method));
}

// A slow client sends byte by byte; with `seen` told, the work for each byte must not grow with the bytes before it.
TEST(RequestHead, a_head_that_comes_byte_by_byte_is_not_scanned_from_its_start_each_time) {
    const std::string text = "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(30'000, 'a') + "\r\n\r\n";
    // No clock: the bytes before what was seen are made unreadable instead, as far as the scan may not go.
    RequestHead head;
    for (std::size_t size = 1; size < text.size(); ++size) {
        const auto copy = std::make_unique<char[]>(size);
        if (size % 997 != 0) continue;
        text.copy(copy.get(), size);
        const std::size_t seen = size - 1;
        for (std::size_t i = 100; i + 4 < seen; ++i) copy[i] = '\n'; // would be refused, were it looked at
        ASSERT_EQ(parse_request({copy.get(), size}, seen, {}, head).state, Parsed::State::need_more) << size;
    }
}

TEST(ResponseHead, faults_are_502_and_say_what_was_wrong) {
    ResponseHead head;
    const Parsed parsed =
        parse_response("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 0, {}, {}, head);
    EXPECT_EQ(parsed.refusal.status, 502);
    EXPECT_EQ(parsed.refusal.reason, "bad_response");
    EXPECT_NE(parsed.refusal.detail.find("Transfer-Encoding"), std::string_view::npos);
}

TEST(ResponseHead, what_could_not_stand_in_metrics_is_no_route) {
    const auto route = [](const std::string& value) {
        ResponseHead head;
        const std::string text = "HTTP/1.1 204 No Content\r\nX-Plimsoll-Route: " + value + "\r\n\r\n";
        EXPECT_EQ(parse_response(text, 0, {}, {}, head).state, Parsed::State::complete);
        return std::string(head.route);
    };
    EXPECT_EQ(route("GET /users/{id}"), "GET /users/{id}");
    EXPECT_EQ(route(std::string(200, 'a')).size(), 200u);
    EXPECT_EQ(route(std::string(201, 'a')), "");
    for (const char* each : {"caf\xc3\xa9", "bad\x80\xff", "a\tb"}) EXPECT_EQ(route(each), "") << each;
}

TEST(ResponseHead, a_table_that_is_used_again_holds_nothing_of_the_last_response) {
    ResponseHead head;
    const std::string_view first = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n"
                                   "X-Plimsoll-Route: r\r\nConnection: x\r\nContent-Length: 7\r\n\r\n";
    ASSERT_EQ(parse_response(first, 0, {}, {}, head).state, Parsed::State::complete);
    ASSERT_EQ(parse_response("HTTP/1.1 204 No Content\r\n\r\n", 0, {}, {}, head).state, Parsed::State::complete);
    EXPECT_FALSE(head.event_stream || head.unbuffered || head.connection_names_fields || head.content_length);
    EXPECT_TRUE(head.route.empty());
    EXPECT_EQ(head.framing, Framing{});
    EXPECT_EQ(head.fields.size(), 0U);
}

} // namespace
} // namespace plimsoll::http
