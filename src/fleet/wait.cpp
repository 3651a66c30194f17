#include "fleet/wait.hpp"

#include <algorithm>
#include <exception>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

asio::awaitable<void> pause(Duration length) {
    asio::steady_timer timer(co_await asio::this_coro::executor, length);
    co_await timer.async_wait(as_result); // only its passing matters: an aborted wait is a stopped program
}

asio::awaitable<bool> until(std::function<bool()> condition, Duration bound) {
    const Instant begun = Clock::now();
    Duration step = 1ms;
    while (!condition()) {
        const Duration left = bound - (Clock::now() - begun);
        if (left <= Duration::zero()) co_return condition();
        co_await pause(std::min(step, left));
        step = std::min<Duration>(step * 2, 20ms);
    }
    co_return true;
}

void spawn(asio::io_context& control, std::string name, asio::awaitable<void> body) {
    asio::co_spawn(control, std::move(body), [name = std::move(name)](std::exception_ptr thrown) {
        if (!thrown) return;
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception& e) {
            log::error("fleet_task_failed", {{"task", name}, {"error", e.what()}});
        }
    });
}

} // namespace plimsoll::fleet
