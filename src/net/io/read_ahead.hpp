// What was read of a client before its turn: requests that it sent while one was in work, or the beginning of one.
//
//   append --> [ used | waits ] --> use
//
// It is used up from the front, by an offset: a client may send a thousand small requests at once, and moving the rest for
// each of them would cost the square of that. Its memory counts among the buffers of all bodies. It is there already, so that
// nothing is refused for it; who reads asks first whether they are full.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "net/io/budget.hpp"

namespace plimsoll::net::io {

class ReadAhead {
public:
    explicit ReadAhead(Budget& budget) : budget_(budget) {}
    ~ReadAhead() { release(); }
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;

    bool empty() const { return used_ == bytes_.size(); }
    std::size_t size() const { return bytes_.size() - used_; }
    std::string_view view() const { return std::string_view(bytes_).substr(used_); } // until the next assign or append

    void use(std::size_t count) { used_ += count; } // it stays where it is until then, too, or until release()
    void assign(std::string_view bytes) {           // none of its own
        release();
        if (!bytes.empty()) append(bytes);
    }
    void append(std::string_view bytes) {
        bytes_.erase(0, std::exchange(used_, 0)); // what is left is less than one head
        bytes_.append(bytes);
        charge(bytes_.capacity());
    }
    bool holds_memory() const { return charged_ > 0; }
    void release() {
        if (!holds_memory()) return;
        bytes_ = {};
        used_ = 0;
        charge(0);
    }

private:
    void charge(std::size_t bytes) {
        budget_.give(std::exchange(charged_, bytes));
        budget_.overdraw(bytes);
    }

    Budget& budget_;
    std::string bytes_;
    std::size_t used_ = 0, charged_ = 0;
};

} // namespace plimsoll::net::io
