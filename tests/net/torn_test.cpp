// The same bytes, cut at every place: the cut must not matter.
#include <gtest/gtest.h>

#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

void send_in_two(Peer& peer, const std::string& bytes, std::size_t cut) {
    peer.send(std::string_view(bytes).substr(0, cut));
    // TCP_NODELAY and a pause make two segments of it; should they meet after all, the test is weaker but not wrong.
    std::this_thread::sleep_for(std::chrono::microseconds{300});
    peer.send(std::string_view(bytes).substr(cut));
}

TEST(Torn, a_request_may_arrive_cut_at_every_byte) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    const std::vector<std::string> requests = {get("/path?query", "Cookie: a=b\r\n"), post("/p", "a body"),
                                               "POST /c HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: "
                                               "chunked\r\n\r\n4;x=y\r\nchun\r\n2\r\nks\r\n0\r\nT: v\r\n\r\n"};
    const std::vector<std::string> answers = {"GET /path?query ", "POST /p a body", "POST /c chunks"};
    for (std::size_t kind = 0; kind < requests.size(); ++kind)
        for (std::size_t cut = 1; cut < requests[kind].size(); ++cut) {
            send_in_two(client, requests[kind], cut);
            const auto answer = client.read_response();
            ASSERT_EQ(answer.status(), 200) << "cut at " << cut << " of\n"
                                            << requests[kind] << answer.head << answer.body;
            ASSERT_EQ(answer.body, answers[kind]) << "cut at " << cut;
        }
    EXPECT_EQ(origin.connections(), 1);
}

TEST(Torn, an_answer_may_arrive_cut_at_every_byte) {
    const std::vector<std::string> answers = {
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-A: b\r\n\r\nanswer",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nansw\r\n2;e=f\r\ner\r\n0\r\nX-T: v\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer"};
    for (const auto& bytes : answers) {
        std::atomic<std::size_t> cut = 0;
        Origin origin([&](Peer& peer) {
            while (peer.read_request().complete) send_in_two(peer, bytes, cut);
        });
        Proxy proxy;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        for (cut = 1; cut < bytes.size(); ++cut) {
            client.send(get());
            auto answer = client.read_response();
            if (answer.status() == 103) answer = client.read_response();
            ASSERT_EQ(answer.status(), 200) << "cut at " << cut << " of\n" << bytes << answer.head << answer.body;
            ASSERT_EQ(answer.body, "answer") << "cut at " << cut << " of\n" << bytes;
        }
        EXPECT_EQ(origin.connections(), 1);
    }
}

TEST(Torn, an_interim_answer_may_arrive_cut_at_every_byte_and_is_passed_on_once) {
    const std::string last = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
    for (const std::string interim :
         {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"}) {
        const bool expected = interim.find("100") != interim.npos;
        std::atomic<std::size_t> cut = 0;
        Origin origin([&](Peer& peer) {
            // The head alone: of a body that waits for the 100 nothing has come.
            for (std::string head; !(head = peer.read_some()).empty();) {
                const bool waits = head.find("Expect: 100-continue") != head.npos;
                send_in_two(peer, waits ? interim : interim + last + "hint", cut);
                if (waits) peer.send(last + peer.read_some(4));
            }
        });
        Proxy proxy;
        proxy.config.routes[0].stream = true;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        const auto size = interim.size() + (expected ? 0 : last.size() + 4);
        for (cut = 1; cut < size; ++cut) {
            client.send(expected ? "PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
                                 : get());
            EXPECT_EQ(client.read_response().head, interim) << "cut at " << cut;
            if (expected) client.send("body");
            const auto answer = client.read_response();
            ASSERT_EQ(answer.status(), 200) << "cut at " << cut << " of\n" << interim << answer.head;
            ASSERT_EQ(answer.body, expected ? "body" : "hint") << "cut at " << cut;
        }
        EXPECT_EQ(origin.connections(), 1);
    }
}

TEST(Torn, a_request_may_arrive_byte_by_byte) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    for (const char byte : post("/slow", "body")) {
        client.send({&byte, 1});
        std::this_thread::sleep_for(std::chrono::microseconds{200});
    }
    EXPECT_EQ(client.read_response().body, "POST /slow body");
}

} // namespace
} // namespace plimsoll::net::testing
