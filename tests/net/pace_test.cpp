#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/clients.hpp"
#include "net/pace.hpp"

namespace plimsoll::net {
namespace {

using std::chrono::seconds;

TEST(Pace, each_window_is_judged_anew_so_a_quick_beginning_buys_nothing) {
    Pace pace;
    pace.waited(seconds{4});
    EXPECT_FALSE(pace.due(seconds{5}));
    pace.waited(seconds{1});
    ASSERT_TRUE(pace.due(seconds{5}));
    EXPECT_FALSE(pace.too_slow(1'000'000, 256));
    pace.waited(seconds{5});
    EXPECT_TRUE(pace.too_slow(1'000'000 + 5 * 256 - 1, 256));
}

TEST(Pace, exactly_the_rate_is_fast_enough) {
    Pace pace;
    pace.begin(-500); // what earlier answers left in the queue
    pace.waited(seconds{10});
    EXPECT_FALSE(pace.too_slow(10 * 256 - 500, 256));
}

sockaddr_storage peer(const char* text) {
    sockaddr_storage storage{};
    storage.ss_family = AF_INET6;
    if (::inet_pton(AF_INET6, text, &reinterpret_cast<sockaddr_in6&>(storage).sin6_addr) == 1) return storage;
    storage.ss_family = AF_INET;
    ::inet_pton(AF_INET, text, &reinterpret_cast<sockaddr_in&>(storage).sin_addr);
    return storage;
}

TEST(Clients, one_is_an_address_or_a_64_and_never_a_unix_socket) {
    const auto key = [](const char* text) { return *Clients::key_of(peer(text)); };
    EXPECT_EQ(key("2001:db8::1"), key("2001:db8::ffff:2"));
    EXPECT_NE(key("2001:db8::1"), key("2001:db8:0:1::1"));
    EXPECT_EQ(key("192.0.2.7"), key("::ffff:192.0.2.7"));
    EXPECT_NE(key("192.0.2.7"), key("192.0.2.8"));
    sockaddr_storage local{};
    local.ss_family = AF_UNIX;
    EXPECT_FALSE(Clients::key_of(local));
}

TEST(Clients, a_place_is_given_back_once_however_often_it_moves) {
    Clients clients;
    const auto key = *Clients::key_of(peer("192.0.2.7"));
    {
        auto first = clients.enter(key, 1);
        ASSERT_TRUE(first);
        const auto moved = std::move(*first);
        EXPECT_FALSE(clients.enter(key, 1));
    }
    EXPECT_TRUE(clients.enter(key, 1));
}

} // namespace
} // namespace plimsoll::net
