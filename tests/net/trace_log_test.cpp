// The trace of requests: what stands in it, that it gets to its file, and that it stays within its bound.
#include "net/trace_log.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include <gtest/gtest.h>
#include <unistd.h>

#include "log/log.hpp"
#include "proxy.hpp"

using namespace plimsoll;
using namespace plimsoll::net;
using namespace plimsoll::net::testing;
using namespace std::chrono_literals;

namespace {

TraceEntry a_traced_entry() {
    TraceEntry entry;
    entry.at = std::chrono::system_clock::time_point(1'772'331'245'117'342us);
    entry.pool = "app";
    entry.route = "/api";
    entry.priority = "normal";
    entry.service = 4812us;
    entry.sent = 512;
    entry.status = 200;
    return entry;
}
std::string line_of(const TraceEntry& entry) {
    std::string out;
    append_trace_line(out, entry);
    return out;
}

TEST(TraceLine, tells_when_a_request_came_and_what_it_needed) {
    EXPECT_EQ(line_of(a_traced_entry()),
              R"({"at":1772331245.117342,"pool":"app","route":"/api","priority":"normal","wait":0,"service":0.004812,)"
              R"("received":0,"sent":512,"status":200})"
              "\n");
}

TEST(TraceLine, one_that_was_refused_has_a_reason_and_no_service) {
    TraceEntry entry = a_traced_entry();
    entry.service.reset();
    entry.status = 503;
    entry.sent = 0;
    entry.wait = 20ms;
    entry.refused = "queue_timeout";
    EXPECT_EQ(line_of(entry),
              R"({"at":1772331245.117342,"pool":"app","route":"/api","priority":"normal","wait":0.020000,)"
              R"("received":0,"sent":0,"status":503,"refused":"queue_timeout"})"
              "\n");
}

TEST(TraceLine, tells_for_how_long_an_answer_was_of_use_where_that_was_bounded) {
    TraceEntry entry = a_traced_entry();
    entry.deadline = 2500ms;
    EXPECT_NE(line_of(entry).find(R"("priority":"normal","deadline":2.500000,"wait":0,)"), std::string::npos);
    entry.deadline = -1ms;
    EXPECT_NE(line_of(entry).find(R"("deadline":0,)"), std::string::npos) << "it had passed when a slot was asked for";
}

TEST(TraceLine, tells_what_it_needed_of_memory_where_that_is_much) {
    TraceEntry entry = a_traced_entry();
    entry.need = 200_MiB;
    EXPECT_NE(line_of(entry).find(R"("service":0.004812,"need":209715200,"received":0,)"), std::string::npos);
    entry.need = 1023_KiB;
    EXPECT_EQ(line_of(entry).find("need"), std::string::npos) << "it would be on every line";
}

TEST(TraceLine, has_the_route_s_own_label_beside_another_name) {
    TraceEntry entry = a_traced_entry();
    entry.route = "GET /api/{id}";
    entry.label = "/api";
    EXPECT_NE(line_of(entry).find(R"("route":"GET /api/{id}","label":"/api","priority":)"), std::string::npos);
}

TEST(TraceLine, a_client_is_sixteen_digits_or_not_there) {
    TraceEntry entry = a_traced_entry();
    entry.client = 0xbeef;
    EXPECT_NE(line_of(entry).find(R"("route":"/api","client":"000000000000beef","priority":)"), std::string::npos);
}

TEST(TraceLine, no_label_can_forge_a_line_and_each_has_a_bound) {
    TraceEntry entry = a_traced_entry();
    entry.route = "/a\"},\n{\"at\":1";
    std::string line = line_of(entry);
    line.pop_back();
    EXPECT_EQ(line.find('\n'), line.npos);
    EXPECT_NE(line.find(R"(/a\"},\n{\"at\":1)"), line.npos);
    const std::string endless(100'000, 'x');
    entry.route = endless;
    EXPECT_LT(line_of(entry).size(), 600u);
}

class Traced : public ::testing::Test {
protected:
    Traced() {
        char name[] = "/tmp/plimsoll-trace-XXXXXX";
        directory = ::mkdtemp(name);
        settings.file = (directory / "log").string();
        settings.trace = (directory / "trace").string();
    }
    ~Traced() override {
        log::stop();
        std::filesystem::remove_all(directory);
    }
    static std::string content(const std::filesystem::path& path) {
        std::ifstream stream(path);
        std::stringstream text;
        text << stream.rdbuf();
        return text.str();
    }
    std::filesystem::path directory;
    config::Log settings;
};

TEST_F(Traced, each_request_that_asked_a_pool_has_its_line) {
    ASSERT_EQ(log::start(settings), "");
    {
        Origin origin([](Peer& peer) {
            peer.read_request();
            peer.silent_for(30ms); // its work
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        });
        Proxy proxy;
        proxy.config.log = settings;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.send(post("/a?secret=1", "abc"));
        EXPECT_EQ(client.read_response().body, "hello");
    }
    log::stop();
    const std::string text = content(settings.trace);
    EXPECT_NE(text.find(R"("pool":"app","route":"/","client":")"), text.npos) << text;
    EXPECT_NE(text.find(R"("priority":"normal","wait":0,"service":0.0)"), text.npos) << text;
    EXPECT_NE(text.find(R"("received":3,"sent":5,"status":200})"), text.npos) << text;
    EXPECT_EQ(text.find("secret"), text.npos) << "what clients ask is no matter of the trace";
    const auto service = std::stod(text.substr(text.find("\"service\":") + 10));
    EXPECT_GE(service, 0.03);
    EXPECT_LT(service, 5);
}

TEST_F(Traced, what_such_requests_need_of_memory_is_told_of_those_that_were_served_and_of_those_that_found_no_room) {
    ASSERT_EQ(log::start(settings), "");
    {
        Origin origin(echo);
        Proxy proxy;
        proxy.config.log = settings;
        const WorkerKey worker = proxy.add_worker(origin.address());
        proxy.pool->observe(worker, 0.2, MemorySight{100_MiB, 500_MiB, {}});
        const Pool::Need needs[] = {{"GET /heavy", 200_MiB, 200_MiB, 3, false},
                                    {"GET /huge", 900_MiB, 900_MiB, 3, false}};
        proxy.pool->recall(needs);
        config::Pool impatient = proxy.config.pools.at(0);
        impatient.queue.timeout = 50ms;
        proxy.pool->configure(impatient);
        proxy.start();
        auto client = proxy.client();
        // Of those that never fit one is let in now and then.
        const std::pair<const char*, int> asked[] = {{"/heavy", 200}, {"/huge", 200}, {"/huge", 503}, {"/light", 200}};
        for (const auto& [path, status] : asked) {
            client.send(get(path));
            EXPECT_EQ(client.read_response().status(), status) << path;
        }
    }
    log::stop();
    std::istringstream lines(content(settings.trace));
    std::string heavy, let_in, huge, light;
    for (std::string* each : {&heavy, &let_in, &huge, &light}) std::getline(lines, *each);
    EXPECT_NE(heavy.find(R"("need":209715200,)"), heavy.npos) << heavy;
    EXPECT_NE(huge.find(R"("need":943718400,)"), huge.npos) << huge;
    EXPECT_NE(huge.find(R"("status":503,"refused":)"), huge.npos) << huge;
    EXPECT_EQ(light.find("need"), light.npos) << light;
}

std::vector<std::string> clients_in(const std::string& text) {
    constexpr std::string_view key = R"("client":")";
    std::vector<std::string> clients;
    for (auto at = text.find(key); at != text.npos; at = text.find(key, at + 1))
        clients.push_back(text.substr(at + key.size(), 16));
    return clients;
}

TEST_F(Traced, clients_are_told_apart_and_nobody_can_tell_who_they_are) {
    ASSERT_EQ(log::start(settings), "");
    {
        Origin origin(echo);
        Proxy proxy;
        proxy.config.log = settings;
        proxy.config.proxy.trusted_proxies = {"127.0.0.1"};
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        for (const auto* address : {"192.0.2.7", "192.0.2.8", "192.0.2.7", "2001:db8:1:2::3", "2001:db8:1:2::4"}) {
            client.send(get("/", std::string("X-Forwarded-For: ") + address + "\r\n"));
            EXPECT_EQ(client.read_response().status(), 200);
        }
        proxy.server().apply(proxy.config, {{"app", proxy.pool}});
        client.send(get("/", "X-Forwarded-For: 192.0.2.7\r\n"));
        EXPECT_EQ(client.read_response().status(), 200);
    }
    log::stop();
    const std::string text = content(settings.trace);
    const auto clients = clients_in(text);
    ASSERT_EQ(clients.size(), 6U) << text;
    EXPECT_NE(clients[0], clients[1]);
    EXPECT_EQ(clients[0], clients[2]);
    EXPECT_EQ(clients[3], clients[4]) << "a home has that many addresses";
    EXPECT_NE(clients[0], clients[5]) << "a reload draws another key";
    EXPECT_EQ(text.find("192.0.2"), text.npos);
    EXPECT_EQ(text.find("2001"), text.npos);
}

TEST_F(Traced, who_was_refused_by_a_rate_has_his_line_so_that_another_can_be_tried) {
    ASSERT_EQ(log::start(settings), "");
    {
        Origin origin(echo);
        Proxy proxy;
        proxy.config.log = settings;
        config::Limit limit;
        limit.rate = "1/h";
        proxy.config.routes.at(0).limits = {limit};
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        for (const int status : {200, 429}) {
            client.send(get());
            EXPECT_EQ(client.read_response().status(), status);
        }
    }
    log::stop();
    const std::string text = content(settings.trace);
    const auto clients = clients_in(text);
    ASSERT_EQ(clients.size(), 2U) << text;
    EXPECT_EQ(clients[0], clients[1]);
    EXPECT_NE(text.find(R"("status":429,"refused":"rate"})"), text.npos) << text;
}

TEST_F(Traced, who_was_refused_has_the_name_that_the_application_gave_to_others_like_him) {
    ASSERT_EQ(log::start(settings), "");
    {
        Origin origin([](Peer& peer) { // names orders with their method, and carts without
            for (Message asked = peer.read_request(); asked.complete; asked = peer.read_request()) {
                const std::string name =
                    asked.head.find("/carts") != asked.head.npos ? "/carts/{id}" : "GET /orders/{id}";
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Plimsoll-Route: " + name + "\r\n\r\n");
            }
        });
        Proxy proxy;
        proxy.config.log = settings;
        config::Limit limit;
        limit.rate = "1/h";
        limit.burst = 1;
        proxy.config.routes.at(0).limits = {limit};
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        const std::pair<const char*, int> asked[] = {
            {"/orders/ann", 200}, {"/carts/7", 200}, {"/orders/bob", 429}, {"/carts/8", 429}, {"/unheard-of", 429}};
        for (const auto& [path, status] : asked) {
            client.send(get(path));
            EXPECT_EQ(client.read_response().status(), status) << path;
        }
    }
    log::stop();
    std::istringstream lines(content(settings.trace));
    for (const auto* name : {R"("route":"GET /orders/{id}","label":"/",)", R"("route":"GET /carts/{id}","label":"/",)",
                             R"("route":"GET /orders/{id}","label":"/",)", R"("route":"GET /carts/{id}","label":"/",)",
                             R"("route":"/","client")"}) {
        std::string line;
        std::getline(lines, line);
        EXPECT_NE(line.find(name), line.npos) << line;
    }
}

TEST_F(Traced, how_long_the_client_would_have_waited_counts_from_when_it_asked_for_a_slot) {
    ASSERT_EQ(log::start(settings), "");
    {
        Origin origin(echo);
        Proxy proxy;
        proxy.config.log = settings;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nX-Request-Timeout: 30\r\nContent-Length: 3\r\n\r\n");
        std::this_thread::sleep_for(200ms); // the body comes later than the head: nothing to wait for
        client.send("abc");
        EXPECT_EQ(client.read_response().status(), 200);
        client.send(get());
        EXPECT_EQ(client.read_response().status(), 200);
    }
    log::stop();
    const std::string text = content(settings.trace);
    constexpr std::string_view key = "\"deadline\":";
    ASSERT_NE(text.find(key), text.npos) << text;
    EXPECT_EQ(text.find(key), text.rfind(key)) << "who names none has none: " << text;
    const auto deadline = std::stod(text.substr(text.find(key) + key.size()));
    EXPECT_GT(deadline, 20);
    EXPECT_LE(deadline, 29.9);
}

TEST_F(Traced, who_is_refused_before_he_asks_for_a_slot_is_no_load_to_replay) {
    ASSERT_EQ(log::start(settings), "");
    {
        Origin origin(echo);
        Proxy proxy;
        proxy.config.log = settings;
        proxy.config.listeners[0].max_body = {10};
        proxy.add_worker(origin.address());
        proxy.start();
        auto large = proxy.client(), small = proxy.client();
        large.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
        EXPECT_EQ(large.read_response().status(), 413);
        small.send(get());
        EXPECT_EQ(small.read_response().status(), 200);
    }
    log::stop();
    const std::string text = content(settings.trace);
    EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
    EXPECT_NE(text.find(R"("status":200)"), text.npos) << text;
}

TEST_F(Traced, the_file_stays_within_its_bound) {
    settings.trace_size = {1000};
    ASSERT_EQ(log::start(settings), "");
    for (int i = 0; i < 100; ++i) {
        std::string block = std::to_string(i) + std::string(96, '.') + "\n";
        log::hand_over_trace(block, 1);
    }
    log::stop();
    EXPECT_EQ(log::trace_dropped(), 0u);
    EXPECT_LE(std::filesystem::file_size(settings.trace), 1000u);
    EXPECT_LE(std::filesystem::file_size(settings.trace + ".1"), 1000u);
    EXPECT_TRUE(content(settings.trace).find("99.") != std::string::npos) << "the newest are kept";
}

TEST_F(Traced, what_the_disk_does_not_take_is_dropped_and_counted) {
    settings.trace = "/dev/full";
    ASSERT_EQ(log::start(settings), "");
    const auto before = log::trace_dropped();
    std::string block = "one\ntwo\n";
    log::hand_over_trace(block, 2);
    log::stop();
    EXPECT_EQ(log::trace_dropped() - before, 2u);
}

TEST_F(Traced, a_trace_that_cannot_be_opened_is_told) {
    settings.trace = (directory / "no" / "such").string();
    EXPECT_NE(log::start(settings).find("the trace " + settings.trace + " cannot be opened"), std::string::npos);
}

} // namespace
