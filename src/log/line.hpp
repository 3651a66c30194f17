// One event as one line, whatever bytes its values hold: a client's path must neither end the line, nor forge another
// one, nor speak to the terminal of whoever reads it.
//
//   text  2026-03-01T02:14:05.117Z info  worker_drained       worker=app-1 took_ms=41 why="soft limit"
//   JSON  {"time":"2026-03-01T02:14:05.117Z","level":"info","event":"worker_drained","worker":"app-1",...}
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "log/log.hpp"

namespace plimsoll::log {

enum class Format : std::uint8_t { text, coloured_text, json };

// Longer values are cut, so that one event has a bound.
inline constexpr std::size_t longest_value = 8192;

using WallTime = std::chrono::system_clock::time_point;

// Appends the line, with its newline, to `out`.
void append_line(std::string& out, Format format, WallTime now, config::LogLevel level, std::string_view event,
                 Fields fields);

// Its parts, for the access log, which knows its keys beforehand.
void append_time(std::string& out, WallTime now);
void append_json_string(std::string& out, std::string_view text); // with its quotes
void append_word(std::string& out, std::string_view text);        // quoted where it is not plain

} // namespace plimsoll::log
