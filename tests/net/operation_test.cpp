// Starting, stopping, the queue across threads, reloads, tunnels, recycling's needs.
#include <gtest/gtest.h>

#include <filesystem>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/address.hpp"
#include "net/io/loop.hpp"
#include "net/listener.hpp"
#include "net/upstream.hpp"
#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string temporary_socket() {
    static int number = 0;
    return "/tmp/plimsoll-listen-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

TEST(Queue, a_slot_freed_on_one_thread_wakes_a_request_on_another) {
    Origin origin([](Peer& peer) {
        while (peer.read_request().complete) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    Proxy proxy;
    proxy.config.proxy.threads = 4;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int t = 0; t < 16; ++t)
        threads.emplace_back([&] {
            auto client = proxy.client();
            for (int i = 0; i < 50; ++i) {
                client.send(i % 2 ? get() : post("/", "body"));
                if (client.read_response().status() == 200) ++good;
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(good, 800);
    EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[0] == 800; }));
}

TEST(Queue, a_request_that_waits_too_long_is_refused_with_503_and_retry_after) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.read_some();
    });
    Proxy proxy;
    proxy.config.pools[0].queue.timeout = milliseconds{100};
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto first = proxy.client(), second = proxy.client();
    first.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    second.send(post("/", "a body that waits as well"));
    const auto answer = second.read_response();
    EXPECT_EQ(answer.status(), 503);
    EXPECT_EQ(answer.field("x-plimsoll-reason"), "queue_timeout");
    EXPECT_NE(answer.field("retry-after"), "");
    EXPECT_TRUE(eventually([&] { return proxy.refused("queue_timeout") == 1; }));
    first.close();
}

TEST(Queue, a_full_queue_refuses_at_once) {
    std::atomic<bool> release = false;
    Origin origin(answers_once(release));
    Proxy proxy;
    proxy.config.pools[0].queue.size = 1;
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto first = proxy.client(), second = proxy.client(), third = proxy.client();
    first.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    second.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    third.send(get());
    EXPECT_EQ(third.read_response().field("x-plimsoll-reason"), "queue_full");
    third.send(get()); // its connection stays
    EXPECT_EQ(third.read_response().status(), 503);
    release = true;
    EXPECT_EQ(first.read_response().status(), 200);
    EXPECT_EQ(second.read_response().status(), 200);
}

TEST(Queue, a_client_that_resets_its_connection_leaves_at_once_however_soon) {
    std::atomic<bool> release = false;
    Origin origin(answers_once(release));
    Proxy proxy;
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto first = proxy.client();
    first.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    for (int i = 0; i < 20; ++i) {
        auto other = proxy.client();
        other.send(get());
        ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
        other.reset();
        ASSERT_TRUE(eventually([&] { return proxy.queued() == 0; })) << i;
    }
    release = true;
    EXPECT_EQ(first.read_response().status(), 200);
}

TEST(Queue, a_worker_that_begins_to_accept_takes_those_who_wait) {
    Origin origin(echo);
    Proxy proxy;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.pool->accept(key, false);
    proxy.start();
    auto client = proxy.client();
    client.send(get("/early"));
    ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    proxy.pool->accept(key, true);
    EXPECT_EQ(client.read_response().body, "GET /early ");
}

// Two that wait on one thread and are woken together share the place where heads are parsed: the first to go parses its own
// head anew there, and the second one must not send it as its own.
TEST(Queue, those_who_are_woken_together_send_each_its_own_request) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    const auto key = proxy.add_worker(origin.address(), 4, false);
    proxy.pool->accept(key, false);
    proxy.start();
    std::vector<Peer> clients;
    for (unsigned i = 0; i < 4; ++i) {
        clients.push_back(proxy.client());
        clients.back().send(post("/" + std::to_string(i), std::to_string(i)));
        ASSERT_TRUE(eventually([&] { return proxy.queued() == i + 1; }));
    }
    proxy.pool->accept(key, true);
    for (unsigned i = 0; i < 4; ++i) {
        const auto own = std::to_string(i);
        EXPECT_EQ(clients[i].read_response().body, "POST /" + own + " " + own);
    }
}

TEST(Recycling, close_idle_empties_the_pool_for_that_worker_only) {
    std::atomic<int> ended = 0;
    const auto counting = [&](Peer& peer) {
        echo(peer);
        ++ended;
    };
    Origin one(counting), other(echo);
    Proxy proxy;
    const auto key = proxy.add_worker(one.address());
    const auto spared = proxy.add_worker(other.address());
    proxy.pool->accept(spared, false); // so that the first requests go to the one
    proxy.start();
    std::vector<Peer> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(proxy.client());
        clients.back().send(get());
        ASSERT_EQ(clients.back().read_response().status(), 200);
    }
    proxy.pool->accept(spared, true);
    proxy.pool->accept(key, false);
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().upstream_idle > 0; }));
    std::atomic<bool> done = false;
    proxy.server().close_idle(key, [&] { done = true; });
    ASSERT_TRUE(eventually([&] { return done.load(); }));
    EXPECT_TRUE(eventually([&] { return ended == one.connections(); }));
    EXPECT_EQ(proxy.server().stats().upstream_idle, 0u);
    for (auto& client : clients) {
        client.send(get());
        EXPECT_EQ(client.read_response().status(), 200);
    }
    EXPECT_GT(proxy.worker(spared).admitted, 0u);
}

TEST(Recycling, an_idle_upstream_connection_is_closed_in_time) {
    std::atomic<bool> ended = false;
    Origin origin([&](Peer& peer) {
        echo(peer);
        ended = true;
    });
    Proxy proxy;
    proxy.config.pools[0].upstream.idle_timeout = milliseconds{50};
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(eventually([&] { return ended.load() && proxy.server().stats().upstream_idle == 0; }));
}

struct UpstreamsTest : ::testing::Test {
    Origin origin{echo};
    io::Budgets budgets;
    io::Loop loop{budgets};
    ReactorCounters counters;
    Upstreams upstreams{loop, counters};

    Upstreams::Connection open(WorkerKey worker, std::uint32_t answer = 0) {
        sockaddr_storage address{};
        socklen_t length = 0;
        EXPECT_TRUE(to_sockaddr(*parse_address(origin.address()), address, length));
        return upstreams.open(worker, address, length, answer).connection;
    }
};

TEST_F(UpstreamsTest, a_thousand_generations_of_workers_leave_nothing_behind) {
    const auto use = [&](WorkerKey worker) { // as a request does, once or again
        auto connection = upstreams.take(worker, false);
        return connection ? std::move(connection) : open(worker);
    };
    constexpr WorkerKey alive = 100;
    for (WorkerKey worker = 1; worker <= alive; ++worker) upstreams.keep(use(worker), std::chrono::seconds{60});
    for (WorkerKey worker = alive + 1; worker <= alive + 1000; ++worker) {
        upstreams.keep(use(worker), std::chrono::seconds{60});
        ASSERT_NE(use(worker), nullptr); // and it crashes with that request
        ASSERT_LE(upstreams.known_workers(), 2 * alive + 2);
    }
    EXPECT_EQ(upstreams.idle(), alive) << "those who rest are not forgotten";
    EXPECT_NE(upstreams.take(1, false), nullptr);
}

TEST_F(UpstreamsTest, a_connection_that_came_to_rest_in_this_turn_is_looked_at_before_anybody_has_it) {
    std::atomic<bool> forges = false;
    Origin forger([&](Peer& peer) {
        eventually([&] { return forges.load(); });
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        peer.ended();
    });
    sockaddr_storage address{};
    socklen_t length = 0;
    ASSERT_TRUE(to_sockaddr(*parse_address(forger.address()), address, length));
    auto connection = upstreams.open(1, address, length).connection;
    loop.poller.poll();
    connection->assume(io::Stream::writable);
    const auto& socket = *connection;
    upstreams.keep(std::move(connection), std::chrono::seconds{60});
    connection = upstreams.take(1, false);
    ASSERT_NE(connection, nullptr) << "nothing has happened";
    upstreams.keep(std::move(connection), std::chrono::seconds{60});
    forges = true;
    ASSERT_TRUE(eventually([&] { return socket.has_news(); }));
    EXPECT_EQ(upstreams.take(1, false), nullptr);
}

// "app" leads to our origin and elsewhere, then to our origin alone, then elsewhere alone.
TEST_F(UpstreamsTest, a_connection_is_used_again_for_as_long_as_its_workers_name_leads_there) {
    const auto place = [](const std::string& text) {
        Names::Place place{};
        EXPECT_TRUE(to_sockaddr(*parse_address(text), place.storage, place.length));
        return place;
    };
    const std::string elsewhere = "127.0.0.9:1";
    std::vector<Names::Place> answer;
    Instant now{std::chrono::hours{1}};
    Names names([&](const std::string&, std::uint16_t, const Names::Told& told) { told(answer, "", now); });
    const Address app = *parse_address("app:8000");
    const auto asked = [&](std::vector<Names::Place> places) {
        answer = std::move(places);
        names.answer(app, now += Names::fresh);
        return Upstreams::Name{names, app, names.answer(app, now)};
    };
    const auto first = asked({place(origin.address()), place(elsewhere)});
    for (int i = 0; i < 3; ++i) upstreams.keep(open(1, first.answer), std::chrono::seconds{60});
    EXPECT_NE(upstreams.take(1, false, &first), nullptr);
    const auto second = asked({place(origin.address())});
    ASSERT_NE(second.answer, first.answer);
    auto connection = upstreams.take(1, false, &second);
    ASSERT_NE(connection, nullptr) << "another address has left the name, not this one";
    upstreams.keep(std::move(connection), std::chrono::seconds{60});
    EXPECT_EQ(upstreams.idle(), 2U);
    const auto third = asked({place(elsewhere)});
    EXPECT_EQ(upstreams.take(1, false, &third), nullptr);
    EXPECT_EQ(upstreams.idle(), 0U) << "and none of them rests on";

    const auto alone = asked({place(origin.address())});
    upstreams.keep(open(1, alone.answer), std::chrono::seconds{60});
    const auto grown = asked({place(origin.address()), place(elsewhere)});
    EXPECT_EQ(upstreams.take(1, false, &grown), nullptr) << "the new address would get nothing of a steady load";
    upstreams.keep(open(1, grown.answer), std::chrono::seconds{60});
    EXPECT_NE(upstreams.take(1, false, &grown), nullptr);
}

TEST(Stop, clients_at_rest_are_closed_and_running_requests_finish_with_connection_close) {
    std::atomic<bool> release = false, asked = false;
    Origin origin([&](Peer& peer) {
        while (peer.read_request().complete) {
            if (asked.exchange(true)) eventually([&] { return release.load(); });
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    Proxy proxy;
    proxy.config.proxy.threads = 1; // both clients hear of it at once
    proxy.add_worker(origin.address());
    proxy.start();
    auto idle = proxy.client(), running = proxy.client();
    idle.send(get());
    ASSERT_EQ(idle.read_response().status(), 200);
    running.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    std::atomic<bool> done = false;
    proxy.server().stop(seconds{10}, [&] { done = true; });
    EXPECT_TRUE(idle.ended());
    EXPECT_FALSE(done);
    release = true;
    const auto answer = running.read_response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.field("connection"), "close");
    EXPECT_TRUE(running.ended());
    EXPECT_TRUE(eventually([&] { return done.load(); }));
    EXPECT_LT(Peer::connect(proxy.address()).fd(), 0);
}

TEST(Stop, does_not_wait_for_a_client_that_has_said_nothing_yet) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto silent = proxy.client(); // deferred by the kernel for a second before we hear of it
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().connections_open >= 1; }));
    std::atomic<bool> done = false;
    const auto since = std::chrono::steady_clock::now();
    proxy.server().stop(seconds{30}, [&] { done = true; });
    EXPECT_TRUE(silent.ended());
    EXPECT_TRUE(eventually([&] { return done.load(); }));
    EXPECT_LT(std::chrono::steady_clock::now() - since, seconds{5}) << "its header_timeout is 10 s";
}

// The kernel keeps a client to itself until it says something (TCP_DEFER_ACCEPT), for a second at most.
TEST(Stop, a_client_that_connected_before_it_and_speaks_after_it_is_answered) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    std::vector<Peer> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(proxy.client());
    ASSERT_EQ(proxy.server().stats().connections_open, 0u) << "nobody has heard of them yet";
    std::atomic<bool> done = false;
    const auto since = std::chrono::steady_clock::now();
    proxy.server().stop(seconds{30}, [&] { done = true; });
    EXPECT_FALSE(eventually([&] { return done.load(); }, milliseconds{100}));
    for (auto& client : clients) client.send(get());
    for (auto& client : clients) EXPECT_EQ(client.read_response().field("connection"), "close");
    EXPECT_TRUE(eventually([&] { return done.load(); }));
    EXPECT_LT(std::chrono::steady_clock::now() - since, seconds{3});
    EXPECT_LT(Peer::connect(proxy.address()).fd(), 0);
}

TEST(Stop, no_client_on_its_way_delays_it_beyond_the_bound) {
    Proxy proxy;
    proxy.start();
    auto client = proxy.client();
    const auto since = std::chrono::steady_clock::now();
    EXPECT_TRUE(proxy.stop(milliseconds{50}));
    EXPECT_LT(std::chrono::steady_clock::now() - since, milliseconds{500});
}

// A client that never rests is never hung up on without having been told.
TEST(Stop, a_client_that_is_just_sending_is_answered_and_told_that_it_was_the_last_time) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    std::atomic<int> busy = 0, told = 0, lost = 0;
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i)
        clients.emplace_back([&] {
            auto client = proxy.client();
            for (int requests = 0;; ++requests) {
                client.send(get());
                const auto answer = client.read_response();
                if (answer.status() != 200) {
                    ++lost;
                    return;
                }
                if (requests == 10) ++busy;
                if (answer.field("connection") != "close") continue;
                ++told;
                return;
            }
        });
    EXPECT_TRUE(eventually([&] { return busy == 4 || lost > 0; }));
    EXPECT_TRUE(proxy.stop(seconds{30}));
    for (auto& client : clients) client.join();
    EXPECT_EQ(told, 4);
    EXPECT_EQ(lost, 0);
}

TEST(Stop, a_client_that_was_told_to_stay_before_may_ask_once_more) {
    std::atomic<bool> release = false;
    Origin origin([&](Peer& peer) {
        while (peer.read_request().complete) {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
            eventually([&] { return release.load(); });
            peer.send("ok");
        }
    });
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get());
    EXPECT_NE(client.read_response(true).field("connection"), "close");
    std::atomic<bool> done = false;
    proxy.server().stop(seconds{30}, [&] { done = true; });
    EXPECT_TRUE(eventually([&] { return Peer::connect(proxy.address()).fd() < 0; })) << "it stops";
    release = true;
    EXPECT_EQ(client.read_some(2), "ok");
    client.send(get());
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.field("connection"), "close");
    EXPECT_TRUE(eventually([&] { return done.load(); }));
}

TEST(Stop, what_has_not_ended_when_the_bound_is_reached_is_cut) {
    Origin origin([](Peer& peer) {
        peer.read_request();
        peer.read_some();
    });
    Proxy proxy;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto running = proxy.client(), waiting = proxy.client(), uploading = proxy.client();
    running.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 1; }));
    waiting.send(get());
    ASSERT_TRUE(eventually([&] { return proxy.queued() == 1; }));
    uploading.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().connections_open == 3; }));
    EXPECT_TRUE(proxy.stop(milliseconds{50}));
    EXPECT_TRUE(running.ended());
    EXPECT_TRUE(waiting.ended());
    // Twice, if the one that was cut first left its slot to the one that waited.
    EXPECT_GE(proxy.worker(key).finished[static_cast<int>(Outcome::abandoned)], 1u);
    EXPECT_EQ(proxy.server().stats().connections_open, 0u);
}

TEST(Start, a_taken_port_is_one_clear_line_even_if_the_other_one_shares_ports) {
    Proxy first, second;
    first.start();
    second.config.listeners[0].address = first.address();
    Server server(second.config, {});
    const auto problem = server.start();
    EXPECT_NE(problem.find(first.address() + " is taken"), std::string::npos) << problem;
    EXPECT_EQ(problem.find('\n'), std::string::npos);
    EXPECT_TRUE(server.addresses().empty());
}

TEST(Start, a_stale_socket_file_is_replaced_and_one_in_use_is_not) {
    const auto path = temporary_socket();
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0); // bound and never closed properly: a crash
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(fd);
    Origin origin(echo);
    Proxy proxy;
    proxy.config.listeners[0].address = "unix:" + path;
    proxy.add_worker(origin.address());
    proxy.start();
    for (int i = 0; i < 10; ++i) {
        auto client = proxy.client();
        client.send(get());
        ASSERT_EQ(client.read_response().status(), 200);
    }
    Server second(proxy.config, {});
    EXPECT_NE(second.start().find("is taken"), std::string::npos);
    auto client = proxy.client();
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(proxy.stop(seconds{1}));
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Start, who_may_connect_to_a_unix_socket_is_the_configurations_choice_and_not_the_umasks) {
    const auto path = temporary_socket();
    const auto mode = [&] {
        struct stat file {};
        EXPECT_EQ(::stat(path.c_str(), &file), 0);
        return file.st_mode & 07777;
    };
    const auto umask_before = ::umask(0077);
    Proxy proxy;
    proxy.config.listeners[0].address = "unix:" + path;
    proxy.start();
    ::umask(umask_before);
    EXPECT_EQ(mode(), 0666u) << "a server in front is of another user";

    proxy.config.listeners[0].socket_mode = "0600";
    EXPECT_EQ(proxy.server().apply(proxy.config, {{"app", proxy.pool}}), "");
    EXPECT_EQ(mode(), 0600u) << "a reload changes it";
    std::filesystem::remove(path); // somebody put a link in its place
    const auto other = path + ".other";
    std::fclose(std::fopen(other.c_str(), "w"));
    ASSERT_EQ(::chmod(other.c_str(), 0600), 0);
    std::filesystem::create_symlink(other, path);
    proxy.config.listeners[0].socket_mode = "0666";
    EXPECT_EQ(proxy.server().apply(proxy.config, {{"app", proxy.pool}}), "");
    struct stat found {};
    ASSERT_EQ(::stat(other.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600u) << "nothing else has its mode changed";
    std::filesystem::remove(path);
    std::filesystem::remove(other);
}

TEST(Start, a_mode_that_cannot_be_set_is_told_and_leaves_no_file) {
    const auto path = temporary_socket();
    std::string problem;
    std::thread([&] { // a filter holds for its thread: as on a file system that knows no modes
        sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchmodat, 1, 0),
#ifdef SYS_chmod
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_chmod, 0, 1),
#else
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchmodat, 0, 1),
#endif
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        const sock_fprog filter{std::size(code), code};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
            return;
        EXPECT_TRUE(open_listening("unix:" + path, 1, 0666, problem).sockets.empty());
    })
        .join();
    if (problem.empty()) GTEST_SKIP() << "no filter may be set here";
    EXPECT_NE(problem.find("cannot set the socket's mode"), std::string::npos) << problem;
    EXPECT_FALSE(std::filesystem::exists(path)) << "nobody listens there";
}

TEST(Start, a_file_that_is_no_socket_is_never_removed) {
    const auto path = temporary_socket();
    {
        std::FILE* file = std::fopen(path.c_str(), "w");
        std::fclose(file);
    }
    Proxy proxy;
    proxy.config.listeners[0].address = "unix:" + path;
    Server server(proxy.config, {});
    EXPECT_NE(server.start(), "");
    EXPECT_TRUE(std::filesystem::exists(path));
    std::filesystem::remove(path);
}

TEST(Reload, new_routes_apply_to_the_next_request_of_an_open_connection_and_counters_live_on) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    client.send(get("/a"));
    EXPECT_EQ(client.read_response().status(), 200);
    auto changed = proxy.config;
    changed.routes[0].path = "=/b";
    changed.routes[0].label = "/";
    proxy.server().apply(changed, {{"app", proxy.pool}});
    client.send(get("/a"));
    EXPECT_EQ(client.read_response().field("x-plimsoll-reason"), "no_route");
    client.send(get("/b"));
    EXPECT_EQ(client.read_response().status(), 200);
    EXPECT_TRUE(eventually([&] {
        for (const auto& route : proxy.server().stats().routes)
            if (route.route == "/" && route.by_class[2] == 2 && route.seconds.count == 2) return true;
        return false;
    }));
}

TEST(Reload, a_hundred_reloads_under_load_fail_no_request) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address(), 4);
    proxy.start();
    std::atomic<bool> over = false;
    std::atomic<int> good = 0, bad = 0;
    const std::string address = proxy.address(); // the server is spoken to from one thread
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            auto client = Peer::connect(address);
            while (!over) {
                client.send(get());
                ++(client.read_response().status() == 200 ? good : bad);
            }
        });
    for (int i = 0; i < 100; ++i) {
        auto changed = proxy.config;
        changed.routes[0].label = "label" + std::to_string(i % 3);
        proxy.server().apply(changed, {{"app", proxy.pool}});
        std::this_thread::sleep_for(milliseconds{1});
    }
    over = true;
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(bad, 0);
    EXPECT_GT(good, 0);
}

// Switches protocols, then doubles every byte.
void doubling(Peer& peer) {
    const auto request = peer.read_request();
    EXPECT_EQ(request.field("upgrade"), "doubling");
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: doubling\r\n\r\nhello");
    while (true) {
        const auto some = peer.read_some();
        if (some.empty()) break;
        std::string twice;
        for (const char c : some) twice.append(2, c);
        peer.send(twice);
    }
    peer.send("bye");
}

const std::string upgrade = get("/", "Connection: Upgrade\r\nUpgrade: doubling\r\n");

std::string read_exactly(Peer& peer, std::size_t size) {
    std::string bytes;
    while (bytes.size() < size) {
        const auto some = peer.read_some(size - bytes.size());
        if (some.empty()) break;
        bytes += some;
    }
    return bytes;
}

TEST(Reload, listeners_come_and_go_and_their_clients_stay) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    const auto apply = [&] { return proxy.server().apply(proxy.config, {{"app", proxy.pool}}); };
    const auto file = std::filesystem::temp_directory_path() / ("plimsoll-" + std::to_string(::getpid()) + ".sock");
    auto first = proxy.client();
    first.send(get("/1"));
    EXPECT_EQ(first.read_response().status(), 200);
    const auto before = proxy.address();

    proxy.config.listeners[0].address = "unix:" + file.string();
    proxy.config.listeners[0].max_body = {3};
    EXPECT_EQ(apply(), "");
    EXPECT_EQ(proxy.server().addresses(), std::vector<std::string>{"unix:" + file.string()});
    EXPECT_TRUE(eventually([&] { return Peer::connect(before).fd() < 0; })) << "the old one is closed";
    first.send(post("/2", "its old settings hold for it"));
    EXPECT_EQ(first.read_response().status(), 200);
    auto second = Peer::connect("unix:" + file.string());
    second.send(post("/3", "four"));
    EXPECT_EQ(second.read_response().status(), 413);

    Proxy other;
    other.start();
    proxy.config.listeners.push_back(proxy.config.listeners[0]);
    proxy.config.listeners[0].address = "127.0.0.1:0";
    proxy.config.listeners[1].address = other.address();
    EXPECT_NE(apply().find("is taken by another process"), std::string::npos);
    EXPECT_EQ(proxy.server().addresses(), std::vector<std::string>{"unix:" + file.string()}) << "all or nothing";
    proxy.config.listeners.pop_back();
    EXPECT_EQ(apply(), "");
    EXPECT_FALSE(std::filesystem::exists(file));
    auto third = proxy.client();
    third.send(get("/4"));
    EXPECT_EQ(third.read_response().status(), 200);
}

TEST(Reload, clients_that_wait_in_the_queue_of_a_listener_that_goes_are_served) {
    Origin origin(echo);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    const auto file = std::filesystem::temp_directory_path() / ("plimsoll-q" + std::to_string(::getpid()) + ".sock");
    proxy.config.listeners[0].address = "unix:" + file.string();
    proxy.add_worker(origin.address());
    proxy.start();
    std::vector<Peer> clients;
    for (int i = 0; i < 200; ++i) {
        clients.push_back(Peer::connect("unix:" + file.string()));
        ASSERT_GE(clients.back().fd(), 0);
    }
    proxy.config.listeners[0].address = "127.0.0.1:0";
    EXPECT_EQ(proxy.server().apply(proxy.config, {{"app", proxy.pool}}), "");
    for (auto& client : clients) {
        client.send(get());
        ASSERT_EQ(client.read_response().status(), 200);
    }
}

TEST(Reload, a_client_that_has_said_nothing_yet_is_served_though_its_listener_goes) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address());
    proxy.start();
    auto client = proxy.client();
    auto config = proxy.config;
    config.listeners[0].address = "127.0.0.2:0";
    ASSERT_EQ(proxy.server().apply(config, Pools{{"app", proxy.pool}}), "");
    std::this_thread::sleep_for(milliseconds{100});
    client.send(get());
    EXPECT_EQ(client.read_response().status(), 200);
}

// The old sockets wait for whoever is on his way in: nothing else can have the port until then.
class Returning : public ::testing::Test {
protected:
    Returning() {
        proxy.add_worker(origin.address());
        proxy.start();
        home = proxy.address(); // port 0 would be another one
        EXPECT_EQ(apply("127.0.0.2:0"), "");
        EXPECT_TRUE(eventually([&] { return Peer::connect(home).fd() < 0; }));
        EXPECT_EQ(apply(home), "");
        silent = Peer::connect(home); // the kernel keeps it for itself until it speaks
    }
    std::string apply(const std::string& address) {
        proxy.config.listeners[0].address = address;
        return proxy.server().apply(proxy.config, {{"app", proxy.pool}});
    }
    bool serves(Peer client) {
        client.send(get());
        return client.read_response().status() == 200;
    }
    Origin origin{echo};
    Proxy proxy;
    std::string home;
    Peer silent;
};

TEST_F(Returning, an_address_that_comes_back_at_once_is_served_and_its_clients_with_it) {
    ASSERT_EQ(apply("127.0.0.2:0"), "");
    ASSERT_EQ(apply(home), "");
    EXPECT_EQ(proxy.server().addresses(), std::vector<std::string>{home});
    EXPECT_TRUE(serves(Peer::connect(home)));
    EXPECT_TRUE(serves(std::move(silent)));
    // Longer than any socket waits before it closes.
    for (const auto end = std::chrono::steady_clock::now() + milliseconds{1'500};
         std::chrono::steady_clock::now() < end;)
        ASSERT_TRUE(serves(Peer::connect(home)));
}

TEST_F(Returning, or_after_its_sockets_have_closed) {
    ASSERT_EQ(apply("127.0.0.2:0"), "");
    silent.close();
    ASSERT_TRUE(eventually([&] { return Peer::connect(home).fd() < 0; }));
    ASSERT_EQ(apply(home), "");
    EXPECT_TRUE(serves(Peer::connect(home)));
}

TEST_F(Returning, another_address_may_have_its_port) {
    ASSERT_EQ(apply("127.0.0.2:0"), "");
    const std::string everywhere = "0.0.0.0" + home.substr(home.find(':'));
    ASSERT_EQ(apply(everywhere), "");
    EXPECT_TRUE(serves(std::move(silent)));
    EXPECT_TRUE(serves(Peer::connect("127.0.0.2" + home.substr(home.find(':')))));
}

TEST_F(Returning, one_that_was_to_come_back_goes_on_leaving_where_another_cannot_be_opened) {
    ASSERT_EQ(apply("127.0.0.2:0"), "");
    const auto elsewhere = proxy.server().addresses();
    Proxy other;
    other.start();
    proxy.config.listeners.push_back(proxy.config.listeners[0]);
    proxy.config.listeners[1].address = other.address();
    EXPECT_NE(apply(home).find("is taken by another process"), std::string::npos);
    EXPECT_EQ(proxy.server().addresses(), elsewhere);
    EXPECT_TRUE(serves(std::move(silent)));
    EXPECT_TRUE(eventually([&] { return Peer::connect(home).fd() < 0; }));
}

// "listen 80; listen [::]:80;" of nginx, and one interface with settings of its own.
struct SamePort : ::testing::TestWithParam<std::pair<const char*, const char*>> {
    Origin origin{echo};
    Proxy proxy;
    std::string port; // ":8080"
    SamePort() {
        Proxy other; // finds a free one
        other.start();
        port = other.address().substr(other.address().find(':'));
    }
    void listen(std::vector<std::string> hosts) { // the second one takes no body
        proxy.config.listeners.resize(hosts.size());
        for (std::size_t i = 0; i < hosts.size(); ++i) {
            proxy.config.listeners[i].address = hosts[i] + port;
            proxy.config.listeners[i].max_body = {i == 1 ? 1 : 1000};
        }
    }
    int asked_at(const std::string& host) {
        auto client = Peer::connect(host + port);
        client.send(post("/", "body"));
        return client.read_response().status();
    }
    std::string apply() { return proxy.server().apply(proxy.config, {{"app", proxy.pool}}); }
    bool can_be_opened() const {
        const auto [first, second] = GetParam();
        const bool six = first[0] == '[' || second[0] == '[';
        return !six || std::filesystem::exists("/proc/net/if_inet6");
    }
};

TEST_P(SamePort, is_opened_by_a_start_and_each_client_is_the_nearest_ones) {
    if (!can_be_opened()) GTEST_SKIP() << "no IPv6 here";
    const auto [first, second] = GetParam();
    proxy.add_worker(origin.address());
    listen({first, second});
    proxy.start();
    ASSERT_EQ(proxy.server().addresses().size(), 2U);
    const bool six = second[0] == '[';
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(asked_at("127.0.0.1"), six ? 200 : 413);
        EXPECT_EQ(asked_at(six ? "[::1]" : "127.0.0.2"), six ? 413 : 200);
    }
    Server next(proxy.config, {});
    EXPECT_NE(next.start().find("is taken by another process"), std::string::npos) << "that of others is still seen";
}

TEST_P(SamePort, and_by_a_reload_and_given_back_by_one) {
    if (!can_be_opened()) GTEST_SKIP() << "no IPv6 here";
    const auto [first, second] = GetParam();
    proxy.add_worker(origin.address());
    listen({first});
    proxy.start();
    const std::string at = second[0] == '[' ? "[::1]" : "127.0.0.1";
    const bool alone = asked_at(at) == 200;
    listen({first, second});
    ASSERT_EQ(apply(), "");
    for (int i = 0; i < 10; ++i) EXPECT_EQ(asked_at(at), 413);
    listen({first});
    ASSERT_EQ(apply(), "");
    EXPECT_TRUE(eventually([&] { return alone ? asked_at(at) == 200 : Peer::connect(at + port).fd() < 0; }));
    EXPECT_EQ(asked_at(first == std::string("[::]") ? "[::1]" : "127.0.0.3"), 200);
}

INSTANTIATE_TEST_SUITE_P(hosts, SamePort,
                         ::testing::Values(std::pair{"0.0.0.0", "[::]"}, std::pair{"0.0.0.0", "127.0.0.1"},
                                           std::pair{"[::]", "127.0.0.1"}),
                         [](const auto& info) { return "case_" + std::to_string(info.index); });

TEST(Start, another_process_that_has_the_port_of_one_of_several_is_seen) {
    Proxy other;
    other.start();
    const auto port = other.address().substr(other.address().find(':'));
    Proxy proxy;
    proxy.config.listeners.resize(2);
    proxy.config.listeners[0].address = "127.0.0.2" + port;
    proxy.config.listeners[1].address = "127.0.0.1" + port;
    Server server(proxy.config, {});
    EXPECT_NE(server.start().find("127.0.0.1" + port + " is taken"), std::string::npos);
}

TEST(Tunnel, after_101_bytes_flow_both_ways_and_each_end_is_passed_on) {
    Origin origin(doubling);
    Proxy proxy;
    const auto key = proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.send(upgrade + "ab"); // does not wait for the answer
    const auto answer = client.read_response();
    ASSERT_EQ(answer.status(), 101);
    EXPECT_EQ(answer.field("upgrade"), "doubling");
    EXPECT_EQ(read_exactly(client, 9), "helloaabb");
    const std::string large(1'000'000, 'x');
    std::thread writer([&] { client.send(large); });
    EXPECT_EQ(read_exactly(client, 2'000'000), large + large);
    writer.join();
    EXPECT_EQ(proxy.in_flight(), 1u); // the slot is held as long as it lasts
    client.finish_writing();
    EXPECT_EQ(client.read_to_end(), "bye");
    EXPECT_TRUE(eventually([&] { return proxy.worker(key).finished[0] == 1; }));
    EXPECT_EQ(proxy.server().stats().upgrades, 1u);
}

TEST(Stop, what_is_cut_at_the_bound_is_counted_as_what_it_was) {
    Origin origin(doubling), busy([](Peer&peer) {
        peer.read_request();
        peer.read_some();
    });
    Proxy proxy;
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto tunnel = proxy.client();
    tunnel.send(upgrade);
    ASSERT_EQ(tunnel.read_response().status(), 101);
    proxy.add_worker(busy.address(), 2);
    auto first = proxy.client(), second = proxy.client(), begun = proxy.client();
    first.send(get());
    second.send(get());
    begun.send("GET / HT");
    ASSERT_TRUE(eventually([&] { return proxy.in_flight() == 3; }));
    ASSERT_TRUE(eventually([&] { return proxy.server().stats().connections_open == 4; }));
    EXPECT_TRUE(proxy.stop(milliseconds{50}));
    const auto stats = proxy.server().stats();
    EXPECT_EQ(stats.cut_tunnels, 1u);
    EXPECT_EQ(stats.cut_requests, 2u);
    EXPECT_EQ(stats.cut_connections, 1u);
}

TEST(Tunnel, one_whose_ends_are_slow_is_not_cut_though_others_have_used_the_buffers_up) {
    Origin origin(doubling);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker(origin.address());
    auto filling = proxy.start_with_full_buffers();
    auto client = proxy.client();
    client.send(upgrade);
    ASSERT_EQ(client.read_response().status(), 101);
    EXPECT_EQ(read_exactly(client, 5), "hello");
    const std::string large(40'000'000, 'x'); // the sockets between them hold a part
    std::thread writer([&] { client.send(large); });
    EXPECT_TRUE(eventually([&] { return proxy.server().stats().buffered_bytes > 20'000; })) << "somebody waits";
    EXPECT_LE(proxy.server().stats().buffered_bytes, 16'384 + 2 * (4u << 10)) << "with little";
    EXPECT_EQ(read_exactly(client, 80'000'000).size(), 80'000'000u);
    writer.join();
}

TEST(Tunnel, one_where_nothing_moves_is_closed) {
    Origin origin(doubling);
    Proxy proxy;
    proxy.config.pools[0].upstream.upgrade_idle_timeout = milliseconds{100};
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.send(upgrade);
    ASSERT_EQ(client.read_response().status(), 101);
    EXPECT_EQ(read_exactly(client, 5), "hello");
    EXPECT_TRUE(client.ended());
}

TEST(Tunnel, a_client_that_vanishes_ends_it) {
    Origin origin(doubling);
    Proxy proxy;
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.send(upgrade);
    ASSERT_EQ(client.read_response().status(), 101);
    client.reset();
    EXPECT_TRUE(eventually([&] { return proxy.in_flight() == 0; }));
}

TEST(Tunnel, a_refused_upgrade_is_an_ordinary_answer) {
    Origin origin(echo);
    Proxy proxy;
    proxy.add_worker(origin.address(), 1);
    proxy.start();
    auto client = proxy.client();
    client.send(upgrade);
    EXPECT_EQ(client.read_response().status(), 200);
    client.send(get("/next"));
    EXPECT_EQ(client.read_response().body, "GET /next ");
}

} // namespace
} // namespace plimsoll::net::testing
