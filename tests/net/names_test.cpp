#include "net/names.hpp"

#include <map>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "plimsoll/core/time.hpp"

namespace plimsoll::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Names::Place place(const std::string& text, std::uint16_t port) {
    Names::Place place{};
    auto& six = reinterpret_cast<sockaddr_in6&>(place.storage);
    auto& four = reinterpret_cast<sockaddr_in&>(place.storage);
    if (::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(port);
        place.length = sizeof six;
    } else {
        ::inet_pton(AF_INET, text.c_str(), &four.sin_addr);
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        place.length = sizeof four;
    }
    return place;
}

std::string text_of(const sockaddr_storage& storage) {
    char text[INET6_ADDRSTRLEN] = "";
    if (storage.ss_family == AF_INET6)
        ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, text, sizeof text);
    else
        ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, text, sizeof text);
    return text;
}

// A resolver that answers when it is told to.
struct NamesTest : ::testing::Test {
    std::vector<Names::Told> asked;
    Names names{[this](const std::string&, std::uint16_t, Names::Told told) { asked.push_back(std::move(told)); }};
    const Address app = *parse_address("app:8000");
    Instant now = Instant{} + seconds{1000};
    sockaddr_storage at{};

    std::string find(const Address& address) {
        socklen_t length = 0;
        switch (names.find(address, at, length, now)) {
        case Names::Answer::pending: return "pending";
        case Names::Answer::unknown: return "unknown";
        case Names::Answer::found: break;
        }
        return text_of(at);
    }
    std::string find() { return find(app); }
    void answer(const std::vector<std::string>& addresses) {
        std::vector<Names::Place> places;
        for (const auto& each : addresses) places.push_back(place(each, 8000));
        ASSERT_FALSE(asked.empty());
        auto told = std::move(asked.back());
        asked.clear();
        told(std::move(places), "no such host", now);
    }
};

TEST_F(NamesTest, addresses_of_both_families_take_turns_and_are_asked_for_once) {
    EXPECT_EQ(find(), "pending");
    EXPECT_EQ(find(), "pending");
    EXPECT_EQ(asked.size(), 1U);
    answer({"10.0.0.1", "2001:db8::1"});
    EXPECT_EQ(find(), "10.0.0.1");
    EXPECT_EQ(find(), "2001:db8::1");
    EXPECT_EQ(find(), "10.0.0.1");
    EXPECT_TRUE(asked.empty());
}

TEST_F(NamesTest, one_that_moved_is_found_in_seconds_and_serves_from_the_old_place_until_then) {
    find();
    answer({"10.0.0.1"});
    now += Names::fresh;
    EXPECT_EQ(find(), "10.0.0.1") << "nobody waits for the resolver";
    EXPECT_EQ(find(), "10.0.0.1");
    EXPECT_EQ(asked.size(), 1U);
    answer({"10.0.0.2"});
    EXPECT_EQ(find(), "10.0.0.2");
}

TEST_F(NamesTest, a_resolver_that_is_down_is_forgiven_for_a_minute_and_asked_once_a_second) {
    find();
    answer({"10.0.0.1"});
    now += Names::fresh;
    find();
    answer({});
    now += Names::retry - milliseconds{1};
    EXPECT_EQ(find(), "10.0.0.1");
    EXPECT_TRUE(asked.empty());
    now += milliseconds{1};
    EXPECT_EQ(find(), "10.0.0.1");
    answer({});
    now += Names::usable;
    EXPECT_EQ(find(), "pending");
    answer({});
    EXPECT_EQ(find(), "unknown");
}

TEST_F(NamesTest, an_answer_with_other_addresses_has_another_number_whoever_asks_and_in_whatever_order_they_come) {
    EXPECT_EQ(names.answer(app, now), 0U) << "it is asked for all the same";
    answer({"10.0.0.1", "10.0.0.2"});
    const auto first = names.answer(app, now);
    EXPECT_NE(first, 0U);
    EXPECT_TRUE(asked.empty());
    const auto next = [&](const std::vector<std::string>& addresses) {
        now += Names::fresh;
        names.answer(app, now);
        answer(addresses);
        return names.answer(app, now);
    };
    EXPECT_EQ(next({"10.0.0.2", "10.0.0.1"}), first);
    find();
    names.leave_out(app, at, now);
    EXPECT_EQ(next({"10.0.0.1", "10.0.0.2"}), first) << "it is where it was";
    EXPECT_EQ(next({}), first) << "a resolver that is down says nothing new";
    now += Names::retry;
    const auto more = next({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
    EXPECT_NE(more, first);
    EXPECT_NE(next({"10.0.0.3"}), more);
}

TEST_F(NamesTest, after_hours_without_a_request_a_resolver_that_is_down_is_forgiven_too) {
    find();
    answer({"10.0.0.1"});
    now += std::chrono::hours{3};
    EXPECT_EQ(find(), "pending") << "who is there now is asked first";
    answer({});
    EXPECT_EQ(find(), "10.0.0.1");
    now += Names::usable;
    EXPECT_EQ(find(), "pending");
    answer({});
    EXPECT_EQ(find(), "unknown");
}

TEST_F(NamesTest, an_address_where_nobody_listens_is_left_out_until_the_next_answer_but_never_the_last_one) {
    find();
    answer({"10.0.0.1", "10.0.0.2"});
    EXPECT_EQ(find(), "10.0.0.1");
    names.leave_out(app, at, now);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(find(), "10.0.0.2");
    names.leave_out(app, at, now);
    EXPECT_EQ(find(), "10.0.0.2");
    now += Names::fresh;
    find();
    answer({"10.0.0.1", "10.0.0.2"});
    EXPECT_NE(find(), find());
}

// Where packets vanish, each try costs a connect timeout.
TEST_F(NamesTest, an_address_that_is_tried_in_vain_is_left_out_twice_as_long_each_time_up_to_a_minute) {
    const std::vector<std::string> both = {"10.0.0.1", "10.0.0.2"};
    const auto ask_anew = [&] {
        now += Names::fresh;
        find();
        answer(both);
    };
    const auto is_tried = [&] { // it has its turn among two
        const auto first = find();
        return first == "10.0.0.1" || find() == "10.0.0.1";
    };
    const auto left_out_for = [&] { // "10.0.0.1", which is at its turn now
        while (find() != "10.0.0.1") {
        }
        names.leave_out(app, at, now);
        names.leave_out(app, at, now); // several wait for it, and all of them tell
        const auto since = now;
        do ask_anew();
        while (!is_tried());
        return now - since;
    };
    find();
    answer(both);
    for (const auto expected : {5, 10, 20, 40, 60, 60}) EXPECT_EQ(left_out_for(), seconds{expected});
    while (find() != "10.0.0.1") {
    }
    names.reached(app, at);
    EXPECT_EQ(left_out_for(), seconds{5}) << "it was reached meanwhile";
    EXPECT_EQ(left_out_for(), seconds{10});
    now += Names::fresh;
    find();
    answer({"10.0.0.2"});
    ask_anew();
    EXPECT_EQ(left_out_for(), seconds{5}) << "it had left the name, so it is another one now";
}

TEST_F(NamesTest, if_the_last_one_fails_as_well_all_are_tried_with_the_next_answer) {
    const std::vector<std::string> both = {"10.0.0.1", "10.0.0.2"};
    find();
    answer(both);
    for (int i = 0; i < 2; ++i) { // the second time it would be left out for 10 s
        while (find() != "10.0.0.1") {
        }
        names.leave_out(app, at, now);
        find();
        if (i == 1) names.leave_out(app, at, now);
        now += Names::fresh;
        find();
        answer(both);
    }
    EXPECT_NE(find(), find());
}

TEST_F(NamesTest, while_the_resolver_is_busy_with_dead_names_the_old_answer_serves) {
    find();
    answer({"10.0.0.1"});
    now += Names::fresh;
    find();
    ASSERT_EQ(asked.size(), 1U);
    now += 2 * Names::usable;
    EXPECT_EQ(find(), "10.0.0.1");
    answer({"10.0.0.2"});
    now += Names::fresh - milliseconds{1};
    EXPECT_EQ(find(), "10.0.0.2");
    EXPECT_TRUE(asked.empty()) << "it is as old as it is here, not as its question";
    now += milliseconds{1};
    find();
    now += seconds{30};
    answer({});
    now += Names::usable - milliseconds{1};
    EXPECT_EQ(find(), "10.0.0.2") << "and so is a failure";
}

TEST_F(NamesTest, their_number_is_bounded) {
    for (std::size_t i = 0; i < 3 * Names::most_names; ++i) {
        const auto name = *parse_address("host-" + std::to_string(i) + ":80");
        ASSERT_EQ(find(name), "pending");
        answer({"10.0.0.1"});
        ASSERT_EQ(find(name), "10.0.0.1");
    }
}

} // namespace
} // namespace plimsoll::net
