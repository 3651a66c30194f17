// Reads JSON that came over the wire and may be older or newer than this program: whatever is missing, null or of another type
// is simply not there.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/value.hpp>

namespace plimsoll::cli {

using WallTime = std::chrono::system_clock::time_point;

class Facts {
public:
    explicit Facts(const boost::json::value* value = nullptr) : value_(value) {}
    Facts operator[](std::string_view key) const;
    bool known() const { return value_ != nullptr && !value_->is_null(); }
    bool truth() const { return value_ != nullptr && value_->is_bool() && value_->get_bool(); }
    std::string text() const; // a string made printable; a number or a truth value as it is written; else empty
    std::optional<double> number() const;
    std::optional<WallTime> time() const; // "2026-03-01T02:14:05.117Z", or seconds since 1970
    std::vector<Facts> list() const;
    std::vector<std::pair<std::string, Facts>> members() const; // of an object, their names made printable
    const boost::json::value* value() const { return value_; }

private:
    const boost::json::value* value_;
};

// For people. Unknown is "-", never zero.
std::string bytes_text(Facts bytes);
std::string count_text(Facts count);
std::string percent_text(Facts share);
std::string length_text(std::chrono::milliseconds length); // "41 ms", "4.2 s", "3m 12s", "2h 5m", "4d 3h"
std::string moment_text(Facts time);                       // "2026-03-01 02:14:05 UTC"
std::string since_text(Facts time, WallTime now);          // "3m 12s"

} // namespace plimsoll::cli
