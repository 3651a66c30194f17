#include "net/access_log.hpp"

#include <algorithm>

#include "config/values.hpp"
#include "log/line.hpp"
#include "log/log.hpp"
#include "net/numbers.hpp"

namespace plimsoll::net {

using config::AccessField;

namespace {

constexpr std::size_t longest_text = 2 << 10; // of one value: a line has a bound

} // namespace

AccessFormat::AccessFormat(const config::Log& settings)
    : on_(settings.access && settings.access_sample > 0), json_(settings.format == "json"),
      sample_(settings.access_sample) {
    before_time_ = json_ ? R"({"time":")" : "";
    after_time_ = json_ ? R"(","level":"info","event":"request")" : " info  request             ";
    for (const auto& name : settings.access_fields) {
        for (const auto& [known, field] : config::names(AccessField{}))
            if (known == name) columns_.push_back({field, json_ ? ",\"" + name + "\":" : ' ' + name + '='});
    }
    needs_head_ = asks_for(AccessField::host) || asks_for(AccessField::user_agent) || asks_for(AccessField::referer);
}

bool AccessFormat::asks_for(AccessField field) const {
    return std::any_of(columns_.begin(), columns_.end(), [field](const auto& each) { return each.field == field; });
}

void AccessFormat::append(std::string& out, std::string_view time, const AccessEntry& entry) const {
    const auto text = [&](std::string_view value) {
        value = value.substr(0, longest_text);
        if (json_)
            log::append_json_string(out, value);
        else
            log::append_word(out, value);
    };
    out.append(before_time_).append(time).append(after_time_);
    for (const auto& column : columns_) {
        out.append(column.before);
        switch (column.field) {
        case AccessField::client: text(entry.client); break;
        case AccessField::method: text(entry.method); break;
        case AccessField::host: text(entry.host); break;
        case AccessField::path: text(entry.path); break;
        case AccessField::protocol: text(entry.protocol); break;
        case AccessField::status: append_number(out, entry.status); break;
        case AccessField::request_bytes: append_number(out, entry.request_bytes); break;
        case AccessField::response_bytes: append_number(out, entry.response_bytes); break;
        case AccessField::seconds: append_seconds(out, entry.whole); break;
        case AccessField::head_seconds: append_seconds(out, entry.head); break;
        case AccessField::body_seconds: append_seconds(out, entry.body); break;
        case AccessField::queue_seconds: append_seconds(out, entry.queue); break;
        case AccessField::connect_seconds: append_seconds(out, entry.connect); break;
        case AccessField::first_byte_seconds: append_seconds(out, entry.first_byte); break;
        case AccessField::pool: text(entry.pool); break;
        case AccessField::worker: text(entry.worker); break;
        case AccessField::route: text(entry.route); break;
        case AccessField::priority: text(entry.priority); break;
        case AccessField::attempts: append_number(out, entry.attempts); break;
        case AccessField::reason: text(entry.reason); break;
        case AccessField::request_id: text(entry.request_id); break;
        case AccessField::user_agent: text(entry.user_agent); break;
        case AccessField::referer: text(entry.referer); break;
        }
    }
    out.append(json_ ? "}\n" : "\n");
}

AccessLog::AccessLog(io::Loop& loop) : loop_(loop), block_(loop, log::hand_over) {}

void AccessLog::add(const AccessFormat& format, const AccessEntry& entry) {
    if (time_of_ != loop_.now) {
        time_.clear();
        log::append_time(time_, std::chrono::system_clock::now());
        time_of_ = loop_.now;
    }
    format.append(block_.begin(), time_, entry);
    block_.added();
}

} // namespace plimsoll::net
