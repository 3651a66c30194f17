// Where coroutine frames come from: every request makes a few of the same sizes, so those of this thread are kept for the
// next one instead of going through the allocator (which has no quick list for the larger ones).
#pragma once

#include <array>
#include <cstddef>
#include <new>
#include <utility>

namespace plimsoll::net::io {

class Frames {
public:
    static void* take(std::size_t size) {
        auto& list = of_this_thread().list(size);
        if (!list.first) return ::operator new(rounded(size));
        auto* frame = list.first;
        list.first = frame->next;
        --list.count;
        return frame;
    }
    static void give(void* memory, std::size_t size) {
        auto& list = of_this_thread().list(size);
        if (list.count == most_kept) return ::operator delete(memory);
        list.first = new (memory) Free{list.first};
        ++list.count;
    }

private:
    // Under the address sanitizer nothing is kept, so that a frame which is used after its end is noticed.
#if defined(__SANITIZE_ADDRESS__)
    static constexpr std::size_t most_kept = 0;
#else
    static constexpr std::size_t most_kept = 64; // of one size
#endif
    static constexpr std::size_t step = 64, sizes = 64; // up to 4 KiB; larger ones share the last list and are not kept

    struct Free {
        Free* next;
    };
    struct List {
        Free* first = nullptr;
        std::size_t count = 0;
    };
    ~Frames() {
        for (auto& list : lists_)
            while (list.first) ::operator delete(std::exchange(list.first, list.first->next));
    }
    static std::size_t rounded(std::size_t size) { return (size + step - 1) / step * step; }
    static Frames& of_this_thread() {
        static thread_local Frames frames;
        return frames;
    }
    List& list(std::size_t size) {
        const auto index = rounded(size) / step;
        if (index < sizes) return lists_[index];
        oversized_ = {nullptr, most_kept};
        return oversized_;
    }

    std::array<List, sizes> lists_;
    List oversized_;
};

} // namespace plimsoll::net::io
