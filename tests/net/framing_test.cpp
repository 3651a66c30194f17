// How bodies are delimited, both ways.
#include <fstream>

#include <gtest/gtest.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

// A worker that answers every request with the same bytes, and hangs up if told so.
Origin::Script answers(std::string bytes, bool then_close = false) {
    return [bytes, then_close](Peer& peer) {
        while (peer.read_request().complete) {
            if (!peer.send(bytes) || then_close) return;
        }
    };
}

struct Served {
    Message answer;
    bool kept = false; // the client's connection took another request
};

Served serve(const std::string& bytes, const std::string& request = get(), bool then_close = false) {
    Origin origin(answers(bytes, then_close));
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(request);
    Served served;
    const bool head = request.starts_with("HEAD");
    served.answer = client.read_response(head);
    if (client.send(request)) served.kept = client.read_response(head).status() == served.answer.status();
    return served;
}

TEST(Framing, a_chunked_answer_arrives_whole_and_the_connection_stays) {
    const auto served =
        serve("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;ext=\"a\"\r\n, world\r\n0\r\n\r\n");
    EXPECT_EQ(served.answer.body, "hello, world");
    EXPECT_TRUE(served.answer.complete);
    EXPECT_TRUE(served.kept);
}

TEST(Framing, trailers_of_an_answer_are_passed_on) {
    const auto served = serve("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n");
    EXPECT_EQ(served.answer.body, "ok");
    EXPECT_EQ(served.answer.field("x-sum"), "42");
}

// Written anew each has a blank behind its colon, so that they grow on the way.
TEST(Framing, trailers_that_just_fit_are_all_passed_on_and_more_are_no_whole_answer) {
    const auto answer_with = [](std::size_t of_last) {
        std::string trailers;
        for (int i = 10; i < 70; ++i) trailers += "x-" + std::to_string(i) + ":" + std::string(100, 'v') + "\r\n";
        trailers += "x-last:" + std::string(of_last, 'l') + "\r\n";
        return std::pair(trailers.size() + 2,
                         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + trailers + "\r\n");
    };
    const std::size_t fits = 8192 - answer_with(0).first;
    const auto served = serve(answer_with(fits).second);
    EXPECT_TRUE(served.answer.complete);
    EXPECT_TRUE(served.kept);
    for (int i = 10; i < 70; ++i) EXPECT_TRUE(served.answer.has("x-" + std::to_string(i))) << i;
    EXPECT_EQ(served.answer.field("x-last"), std::string(fits, 'l'));

    Origin origin(answers(answer_with(fits + 1).second));
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 502) << "it would have lost its trailers";
    EXPECT_EQ(proxy.server().stats().upstream_failures, 1U);
}

TEST(Framing, an_answer_that_ends_with_the_connection_is_chunked_for_the_client) {
    const auto served = serve("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", get(), true);
    EXPECT_EQ(served.answer.field("transfer-encoding"), "chunked");
    EXPECT_EQ(served.answer.body, "until the end");
    EXPECT_TRUE(served.answer.complete);
    EXPECT_TRUE(served.kept);
}

TEST(Framing, a_client_of_http_1_0_gets_the_plain_bytes_and_the_end) {
    const auto served = serve("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                              "GET / HTTP/1.0\r\nHost: test\r\n\r\n");
    EXPECT_FALSE(served.answer.has("transfer-encoding"));
    EXPECT_EQ(served.answer.body, "hello");
    EXPECT_TRUE(served.answer.complete);
    EXPECT_FALSE(served.kept);
}

TEST(Framing, an_answer_to_head_has_its_length_but_no_body) {
    const auto served =
        serve("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_EQ(served.answer.field("content-length"), "1000");
    EXPECT_TRUE(served.kept);
}

TEST(Framing, a_head_request_that_is_refused_gets_no_body_however_early_it_failed) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.listeners[0].header_timeout = std::chrono::milliseconds{200};
    proxy.add_worker(origin.address());
    proxy.start();
    const std::string begun = "HEAD / HTTP/1.1\r\nHost: a\r\n";
    for (const std::string& request :
         {begun + "Content-Length: x\r\n\r\n", begun + "X : y\r\n\r\n", begun + "Expect: a\r\n\r\n", begun + "\n",
          begun + "X-Large: " + std::string(70'000, 'x') + "\r\n\r\n", std::string("HEAD / HTTP/1.1\r\n\r\n"),
          std::string("\r\nHEAD /\xff HTTP/1.1\r\nHost: a\r\n\r\n"), std::string("HEAD / HTTP/2.0\r\n\r\n"),
          "HEAD /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", begun}) {
        auto client = proxy.client();
        client.send(request);
        const std::string all = client.read_to_end();
        EXPECT_TRUE(all.starts_with("HTTP/1.1 4") || all.starts_with("HTTP/1.1 5")) << request.substr(0, 80);
        EXPECT_EQ(all.find("\r\n\r\n") + 4, all.size()) << request.substr(0, 80) << all;
    }
}

TEST(Framing, neither_204_nor_304_has_a_body) {
    EXPECT_TRUE(serve("HTTP/1.1 204 No Content\r\n\r\n").kept);
    EXPECT_TRUE(serve("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n").kept);
}

// The buffer that heads are written to has 80 KiB, and a first chunk's size comes behind the head.
TEST(Framing, an_answer_whose_head_just_fits_is_sent_whole_or_refused) {
    Origin origin([](Peer& peer) {
        while (peer.read_request().complete)
            peer.send("HTTP/1.1 200 OK\r\nX-Fill: " + std::string(50'000, 'f') +
                      "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    });
    const auto answer = [&](std::size_t more, const auto& judge) {
        Proxy proxy;
        proxy.config.proxy.threads = 1;
        proxy.config.routes[0].set_response_fields = {{"X-More", std::string(more, 'm')}};
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        for (int i = 0; i < 2; ++i) {
            client.send(get());
            judge(client.read_response());
        }
    };
    std::size_t size = 0;
    answer(1'000, [&](const Message& one) { size = one.head.size(); });
    for (std::size_t room = 0; room < 6; ++room)
        answer(1'000 + (80 << 10) - size - room, [&](const Message& one) {
            EXPECT_TRUE(one.complete);
            EXPECT_TRUE(one.body == "ok" || one.status() == 502) << one.status();
            EXPECT_EQ(one.field("date").find(", "), 3u) << one.field("date");
        });
}

TEST(Framing, interim_answers_are_passed_on_before_the_one_that_counts) {
    Origin origin(
        answers("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    const auto hints = client.read_response();
    EXPECT_EQ(hints.status(), 103);
    EXPECT_EQ(hints.field("link"), "</a.css>");
    EXPECT_EQ(client.read_response().body, "ok");
}

TEST(Framing, a_chunked_request_reaches_the_worker_with_its_length) {
    std::string seen;
    Origin origin([&seen](Peer& peer) {
        auto request = peer.read_request();
        seen = request.field("content-length") + "/" + request.field("transfer-encoding") + "/" + request.body;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        peer.read_request();
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n");
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_EQ(seen, "11//hello there");
}

TEST(Framing, a_streamed_request_stays_chunked_and_arrives_as_it_comes) {
    std::atomic<bool> first_part = false;
    std::string seen;
    Origin origin([&](Peer& peer) {
        std::string bytes;
        while (bytes.find("hello") == std::string::npos) bytes += peer.read_some();
        first_part = true;
        while (bytes.find("0\r\n\r\n") == std::string::npos) bytes += peer.read_some();
        seen = bytes;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        peer.read_request();
    });
    Proxy proxy;
    proxy.config.routes[0].stream = true;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    EXPECT_TRUE(eventually([&] { return first_part.load(); }));
    client.send("6\r\n there\r\n0\r\n\r\n");
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_NE(seen.find("Transfer-Encoding: chunked"), std::string::npos) << seen;
}

// What the worker saw of a request that came in chunks with trailers.
Message request_with_trailers(bool streamed, const std::string& body, const std::string& trusted_field = "X-None",
                              const std::function<void(config::Route&)>& edit = {}) {
    Message seen;
    Origin origin([&seen](Peer& peer) {
        for (auto request = peer.read_request(); request.complete; request = peer.read_request()) {
            seen = request;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    Proxy proxy;
    proxy.config.routes[0].stream = streamed;
    proxy.config.proxy.trusted_fields = {trusted_field};
    if (edit) edit(proxy.config.routes[0]);
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (int i = 0; i < 2; ++i) {
        client.send("PUT / HTTP/1.1\r\nHost: test\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" + body +
                    "0\r\nX-Sum:  42 \r\nX-More: yes\r\n\r\n");
        EXPECT_EQ(client.read_response().status(), 200);
    }
    EXPECT_EQ(origin.connections(), 1) << "bytes of the trailer must not be left over for the next request";
    return seen;
}

TEST(Framing, trailers_of_a_request_reach_the_worker_streamed_or_buffered) {
    for (const bool streamed : {true, false})
        for (const std::string body : {"5\r\nhello\r\n6;x=y\r\n there\r\n", ""}) {
            const auto seen = request_with_trailers(streamed, body);
            EXPECT_EQ(seen.body, body.empty() ? "" : "hello there");
            EXPECT_EQ(seen.field("x-sum"), "42");
            EXPECT_EQ(seen.field("x-more"), "yes");
            EXPECT_EQ(seen.field("trailer"), "X-Sum");
            EXPECT_FALSE(seen.has("content-length"));
        }
}

TEST(Framing, a_body_of_whose_trailers_none_goes_on_has_its_length) {
    Message seen;
    Origin origin([&](Peer& peer) {
        seen = peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nVary: *\r\n\r\n");
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_EQ(seen.field("content-length"), "2");
    EXPECT_EQ(seen.field("transfer-encoding"), "");
}

TEST(Framing, a_trailer_that_only_a_trusted_proxy_may_send_is_left_out) {
    for (const bool streamed : {true, false}) {
        const auto seen = request_with_trailers(streamed, "5\r\nhello\r\n", "x-sum");
        EXPECT_FALSE(seen.has("x-sum"));
        EXPECT_EQ(seen.field("x-more"), "yes");
        EXPECT_EQ(seen.body, "hello");
    }
}

// Else a client appends what the operator has set or taken away.
TEST(Framing, a_trailer_that_the_route_sets_or_removes_is_left_out) {
    for (const bool streamed : {true, false}) {
        const auto seen = request_with_trailers(streamed, "5\r\nhello\r\n", "X-None", [](config::Route& route) {
            route.set_request_fields = {{"x-sum", "ours"}};
            route.remove_request_fields = {"x-more"};
        });
        EXPECT_EQ(seen.all("x-sum"), std::vector<std::string>{"ours"});
        EXPECT_FALSE(seen.has("x-more"));
        EXPECT_EQ(seen.body, "hello");
        EXPECT_EQ(seen.has("content-length"), !streamed) << "nothing is left that would ask for chunks";
    }
}

TEST(Framing, and_of_an_answer_too) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
                  "X-Sum: 42\r\nX-Secret: s\r\nX-More: yes\r\n\r\n");
    });
    Proxy proxy;
    proxy.config.routes[0].set_response_fields = {{"x-sum", "ours"}};
    proxy.config.routes[0].remove_response_fields = {"x-secret"};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    const auto answer = client.read_response();
    EXPECT_EQ(answer.all("x-sum"), std::vector<std::string>{"ours"});
    EXPECT_FALSE(answer.has("x-secret"));
    EXPECT_EQ(answer.field("x-more"), "yes");
    EXPECT_TRUE(answer.complete);
}

TEST(Framing, what_connection_names_ends_here_among_the_trailers_too) {
    for (const bool streamed : {true, false}) {
        Message seen;
        Origin origin([&seen](Peer& peer) {
            seen = peer.read_request();
            peer.send(
                "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nTrailer: X-Hop, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                "2\r\nok\r\n0\r\nX-Hop: 1\r\nX-Sum: 2\r\n\r\n");
        });
        Proxy proxy;
        proxy.config.routes[0].stream = streamed;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.send("PUT / HTTP/1.1\r\nHost: test\r\nConnection: X-Hop\r\nTrailer: X-Hop, X-Sum\r\nTransfer-Encoding: "
                    "chunked\r\n\r\n");
        client.send("2\r\nhi\r\n0\r\nX-Hop: 1\r\nX-Sum: 2\r\n\r\n");
        const auto answer = client.read_response();
        for (const auto& message : {seen, answer}) {
            EXPECT_TRUE(message.complete);
            EXPECT_FALSE(message.has("x-hop")) << message.head;
            EXPECT_EQ(message.field("x-sum"), "2") << message.head;
            EXPECT_EQ(message.field("trailer"), "X-Sum") << message.head;
        }
    }
}

// Else a client would see there what the operator has replaced or taken away in the head.
TEST(Framing, a_server_among_the_trailers_goes_the_way_of_the_one_in_the_head) {
    for (const std::string server : {"pass", "remove", "replace"}) {
        Origin origin(
            answers("HTTP/1.1 200 OK\r\nTrailer: Server, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
                    "Server: secret\r\nX-Sum: 2\r\n\r\n"));
        Proxy proxy;
        proxy.config.proxy.server = server;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.send(get());
        const auto answer = client.read_response();
        EXPECT_TRUE(answer.complete);
        EXPECT_EQ(answer.field("x-sum"), "2");
        EXPECT_EQ(answer.field("trailer"), server == "pass" ? "Server, X-Sum" : "X-Sum");
        EXPECT_EQ(answer.field("server"), server == "pass" ? "secret" : server == "replace" ? "plimsoll" : "");
        EXPECT_EQ(answer.all("server").size(), server == "remove" ? 0u : 1u);
    }
}

TEST(Framing, a_request_with_trailers_is_sent_again_whole) {
    std::atomic<int> requests = 0;
    Message seen;
    Origin origin([&](Peer& peer) {
        seen = peer.read_request();
        if (++requests == 1) return; // dies of it
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        peer.read_request();
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n");
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_EQ(requests, 2);
    EXPECT_EQ(seen.body, "hi");
    EXPECT_EQ(seen.field("x-sum"), "1");
    EXPECT_TRUE(seen.complete);
}

TEST(Framing, a_trailer_that_must_stand_in_the_head_is_refused_and_no_worker_takes_the_rest_for_whole) {
    for (const bool streamed : {true, false}) {
        std::atomic<int> whole = 0;
        Origin origin([&](Peer& peer) { whole += peer.read_request().complete; });
        Proxy proxy;
        proxy.config.routes[0].stream = streamed;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
                    "Content-Length: 5\r\n\r\n");
        const auto answer = client.read_response();
        EXPECT_EQ(answer.status(), 400);
        EXPECT_EQ(answer.field("x-plimsoll-reason"), "trailer");
        EXPECT_TRUE(client.ended());
        EXPECT_EQ(whole, 0);
    }
}

TEST(Framing, where_max_forwards_is_used_up_the_proxy_answers_itself) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("OPTIONS * HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n");
    const auto options = client.read_response();
    EXPECT_EQ(options.status(), 200);
    EXPECT_NE(options.field("allow").find("GET"), std::string::npos);
    client.send("TRACE /path HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\nCookie: secret\r\nX-A: b\r\n\r\n");
    const auto trace = client.read_response();
    EXPECT_EQ(trace.status(), 200);
    EXPECT_EQ(trace.field("content-type"), "message/http");
    EXPECT_EQ(trace.body, "TRACE /path HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\nX-A: b\r\n\r\n");
    EXPECT_EQ(origin.connections(), 0);
    client.send("OPTIONS /path HTTP/1.1\r\nHost: test\r\nMax-Forwards: 1\r\n\r\n");
    EXPECT_EQ(client.read_response().body, "OPTIONS /path ");
}

TEST(Framing, a_request_that_ends_too_early_is_told_so) {
    Origin origin(echo);
    for (const std::string bytes :
         {"GET / HTTP/1.1\r\nHo", "\r\n", "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhell",
          "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"}) {
        Proxy proxy;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.send(bytes);
        client.finish_writing();
        const auto answer = client.read_response();
        EXPECT_EQ(answer.status(), 400) << bytes;
        EXPECT_EQ(answer.field("x-plimsoll-reason"), "incomplete") << bytes;
        EXPECT_TRUE(client.ended());
    }
    EXPECT_EQ(origin.connections(), 0);
}

TEST(Framing, pipelined_requests_are_answered_in_order) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    std::string all;
    for (int i = 0; i < 40; ++i)
        all += i % 2 ? get("/" + std::to_string(i))
                     : post("/" + std::to_string(i), std::string(static_cast<std::size_t>(i) * 100, 'b'));
    all += get("/missing?no") + "GET /nowhere HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    std::thread writer([&] { client.send(all); });
    for (int i = 0; i < 40; ++i) {
        const auto answer = client.read_response();
        ASSERT_EQ(answer.status(), 200);
        EXPECT_EQ(answer.body.substr(0, answer.body.rfind(' ')), (i % 2 ? "GET /" : "POST /") + std::to_string(i));
    }
    EXPECT_EQ(client.read_response().status(), 200);
    const auto last = client.read_response();
    EXPECT_EQ(last.field("connection"), "close");
    EXPECT_TRUE(client.ended());
    writer.join();
}

// A kernel that waits for more holds each piece back for 200 ms.
TEST(Framing, pieces_of_a_large_answer_are_not_held_back_while_the_worker_pauses) {
    constexpr int pieces = 20;
    for (const std::string more : {"", "X-Accel-Buffering: no\r\n"})
        for (const std::size_t size : {20, 20'000, 60'000}) {
            std::atomic<int> taken = 0;
            const std::string piece(size, 'p'), rest(70'000, 'r');
            Origin origin([&](Peer& peer) {
                if (peer.read_request().head.empty()) return;
                peer.send("HTTP/1.1 200 OK\r\n" + more +
                          "Content-Length: " + std::to_string(pieces * size + rest.size()) + "\r\n\r\n");
                for (int sent = 0; sent < pieces; ++sent) {
                    peer.send(piece);
                    eventually([&] { return taken > sent; });
                }
                peer.send(rest);
            });
            Proxy proxy;
            proxy.add_worker(origin.address());
            proxy.start();
            auto client = proxy.client();
            client.send(get());
            client.read_response(true);
            const auto take = [&](std::size_t left) {
                while (left > 0) {
                    const auto some = client.read_some(left);
                    if (some.empty()) return false;
                    left -= some.size();
                }
                return true;
            };
            const auto began = std::chrono::steady_clock::now();
            for (; taken < pieces; ++taken) ASSERT_TRUE(take(size));
            EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds{pieces * 100})
                << size << more;
            EXPECT_TRUE(take(rest.size()));
        }
}

TEST(Framing, large_answers_of_every_kind_arrive_whole) {
    const std::string body(3'000'000, 'z');
    std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (std::size_t at = 0; at < body.size(); at += 10'000) chunked += "2710\r\n" + body.substr(at, 10'000) + "\r\n";
    chunked += "0\r\n\r\n";
    EXPECT_EQ(serve(chunked).answer.body, body);
    const auto by_length = serve("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + body);
    EXPECT_EQ(by_length.answer.body, body);
    EXPECT_TRUE(by_length.kept);
    EXPECT_EQ(serve("HTTP/1.1 200 OK\r\n\r\n" + body, get(), true).answer.body, body);
}

TEST(Framing, a_large_upload_goes_through_a_file_and_arrives_whole) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    std::string body;
    for (int i = 0; body.size() < 2'000'000; ++i) body += std::to_string(i);
    client.send(post("/", body));
    EXPECT_EQ(client.read_response().body, "POST / " + body);
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().buffered_bytes == 0; }));
}

// Of this process, to files: what goes over sockets is not among them.
std::uint64_t writes() {
    std::ifstream io("/proc/self/io");
    std::string word;
    while (io >> word && word != "syscw:") {
    }
    std::uint64_t count = 0;
    io >> count;
    return count;
}

TEST(Framing, chunks_of_a_byte_go_to_the_file_together) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.proxy.body_memory.count = 4 << 10;
    proxy.add_worker(origin.address());
    proxy.start();
    std::string body, chunks;
    for (int i = 0; body.size() < 40'000; ++i) body += std::to_string(i);
    for (const char c : body) chunks += std::string("1\r\n") + c + "\r\n";
    auto client = proxy.client();
    const auto before = writes();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n");
    EXPECT_EQ(client.read_response().body, "POST / " + body);
    EXPECT_LT(writes() - before, 1'000u);
}

TEST(Framing, a_body_over_the_limit_is_refused_before_it_comes) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.listeners[0].max_body = {1000};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1001\r\n\r\n");
    EXPECT_EQ(client.read_response().status(), 413);
    EXPECT_TRUE(client.ended());
    client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("400\r\n" + std::string(0x400, 'x') + "\r\n");
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 413);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "body_too_large");
}

// Most clients read when they have sent all: a connection that was reset meanwhile would be all they see.
TEST(Framing, a_client_that_sends_all_of_a_body_over_the_limit_before_it_reads_sees_the_refusal) {
    Proxy proxy;
    proxy.config.listeners[0].max_body = {1000};
    proxy.start();
    auto client = proxy.client();
    EXPECT_TRUE(client.send(post("/", std::string(20'000'000, 'b'))));
    EXPECT_EQ(client.read_response().status(), 413);
    EXPECT_TRUE(client.ended());
}

TEST(Framing, a_chunk_that_would_go_over_the_limit_is_refused_by_its_size) {
    for (const bool streamed : {false, true}) {
        Origin origin(echo);
        Proxy proxy;
        proxy.config.listeners[0].max_body = {1000};
        proxy.config.routes[0].stream = streamed;
        proxy.add_worker(origin.address());
        proxy.start();
        const std::string head = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
        auto client = proxy.client();
        client.send(head + "3e8\r\n" + std::string(1000, 'c') + "\r\n0\r\n\r\n");
        EXPECT_EQ(client.read_response().status(), 200) << "exactly the limit";
        client.send(head + "5\r\nhello\r\n3e4\r\nx"); // the rest never comes
        EXPECT_EQ(client.read_response().status(), 413);
        EXPECT_TRUE(client.ended());
    }
}

TEST(Framing, what_the_route_does_with_an_answer_it_does_with_the_interim_ones_before_it) {
    Origin origin([](Peer& peer) {
        while (!peer.read_request().head.empty())
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Powered-By: p\r\nServer: s\r\nX-Set: w\r\n\r\n"
                      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    Proxy proxy;
    proxy.config.proxy.server = "remove";
    proxy.config.routes[0].remove_response_fields = {"X-Powered-By"};
    proxy.config.routes[0].set_response_fields = {{"X-Set", "ours"}};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    const auto hint = client.read_response();
    EXPECT_EQ(hint.status(), 103);
    EXPECT_TRUE(hint.has("link"));
    for (const char* each : {"x-powered-by", "server", "x-set"}) EXPECT_FALSE(hint.has(each)) << each;
    EXPECT_EQ(client.read_response().field("x-set"), "ours");
}

TEST(Framing, what_plimsoll_says_to_workers_and_workers_to_plimsoll_stays_inside) {
    std::string seen;
    Origin origin([&seen](Peer& peer) {
        seen = peer.read_request().head;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Plimsoll-Route: GET /users/{id}\r\n\r\n");
        peer.read_request();
    });
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get("/users/7", "X-Plimsoll-Anything: forged\r\n"));
    const auto answer = client.read_response();
    EXPECT_FALSE(answer.has("x-plimsoll-route"));
    EXPECT_EQ(seen.find("forged"), std::string::npos);
    EXPECT_TRUE(eventually([&] {
        for (const auto& route : proxy.server().stats().routes)
            if (route.route == "GET /users/{id}" && route.pool == "app" && route.by_class[2] == 1) return true;
        return false;
    }));
}

} // namespace
} // namespace plimsoll::net::testing
