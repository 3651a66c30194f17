#include "sense/memory.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sense/text.hpp"

namespace plimsoll::sense {
namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

// An amount in units of `unit` bytes; nothing where it would not fit, so that garbage cannot overflow.
std::optional<Bytes> amount(std::string_view field, std::int64_t unit) {
    const auto count = to_number<std::int64_t>(field);
    if (!count || *count < 0 || unit <= 0 || *count > most / unit) return std::nullopt;
    return Bytes{*count * unit};
}

// "Rss:    123 kB" -> its amount, where the line has this key. The unit must be there: a truncated line is no reading.
std::optional<Bytes> kilobytes(std::string_view line, std::string_view key) {
    if (!line.starts_with(key) || line.size() == key.size() || line[key.size()] != ':') return std::nullopt;
    line.remove_prefix(key.size() + 1);
    const auto number = next_field(line);
    return next_field(line) == "kB" ? amount(number, 1024) : std::nullopt;
}

std::optional<double> percentage(std::string_view field, std::string_view key) {
    if (!field.starts_with(key)) return std::nullopt;
    const auto value = to_number<double>(field.substr(key.size()));
    if (!value || !std::isfinite(*value) || *value < 0) return std::nullopt;
    return value;
}

} // namespace

// "size resident shared text lib data dt", in pages. A zombie and a kernel thread have zeros: they have no memory to
// speak of, and a zero would look like the best worker of all.
std::optional<Statm> parse_statm(std::string_view text, long page_size) {
    const auto size = amount(next_field(text), page_size);
    const auto rss = amount(next_field(text), page_size), shared = amount(next_field(text), page_size);
    if (!size || !rss || !shared || rss->count == 0) return std::nullopt;
    return Statm{*rss, std::min(*rss, *shared), *size};
}

std::optional<Rollup> parse_smaps_rollup(std::string_view text) {
    std::optional<Bytes> rss, pss, clean, dirty, huge, swap;
    for (std::string_view line; next_line(text, line);) {
        if (const auto v = kilobytes(line, "Rss"))
            rss = v;
        else if (const auto v = kilobytes(line, "Pss"))
            pss = v;
        else if (const auto v = kilobytes(line, "Private_Clean"))
            clean = v;
        else if (const auto v = kilobytes(line, "Private_Dirty"))
            dirty = v;
        else if (const auto v = kilobytes(line, "Private_Hugetlb"))
            huge = v;
        else if (const auto v = kilobytes(line, "Swap"))
            swap = v;
    }
    if (!rss || !pss || !clean || !dirty || !swap) return std::nullopt;
    return Rollup{*rss, *pss, *clean + *dirty + huge.value_or(Bytes{}), *swap};
}

std::optional<Peak> parse_peak(std::string_view text) {
    std::optional<Bytes> highest, now;
    for (std::string_view line; next_line(text, line) && !(highest && now);) {
        if (const auto v = kilobytes(line, "VmHWM"))
            highest = v;
        else if (const auto v = kilobytes(line, "VmRSS"))
            now = v;
    }
    if (!highest || !now) return std::nullopt; // a kernel thread, or a process that has ended
    return Peak{std::max(*highest, *now), *now};
}

// "pid (comm) state ppid ...": comm is the program's own choice and may hold blanks and parentheses, so the *last* one
// ends it.
std::optional<ProcessStat> parse_stat(std::string_view text) {
    const auto end_of_comm = text.rfind(')');
    if (end_of_comm == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end_of_comm + 1);

    ProcessStat stat;
    const auto state = next_field(text);
    if (state.size() != 1) return std::nullopt;
    stat.state = state[0];
    const auto parent = to_number<int>(next_field(text));
    for (int field = 5; field < 9; ++field) next_field(text); // as proc(5) counts them, from 1
    const auto flags = to_number<std::uint32_t>(next_field(text));
    for (int field = 10; field < 14; ++field) next_field(text);
    const auto user = to_number<std::uint64_t>(next_field(text)), system = to_number<std::uint64_t>(next_field(text));
    for (int field = 16; field < 20; ++field) next_field(text);
    const auto threads = to_number<int>(next_field(text));
    next_field(text);
    const auto start_time = to_number<std::uint64_t>(next_field(text));
    if (!parent || !flags || !user || !system || !threads || !start_time) return std::nullopt;
    constexpr std::uint32_t exiting = 0x4; // PF_EXITING of linux/sched.h: set before the first descriptor is closed
    stat.ending = (*flags & exiting) != 0 || stat.state == 'Z' || stat.state == 'X';
    stat.parent = *parent;
    stat.user_ticks = *user;
    stat.system_ticks = *system;
    stat.threads = *threads;
    stat.start_time = *start_time;
    return stat;
}

namespace {

// The soft limit in a line of /proc/PID/limits; unset: "unlimited", which is no number.
std::optional<Bytes> soft_limit(std::string_view text, std::string_view key) {
    for (std::string_view line; next_line(text, line);) {
        if (!line.starts_with(key)) continue;
        line.remove_prefix(key.size());
        return parse_limit(next_field(line));
    }
    return std::nullopt;
}

} // namespace

std::optional<Bytes> parse_address_space_limit(std::string_view text) { return soft_limit(text, "Max address space "); }

std::optional<std::int64_t> parse_open_files_limit(std::string_view text) {
    const auto limit = soft_limit(text, "Max open files ");
    return limit ? std::optional(limit->count) : std::nullopt;
}

std::optional<Pressure> parse_pressure(std::string_view text) {
    Pressure pressure;
    bool some = false, full = false;
    for (std::string_view line; next_line(text, line);) {
        const auto kind = next_field(line);
        const auto avg10 = percentage(next_field(line), "avg10="), avg60 = percentage(next_field(line), "avg60=");
        if (!avg10 || !avg60) return std::nullopt;
        if (kind == "some") pressure.some_avg10 = *avg10, pressure.some_avg60 = *avg60, some = true;
        if (kind == "full") pressure.full_avg10 = *avg10, pressure.full_avg60 = *avg60, full = true;
    }
    if (!some || !full) return std::nullopt;
    return pressure;
}

std::optional<Host> parse_meminfo(std::string_view text) {
    std::optional<Bytes> total, available;
    for (std::string_view line; (!total || !available) && next_line(text, line);) {
        if (const auto v = kilobytes(line, "MemTotal"))
            total = v;
        else if (const auto v = kilobytes(line, "MemAvailable"))
            available = v;
    }
    if (!total || !available) return std::nullopt;
    return Host{*total, *available};
}

// "4:memory:/a/b" and "0::/a/b". A removed cgroup is told by " (deleted)" behind its path: no numbers can be had of it.
CgroupPaths parse_cgroup_paths(std::string_view text) {
    CgroupPaths paths;
    for (std::string_view line; next_line(text, line);) {
        const auto first = line.find(':'), second = line.find(':', first == std::string_view::npos ? first : first + 1);
        if (second == std::string_view::npos) continue;
        const auto controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
        if (!path.starts_with('/') || path.ends_with(" (deleted)")) continue;
        if (line.starts_with("0::")) paths.unified = path;
        const auto listed = "," + std::string(controllers) + ",";
        if (listed.find(",memory,") != std::string::npos) {
            paths.memory_v1 = path;
            paths.controllers_v1 = controllers;
        }
    }
    return paths;
}

// v1 says "no limit" by the largest number of whole pages, which depends on the page size: anything that large is no
// limit.
std::optional<Bytes> parse_limit(std::string_view text) {
    const auto limit = to_number<std::uint64_t>(next_field(text));
    if (!limit || *limit >= (1ULL << 62)) return std::nullopt;
    return Bytes{static_cast<std::int64_t>(*limit)};
}

std::optional<std::uint64_t> parse_flat_key(std::string_view text, std::string_view key) {
    for (std::string_view line; next_line(text, line);)
        if (next_field(line) == key) return to_number<std::uint64_t>(next_field(line));
    return std::nullopt;
}

} // namespace plimsoll::sense
