#include "fleet/agent_server.hpp"

#include <filesystem>
#include <fstream>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fleet/peer.hpp"
#include "fleet/wait.hpp"
#include "tests/fleet/fake_agent.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

class AgentServerTest : public testing::Test {
protected:
    AgentServerTest() {
        char name[] = "/tmp/plimsoll-agents-XXXXXX";
        directory = ::mkdtemp(name);
        settings.listen = {directory + "/control.sock"};
        events.admit = [this](const Hello& hello, std::string& refusal) {
            refusal = refuse_with;
            return hello.pool;
        };
        events.connected = [this](std::shared_ptr<Agent> agent) { agents.push_back(std::move(agent)); };
        events.ready = [this](Agent&) { ++ready; };
        events.sample = [this](Agent&, const Sample& sample) { samples.push_back(sample); };
        events.disconnected = [this](Agent&, bool said_bye) {
            ++gone;
            byes += said_bye;
        };
        events.exited = [this](const Exited& exited) { exits.push_back(exited); };
    }
    ~AgentServerTest() override {
        server.reset();
        io.restart();
        io.poll();
        std::filesystem::remove_all(directory);
    }

    std::string start() {
        server = std::make_unique<AgentServer>(io, settings, events);
        return server->start();
    }
    FakeAgent dial(std::size_t address = 0) { return {io, server->addresses().at(address)}; }
    FakeAgent join(const json::object& hello = FakeAgent::hello()) {
        auto agent = dial();
        agent.say(hello);
        EXPECT_EQ(agent.hear_type(), "welcome");
        return agent;
    }
    bool until(const std::function<bool()>& so) { return run_until(io, so); }

    // A command whose result appears in the returned place.
    std::shared_ptr<std::optional<CommandResult>> command(Agent& agent, std::string name, Duration deadline = 10s,
                                                          json::object args = {}) {
        auto place = std::make_shared<std::optional<CommandResult>>();
        asio::co_spawn(io, agent.command(std::move(name), std::move(args), deadline),
                       [place](std::exception_ptr, CommandResult result) { *place = std::move(result); });
        return place;
    }

    asio::io_context io;
    std::string directory, refuse_with;
    AgentServer::Settings settings;
    AgentServer::Events events;
    std::unique_ptr<AgentServer> server;
    std::vector<std::shared_ptr<Agent>> agents;
    std::vector<Sample> samples;
    std::vector<Exited> exits;
    int ready = 0, gone = 0, byes = 0;
};

TEST_F(AgentServerTest, a_hello_is_welcomed_and_all_it_says_arrives) {
    ASSERT_EQ(start(), "");
    auto agent = dial();
    agent.say(
        "{\"type\":\"hello\",\"v\":1,\"pool\":\"app\",\"index\":3,\"pid\":4711,\"ppid\":4700,"
        "\"pid_namespace\":4026531836,\"host\":\"box\",\"server\":\"gunicorn\",\"server_version\":\"23.0.0\","
        "\"worker_class\":\"gthread\",\"threads\":8,\"keep_alive\":2,\"address\":\"unix:/run/w.sock\",\"age\":5,"
        "\"max_requests\":0,\"stacks_signal\":61,\"python\":\"3.11.7\",\"agent\":\"0.1.0\",\"started_at\":1700000000.5,"
        "\"memory_limit\":536870912,\"ready\":true,\"token\":null}");
    const auto welcome = agent.hear();
    ASSERT_TRUE(welcome);
    EXPECT_EQ(welcome->at("type"), "welcome");
    EXPECT_EQ(welcome->at("v"), 1);
    EXPECT_EQ(welcome->at("sample_interval").to_number<double>(), 1.0);
    ASSERT_EQ(agents.size(), 1U);
    const Hello& hello = agents[0]->hello();
    EXPECT_EQ(hello.pool, "app");
    EXPECT_EQ(hello.index, 3U);
    EXPECT_EQ(hello.pid, 4711);
    EXPECT_EQ(hello.ppid, 4700);
    EXPECT_EQ(hello.pid_namespace, 4026531836U);
    EXPECT_EQ(hello.peer_pid, ::getpid());
    EXPECT_EQ(hello.worker_class, "gthread");
    EXPECT_EQ(hello.threads, 8U);
    EXPECT_EQ(hello.keep_alive, 2.0);
    EXPECT_EQ(hello.address, "unix:/run/w.sock");
    EXPECT_EQ(hello.age, 5U);
    EXPECT_EQ(hello.max_requests, 0U);
    EXPECT_EQ(hello.stacks_signal, 61);
    EXPECT_EQ(hello.started_at, 1700000000.5);
    EXPECT_EQ(hello.memory_limit, 512_MiB);
    EXPECT_TRUE(hello.ready);
    EXPECT_FALSE(hello.same_pids); // it says another pid than the one that dialled
    EXPECT_EQ(ready, 1);
    EXPECT_EQ(server->stats().connected, 1U);
}

TEST_F(AgentServerTest, null_and_absent_stay_unset) {
    ASSERT_EQ(start(), "");
    auto agent = join({{"type", "hello"}, {"v", 1}, {"pid", 1}, {"address", nullptr}, {"memory_limit", nullptr}});
    const Hello& hello = agents.at(0)->hello();
    EXPECT_EQ(hello.address, "");
    EXPECT_FALSE(hello.memory_limit || hello.index || hello.threads || hello.keep_alive || hello.age || hello.ready);
}

TEST_F(AgentServerTest, frames_torn_at_any_byte_mean_the_same) {
    ASSERT_EQ(start(), "");
    const std::string all = FakeAgent::frame(FakeAgent::hello()) + FakeAgent::frame({{"type", "ready"}}) +
                            FakeAgent::frame({{"type", "sample"}, {"rss", 4096}, {"fds", nullptr}});
    for (std::size_t n = 1; n < all.size(); ++n) {
        SCOPED_TRACE(n);
        agents.clear();
        samples.clear();
        ready = 0;
        auto agent = dial();
        agent.raw(all.substr(0, n));
        io.restart();
        io.poll();
        agent.raw(all.substr(n));
        ASSERT_TRUE(until([&] { return samples.size() == 1; }));
        EXPECT_EQ(agents.size(), 1U);
        EXPECT_EQ(ready, 1);
        EXPECT_EQ(samples[0].rss, Bytes{4096});
        EXPECT_FALSE(samples[0].fds || samples[0].anon);
    }
    EXPECT_EQ(server->stats().faults, 0U);
}

TEST_F(AgentServerTest, a_connection_cut_at_any_byte_harms_nobody) {
    ASSERT_EQ(start(), "");
    const std::string all = FakeAgent::frame(FakeAgent::hello()) + FakeAgent::frame({{"type", "ready"}});
    for (std::size_t n = 0; n < all.size(); ++n) {
        auto agent = dial();
        agent.raw(all.substr(0, n));
        agent.hang_up();
    }
    auto good = join();
    ASSERT_TRUE(until([&] { return server->stats().connected == 1; }));
}

TEST_F(AgentServerTest, an_oversize_frame_ends_the_connection) {
    settings.hello_timeout = 60s; // so that it is the size that ends it
    ASSERT_EQ(start(), "");
    auto stranger = dial(); // before the hello little is taken
    stranger.raw(std::string("\x00\x00\x40\x01", 4));
    EXPECT_TRUE(stranger.hung_up_on());
    auto agent = join();
    agent.say({{"type", "later"}, {"filler", std::string((1 << 20) - 40, 'x')}}); // just fits
    agent.say({{"type", "ready"}});
    ASSERT_TRUE(until([&] { return ready == 1; }));
    agent.raw(std::string("\x00\x10\x00\x01", 4));
    EXPECT_TRUE(agent.hung_up_on());
    EXPECT_EQ(gone, 1);
    EXPECT_EQ(server->stats().faults, 2U);
}

TEST_F(AgentServerTest, what_is_no_json_object_ends_the_connection) {
    ASSERT_EQ(start(), "");
    const std::string hello = json::serialize(FakeAgent::hello());
    for (const std::string text :
         {"", "{", "[]", "null", "1", "{}{}", "{\"type\":\"sample\",\"rss\":\"much\"}",
          "{\"type\":\"sample\",\"rss\":-1}", "{\"type\":\"sample\",\"threads\":1.5}",
          "{\"type\":\"sample\",\"rss\":99999999999999999999}", "{\"type\":\"result\"}",
          "{\"type\":\"result\",\"id\":1,\"data\":[]}", "{\"type\":\"file\",\"id\":1,\"name\":\"../x\",\"data\":\"\"}",
          "{\"type\":\"file\",\"id\":1,\"name\":\".x\",\"data\":\"\"}",
          "{\"type\":\"file\",\"id\":1,\"name\":\"x\",\"data\":\"A\"}", "{\"type\":\"x\",\"text\":\"\xff\xfe\"}"}) {
        SCOPED_TRACE(text);
        auto agent = join();
        agent.say(text);
        EXPECT_TRUE(agent.hung_up_on());
    }
    const std::string deep(100'000, '[');
    auto agent = join();
    agent.say(deep);
    EXPECT_TRUE(agent.hung_up_on());
    for (const std::string text : {"{\"type\":\"hello\",\"v\":1}", "{\"type\":\"hello\",\"v\":1,\"pid\":-4}",
                                   "{\"type\":\"hello\",\"v\":1,\"pid\":7,\"threads\":-1}",
                                   "{\"type\":\"hello\",\"v\":\"1\",\"pid\":7}", "{\"type\":\"exited\"}", "x"}) {
        SCOPED_TRACE(text);
        auto stranger = dial();
        stranger.say(text);
        EXPECT_TRUE(stranger.hung_up_on());
    }
    EXPECT_EQ(server->stats().faults, 23U);
    EXPECT_EQ(server->stats().connected, 0U);
}

TEST_F(AgentServerTest, unknown_types_and_keys_are_ignored) {
    ASSERT_EQ(start(), "");
    auto agent = dial();
    agent.say("{\"type\":\"greeting\"}");
    agent.say("{}");
    auto hello = FakeAgent::hello();
    hello["shoe_size"] = 43;
    agent.say(hello);
    EXPECT_EQ(agent.hear_type(), "welcome");
    agent.say("{\"type\":\"weather\",\"rain\":[1,2]}");
    agent.say("{\"type\":7}");
    agent.say(FakeAgent::hello()); // once is enough
    agent.say({{"type", "ready"}, {"x", 1}});
    agent.say({{"type", "ready"}});
    agent.say({{"type", "sample"}});
    ASSERT_TRUE(until([&] { return samples.size() == 1; }));
    EXPECT_EQ(ready, 1);
    EXPECT_EQ(agents.size(), 1U);
}

TEST_F(AgentServerTest, who_says_no_hello_is_hung_up_on) {
    settings.hello_timeout = 50ms;
    ASSERT_EQ(start(), "");
    auto silent = dial();
    auto slow = dial();
    slow.raw(FakeAgent::frame(FakeAgent::hello()).substr(0, 20));
    EXPECT_TRUE(silent.hung_up_on());
    EXPECT_TRUE(slow.hung_up_on());
    EXPECT_TRUE(until([&] { return server->stats().faults == 2; }));
    EXPECT_EQ(agents.size(), 0U);
}

TEST_F(AgentServerTest, the_fleet_may_refuse_and_the_agent_hears_why) {
    refuse_with = "no pool is named 'app'";
    ASSERT_EQ(start(), "");
    auto agent = dial();
    agent.say(FakeAgent::hello());
    const auto answer = agent.hear();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->at("type"), "refused");
    EXPECT_EQ(answer->at("reason").as_string(), refuse_with);
    EXPECT_TRUE(agent.hung_up_on());
    EXPECT_EQ(server->stats().refused, 1U);
    EXPECT_EQ(agents.size(), 0U);
}

TEST_F(AgentServerTest, another_version_is_refused) {
    ASSERT_EQ(start(), "");
    auto agent = dial();
    auto hello = FakeAgent::hello();
    hello["v"] = 2;
    agent.say(hello);
    EXPECT_EQ(agent.hear_type(), "refused");
}

TEST_F(AgentServerTest, over_tcp_nobody_joins_without_the_token) {
    settings.listen = {"tcp:127.0.0.1:0"};
    EXPECT_EQ(start(), "agents on tcp:127.0.0.1:0 must show a token: set proxy.token or proxy.token_file");
    settings.token = "sesame";
    ASSERT_EQ(start(), "");
    for (const char* token : {"", "sesamf", "sesame2", "sesam"}) {
        SCOPED_TRACE(token);
        auto agent = dial();
        auto hello = FakeAgent::hello();
        hello["token"] = token;
        agent.say(hello);
        agent.say({{"type", "sample"}}); // unread bytes do not cost the peer its answer
        EXPECT_EQ(agent.hear_type(), "refused");
        auto arbiter = dial();
        arbiter.say({{"type", "exited"}, {"pid", 7}, {"status", 9}, {"token", token}});
        EXPECT_EQ(arbiter.hear_type(), "refused");
    }
    EXPECT_TRUE(exits.empty());
    auto hello = FakeAgent::hello();
    hello["token"] = "sesame";
    auto agent = join(hello);
    EXPECT_EQ(agents.at(0)->hello().peer_pid, 0);
    auto arbiter = dial();
    arbiter.say({{"type", "exited"}, {"pid", 7}, {"status", 9}, {"token", "sesame"}});
    EXPECT_TRUE(until([&] { return exits.size() == 1; }));
}

TEST_F(AgentServerTest, an_arbiter_tells_of_deaths_without_a_hello) {
    ASSERT_EQ(start(), "");
    auto arbiter = dial();
    arbiter.say({{"type", "exited"}, {"pid", 71}, {"status", 768}, {"pool", "app"}, {"boot_failed", true}});
    arbiter.say({{"type", "exited"}, {"pid", 72}, {"status", 9}});
    arbiter.hang_up();
    ASSERT_TRUE(until([&] { return exits.size() == 2; }));
    EXPECT_EQ(exits[0].pid, 71);
    EXPECT_EQ(exits[0].status, 768);
    EXPECT_EQ(exits[0].pool, "app");
    EXPECT_TRUE(exits[0].boot_failed);
    EXPECT_FALSE(exits[1].boot_failed);
    EXPECT_EQ(server->stats().faults, 0U);
    EXPECT_EQ(agents.size(), 0U);
}

TEST_F(AgentServerTest, pids_are_the_same_only_when_all_agrees) {
    const auto ours = own_pid_namespace();
    Peer peer;
    peer.pid = ::getpid();
    EXPECT_TRUE(same_pids(peer, ::getpid(), ::getppid(), ours));
    EXPECT_TRUE(same_pids(peer, ::getpid(), 0, ours));
    EXPECT_FALSE(same_pids(peer, ::getpid(), ::getppid(), ours + 1));
    EXPECT_FALSE(same_pids(peer, ::getpid(), ::getppid(), 0));
    EXPECT_FALSE(same_pids(peer, ::getpid(), ::getpid(), ours));
    EXPECT_FALSE(same_pids(peer, ::getppid(), 0, ours));
    peer = Peer{.tcp = true, .same_host = true, .name = {}};
    EXPECT_TRUE(same_pids(peer, ::getpid(), ::getppid(), ours));
    peer.same_host = false; // the first namespace has the same inode everywhere
    EXPECT_FALSE(same_pids(peer, ::getpid(), ::getppid(), ours));
}

// Dials as somebody else and says whether it was welcomed: 0, refused: 1. An orphan is not a descendant of ours.
int join_as_nobody(const std::string& address, bool orphan, const std::string& token) {
    int result[2];
    if (::pipe(result) != 0) return -1;
    const pid_t child = ::fork();
    if (child == 0) {
        const pid_t parent = ::getpid();
        if (orphan && ::fork() != 0) ::_exit(0);
        while (orphan && ::getppid() == parent) ::usleep(1000);
        boost::asio::io_context none;
        if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(1);
        FakeAgent agent(none, address);
        auto hello = FakeAgent::hello();
        hello["token"] = token;
        if (agent.dialled()) agent.say(hello);
        const char answer = agent.dialled() ? agent.hear_type().at(0) : 'd';
        (void)!::write(result[1], &answer, 1);
        ::_exit(0);
    }
    ::close(result[1]);
    return result[0];
}

TEST_F(AgentServerTest, another_user_joins_as_our_descendant_or_by_the_token_but_not_else) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
    settings.token = "sesame";
    ASSERT_EQ(start(), "");
    ::chmod(directory.c_str(), 0755);
    struct Case {
        bool orphan;
        const char* token;
        char answer;
    };
    for (const Case& c : {Case{false, "", 'w'}, Case{true, "", 'r'}, Case{true, "sesame", 'w'}}) {
        SCOPED_TRACE(c.orphan);
        const int fd = join_as_nobody(server->addresses()[0], c.orphan, c.token);
        char answer = 0;
        ASSERT_TRUE(until([&] {
            pollfd p{fd, POLLIN, 0};
            return ::poll(&p, 1, 0) == 1;
        }));
        EXPECT_EQ(::read(fd, &answer, 1), 1);
        EXPECT_EQ(answer, c.answer);
        ::close(fd);
        ::wait(nullptr);
    }
}

TEST_F(AgentServerTest, beyond_max_agents_the_next_is_refused_until_one_leaves) {
    settings.max_agents = 2;
    ASSERT_EQ(start(), "");
    auto first = join();
    auto second = join();
    auto third = dial();
    EXPECT_EQ(third.hear_type(), "refused");
    third.hang_up();
    EXPECT_EQ(server->stats().over_capacity, 1U);
    second.hang_up();
    ASSERT_TRUE(until([&] { return gone == 1; }));
    auto fourth = join();
}

TEST_F(AgentServerTest, bye_is_told_from_a_hang_up) {
    ASSERT_EQ(start(), "");
    auto polite = join();
    polite.say({{"type", "bye"}});
    polite.hang_up();
    ASSERT_TRUE(until([&] { return gone == 1; }));
    EXPECT_EQ(byes, 1);
    EXPECT_FALSE(agents[0]->connected());
    auto abrupt = join();
    abrupt.hang_up();
    ASSERT_TRUE(until([&] { return gone == 2; }));
    EXPECT_EQ(byes, 1);
}

TEST_F(AgentServerTest, two_hundred_agents_answer_a_command_each) {
    ASSERT_EQ(start(), "");
    std::vector<std::unique_ptr<FakeAgent>> fakes;
    for (int i = 0; i < 200; ++i) {
        fakes.push_back(std::make_unique<FakeAgent>(io, server->addresses()[0]));
        auto hello = FakeAgent::hello();
        hello["index"] = i;
        fakes.back()->say(hello);
    }
    ASSERT_TRUE(until([&] { return agents.size() == 200; }));
    std::vector<std::shared_ptr<std::optional<CommandResult>>> results;
    for (const auto& agent : agents) results.push_back(command(*agent, "ping"));
    for (std::size_t i = 0; i < 200; ++i) {
        EXPECT_EQ(fakes[i]->hear_type(), "welcome");
        const auto heard = fakes[i]->hear();
        ASSERT_TRUE(heard);
        fakes[i]->say({{"type", "result"}, {"id", heard->at("id")}, {"ok", true}, {"data", {{"index", i}}}});
    }
    ASSERT_TRUE(until([&] { return std::ranges::all_of(results, [](const auto& r) { return r->has_value(); }); }));
    for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ((*results[i])->data.at("index"), *agents[i]->hello().index);
    fakes.clear();
    ASSERT_TRUE(until([&] { return gone == 200; }));
    EXPECT_EQ(server->stats().connected, 0U);
}

TEST_F(AgentServerTest, stop_hangs_up_and_tells_nothing_more) {
    ASSERT_EQ(start(), "");
    auto agent = join();
    auto stranger = dial();
    stranger.raw("\x00");
    auto held = agents[0];
    auto result = command(*held, "ping");
    EXPECT_EQ(agent.hear_type(), "command");
    server->stop();
    EXPECT_TRUE(agent.hung_up_on());
    EXPECT_TRUE(stranger.hung_up_on());
    ASSERT_TRUE(until([&] { return result->has_value(); }));
    EXPECT_EQ((*result)->error, "disconnected");
    EXPECT_EQ(gone, 0);
    EXPECT_FALSE(std::filesystem::exists(directory + "/control.sock"));
}

TEST_F(AgentServerTest, a_stale_socket_is_replaced_and_a_live_one_left_alone) {
    settings.listen = {directory + "/deep/er/control.sock"};
    const std::string path = settings.listen[0];
    ASSERT_EQ(start(), "");
    struct stat file {};
    ASSERT_EQ(::stat((directory + "/deep").c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0755U);
    ASSERT_EQ(::stat(path.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0666U);

    AgentServer second(io, settings, {});
    EXPECT_EQ(second.start(), path + " is taken by another process: stop it, or choose another path in proxy.control");
    EXPECT_TRUE(std::filesystem::exists(path));

    server->stop();
    Fd stale(::socket(AF_UNIX, SOCK_STREAM, 0)); // bound, and nobody listens
    sockaddr_storage storage{};
    socklen_t length = 0;
    ASSERT_TRUE(net::to_sockaddr(*net::parse_address(path), storage, length));
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
    stale.reset();
    ASSERT_EQ(start(), "");
    auto agent = join();

    std::filesystem::remove(path);
    std::ofstream(path) << "mine";
    server->stop();
    EXPECT_TRUE(std::filesystem::exists(path)); // not the file that it made
    EXPECT_EQ(start(), path + " exists and is no socket: choose another path in proxy.control");
}

TEST_F(AgentServerTest, a_socket_whose_file_is_deleted_is_opened_again_and_harms_no_agent) {
    settings.look_interval = 10ms;
    const std::string path = settings.listen[0];
    ASSERT_EQ(start(), "");
    auto before = join();
    for (int times = 0; times < 2; ++times) {
        std::filesystem::remove_all(directory);
        ASSERT_TRUE(until([&] { return std::filesystem::exists(path); }));
        auto after = join();
    }
    EXPECT_TRUE(until([&] { return gone == 2; })) << "those that left";
    before.say({{"type", "sample"}, {"rss", 1 << 20}});
    EXPECT_TRUE(until([&] { return samples.size() == 1; })) << "the first agent's connection is what it was";
    server->stop();
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(AgentServerTest, a_bad_address_is_one_clear_line_and_opens_nothing) {
    const std::string good = settings.listen[0];
    settings.token = "x";
    for (const std::string bad : {"tcp:nowhere", "tcp:example.org:1", "", "tcp:192.0.2.1:1"}) {
        SCOPED_TRACE(bad);
        settings.listen = {good, bad};
        EXPECT_NE(start(), "");
        EXPECT_FALSE(std::filesystem::exists(good));
    }
    settings.listen = {"/" + std::string(107, 'x')};
    EXPECT_NE(start().find("1 to 107 bytes"), std::string::npos);
}

} // namespace
} // namespace plimsoll::fleet
