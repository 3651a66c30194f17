#include "fleet/agent_commands.hpp"

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include "fleet/base64.hpp"
#include "tests/fleet/fake_agent.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;
using Place = std::shared_ptr<std::optional<CommandResult>>;

// A server with one agent that has joined.
class AgentCommandsTest : public testing::Test {
protected:
    void start(AgentServer::Settings settings = {}) {
        settings.listen = {"tcp:127.0.0.1:0"};
        settings.token = "t";
        AgentServer::Events events;
        events.connected = [this](std::shared_ptr<Agent> joined) { agent = std::move(joined); };
        events.disconnected = [this](Agent&, bool) { gone = true; };
        server = std::make_unique<AgentServer>(io, settings, events);
        ASSERT_EQ(server->start(), "");
        fake = std::make_unique<FakeAgent>(io, server->addresses()[0]);
        auto hello = FakeAgent::hello();
        hello["token"] = "t";
        fake->say(hello);
        ASSERT_EQ(fake->hear_type(), "welcome");
    }
    ~AgentCommandsTest() override {
        server.reset();
        io.restart();
        io.poll();
    }
    Place command(std::string name, Duration deadline = 10s, json::object args = {}) {
        auto place = std::make_shared<std::optional<CommandResult>>();
        asio::co_spawn(io, agent->command(std::move(name), std::move(args), deadline),
                       [place](std::exception_ptr, CommandResult result) { *place = std::move(result); });
        return place;
    }
    CommandResult result(const Place& place) {
        EXPECT_TRUE(run_until(io, [&] { return place->has_value(); }));
        return place->value_or(CommandResult{});
    }
    // The next command that the agent hears: its name, and its id to answer with.
    std::pair<std::string, std::uint64_t> heard() {
        const auto message = fake->hear();
        if (!message || message->at("type") != "command") return {"nothing", 0};
        return {std::string(message->at("name").as_string()), message->at("id").to_number<std::uint64_t>()};
    }
    void answer(std::uint64_t id, json::object data = {}, bool ok = true) {
        fake->say({{"type", "result"}, {"id", id}, {"ok", ok}, {"data", std::move(data)}});
    }
    void part(std::uint64_t id, const std::string& name, const std::string& base64, bool last) {
        fake->say({{"type", "file"}, {"id", id}, {"name", name}, {"data", base64}, {"last", last}});
    }
    bool quiet() { // nothing more was sent
        io.restart();
        io.run_for(20ms);
        char byte;
        return ::recv(fake->fd(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
    }

    asio::io_context io;
    std::unique_ptr<AgentServer> server;
    std::unique_ptr<FakeAgent> fake;
    std::shared_ptr<Agent> agent;
    bool gone = false;
    int answered = 0;
};

TEST_F(AgentCommandsTest, a_command_carries_its_deadline_and_arguments_and_brings_back_data_and_files) {
    start();
    const auto place = command("capture_b", 5s, {{"top", 10}});
    const auto message = fake->hear();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->at("name"), "capture_b");
    EXPECT_EQ(message->at("args").at("top"), 10);
    EXPECT_GT(message->at("deadline").to_number<double>(), 4);
    EXPECT_LE(message->at("deadline").to_number<double>(), 5);
    const auto id = message->at("id").to_number<std::uint64_t>();
    part(id, "census.json", "e30=", true);
    part(id, "trace.snapshot", "AAEC", false); // parts of two files may mix
    part(id, "retainers.txt", "", true);
    part(id, "trace.snapshot", "/v8=", true);
    answer(id, {{"seconds", 1.5}});
    const auto got = result(place);
    EXPECT_TRUE(got.ok);
    EXPECT_EQ(got.error, "");
    EXPECT_EQ(got.data.at("seconds"), 1.5);
    ASSERT_EQ(got.files.size(), 3U);
    EXPECT_EQ(got.files[0].name, "census.json");
    EXPECT_EQ(got.files[0].content, "{}");
    EXPECT_EQ(got.files[1].content, std::string("\x00\x01\x02\xfe\xff", 5));
    EXPECT_EQ(got.files[2].content, "");
}

TEST_F(AgentCommandsTest, an_agents_error_is_the_results) {
    start();
    const auto place = command("trim");
    const auto id = heard().second;
    fake->say({{"type", "result"}, {"id", id}, {"ok", false}, {"error", "busy"}});
    const auto got = result(place);
    EXPECT_FALSE(got.ok);
    EXPECT_EQ(got.error, "busy");
}

TEST_F(AgentCommandsTest, commands_run_one_at_a_time_in_the_order_of_the_calls) {
    start();
    const auto first = command("capture_a"), second = command("capture_b"), third = command("trim");
    const auto a = heard();
    EXPECT_EQ(a.first, "capture_a");
    EXPECT_TRUE(quiet());
    answer(a.second, {{"n", 1}});
    const auto b = heard();
    EXPECT_EQ(b.first, "capture_b");
    EXPECT_TRUE(quiet());
    answer(a.second, {{"n", 9}}); // said twice: nothing is taken from it
    answer(b.second, {{"n", 2}});
    const auto c = heard();
    answer(c.second, {{"n", 3}});
    EXPECT_EQ(result(first).data.at("n"), 1);
    EXPECT_EQ(result(second).data.at("n"), 2);
    EXPECT_EQ(result(third).data.at("n"), 3);
}

TEST_F(AgentCommandsTest, what_comes_after_the_deadline_is_dropped_and_frees_the_agent) {
    start();
    const auto slow = command("capture_a", 20ms);
    const auto a = heard();
    part(a.second, "stacks.txt", "AAAA", false);
    EXPECT_EQ(result(slow).error, "deadline");
    const auto next = command("capture_b");
    EXPECT_TRUE(quiet()); // the agent is still at it, and would say busy
    part(a.second, "stacks.txt", "AAAA", true);
    answer(a.second, {{"late", true}});
    const auto b = heard();
    EXPECT_EQ(b.first, "capture_b");
    part(a.second, "stacks.txt", "AAAA", true);
    answer(a.second, {{"late", true}});
    answer(b.second, {{"late", false}});
    const auto got = result(next);
    EXPECT_TRUE(got.ok);
    EXPECT_EQ(got.data.at("late"), false);
    EXPECT_TRUE(got.files.empty());
}

TEST_F(AgentCommandsTest, a_result_that_never_comes_does_not_block_the_agent_for_ever) {
    start();
    const auto lost = command("capture_a", 10ms);
    heard();
    const auto next = command("ping", 10s);
    const auto before = Clock::now();
    const auto b = heard();
    EXPECT_EQ(b.first, "ping");
    EXPECT_GE(Clock::now() - before, AgentCommands::patience / 2);
    answer(b.second);
    EXPECT_TRUE(result(next).ok);
    EXPECT_EQ(result(lost).error, "deadline");
}

TEST_F(AgentCommandsTest, the_deadline_counts_from_the_call_also_while_waiting) {
    start();
    const auto running = command("capture_b", 10s);
    const auto a = heard();
    const auto waiting = command("ping", 20ms);
    EXPECT_EQ(result(waiting).error, "deadline");
    answer(a.second);
    EXPECT_TRUE(result(running).ok);
    EXPECT_TRUE(quiet()); // it was never sent
    EXPECT_EQ(result(command("ping", 0s)).error, "deadline");
    EXPECT_EQ(result(command("ping", -1s)).error, "deadline");
    EXPECT_TRUE(quiet());
}

TEST_F(AgentCommandsTest, a_disconnect_fails_what_runs_and_what_waits_and_what_comes) {
    start();
    const auto running = command("capture_b"), waiting = command("ping");
    const auto a = heard();
    part(a.second, "stacks.txt", "AAAA", true);
    fake->raw(std::string("\x00\x00", 2)); // in the middle of a frame
    fake->hang_up();
    EXPECT_EQ(result(running).error, "disconnected");
    EXPECT_EQ(result(waiting).error, "disconnected");
    EXPECT_TRUE(gone);
    const auto before = Clock::now();
    EXPECT_EQ(result(command("ping")).error, "disconnected");
    EXPECT_LT(Clock::now() - before, 1s);
    server.reset(); // a holder outlives the server, too
    EXPECT_EQ(result(command("ping")).error, "disconnected");
}

TEST_F(AgentCommandsTest, evidence_beyond_its_bound_is_cut_and_said) {
    start({.max_files_size = Bytes{5}});
    const auto place = command("capture_b");
    const auto id = heard().second;
    part(id, "a", "QUJD", true);
    part(id, "b", "REVG", true);
    part(id, "c", "R0hJ", false);
    answer(id);
    const auto got = result(place);
    EXPECT_TRUE(got.ok);
    EXPECT_EQ(got.error, "evidence cut at 5 B; c is incomplete");
    ASSERT_EQ(got.files.size(), 3U);
    EXPECT_EQ(got.files[0].content, "ABC");
    EXPECT_EQ(got.files[1].content, "DE");
    EXPECT_EQ(got.files[2].content, "");
}

TEST_F(AgentCommandsTest, the_number_of_files_is_bounded) {
    start();
    const auto place = command("capture_b");
    const auto id = heard().second;
    for (std::size_t i = 0; i < AgentCommands::max_files + 5; ++i) part(id, "f" + std::to_string(i), "", true);
    answer(id);
    const auto got = result(place);
    EXPECT_EQ(got.files.size(), AgentCommands::max_files);
    EXPECT_NE(got.error, "");
}

TEST_F(AgentCommandsTest, more_of_a_file_after_its_last_part_ends_the_connection) {
    start();
    const auto place = command("capture_b");
    const auto id = heard().second;
    part(id, "a", "QUJD", true);
    part(id, "a", "QUJD", true);
    EXPECT_EQ(result(place).error, "disconnected");
    EXPECT_EQ(server->stats().faults, 1U);
}

TEST_F(AgentCommandsTest, an_agent_that_does_not_read_is_hung_up_on) {
    start({.write_timeout = 50ms});
    const int small = 4096;
    ::setsockopt(fake->fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    std::vector<Place> places;
    for (int i = 0; i < 20; ++i) places.push_back(command("ping", 10s, {{"filler", std::string(1'000'000, 'x')}}));
    ASSERT_TRUE(run_until(io, [&] {
        fake->say("{\"type\":\"result\",\"id\":" + std::to_string(++answered) +
                  ",\"ok\":true}"); // answers unread commands
        return gone;
    }));
    EXPECT_EQ(server->stats().too_slow, 1U);
    EXPECT_EQ(result(places.back()).error, "disconnected");
}

TEST_F(AgentCommandsTest, too_long_a_command_and_too_many_fail_alone) {
    start();
    EXPECT_EQ(result(command("ping", 10s, {{"filler", std::string(2'000'000, 'x')}})).error,
              "longer than a frame may be");
    std::vector<Place> places;
    for (std::size_t i = 0; i < AgentCommands::max_waiting + 2; ++i) places.push_back(command("ping"));
    EXPECT_EQ(result(places.back()).error, "too many commands wait for this agent");
    answer(heard().second);
    EXPECT_TRUE(result(places.front()).ok);
}

TEST(Base64, is_strict) {
    EXPECT_EQ(decode_base64(""), "");
    EXPECT_EQ(decode_base64("Zg=="), "f");
    EXPECT_EQ(decode_base64("Zm8="), "fo");
    EXPECT_EQ(decode_base64("Zm9v"), "foo");
    EXPECT_EQ(decode_base64("+/+/"), "\xfb\xff\xbf");
    for (const char* bad :
         {"Z", "Zg", "Zg=", "Zm9vZ", "Z===", "====", "=", "Zg==Zg==", "Zm9=", "Zh==", "Zm 9", "Zm9v\n", "-_-_",
          "Zm\xff"
          "v"}) {
        SCOPED_TRACE(bad);
        EXPECT_FALSE(decode_base64(bad));
    }
}

} // namespace
} // namespace plimsoll::fleet
