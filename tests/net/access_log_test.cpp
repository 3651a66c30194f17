// A line a request: what stands in it, and that it gets to the file.
#include "net/access_log.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/log.hpp"
#include "proxy.hpp"

using namespace plimsoll;
using namespace plimsoll::net;
using namespace plimsoll::net::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view noon = "2026-03-01T12:00:00.000Z";

AccessEntry an_entry() {
    AccessEntry entry;
    entry.client = "192.0.2.7";
    entry.method = "GET";
    entry.path = "/users/7?q=a%20b";
    entry.status = 200;
    entry.response_bytes = 128;
    entry.whole = 1234567us;
    entry.queue = 999ns;
    entry.first_byte = 250us;
    entry.pool = "app";
    return entry;
}

std::string line_of(const config::Log& settings, const AccessEntry& entry) {
    std::string out;
    AccessFormat(settings).append(out, noon, entry);
    return out;
}

TEST(AccessFormat, json_has_the_chosen_fields_in_the_chosen_order) {
    config::Log settings;
    settings.format = "json";
    settings.access_fields = {"status", "client", "path", "seconds", "queue_seconds", "first_byte_seconds"};
    EXPECT_EQ(
        line_of(settings, an_entry()),
        R"({"time":"2026-03-01T12:00:00.000Z","level":"info","event":"request","status":200,"client":"192.0.2.7",)"
        R"("path":"/users/7?q=a%20b","seconds":1.234567,"queue_seconds":0,"first_byte_seconds":0.000250})"
        "\n");
}

TEST(AccessFormat, text_looks_like_any_other_event) {
    config::Log settings;
    settings.access_fields = {"method", "path", "response_bytes", "reason"};
    EXPECT_EQ(line_of(settings, an_entry()),
              "2026-03-01T12:00:00.000Z info  request              method=GET path=\"/users/7?q=a%20b\" "
              "response_bytes=128 reason=\"\"\n");
}

TEST(AccessFormat, no_client_can_forge_a_line) {
    for (const auto* format : {"text", "json"}) {
        config::Log settings;
        settings.format = format;
        auto entry = an_entry();
        entry.path = "/\n2026 info request \"\x1b[2J\\";
        auto line = line_of(settings, entry);
        line.pop_back();
        for (const char c : line) EXPECT_TRUE(c >= ' ' && c != 0x7f) << format;
    }
}

TEST(AccessFormat, a_line_has_a_bound) {
    auto entry = an_entry();
    const std::string endless(100'000, 'x');
    entry.path = endless;
    EXPECT_LT(line_of({}, entry).size(), 4'000u);
}

class AccessLogFile : public ::testing::Test {
protected:
    AccessLogFile() {
        char path[] = "/tmp/plimsoll-access-XXXXXX";
        ::close(::mkstemp(path));
        settings_.file = path;
        settings_.access = true;
        settings_.format = "json";
        settings_.level = config::LogLevel::error; // what the proxy warns of on this machine is no line of a request
    }
    ~AccessLogFile() override {
        log::stop();
        std::remove(settings_.file.c_str());
    }
    std::string content() const {
        std::ifstream stream(settings_.file);
        std::stringstream text;
        text << stream.rdbuf();
        return text.str();
    }
    std::uint64_t response_bytes() const { // of the first line
        constexpr std::string_view name = "\"response_bytes\":";
        const auto text = content();
        return std::stoull(text.substr(text.find(name) + name.size()));
    }
    std::size_t lines() const {
        const auto text = content();
        return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }
    config::Log settings_;
};

TEST_F(AccessLogFile, a_request_is_in_the_file_soon_after_its_answer) {
    settings_.access_fields = {"client",        "method",         "host", "path",   "protocol", "status",
                               "request_bytes", "response_bytes", "pool", "worker", "attempts", "user_agent"};
    log::start(settings_);
    Origin origin(echo);
    Proxy proxy;
    proxy.config.log = settings_;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(post("/a?b", "12345", "User-Agent: curl/8\r\n"));
    const auto answer = client.read_response();
    ASSERT_TRUE(eventually([&] { return lines() == 1; })) << content();
    const auto text = content();
    for (const auto& part :
         {std::string(R"("client":"127.0.0.1","method":"POST","host":"test","path":"/a?b",)"
                      R"("protocol":"HTTP/1.1","status":200,"request_bytes":5,"response_bytes":)") +
              std::to_string(answer.body.size()),
          std::string(R"("pool":"app","worker":")"), std::string(R"("attempts":1,"user_agent":"curl/8"})")})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\nin " << text;
}

TEST_F(AccessLogFile, a_refusal_is_in_it_with_its_reason) {
    log::start(settings_);
    Proxy proxy;
    proxy.config.log = settings_;
    proxy.start();
    auto client = proxy.client();
    client.send("GET / HTTP/1.1\r\nBroken\r\n\r\n");
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 400);
    ASSERT_TRUE(eventually([&] { return lines() == 1; })) << content();
    EXPECT_NE(content().find(R"("reason":"malformed_field")"), std::string::npos) << content();
}

TEST_F(AccessLogFile, a_head_that_is_refused_or_never_whole_is_in_it_by_what_it_asked_for) {
    log::start(settings_);
    Proxy proxy;
    proxy.config.log = settings_;
    proxy.config.listeners[0].header_timeout = 100ms;
    proxy.start();
    struct Case {
        std::string bytes, method, path;
        int status;
    };
    std::size_t count = 0;
    for (const auto& [bytes, method, path, status] : {
             Case{"\r\nGET /broken HTTP/1.1\r\nBroken\r\n\r\n", "GET", "/broken", 400},
             Case{"PUT /late HTTP/1.1\r\nHost: a\r\n", "PUT", "/late", 408},
             Case{"GET /ended", "GET", "/ended", 400},
             Case{"GET /" + std::string(9'000, 'l') + " HTTP/1.1\r\n\r\n", "GET", "/" + std::string(2'000, 'l'), 414},
             Case{"\x16\x03\x01 \x01 \xff\r\n", "", "", 400},
         }) {
        auto client = proxy.client();
        client.send(bytes);
        if (path == "/ended") client.finish_writing();
        EXPECT_EQ(client.read_response().status(), status);
        ASSERT_TRUE(eventually([&] { return lines() == count + 1; })) << content();
        auto line = content();
        for (std::size_t i = 0; i < count; ++i) line.erase(0, line.find('\n') + 1);
        ++count;
        const auto asked = "\"method\":\"" + method + "\",\"path\":\"" + path;
        EXPECT_TRUE(path.empty() || line.find(asked) != line.npos) << line;
        EXPECT_NE(line.find("\"status\":" + std::to_string(status)), line.npos) << line;
    }
}

// RFC 9112, 2.2: a client may send empty lines before a request. They are no part of it.
TEST_F(AccessLogFile, empty_lines_before_a_request_take_no_time_and_no_bytes_of_it) {
    settings_.access_fields = {"method", "path", "status", "request_bytes", "head_seconds", "seconds"};
    log::start(settings_);
    Origin origin(echo);
    Proxy proxy;
    proxy.config.log = settings_;
    proxy.config.listeners[0].header_timeout = 200ms;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(post("/first", std::string(100'000, 'b')) + "\r\n\r\n"); // as old browsers end a body
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(client.silent_for(500ms)) << "it rests, and has not begun a request that might be late";
    client.send("\r\n" + post("/second", "12345"));
    EXPECT_EQ(client.read_response().body, "POST /second 12345");
    ASSERT_TRUE(eventually([&] { return lines() == 2; })) << content();
    const auto text = content();
    const auto second = text.substr(text.find("/second"));
    EXPECT_NE(text.find(R"("method":"POST","path":"/second","status":200,"request_bytes":5,)"), text.npos) << text;
    for (const std::string name : {"\"head_seconds\":", "\"seconds\":"})
        EXPECT_LT(std::stod(second.substr(second.find(name) + name.size())), 0.2) << second;
    client.send("\r\n");
    client.finish_writing();
    EXPECT_TRUE(client.ended()) << "nothing was asked";
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().connections_open == 0; }));
    log::stop();
    EXPECT_EQ(lines(), 2u);
}

TEST_F(AccessLogFile, the_bytes_of_a_tunnel_count_in_the_line_of_its_upgrade) {
    settings_.access_fields = {"status", "request_bytes", "response_bytes"};
    log::start(settings_);
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\nhello");
        std::size_t got = 0;
        while (got < 30'007) got += peer.read_some(30'007 - got).size();
        peer.send(std::string(70'000, 'd'));
    });
    Proxy proxy;
    proxy.config.log = settings_;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get("/", "Connection: upgrade\r\nUpgrade: test\r\n") + "at once");
    EXPECT_EQ(client.read_response().status(), 101);
    client.send(std::string(30'000, 'u'));
    EXPECT_EQ(client.read_to_end().size(), 70'005u);
    client.close();
    ASSERT_TRUE(eventually([&] { return lines() == 1; })) << content();
    EXPECT_NE(content().find(R"("status":101,"request_bytes":30007,"response_bytes":70005})"), std::string::npos)
        << content();
}

// What the worker gave and no client took waits in the proxy's own spool.
TEST_F(AccessLogFile, of_an_answer_whose_client_leaves_those_bytes_count_that_went_to_it) {
    constexpr std::size_t size = 64 << 20;
    for (const bool chunked : {false, true}) {
        std::ofstream(settings_.file, std::ios::trunc).flush();
        settings_.access_fields = {"status", "response_bytes", "reason"};
        log::start(settings_);
        std::atomic<bool> given = false;
        Origin origin([&](Peer& peer) {
            peer.read_request();
            if (chunked)
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n" + std::string(size, 'x') +
                          "\r\n0\r\n\r\n");
            else
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                          std::string(size, 'x'));
            given = true;
        });
        Proxy proxy;
        proxy.config.log = settings_;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        client.small_window();
        client.send(get());
        EXPECT_FALSE(client.read_some(1000).empty());
        ASSERT_TRUE(eventually([&] { return given.load(); }));
        client.reset();
        ASSERT_TRUE(eventually([&] { return lines() == 1; })) << content();
        EXPECT_NE(content().find(R"("reason":"client_gone")"), std::string::npos) << content();
        EXPECT_GT(response_bytes(), 500u) << "chunked: " << chunked;
        EXPECT_LT(response_bytes(), size / 2) << "chunked: " << chunked;
        log::stop();
    }
}

TEST_F(AccessLogFile, what_a_worker_was_let_finish_for_nobody_does_not_count) {
    settings_.access_fields = {"response_bytes", "reason"};
    log::start(settings_);
    std::atomic<bool> left = false;
    Origin origin([&](Peer& peer) {
        peer.read_request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1001000\r\n\r\n" + std::string(1'000, 'x'));
        eventually([&] { return left.load(); });
        peer.send(std::string(1'000'000, 'x'));
    });
    Proxy proxy;
    proxy.config.log = settings_;
    proxy.config.pools[0].upstream.finish_abandoned = true;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    std::string got;
    while (got.find("\r\n\r\n") == got.npos || got.size() < got.find("\r\n\r\n") + 4 + 1'000) got += client.read_some();
    client.reset();
    left = true;
    ASSERT_TRUE(eventually([&] { return lines() == 1; })) << content();
    EXPECT_EQ(response_bytes(), 1'000u) << content();
}

TEST_F(AccessLogFile, the_bodies_of_our_own_answers_count) {
    settings_.access_fields = {"status", "response_bytes"};
    for (const std::string request : {"GET / HTTP/1.1\r\nBroken\r\n\r\n", "HEAD / HTTP/1.1\r\nBroken\r\n\r\n",
                                      "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"}) {
        std::ofstream(settings_.file, std::ios::trunc).flush();
        log::start(settings_);
        Proxy proxy;
        proxy.config.log = settings_;
        proxy.start();
        auto client = proxy.client();
        client.send(request);
        const bool to_head = request.starts_with("HEAD");
        const auto answer = client.read_response(to_head);
        EXPECT_EQ(answer.body.empty(), to_head) << request;
        ASSERT_TRUE(eventually([&] { return lines() == 1; })) << content();
        EXPECT_EQ(response_bytes(), answer.body.size()) << request;
        log::stop();
    }
}

// Whoever follows a request from the client over the logs to the application looks for one name.
TEST_F(AccessLogFile, worker_client_and_both_logs_have_the_request_id_of_a_trusted_proxy) {
    settings_.access_fields = {"status", "request_id"};
    settings_.level = config::LogLevel::warn;
    log::start(settings_);
    Origin origin([](Peer& peer) {
        for (auto request = peer.read_request(); request.complete; request = peer.read_request()) {
            const bool broken = request.head.starts_with("GET /broken");
            if (broken) peer.send("HTTP/1.1 broken\r\n\r\n");
            if (broken) return;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" + request.field("x-request-id"));
        }
    });
    Proxy proxy;
    proxy.config.log = settings_;
    proxy.config.proxy.trusted_proxies = {"127.0.0.1"};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get("/", "X-Request-Id: first1\r\n"));
    auto answer = client.read_response();
    EXPECT_EQ(answer.body, "first1");
    EXPECT_EQ(answer.field("x-request-id"), "first1");
    client.send(get("/broken", "X-Request-Id: second\r\n"));
    answer = client.read_response();
    EXPECT_EQ(answer.status(), 502);
    EXPECT_EQ(answer.field("x-request-id"), "second");
    client.send(get("/", "X-Request-Id: no id\r\n"));
    answer = client.read_response();
    EXPECT_EQ(answer.field("x-request-id").size(), 32u) << "one of ours";
    EXPECT_EQ(answer.body, answer.field("x-request-id").substr(0, 6));
    const auto told = [this](const std::string& event, const std::string& id) {
        const auto text = content();
        const auto at = text.find("\"event\":\"" + event + "\"");
        return at != text.npos && text.substr(at).find("\"request_id\":\"" + id + "\"") != text.npos;
    };
    EXPECT_TRUE(eventually([&] { return told("request", "first1") && told("request", "second"); })) << content();
    EXPECT_TRUE(eventually([&] { return told("upstream_failed", "second"); })) << content();
    std::size_t of_second = 0;
    const auto text = content();
    for (auto at = text.find("second\""); at != text.npos; at = text.find("second\"", at + 1)) ++of_second;
    EXPECT_EQ(of_second, 2u) << text;
}

TEST_F(AccessLogFile, every_request_is_in_it_once_the_proxy_has_stopped) {
    log::start(settings_);
    Origin origin(echo);
    constexpr std::size_t requests = 300;
    {
        Proxy proxy;
        proxy.config.log = settings_;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        for (std::size_t i = 0; i < requests; ++i) {
            client.send(get("/" + std::to_string(i)));
            ASSERT_EQ(client.read_response().status(), 200);
        }
    }
    log::stop();
    EXPECT_EQ(lines(), requests);
    EXPECT_EQ(log::dropped(), 0u);
}

// A disk that takes nothing until it is told to, and then all.
class StuckFile {
public:
    explicit StuckFile(const std::string& path) {
        std::remove(path.c_str());
        EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
        reader_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        EXPECT_GE(reader_, 0);
        ::fcntl(reader_, F_SETPIPE_SZ, 4096);
    }
    ~StuckFile() {
        read_on();
        lines();
        ::close(reader_);
    }
    void read_on() {
        if (!thread_.joinable()) thread_ = std::thread([this] { read(); });
    }
    std::size_t lines() { // of all that was written to it, when nobody writes any more
        ended_ = true;
        if (thread_.joinable()) thread_.join();
        return lines_;
    }

private:
    void read() {
        std::vector<char> bytes(1 << 16);
        while (true) {
            const bool last = ended_;
            const auto got = ::read(reader_, bytes.data(), bytes.size());
            if (got > 0)
                lines_ += static_cast<std::size_t>(std::count(bytes.begin(), bytes.begin() + got, '\n'));
            else if (last)
                return;
            else
                std::this_thread::sleep_for(1ms);
        }
    }
    int reader_ = -1;
    std::size_t lines_ = 0;
    std::atomic<bool> ended_ = false;
    std::thread thread_;
};

// A request that waited for it would never be answered.
TEST_F(AccessLogFile, what_a_slow_disk_leaves_over_is_dropped_and_counted_and_no_request_waits_for_it) {
    StuckFile file(settings_.file);
    settings_.access_fields = {"path", "user_agent", "referer"};
    log::start(settings_);
    const auto before = log::dropped();
    const std::string quotes(2'000, '"'); // each takes two bytes of a line
    const auto request =
        get("/" + std::string(1'900, 'p'), "User-Agent: " + quotes + "\r\nReferer: " + quotes + "\r\n");
    constexpr std::size_t enough = 5'000; // at 10 KB each many times what may wait
    std::size_t requests = 0;
    const auto serve_all = [&] {
        const std::atomic<bool> at_once = true;
        Origin origin(answers_once(at_once));
        Proxy proxy;
        proxy.config.log = settings_;
        proxy.config.proxy.threads = 1;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        const auto serve = [&] {
            ++requests;
            client.send(request);
            const bool served = client.read_response().status() == 200;
            if (!served) file.read_on(); // or the proxy would not end either
            return served;
        };
        while (log::dropped() == before && requests < enough) ASSERT_TRUE(serve()) << requests;
        const auto lost = log::dropped();
        ASSERT_GT(lost, before) << requests;
        for (int i = 0; i < 100; ++i) ASSERT_TRUE(serve());
        EXPECT_TRUE(eventually([&] { return log::dropped() >= lost + 90; })) << "line by line";
    };
    serve_all();
    file.read_on();
    log::stop();
    const auto written = file.lines();
    EXPECT_EQ(written + (log::dropped() - before), requests) << "each is in the file, or counted";
    EXPECT_GT(written, 500u) << "8 MB of them";
}

TEST_F(AccessLogFile, sampling_leaves_most_out) {
    settings_.access_sample = 0.1;
    log::start(settings_);
    Origin origin(echo);
    {
        Proxy proxy;
        proxy.config.log = settings_;
        proxy.add_worker(origin.address());
        proxy.start();
        auto client = proxy.client();
        for (int i = 0; i < 500; ++i) {
            client.send(get());
            ASSERT_EQ(client.read_response().status(), 200);
        }
    }
    log::stop();
    EXPECT_GT(lines(), 10u); // 50 expected; each bound is 6 deviations away
    EXPECT_LT(lines(), 100u);
}

} // namespace
