// Waiting on the control thread. Most conditions of a recycle (in flight is zero, a successor has come, a process has gone)
// have no event to await or several, and at most one recycle a pool runs at a time: so they are polled, at short steps that
// grow, always with a bound.
#pragma once

#include <functional>
#include <string>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "plimsoll/core/time.hpp"

namespace plimsoll::fleet {

namespace asio = boost::asio;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

asio::awaitable<void> pause(Duration length);
// False: the bound was over first. The condition is asked once more at the end.
//
// Give it a closure that has a name. g++ 12 destroys a closure (and any aggregate, and the operands of ?:) twice that is
// made inside a co_await expression.
asio::awaitable<bool> until(std::function<bool()> condition, Duration bound);

// Runs it on its own; an exception that leaves it is logged under `name`, never lost.
void spawn(asio::io_context& control, std::string name, asio::awaitable<void> body);

// Runs a blocking call on the thread pool and comes back to the control thread with what it returned.
template <class Call>
asio::awaitable<std::invoke_result_t<Call>> offload(asio::thread_pool& threads, Call call) {
    using Result = std::invoke_result_t<Call>;
    return asio::async_initiate<const asio::use_awaitable_t<>, void(Result)>(
        [](auto handler, asio::thread_pool* pool, Call work) {
            auto control = asio::get_associated_executor(handler);
            asio::post(*pool, [handler = std::move(handler), control, work = std::move(work)]() mutable {
                auto result = work();
                asio::post(control, [handler = std::move(handler), result = std::move(result)]() mutable {
                    std::move(handler)(std::move(result));
                });
            });
        },
        asio::use_awaitable, &threads, std::move(call));
}

} // namespace plimsoll::fleet
