// What becomes of clients when the process has no descriptor left.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log/log.hpp"
#include "proxy.hpp"

namespace plimsoll::net::testing {
namespace {

// From here on nobody in this process gets a new descriptor.
class NoDescriptors {
public:
    NoDescriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        ::close(next);
        const rlimit now{static_cast<rlim_t>(next), before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &now);
    }
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

class DescriptorsTest : public ::testing::Test {
protected:
    DescriptorsTest() {
        char path[] = "/tmp/plimsoll-descriptors-XXXXXX";
        file_ = ::mkstemp(path);
        config::Log settings;
        settings.file = path;
        settings.level = config::LogLevel::warn;
        log::start(settings);
    }
    ~DescriptorsTest() override {
        const auto path = "/proc/self/fd/" + std::to_string(file_);
        log::stop();
        char name[256] = "";
        if (::readlink(path.c_str(), name, sizeof name - 1) > 0) std::remove(name);
        ::close(file_);
    }
    std::string told() const { // without a descriptor more
        std::string text(1 << 20, '\0');
        const auto size = ::pread(file_, text.data(), text.size(), 0);
        text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
        return text;
    }
    int file_ = -1;
};

TEST_F(DescriptorsTest, accepting_pauses_while_there_are_none_and_goes_on_by_itself) {
    constexpr auto pause = std::chrono::milliseconds{100};
    Origin origin(echo);
    Proxy proxy;
    proxy.config.proxy.threads = 1;
    proxy.config.pools[0].upstream.idle_timeout = std::chrono::minutes{1};
    proxy.add_worker(origin.address());
    proxy.start();
    auto connected = proxy.client(), waiting = proxy.client();
    connected.send(get("/before"));
    ASSERT_EQ(connected.read_response().status(), 200); // and a connection to the worker rests
    {
        const NoDescriptors none;
        const auto began = std::chrono::steady_clock::now();
        waiting.send(get("/late"));
        const auto pauses = [&] { return proxy.server().stats().accept_pauses; };
        ASSERT_TRUE(eventually([&] { return pauses() >= 1; }));
        connected.send(get("/meanwhile"));
        EXPECT_EQ(connected.read_response().body, "GET /meanwhile ") << "who is connected is served";
        ASSERT_TRUE(eventually([&] { return pauses() >= 3; })) << "it looks again";
        const auto count = static_cast<long>(pauses());
        const auto took = std::chrono::steady_clock::now() - began;
        EXPECT_LE(count, 2 + took / pause) << "and does not spin";
        EXPECT_TRUE(waiting.silent_for(std::chrono::milliseconds{0})) << "nobody is turned away";
        const auto text = told();
        EXPECT_NE(text.find("accept_paused"), text.npos);
        EXPECT_EQ(text.find("accept_paused"), text.rfind("accept_paused")) << "once in ten seconds";
    }
    EXPECT_EQ(waiting.read_response().body, "GET /late ");
    auto next = proxy.client();
    next.send(get("/after"));
    EXPECT_EQ(next.read_response().body, "GET /after ");
}

} // namespace
} // namespace plimsoll::net::testing
