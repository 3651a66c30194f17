// Lines of one reactor on their way to the log's thread: they are formatted straight into a block, which goes there when it is
// full or a moment old. A line costs no allocation and no lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "net/io/loop.hpp"

namespace plimsoll::net {

class LineBlock final : public io::Source {
public:
    using HandOver = void (*)(std::string& block, std::uint64_t lines); // log::hand_over, or the trace's

    LineBlock(io::Loop& loop, HandOver hand_over) : loop_(loop), hand_over_(hand_over) {}
    ~LineBlock() { flush(); }

    // What a line is to be appended to; added() when it was.
    std::string& begin() {
        if (lines_++ == 0) {
            text_.reserve(size + room_for_one);
            loop_.deadlines.arm(*this, longest_wait, loop_.now);
        }
        return text_;
    }
    void added() {
        if (text_.size() >= size) flush();
    }
    void flush() {
        if (lines_ == 0) return;
        io::Deadlines::disarm(*this);
        hand_over_(text_, std::exchange(lines_, 0));
    }

private:
    static constexpr std::size_t size = 32 << 10;
    static constexpr std::size_t room_for_one = 2 << 10; // most lines are a quarter of that
    static constexpr auto longest_wait = std::chrono::milliseconds{100};
    void ready(std::uint32_t) override {}
    void expired() override { flush(); }

    io::Loop& loop_;
    HandOver hand_over_;
    std::string text_;
    std::uint64_t lines_ = 0;
};

} // namespace plimsoll::net
