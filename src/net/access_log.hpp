// The access log of one reactor: a line a request, formatted once (line_block.hpp). Which fields and in which form is worked out
// once a configuration (AccessFormat); a line then costs no allocation, no lock and no look at a name.
//
//   {"time":"2026-03-01T02:14:05.117Z","level":"info","event":"request","client":"192.0.2.7","method":"GET",...}
//
// Times are those of the reactor's clock, which is read once a batch of events: good to a fraction of a millisecond.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "net/line_block.hpp"

namespace plimsoll::net {

// What is known of a request when it is over; views are into what the session still holds.
struct AccessEntry {
    std::string_view client, method, path, protocol, host, user_agent, referer;
    unsigned status = 0; // 0: nothing was answered
    std::uint64_t request_bytes = 0, response_bytes = 0;
    Duration whole{}, head{}, body{}, queue{}, connect{}, first_byte{};
    std::string_view pool, worker, route, priority, reason, request_id;
    unsigned attempts = 0;
};

class AccessFormat {
public:
    explicit AccessFormat(const config::Log& settings);

    bool on() const { return on_; }
    double sample() const { return sample_; }
    bool asks_for(config::AccessField field) const;
    bool needs_head() const { return needs_head_; } // for a field that only the parsed head has
    // `time` as it stands in the line.
    void append(std::string& out, std::string_view time, const AccessEntry& entry) const;

private:
    struct Column {
        config::AccessField field;
        std::string before; // what stands between the value before and this one: `,"status":`
    };
    bool on_, json_, needs_head_ = false;
    double sample_;
    std::string before_time_, after_time_;
    std::vector<Column> columns_;
};

class AccessLog {
public:
    explicit AccessLog(io::Loop& loop);
    void add(const AccessFormat& format, const AccessEntry& entry);
    void flush() { block_.flush(); }

private:
    io::Loop& loop_;
    LineBlock block_;
    std::string time_; // of the batch of events at `time_of_`
    Instant time_of_{};
};

} // namespace plimsoll::net
