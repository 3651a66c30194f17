// The thin coroutine of the byte path. It starts at once, runs on one thread, and costs one frame: no executor, no
// cancellation slot, no type-erased handler. A Task that finishes without having to wait is as cheap as a function call.
//
//   Task<T>   is awaited by its caller, who owns the frame.
//   Detached  belongs to nobody and frees its own frame at the end (one a client connection).
//
// A coroutine is never destroyed while it sleeps: whoever wants it gone wakes it up and lets it leave by its own door.
#pragma once

#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include "net/io/frames.hpp"

namespace plimsoll::net::io {

namespace task {

struct Resume { // at the end of a Task: go on in whoever awaits it
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
        auto next = self.promise().continuation;
        return next ? next : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
};
struct Promise {
    std::coroutine_handle<> continuation;
    std::exception_ptr failure;

    static void* operator new(std::size_t size) { return Frames::take(size); }
    static void operator delete(void* frame, std::size_t size) { Frames::give(frame, size); }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    Resume final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { failure = std::current_exception(); }
};
template <class T>
struct ValuePromise : Promise {
    T value{};
    void return_value(T result) { value = std::move(result); }
    T result() { return std::move(value); }
};
struct VoidPromise : Promise {
    void return_void() const noexcept {}
    void result() const noexcept {}
};

} // namespace task

template <class T = void>
class [[nodiscard]] Task {
public:
    struct promise_type : std::conditional_t<std::is_void_v<T>, task::VoidPromise, task::ValuePromise<T>> {
        Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    };

    Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (frame_) frame_.destroy();
    }

    bool await_ready() const noexcept { return frame_.done(); }
    void await_suspend(std::coroutine_handle<> caller) const noexcept { frame_.promise().continuation = caller; }
    T await_resume() const {
        if (frame_.promise().failure) std::rethrow_exception(frame_.promise().failure);
        return frame_.promise().result();
    }

private:
    explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

// Its body catches and logs whatever may be thrown: nobody else could.
struct Detached {
    struct promise_type {
        Detached get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
    };
};

} // namespace plimsoll::net::io
