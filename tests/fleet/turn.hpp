// Turns an io_context on the test's own thread until something is so.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace plimsoll::fleet {

// False: it was not so within 10 s.
inline bool run_until(boost::asio::io_context& io, const std::function<bool()>& so) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (!so()) {
        if (std::chrono::steady_clock::now() > until) return false;
        io.restart();
        io.run_one_for(std::chrono::milliseconds{5});
    }
    return true;
}

// What a coroutine returns, which must be within 10 s. It must not throw.
template <class Result>
Result result_of(boost::asio::io_context& io, boost::asio::awaitable<Result> work) {
    auto place = std::make_shared<std::optional<Result>>();
    boost::asio::co_spawn(io, std::move(work), [place](std::exception_ptr failure, Result result) {
        if (failure) std::rethrow_exception(failure);
        place->emplace(std::move(result));
    });
    if (!run_until(io, [&] { return place->has_value(); })) throw std::runtime_error("not done within 10 s");
    return std::move(**place);
}

} // namespace plimsoll::fleet
