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
        at_ = copy(at_, text);
        return *this;
    }
    ByteWriter& operator<<(char c) { return *this << std::string_view(&c, 1); }
    ByteWriter& operator<<(std::uint64_t number) {
        auto [end, error] = std::to_chars(at_, end_, number);
        if (error != std::errc{}) return overflow();
        at_ = end;
        return *this;
    }
    void field(std::string_view name, std::string_view value) { join(name, ": ", value, "\r\n"); }
    // Several texts with one look at the room for them.
    template <class... Texts>
    void join(const Texts&... texts) {
        if ((view(texts).size() + ...) > static_cast<std::size_t>(end_ - at_)) {
            overflow();
            return;
        }
        ((at_ = copy(at_, view(texts))), ...);
    }
    std::size_t size() const { return overflowed_ ? 0 : static_cast<std::size_t>(at_ - begin_); }
    bool overflowed() const { return overflowed_; }

private:
    static constexpr std::string_view view(std::string_view text) { return text; }
    template <std::size_t size>
    static constexpr std::string_view view(const char (&literal)[size]) { // its length is known to the compiler
        return {literal, size - 1};
    }
    // Nearly all texts are short: those are copied by a few moves that may overlap, without a call.
    static char* copy(char* to, std::string_view text) { // returns where it ends
        const char* const from = text.data();
        const auto size = text.size();
        if (size > 4 * sizeof(Pair)) {
            std::memcpy(to, from, size);
        } else if (size > 2 * sizeof(Pair)) {
            std::memcpy(to, from, 2 * sizeof(Pair));
            std::memcpy(to + size - 2 * sizeof(Pair), from + size - 2 * sizeof(Pair), 2 * sizeof(Pair));
        } else if (size >= sizeof(Pair)) {
            move_ends<Pair>(to, from, size);
        } else if (size >= sizeof(std::uint64_t)) {
            move_ends<std::uint64_t>(to, from, size);
        } else if (size >= sizeof(std::uint32_t)) {
            move_ends<std::uint32_t>(to, from, size);
        } else if (size > 0) {
            to[0] = from[0];
            to[size / 2] = from[size / 2];
            to[size - 1] = from[size - 1];
        }
        return to + size;
    }
    struct Pair {
        std::uint64_t first, second;
    };
    template <class Word>
    static void move_ends(char* to, const char* from, std::size_t size) {
        Word first, last;
        std::memcpy(&first, from, sizeof first);
        std::memcpy(&last, from + size - sizeof last, sizeof last);
        std::memcpy(to, &first, sizeof first);
        std::memcpy(to + size - sizeof last, &last, sizeof last);
    }
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
