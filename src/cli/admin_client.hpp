// Asks a running proxy's admin API: one request a connection, over TCP or a unix socket, and never for longer than its
// bounds, whatever the other end does.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace plimsoll::cli {

struct Answer {
    unsigned status = 0;
    std::string body;
    std::optional<unsigned> retry_after; // seconds
};

class AdminClient {
public:
    struct Bounds {
        std::chrono::milliseconds connect{3000};
        std::chrono::milliseconds silence{15'000}; // between two pieces of the answer
        std::chrono::milliseconds total{120'000};
        std::size_t size = 512 << 20; // evidence may be large
    };
    AdminClient(std::string address, std::string token) : AdminClient(std::move(address), std::move(token), Bounds{}) {}
    AdminClient(std::string address, std::string token, Bounds bounds);

    // Nothing: there was no answer, and why_not is the one line that says how to mend it.
    std::optional<Answer> ask(std::string_view method, std::string_view target, std::string_view body,
                              std::string& why_not) const;
    const std::string& address() const { return address_; }

private:
    std::string address_, token_;
    Bounds bounds_;
};

std::string url_encoded(std::string_view segment); // one segment of a path

} // namespace plimsoll::cli
