#include "admin/events.hpp"

#include "admin/harness.hpp"

namespace plimsoll::admin {
namespace {

using event_stream = AdminTest;

constexpr std::string_view ask_events = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST(events, a_slow_subscriber_is_told_what_it_missed_and_holds_nobody_up) {
    Events events(2, 3);
    const auto slow = events.subscribe([] {}), quick = events.subscribe([] {});
    for (int i = 1; i <= 5; ++i) {
        events.publish("worker", {{"n", i}, {"at", "now"}});
        EXPECT_EQ(quick->next(), "id: " + std::to_string(i) + "\nevent: worker\ndata: {\"n\":" + std::to_string(i) +
                                     ",\"at\":\"now\"}\n\n");
    }
    EXPECT_EQ(slow->next(), "event: missed\ndata: {\"count\":2}\n\n");
    EXPECT_EQ(slow->next().value_or("").substr(0, 6), "id: 3\n");
    EXPECT_EQ(slow->next().value_or("").substr(0, 6), "id: 4\n");
    EXPECT_EQ(slow->next().value_or("").substr(0, 6), "id: 5\n");
    EXPECT_FALSE(slow->next());
    EXPECT_FALSE(quick->next());
    EXPECT_EQ(events.missed(), 2U);
}

TEST(events, there_are_only_so_many_subscribers_and_a_place_is_free_again) {
    Events events(1, 3);
    auto first = events.subscribe([] {});
    EXPECT_EQ(events.subscribe([] {}), nullptr);
    first.reset();
    EXPECT_NE(events.subscribe([] {}), nullptr);
    events.publish("worker", {});
}

TEST_F(event_stream, tells_what_happens_as_it_happens) {
    start();
    Client client(address());
    client.say(ask_events);
    const auto head = client.hear();
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.fields.at("content-type"), "text/event-stream");
    EXPECT_FALSE(head.fields.contains("content-length"));
    EXPECT_EQ(client.hear_until("\n\n"), ": connected\n\n");
    publish("worker", {{"worker", "app-1"}, {"state", "draining"}});
    const auto event = client.hear_until("\n\n");
    EXPECT_NE(event.find("event: worker\ndata: {\"worker\":\"app-1\",\"state\":\"draining\",\"at\":\"20"),
              std::string::npos)
        << event;
    publish("reload", {});
    publish("incident", {{"id", "i-000001"}});
    EXPECT_NE(client.hear_until("\n\n").find("event: reload"), std::string::npos);
    EXPECT_NE(client.hear_until("\n\n").find("event: incident"), std::string::npos);
}

TEST_F(event_stream, is_kept_alive_while_nothing_happens) {
    auto settings = loopback();
    settings.event_pause = std::chrono::milliseconds{20};
    start(settings);
    Client client(address());
    client.say(ask_events);
    client.hear();
    EXPECT_EQ(client.hear_until("\n\n"), ": connected\n\n");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.hear_until("\n\n"), ": quiet\n\n");
}

TEST_F(event_stream, a_subscriber_that_leaves_gives_its_place_back_at_once) {
    auto settings = loopback();
    settings.max_subscribers = 1;
    settings.event_pause = std::chrono::hours{1};
    start(settings);
    auto first = std::make_unique<Client>(address());
    first->say(ask_events);
    EXPECT_EQ(first->hear().status, 200);
    EXPECT_EQ(get("/v1/events").status, 503);
    first.reset();
    const auto deadline = Clock::now() + std::chrono::seconds{10};
    int status = 503;
    while (status == 503 && Clock::now() < deadline) {
        Client next(address());
        next.say(ask_events);
        status = next.hear().status;
    }
    EXPECT_EQ(status, 200);
}

TEST_F(event_stream, a_reader_that_stalls_is_dropped_and_the_others_go_on) {
    auto settings = loopback();
    settings.write_timeout = std::chrono::milliseconds{200};
    start(settings);
    Client stalled(address()), reading(address());
    stalled.say(ask_events);
    stalled.hear_until(": connected\n\n");
    reading.say(ask_events);
    reading.hear_until(": connected\n\n");
    const std::string bulk(1 << 20, 'x');
    for (int i = 0; i < 16; ++i) { // more than its socket's buffers take
        publish("bulk", {{"bulk", bulk}});
        EXPECT_NE(reading.hear_until("\n\n").find("event: bulk"), std::string::npos);
    }
    // Without reading from it: only then it stalls. What is left are the other one and the one that asks.
    const auto deadline = Clock::now() + std::chrono::seconds{10};
    const auto dropped = [this] {
        return get("/metrics").body.find("\nplimsoll_admin_connections 2\n") != std::string::npos;
    };
    while (!dropped()) ASSERT_LT(Clock::now(), deadline);
    publish("after", {});
    EXPECT_NE(reading.hear_until("\n\n").find("event: after"), std::string::npos);
}

} // namespace
} // namespace plimsoll::admin
