#include "admin/json.hpp"

#include "fleet/leak_text.hpp"
#include <cmath>
#include <cstdio>
#include <ctime>

namespace plimsoll::admin {
namespace {

namespace json = boost::json;

json::value or_null(const std::optional<Bytes>& amount) {
    return amount ? json::value(amount->count) : json::value(nullptr);
}
template <class T>
json::value or_null(const std::optional<T>& value) {
    return value ? json::value(*value) : json::value(nullptr);
}
json::value or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

json::object to_json(const fleet::MemoryView& memory) {
    return {{"anon_bytes", or_null(memory.anon)},
            {"rss_bytes", or_null(memory.rss)},
            {"pss_bytes", or_null(memory.pss)},
            {"uss_bytes", or_null(memory.uss)},
            {"limit_bytes", or_null(memory.limit)},
            {"pressure", or_null(memory.pressure)},
            {"taken_at", memory.taken_at ? at_or_null(*memory.taken_at) : json::value(nullptr)},
            {"source", memory.source.empty() ? "none" : memory.source}};
}

json::value finite_or_null(const std::optional<double>& number) {
    return number && std::isfinite(*number) ? json::value(*number) : json::value(nullptr);
}

json::object to_json(const fleet::LeakView& leak) {
    return {{"class", leak.kind},
            {"bytes_per_request", leak.bytes_per_request},
            {"low", leak.low},
            {"high", leak.high},
            {"confidence", leak.confidence},
            {"slow", leak.slow},
            {"requests_to_limit", finite_or_null(leak.requests_to_limit)},
            {"requests_early", finite_or_null(leak.requests_early)},
            {"seconds_to_limit", finite_or_null(leak.seconds_to_limit)},
            {"seconds_early", finite_or_null(leak.seconds_early)}};
}

json::object to_json(const fleet::AgentView& agent) {
    return {{"connected", agent.connected},
            {"server", or_null(agent.server)},
            {"python", or_null(agent.python)},
            {"version", or_null(agent.version)},
            {"release", or_null(agent.release)}};
}

} // namespace

std::string to_rfc3339(std::chrono::system_clock::time_point at) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch()).count();
    const auto seconds = static_cast<std::time_t>(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                  parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, static_cast<int>(ms - seconds * 1000));
    return text;
}

json::value at_or_null(std::chrono::system_clock::time_point at) {
    return at.time_since_epoch().count() == 0 ? json::value(nullptr) : json::value(to_rfc3339(at));
}

json::object to_json(const fleet::HealthView& health) {
    return {{"healthy", health.healthy},
            {"row", health.row},
            {"last", or_null(health.last)},
            {"last_at", health.last_at ? at_or_null(*health.last_at) : json::value(nullptr)}};
}

json::object to_json(const fleet::WorkerView& worker) {
    return {{"id", worker.id},
            {"pool", worker.pool},
            {"address", or_null(worker.address)},
            {"pid", or_null(worker.pid)},
            {"generation", worker.generation},
            {"state", worker.state},
            {"addressable", worker.addressable},
            {"advice", or_null(worker.advice)},
            {"started_at", at_or_null(worker.started_at)},
            {"requests", worker.requests},
            {"server_requests", or_null(worker.server_requests)},
            {"in_flight", worker.in_flight},
            {"streams", worker.streams},
            {"slots", worker.slots},
            {"memory", to_json(worker.memory)},
            {"leak", worker.leak ? json::value(to_json(*worker.leak)) : json::value(nullptr)},
            {"breaker", worker.breaker.empty()
                            ? json::value(nullptr)
                            : json::value(json::object{{"state", worker.breaker}, {"trips", worker.breaker_trips}})},
            {"takes", or_null(worker.takes)},
            {"learned_slots", worker.learned ? json::value(json::object{{"slots", worker.learned->slots},
                                                                        {"base_seconds", worker.learned->base_seconds}})
                                             : json::value(nullptr)},
            {"health", worker.health ? json::value(to_json(*worker.health)) : json::value(nullptr)},
            {"agent", to_json(worker.agent)}};
}

json::object growth_of(const fleet::WorkerView& worker) {
    json::object growth{
        {"worker", worker.id}, {"pool", worker.pool}, {"generation", worker.generation}, {"requests", worker.requests}};
    for (const auto& member : to_json(worker.leak.value_or(fleet::LeakView{.kind = "unknown"})))
        growth.emplace(member.key(), member.value());
    if (!worker.leak || worker.leak->kind == "unknown")
        for (const char* number : {"bytes_per_request", "low", "high", "confidence"}) growth[number] = nullptr;
    return growth;
}

json::object to_json(const net::GateStats& gate) {
    json::array breakers;
    for (const auto& each : gate.breakers)
        breakers.push_back(json::object{{"route", each.route}, {"state", each.state}, {"trips", each.trips}});
    json::object refused;
    refused["critical"] = gate.refused[index(Priority::critical)];
    refused["normal"] = gate.refused[index(Priority::normal)];
    refused["sheddable"] = gate.refused[index(Priority::sheddable)];
    json::array needs;
    for (const auto& each : gate.needs)
        needs.push_back(json::object{{"label", each.label},
                                     {"expected_bytes", each.expected.count},
                                     {"at_first_bytes", each.at_first.count},
                                     {"readings", each.readings},
                                     {"much", each.much},
                                     {"never_fits", each.never_fits}});
    return {{"pool", gate.pool},
            {"overloaded", gate.overloaded},
            {"memory_waiting", gate.memory_waiting},
            {"memory_needs", std::move(needs)},
            {"memory_shedding", gate.memory_shedding},
            {"shedding_futile", gate.shedding_futile},
            {"health_panic", gate.health_panic},
            {"memory_pressure", or_null(gate.memory_pressure)},
            {"stall", or_null(gate.stall)},
            {"stall_shedding", gate.stall_shedding},
            {"queue_target_seconds", gate.target_seconds},
            {"service_seconds", gate.service_seconds},
            {"refused", std::move(refused)},
            {"retries_denied", gate.retries.denied},
            {"breakers", std::move(breakers)}};
}

json::object to_json(const net::LimitStats& limit) {
    const config::Limit terms = limit.terms.value_or(config::Limit());
    return {{"pool", limit.pool},
            {"route", limit.route},
            {"limit", limit.limit},
            {"key", json::value_from(terms.key)},
            {"rate", or_null(terms.rate)},
            {"burst", terms.burst},
            {"cost", terms.cost},
            {"inflight", terms.inflight > 0 ? json::value(terms.inflight) : json::value(nullptr)},
            {"mode", config::to_string(terms.mode)},
            {"shared", terms.shared},
            {"passed", limit.passed},
            {"refused", limit.refused},
            {"shadow", limit.shadow}};
}

json::object to_json(const net::RedisStats& redis) {
    json::object requests;
    for (std::size_t i = 0; i < redis.results.size(); ++i) requests[net::redis_results[i]] = redis.results[i];
    return {{"server", redis.server},         {"state", redis.breaker},           {"problem", or_null(redis.problem)},
            {"on_failure", redis.on_failure}, {"connections", redis.connections}, {"trips", redis.trips},
            {"requests", std::move(requests)}};
}

json::object to_json(const fleet::ExperimentView& experiment) {
    const auto seconds = [](Duration span) {
        return span > Duration::zero() ? json::value(std::chrono::duration<double>(span).count())
                                       : json::value(nullptr);
    };
    return {{"state", experiment.state},
            {"epochs", experiment.epochs},
            {"requests", experiment.requests},
            {"budget", experiment.budget},
            {"varied_requests", experiment.varied},
            {"varied_p99_seconds", seconds(experiment.varied_p99)},
            {"control_p99_seconds", seconds(experiment.control_p99)}};
}

json::object to_json(const fleet::PoolView& pool, bool with_workers) {
    unsigned in_flight = 0, slots = 0;
    for (const auto& worker : pool.workers) in_flight += worker.in_flight, slots += worker.slots;
    json::object object{
        {"name", pool.name},
        {"source", pool.source},
        {"routed", pool.routed},
        {"serving", pool.serving},
        {"min_serving", pool.min_serving},
        {"ailing", pool.ailing},
        {"queued", pool.queued},
        {"in_flight", in_flight},
        {"slots", slots},
        {"alert", or_null(pool.alert)},
        {"recycling", or_null(pool.recycling)},
        {"recycles",
         {{"ok", pool.recycles_ok},
          {"failed", pool.recycles_failed},
          {"last_hour", pool.recycles_last_hour},
          {"max_per_hour", pool.max_per_hour}}},
        {"captures", {{"ok", pool.captures_ok}, {"failed", pool.captures_failed}}},
        {"checks", {{"passed", pool.checks_passed}, {"failed", pool.checks_failed}, {"skipped", pool.checks_skipped}}},
        {"trims", {{"count", pool.trims}, {"bytes", pool.trimmed.count}}},
        {"deaths", pool.deaths},
        {"experiment", pool.experiment ? json::value(to_json(*pool.experiment)) : json::value(nullptr)}};
    if (with_workers)
        object["workers"] = to_json_array(pool.workers);
    else
        object["worker_count"] = pool.workers.size();
    return object;
}

namespace {

json::object capture_of(const store::Incident& incident, const json::object& details) {
    json::array files;
    json::object sizes;
    for (const auto& file : incident.files) {
        files.push_back(json::string(file.name));
        sizes[file.name] = file.size.count;
    }
    json::object capture{{"status", incident.capture_status}, {"files", std::move(files)}, {"sizes", std::move(sizes)}};
    if (const auto* more = details.if_contains("capture"); more != nullptr && more->is_object())
        for (const auto& member : more->get_object()) capture.emplace(member.key(), member.value());
    return capture;
}

} // namespace

// What the fleet found out (routes, lines, types, retainers, recycle, and what else it has) is kept as JSON. Every promised
// key is there even where nothing was found, and none of the details overwrites what the store itself knows.
json::object to_json(const store::Incident& incident, bool with_timeline) {
    boost::system::error_code error;
    const auto parsed = json::parse(incident.details, error);
    const auto details = !error && parsed.is_object() ? parsed.get_object() : json::object();
    const auto found = [&](std::string_view key, json::value otherwise) {
        const auto* value = details.if_contains({key.data(), key.size()});
        return value != nullptr ? *value : otherwise;
    };
    json::object object{{"id", incident.id},
                        {"pool", incident.pool},
                        {"worker", incident.worker},
                        {"generation", incident.generation},
                        {"opened_at", to_rfc3339(incident.opened_at)},
                        {"closed_at", incident.closed_at ? at_or_null(*incident.closed_at) : json::value(nullptr)},
                        {"state", incident.state},
                        {"trigger", incident.trigger},
                        {"verdict", incident.verdict},
                        {"routes", found("routes", json::array())},
                        {"lines", found("lines", json::array())},
                        {"types", found("types", json::array())},
                        {"retainers", found("retainers", nullptr)},
                        {"capture", capture_of(incident, details)},
                        {"recycle", found("recycle", nullptr)}};
    for (const auto& member : details) object.emplace(member.key(), member.value());
    if (with_timeline) object["timeline"] = to_json_array(incident.timeline);
    return object;
}

json::object to_json(const fleet::LeakReport& report) {
    json::object object{{"id", report.id}, {"pool", report.pool}, {"what", report.what}};
    for (const auto& member : to_json(report.view)) object.emplace(member.key(), member.value());
    object["routes"] = fleet::json_of(report.routes);
    object["order_is_sure"] = fleet::order_is_sure(report.routes);
    object["experiment"] = report.experiment ? json::value(to_json(*report.experiment)) : json::value(nullptr);
    object["lines"] = fleet::json_of(report.lines);
    object["kept_by"] = or_null(report.kept_by);
    object["mostly"] = or_null(report.mostly);
    object["recycles"] = report.recycles;
    object["closed_after_requests"] = report.closed_after ? json::value(*report.closed_after) : json::value(nullptr);
    object["since_release"] = or_null(report.since_release);
    object["release_before"] = or_null(report.release_before);
    object["planned_at"] = report.planned_at ? at_or_null(*report.planned_at) : json::value(nullptr);
    object["workers"] = json::value_from(report.workers);
    object["incidents"] = json::value_from(report.incidents);
    object["advice"] = or_null(report.advice);
    object["verdict"] = report.verdict;
    return object;
}

json::object to_json(const store::TimelineEntry& entry) {
    return {{"at", to_rfc3339(entry.at)}, {"event", entry.event}};
}

json::object to_json(const config::Problem& problem) {
    return {{"file", problem.file},
            {"line", problem.line},
            {"column", problem.column},
            {"key", problem.key},
            {"message", problem.message},
            {"suggestion", or_null(problem.suggestion)},
            {"text", config::to_string(problem)}};
}

json::object to_json(const config::Change& change) {
    return {{"key", change.key},
            {"before", change.before},
            {"after", change.after},
            {"live", change.live},
            {"text", config::to_string(change)}};
}

} // namespace plimsoll::admin
