// Big things that a request needs for a moment only: one set a reactor instead of one a connection. Like the scratch buffer
// they do not survive a co_await that really waits.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http/head.hpp"
#include "net/http/head_writer.hpp"

namespace plimsoll::net {

inline constexpr std::size_t worth_joining = 4 << 10; // bytes: up to here a copy is cheaper than a second iovec

// What an exchange writes down in words. It goes from one exchange to the next, so that a request allocates nothing; by
// pointer, to move three texts costs more than to count the request.
struct Texts {
    std::string head;         // the request's bytes, copied: what a retry or a wait needs
    std::string worker_name;  // for the log
    std::string worker_route; // the label that the application gave
    std::string detail;       // of a refusal that says more than a fixed text
};

class SpareTexts {
public:
    std::unique_ptr<Texts> take() {
        if (spares_.empty()) return std::make_unique<Texts>();
        auto texts = std::move(spares_.back());
        spares_.pop_back();
        return texts;
    }
    void give(std::unique_ptr<Texts> texts) {
        if (spares_.size() == most || texts->head.capacity() > largest) return;
        texts->head.clear();
        texts->worker_name.clear();
        texts->worker_route.clear();
        texts->detail.clear();
        spares_.push_back(std::move(texts));
    }

private:
    static constexpr std::size_t most = 256, largest = 4 << 10;
    std::vector<std::unique_ptr<Texts>> spares_;
};

struct Workspace {
    http::RequestHead request;
    http::ResponseHead response;
    SpareTexts texts;
    std::array<char, 80 << 10> out; // heads as they are sent, and small bodies after them
    http::DateText date{};

    std::string_view date_text() const { return {date.data(), date.size()}; }
};

} // namespace plimsoll::net
