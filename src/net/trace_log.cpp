#include "net/trace_log.hpp"

#include "log/line.hpp"
#include "log/log.hpp"
#include "net/numbers.hpp"

namespace plimsoll::net {

namespace {

constexpr std::size_t longest_label = 256; // of a label: a line has a bound
constexpr Bytes least_need = 1_MiB;        // smaller ones are nothing beside any limit, and would be on every line

} // namespace

void append_trace_line(std::string& out, const TraceEntry& entry) {
    const auto text = [&](std::string_view key, std::string_view value) {
        out.append(key);
        log::append_json_string(out, value.substr(0, longest_label));
    };
    out.append(R"({"at":)");
    append_seconds(out, std::chrono::duration_cast<Duration>(entry.at.time_since_epoch()));
    text(R"(,"pool":)", entry.pool);
    text(R"(,"route":)", entry.route);
    if (!entry.label.empty()) text(R"(,"label":)", entry.label);
    if (entry.client != 0) {
        out.append(R"(,"client":")");
        append_hexadecimal(out, entry.client);
        out.push_back('"');
    }
    text(R"(,"priority":)", entry.priority);
    if (entry.deadline) {
        out.append(R"(,"deadline":)");
        append_seconds(out, *entry.deadline);
    }
    out.append(R"(,"wait":)");
    append_seconds(out, entry.wait);
    if (entry.service) {
        out.append(R"(,"service":)");
        append_seconds(out, *entry.service);
    }
    if (entry.need >= least_need) {
        out.append(R"(,"need":)");
        append_number(out, static_cast<std::uint64_t>(entry.need.count));
    }
    out.append(R"(,"received":)");
    append_number(out, entry.received);
    out.append(R"(,"sent":)");
    append_number(out, entry.sent);
    out.append(R"(,"status":)");
    append_number(out, entry.status);
    if (!entry.refused.empty()) text(R"(,"refused":)", entry.refused);
    out.append("}\n");
}

TraceLog::TraceLog(io::Loop& loop) : block_(loop, log::hand_over_trace) {}

void TraceLog::add(const TraceEntry& entry) {
    append_trace_line(block_.begin(), entry);
    block_.added();
}

} // namespace plimsoll::net
