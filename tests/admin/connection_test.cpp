// The sockets' side: bounds, deadlines, bad requests, and where it listens.
#include "admin/harness.hpp"

#include <fstream>

#include <boost/asio/post.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace plimsoll::admin {
namespace {

using std::chrono::milliseconds;
using connection = AdminTest;
using listening = AdminTest;

constexpr std::string_view ask_health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST_F(connection, is_kept_and_requests_may_be_sent_ahead) {
    start();
    Client client(address());
    std::string three(ask_health);
    three += three;
    client.say(three + "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.hear().body, "ok\n");
    EXPECT_TRUE(client.closed());
}

TEST_F(connection, requests_may_come_byte_by_byte) {
    start();
    Client client(address());
    const std::string request =
        "POST /v1/config/validate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\nx = 1\r\n";
    for (const char byte : request) client.say({&byte, 1});
    EXPECT_EQ(client.hear().status, 422);
}

TEST_F(connection, a_client_that_does_not_finish_its_request_is_hung_up_on) {
    auto settings = loopback();
    settings.request_timeout = milliseconds{100};
    start(settings);
    Client head(address()), body(address());
    head.say("GET /healthz HTTP/1.1\r\nHost: lo");
    body.say("POST /v1/config/validate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf");
    EXPECT_TRUE(head.closed());
    EXPECT_TRUE(body.closed());
}

TEST_F(connection, a_client_that_drips_gets_no_more_time_for_it) {
    auto settings = loopback();
    settings.request_timeout = milliseconds{200};
    start(settings);
    Client client(address());
    client.say("GET /healthz HTTP/1.1\r\n");
    const auto begun = Clock::now();
    std::thread drip([&] {
        for (int i = 0; i < 40 && Clock::now() - begun < std::chrono::seconds{10}; ++i) {
            client.say("X-Slow: 1\r\n");
            std::this_thread::sleep_for(milliseconds{25});
        }
    });
    EXPECT_TRUE(client.closed());
    EXPECT_LT(Clock::now() - begun, std::chrono::seconds{5});
    drip.join();
}

TEST_F(connection, an_idle_one_is_closed) {
    auto settings = loopback();
    settings.idle_timeout = milliseconds{100};
    start(settings);
    Client silent(address()), once(address());
    once.say(ask_health);
    EXPECT_EQ(once.hear().status, 200);
    EXPECT_TRUE(silent.closed());
    EXPECT_TRUE(once.closed());
}

TEST_F(connection, there_are_only_so_many) {
    auto settings = loopback();
    settings.max_connections = 3;
    start(settings);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<Client>(address()));
        clients.back()->say(ask_health);
        EXPECT_EQ(clients.back()->hear().status, 200);
    }
    Client surplus(address());
    EXPECT_EQ(surplus.hear().status, 503);
    EXPECT_TRUE(surplus.closed());
    clients[0]->say("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(clients[0]->hear().status, 200);
    EXPECT_TRUE(clients[0]->closed());
    clients.erase(clients.begin());
    // The server notices the end a moment after the client does.
    const auto deadline = Clock::now() + std::chrono::seconds{10};
    int status = 0;
    while (status != 200 && Clock::now() < deadline) status = get("/healthz").status;
    EXPECT_EQ(status, 200);
}

TEST_F(connection, a_body_over_the_bound_is_413) {
    start();
    const std::string large(3 << 20, 'x');
    EXPECT_EQ(post("/v1/config/validate", large).status, 413);
    Client chunked(address());
    chunked.say("POST /v1/config/validate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" +
                large);
    EXPECT_EQ(chunked.hear().status, 413);
    EXPECT_TRUE(chunked.closed());
    EXPECT_NE(post("/v1/config/validate", std::string(1000000, '#')).status, 413);
}

TEST_F(connection, one_that_waits_for_100_continue_gets_it) {
    start();
    Client client(address());
    client.say(
        "POST /v1/config/validate HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(client.hear().status, 100);
    client.say("x = 1");
    EXPECT_EQ(client.hear().status, 422);
}

TEST_F(connection, what_is_no_request_is_400_and_a_large_head_431) {
    start();
    for (const std::string bytes :
         {"\x16\x03\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
          "GET / HTTP/1.1\r\nbad\x01name: x\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"}) {
        Client client(address());
        client.say(bytes);
        EXPECT_EQ(client.hear().status, 400) << bytes;
        EXPECT_TRUE(client.closed());
    }
    EXPECT_EQ(get("/healthz", "X-Large: " + std::string(20'000, 'x') + "\r\n").status, 431);
    EXPECT_EQ(get("/v1/pools/%zz").status, 400);
    EXPECT_EQ(get("/v1/pools/a%00b").status, 400);
    EXPECT_EQ(get("*").status, 400);
    EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(connection, evidence_on_its_way_has_a_bound) {
    const auto id = store_->open("app", "w", 1, "death", "");
    ASSERT_EQ(store_->add_file(id, "large.bin", std::string(64 << 10, 'x')), "");
    auto settings = loopback();
    settings.max_answers = 32_KiB;
    start(settings);
    const auto reply = get("/v1/incidents/" + id + "/files/large.bin");
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.fields.at("retry-after"), "1");
    EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(connection, stopping_hangs_up_on_all) {
    start();
    Client idle(address()), half(address()), events(address());
    half.say("GET /heal");
    events.say("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(events.hear().status, 200);
    idle.say(ask_health);
    EXPECT_EQ(idle.hear().status, 200);
    finish();
    EXPECT_TRUE(idle.closed());
    EXPECT_TRUE(half.closed());
    EXPECT_TRUE(events.closed());
    EXPECT_THROW(Client{address()}, std::runtime_error);
}

std::string problem_of(boost::asio::io_context& control, const std::string& listen, const std::string& token = "") {
    boost::asio::thread_pool slow(1);
    Admin::Settings settings;
    settings.listen = listen;
    settings.token = token;
    Admin admin(control, slow, settings, {});
    return admin.start();
}

TEST_F(listening, beyond_this_host_needs_a_token) {
    EXPECT_EQ(problem_of(control_, "0.0.0.0:0"),
              "[admin] listen = \"0.0.0.0:0\" can be reached from other hosts: set [admin] token or "
              "token_file, or listen on 127.0.0.1 or a unix socket");
    EXPECT_NE(problem_of(control_, ":0"), "");
    EXPECT_NE(problem_of(control_, "[::]:0"), "");
    EXPECT_EQ(problem_of(control_, "0.0.0.0:0", "s3cret"), "");
    EXPECT_EQ(problem_of(control_, "localhost:0"), "");
    EXPECT_EQ(problem_of(control_, "127.0.0.2:0"), "");
}

TEST_F(listening, problems_say_how_to_mend_them) {
    start();
    EXPECT_EQ(problem_of(control_, address()),
              address() + " is taken by another process: stop it, or choose another [admin] listen");
    EXPECT_NE(problem_of(control_, "nonsense").find("use HOST:PORT or unix:/path"), std::string::npos);
    EXPECT_NE(
        problem_of(control_, "unix:" + (directory_ / "no/such/a.sock").string()).find("its directory does not exist"),
        std::string::npos);
    EXPECT_NE(problem_of(control_, "198.51.100.7:80", "t").find("is no address of this host"), std::string::npos);
}

TEST_F(listening, a_unix_socket_is_for_its_owner_alone_and_needs_no_host) {
    auto settings = loopback();
    const auto path = (directory_ / "admin.sock").string();
    settings.listen = "unix:" + path;
    start(settings);
    EXPECT_EQ(address(), "unix:" + path);
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(get("/v1/status", "Host: plimsoll\r\n").status, 200);
    EXPECT_NE(problem_of(control_, settings.listen).find("is taken by another process"), std::string::npos);
    EXPECT_EQ(get("/healthz").status, 200) << "the one that serves is not disturbed";
    finish();
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(listening, a_socket_left_by_a_killed_plimsoll_is_replaced_and_a_file_is_not) {
    const auto path = (directory_ / "admin.sock").string();
    const int left = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(::bind(left, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    ::close(left);
    EXPECT_EQ(problem_of(control_, "unix:" + path), "");
    std::ofstream(path) << "precious";
    EXPECT_NE(problem_of(control_, "unix:" + path), "");
    EXPECT_TRUE(std::filesystem::is_regular_file(path));
}

} // namespace
} // namespace plimsoll::admin
