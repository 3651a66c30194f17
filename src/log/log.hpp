// One line per event with stable keys, as text or JSON, through spdlog's asynchronous logger: never blocks the caller
// (a full queue drops the oldest line and counts it).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "config/config.hpp"

namespace plimsoll::log {

struct Value {
    std::variant<std::string_view, std::int64_t, double, bool> value;
    Value(std::string_view v) : value(v) {}
    Value(const char* v) : value(std::string_view(v)) {}
    Value(const std::string& v) : value(std::string_view(v)) {}
    Value(bool v) : value(v) {}
    Value(double v) : value(v) {}
    template <class Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>) Value(Integer v)
        : value(static_cast<std::int64_t>(v)) {}
};
struct Field {
    std::string_view key;
    Value value;
};
using Fields = std::initializer_list<Field>;

// Call again to change level, format or file live. Where the file can't be opened, lines go on to where they went
// before (at first: standard error), and the reason is returned. Before start() and after stop() nothing is written.
std::string start(const config::Log& settings);
// Whether start() could open the log's file and the trace, else the reason. Makes what is not there yet, and changes nothing.
std::string why_not(const config::Log& settings);
void stop();   // writes what waits; safe to call twice
void reopen(); // after log rotation (USR1)
bool enabled(config::LogLevel level);
std::uint64_t dropped(); // lines lost so far: to a full queue, disk or pipe

// event: snake_case, a stable name ("worker_drained").
void write(config::LogLevel level, std::string_view event, Fields fields);
inline void debug(std::string_view event, Fields fields = {}) { write(config::LogLevel::debug, event, fields); }
inline void info(std::string_view event, Fields fields = {}) { write(config::LogLevel::info, event, fields); }
inline void warn(std::string_view event, Fields fields = {}) { write(config::LogLevel::warn, event, fields); }
inline void error(std::string_view event, Fields fields = {}) { write(config::LogLevel::error, event, fields); }

// The access log: its own switch, the same file. Whoever serves formats its lines itself, many to a block, and hands the block
// over: it gets an empty one in exchange.
void hand_over(std::string& block, std::uint64_t lines);
// The same for the trace of requests, which has a file of its own.
void hand_over_trace(std::string& block, std::uint64_t lines);
std::uint64_t trace_dropped(); // lines of it lost so far

} // namespace plimsoll::log
