// Writes text into a buffer of fixed size. What does not fit is dropped and told by size() == 0, so that callers check
// once at the end and never send a torn head.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace plimsoll::http {

class ByteWriter {
public:
    explicit ByteWriter(std::span<char> out) : begin_(out.data()), at_(out.data()), end_(out.data() + out.size()) {}

    ByteWriter& operator<<(std::string_view text) {
        if (text.size() > static_cast<std::size_t>(end_ - at_)) return overflow();
        if (!text.empty()) std::memcpy(at_, text.data(), text.size());
        at_ += text.size();
        return *this;
    }
    ByteWriter& operator<<(char c) { return *this << std::string_view(&c, 1); }
    ByteWriter& operator<<(std::uint64_t number) {
        auto [end, error] = std::to_chars(at_, end_, number);
        if (error != std::errc{}) return overflow();
        at_ = end;
        return *this;
    }
    void field(std::string_view name, std::string_view value) { *this << name << ": " << value << "\r\n"; }
    std::size_t size() const { return overflowed_ ? 0 : static_cast<std::size_t>(at_ - begin_); }
    bool overflowed() const { return overflowed_; }

private:
    ByteWriter& overflow() {
        overflowed_ = true;
        end_ = at_; // nothing fits from here on
        return *this;
    }
    char* begin_;
    char* at_;
    char* end_;
    bool overflowed_ = false;
};

} // namespace plimsoll::http
