#include "cli/facts.hpp"

#include <cmath>
#include <cstdio>
#include <ctime>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/table.hpp"
#include "plimsoll/core/bytes.hpp"

namespace plimsoll::cli {

using namespace std::chrono;

Facts Facts::operator[](std::string_view key) const {
    if (value_ == nullptr || !value_->is_object()) return Facts();
    return Facts(value_->get_object().if_contains({key.data(), key.size()}));
}

std::string Facts::text() const {
    if (!known() || value_->is_array() || value_->is_object()) return {};
    if (value_->is_string()) return printable({value_->get_string().data(), value_->get_string().size()});
    return boost::json::serialize(*value_);
}

std::optional<double> Facts::number() const {
    if (!known() || !value_->is_number()) return {};
    return value_->to_number<double>();
}

std::optional<WallTime> Facts::time() const {
    if (auto unix_seconds = number()) {
        if (std::abs(*unix_seconds) > 1e11) return {};
        return WallTime{} + duration_cast<WallTime::duration>(duration<double>(*unix_seconds));
    }
    if (value_ == nullptr || !value_->is_string()) return {};
    int y = 0, mo = 0, d = 0, h = 0, mi = 0;
    double s = 0;
    if (std::sscanf(value_->get_string().c_str(), "%4d-%2d-%2dT%2d:%2d:%lf", &y, &mo, &d, &h, &mi, &s) != 6) return {};
    year_month_day date{year{y}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d)}};
    if (!date.ok() || h < 0 || h > 24 || mi < 0 || mi > 60 || !(s >= 0 && s < 62)) return {};
    return sys_days{date} + hours{h} + minutes{mi} + duration_cast<WallTime::duration>(duration<double>(s));
}

std::vector<Facts> Facts::list() const {
    std::vector<Facts> elements;
    if (value_ != nullptr && value_->is_array())
        for (const auto& element : value_->get_array()) elements.emplace_back(&element);
    return elements;
}

std::vector<std::pair<std::string, Facts>> Facts::members() const {
    std::vector<std::pair<std::string, Facts>> members;
    if (value_ != nullptr && value_->is_object())
        for (const auto& member : value_->get_object()) members.emplace_back(printable(member.key()), &member.value());
    return members;
}

std::string bytes_text(Facts bytes) {
    auto number = bytes.number();
    if (!number || !(std::abs(*number) < 9e18)) return "-";
    auto count = static_cast<std::int64_t>(*number);
    return count < 0 ? "-" + plimsoll::to_string(Bytes{-count}) : plimsoll::to_string(Bytes{count});
}

std::string count_text(Facts count) { return count.known() && count.number() ? count.text() : "-"; }

std::string percent_text(Facts share) {
    auto number = share.number();
    if (!number || !std::isfinite(*number)) return "-";
    char text[32];
    std::snprintf(text, sizeof text, "%.0f%%", *number * 100);
    return text;
}

std::string length_text(milliseconds length) {
    char text[48];
    auto s = length.count() / 1000;
    if (length < 1s)
        std::snprintf(text, sizeof text, "%lld ms", static_cast<long long>(length.count()));
    else if (length < 1min)
        std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(length.count()) / 1000);
    else if (length < 1h)
        std::snprintf(text, sizeof text, "%lldm %llds", static_cast<long long>(s / 60), static_cast<long long>(s % 60));
    else if (length < 24h)
        std::snprintf(text, sizeof text, "%lldh %lldm", static_cast<long long>(s / 3600),
                      static_cast<long long>(s / 60 % 60));
    else
        std::snprintf(text, sizeof text, "%lldd %lldh", static_cast<long long>(s / 86'400),
                      static_cast<long long>(s / 3600 % 24));
    return text;
}

std::string moment_text(Facts time) {
    auto at = time.time();
    if (!at) return "-";
    auto seconds = system_clock::to_time_t(*at);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[40];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc)};
}

std::string since_text(Facts time, WallTime now) {
    auto at = time.time();
    if (!at) return "-";
    return length_text(duration_cast<milliseconds>(std::max(now - *at, WallTime::duration::zero())));
}

} // namespace plimsoll::cli
