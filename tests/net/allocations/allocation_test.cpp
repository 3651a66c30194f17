// A request on a warm connection allocates nothing: whatever it needs for a moment goes from one request to the next. Every
// operator new of this program is counted, but for the threads that play the client and the worker.
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "proxy.hpp"

namespace {

std::atomic<std::uint64_t> allocations = 0;
thread_local bool plays_a_part = false; // this thread is no part of the proxy

void* counted(std::size_t size) {
    if (!plays_a_part) allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}

} // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace plimsoll;
using namespace plimsoll::net;
using namespace plimsoll::net::testing;

class Allocations : public ::testing::Test {
protected:
    Allocations() { plays_a_part = true; }
    ~Allocations() override { plays_a_part = false; }

    static void serve(Peer& peer) {
        plays_a_part = true;
        echo(peer);
    }
    // How many the proxy makes in 100 requests, once it has served as many. The least of several turns: what it does by the
    // clock (a timer, a tick of its queue) is no part of a request.
    static std::uint64_t of_requests(Proxy& proxy, const std::string& request) {
        auto client = proxy.client();
        const auto turn = [&] {
            for (int i = 0; i < 100; ++i) {
                client.send(request);
                EXPECT_EQ(client.read_response().status(), 200);
            }
        };
        turn();
        std::uint64_t least = ~std::uint64_t{0};
        for (int i = 0; i < 5; ++i) {
            const auto before = allocations.load();
            turn();
            least = std::min(least, allocations.load() - before);
        }
        return least;
    }
};

#if defined(__SANITIZE_ADDRESS__)
#define UNLESS_FRAMES_ARE_CHECKED                                                                                      \
    GTEST_SKIP() << "under this sanitizer coroutine frames are not kept for the next request"
#else
#define UNLESS_FRAMES_ARE_CHECKED
#endif

TEST_F(Allocations, a_request_makes_none) {
    UNLESS_FRAMES_ARE_CHECKED;
    Origin origin(serve);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker(origin.address());
    proxy.start();
    EXPECT_EQ(of_requests(proxy, get("/path", "User-Agent: test\r\nCookie: a=b\r\n")), 0u);
}

TEST_F(Allocations, nor_does_one_with_a_small_body) {
    UNLESS_FRAMES_ARE_CHECKED;
    Origin origin(serve);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker(origin.address());
    proxy.start();
    EXPECT_EQ(of_requests(proxy, post("/path", "name=value")), 0u);
}

TEST_F(Allocations, nor_do_those_that_are_sent_ahead_but_for_what_one_read_holds_of_them) {
    UNLESS_FRAMES_ARE_CHECKED;
    Origin origin(serve);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.add_worker(origin.address());
    proxy.start();
    std::string hundred;
    for (int i = 0; i < 100; ++i) hundred += get("/path");
    auto client = proxy.client();
    const auto turn = [&] {
        const auto before = allocations.load();
        client.send(hundred);
        for (int i = 0; i < 100; ++i) EXPECT_EQ(client.read_response().status(), 200);
        return allocations.load() - before;
    };
    turn();
    std::uint64_t least = turn();
    for (int i = 0; i < 4; ++i) least = std::min(least, turn());
    EXPECT_LE(least, 5u);
}

TEST_F(Allocations, nor_does_its_line_in_the_access_log) {
    UNLESS_FRAMES_ARE_CHECKED;
    Origin origin(serve);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.config.log.access = true; // without a log that was started, full blocks are thrown away
    proxy.add_worker(origin.address());
    proxy.start();
    EXPECT_EQ(of_requests(proxy, get("/path")), 0u);
}

} // namespace
