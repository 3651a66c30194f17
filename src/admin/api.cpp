#include "admin/api.hpp"

#include <algorithm>

#include <unistd.h>

#include "admin/json.hpp"
#include "log/log.hpp"

namespace plimsoll::admin {
namespace {

namespace json = boost::json;

// Names in braces match one segment, up to what stands behind them, and are given to the handler in order.
bool matches(std::string_view pattern, const std::vector<std::string>& path, std::vector<std::string>& names) {
    names.clear();
    std::vector<std::string> wanted;
    split_path(pattern, wanted);
    if (wanted.size() != path.size()) return false;
    for (std::size_t i = 0; i < path.size(); ++i) {
        const auto end = wanted[i].starts_with('{') ? wanted[i].find('}') : std::string::npos;
        const std::string_view behind = end == std::string::npos ? "" : std::string_view(wanted[i]).substr(end + 1);
        if (end != std::string::npos && path[i].size() > behind.size() && path[i].ends_with(behind))
            names.push_back(path[i].substr(0, path[i].size() - behind.size()));
        else if (wanted[i] != path[i])
            return false;
    }
    return true;
}

Response text_answer(int status, std::string text) {
    Response response;
    response.status = status;
    response.type = "text/plain; charset=utf-8";
    response.body = std::move(text);
    return response;
}

// With what keeps the first of them that tells.
std::string nobody_serves(const fleet::PoolView& pool) {
    const auto tells = [](const fleet::WorkerView& worker) { return worker.addressable && !worker.advice.empty(); };
    const auto told = std::ranges::find_if(pool.workers, tells);
    return "pool " + pool.name + ": no worker serves" +
           (told == pool.workers.end() ? "" : " (" + told->id + ": " + told->advice + ")");
}

json::object problems_answer(const std::vector<config::Problem>& problems, const std::vector<config::Problem>& warnings,
                             std::string_view consequence) {
    const auto count = std::to_string(problems.size()) + (problems.size() == 1 ? " problem" : " problems");
    return {{"ok", false},
            {"error", count + ": " + std::string(consequence)},
            {"problems", to_json_array(problems)},
            {"warnings", to_json_array(warnings)}};
}

} // namespace

std::span<const Api::Route> Api::routes() {
    static constexpr Route table[] = {
        {"GET", "/", &Api::index},
        {"GET", "/healthz", &Api::health},
        {"GET", "/readyz", &Api::readiness},
        {"GET", "/metrics", &Api::metrics},
        {"GET", "/v1/status", &Api::status},
        {"GET", "/v1/pools", &Api::pools},
        {"GET", "/v1/pools/{pool}", &Api::pool},
        {"GET", "/v1/pools/{pool}/workers", &Api::workers},
        {"GET", "/v1/pools/{pool}/workers/{id}", &Api::worker},
        {"POST", "/v1/pools/{pool}/workers/{id}/{action}", &Api::act},
        {"GET", "/v1/leaks", &Api::leaks},
        {"GET", "/v1/incidents", &Api::incidents},
        {"GET", "/v1/incidents/{id}.html", &Api::incident_html},
        {"GET", "/v1/incidents/{id}", &Api::incident},
        {"GET", "/v1/incidents/{id}/files/{name}", &Api::incident_file},
        {"GET", "/v1/config", &Api::running_config},
        {"POST", "/v1/config/validate", &Api::validate},
        {"POST", "/v1/config/reload", &Api::reload},
        {"GET", "/v1/events", &Api::events},
        {"GET", "/v1/openapi.json", &Api::openapi},
    };
    return table;
}

Api::Api(Backend backend, std::string version, std::function<void(Snapshot&)> own_numbers)
    : backend_(std::move(backend)), version_(std::move(version)), own_numbers_(std::move(own_numbers)) {}

bool Api::is_open(std::string_view target) {
    const auto path = target.substr(0, target.find('?'));
    return path == "/healthz" || path == "/readyz";
}

Answer Api::answer(const Request& request, bool trusted) const {
    std::vector<std::string> path, names;
    if (!split_path(request.target, path)) return error_answer(400, "the path cannot be decoded");
    const auto method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
    std::string allowed;
    for (const auto& route : routes()) {
        if (!matches(route.pattern, path, names)) continue;
        if (route.method == method) {
            if (route.handler == &Api::readiness) return readiness_of(query_value(request.target, "pool"), trusted);
            return (this->*route.handler)(request, names);
        }
        allowed += (allowed.empty() ? "" : ", ") + std::string(route.method == "GET" ? "GET, HEAD" : route.method);
    }
    if (allowed.empty()) return error_answer(404, "no such path: /v1/openapi.json names those there are");
    auto response = error_answer(405, request.method + " is not for this path: use " + allowed);
    response.fields.emplace_back("Allow", allowed);
    return response;
}

std::vector<fleet::PoolView> Api::views() const {
    return backend_.pools ? backend_.pools() : std::vector<fleet::PoolView>();
}

std::vector<std::string> Api::not_ready(const std::vector<fleet::PoolView>& pools) const {
    std::vector<std::string> reasons;
    if (auto own = backend_.not_ready ? backend_.not_ready() : std::string(); !own.empty())
        reasons.push_back(std::move(own));
    for (const auto& pool : pools)
        if (pool.routed && pool.serving == 0) reasons.push_back(nobody_serves(pool));
    return reasons;
}

Answer Api::index(const Request&, const Names&) const {
    return json_answer(
        200, {{"name", "plimsoll"}, {"version", version_}, {"status", "/v1/status"}, {"api", "/v1/openapi.json"}});
}

Answer Api::health(const Request&, const Names&) const { return text_answer(200, "ok\n"); }

Answer Api::readiness(const Request& request, const Names&) const {
    return readiness_of(query_value(request.target, "pool"), true);
}

// Of one pool, whether a route leads to it or not; or, without a name, of all that routes lead to.
Response Api::readiness_of(const std::string& pool, bool tells_reasons) const {
    auto pools = views();
    if (!pool.empty()) {
        std::erase_if(pools, [&](const fleet::PoolView& view) { return view.name != pool; });
        if (pools.empty()) return text_answer(404, "no pool \"" + pool + "\"\n");
        pools.front().routed = true;
    }
    const auto reasons = not_ready(pools);
    if (reasons.empty()) return text_answer(200, "ready\n");
    std::string text = "not ready\n";
    if (!tells_reasons) return text_answer(503, std::move(text));
    for (const auto& reason : reasons) text += reason + "\n";
    return text_answer(503, std::move(text));
}

Answer Api::metrics(const Request&, const Names&) const {
    Snapshot snapshot;
    snapshot.version = version_;
    snapshot.now = std::chrono::system_clock::now();
    snapshot.started_at = started_at_;
    snapshot.pools = views();
    if (backend_.traffic) snapshot.traffic = backend_.traffic();
    if (backend_.agents) snapshot.agents = backend_.agents();
    snapshot.log_dropped = log::dropped();
    snapshot.trace_dropped = log::trace_dropped();
    if (own_numbers_) own_numbers_(snapshot);
    return [snapshot = std::move(snapshot), store = backend_.incidents]() mutable {
        if (store != nullptr) {
            snapshot.incidents = store->opened();
            snapshot.incidents_kept = store->count();
            snapshot.incidents_forgotten = store->forgotten();
            snapshot.store_works = store->problem().empty();
        }
        snapshot.self = read_self();
        auto response = text_answer(200, metrics_text(snapshot));
        response.type = "text/plain; version=0.0.4; charset=utf-8";
        return response;
    };
}

Answer Api::status(const Request&, const Names&) const {
    const auto pools = views();
    const auto reasons = not_ready(pools);
    const auto now = std::chrono::system_clock::now();
    json::object status{
        {"version", version_},
        {"pid", ::getpid()},
        {"started_at", to_rfc3339(started_at_)},
        {"uptime_seconds", std::chrono::floor<std::chrono::seconds>(now - started_at_).count()},
        {"ready", reasons.empty()},
        {"reasons", json::value_from(reasons)},
        {"listeners", json::value_from(backend_.listeners ? backend_.listeners() : std::vector<std::string>())}};
    json::array summaries;
    for (const auto& pool : pools) summaries.push_back(to_json(pool, false));
    status["pools"] = std::move(summaries);
    if (backend_.traffic) {
        const auto traffic = backend_.traffic();
        std::uint64_t requests = 0, refusals = 0, errors = 0;
        for (const auto& route : traffic.routes) {
            for (const auto count : route.by_class) requests += count;
            errors += route.by_class[5];
        }
        for (const auto& refusal : traffic.refusals)
            if (refusal.mode == "enforce") refusals += refusal.count;
        json::array limits;
        for (const auto& limit : traffic.limits)
            if (limit.terms) limits.push_back(to_json(limit));
        status["limits"] = std::move(limits);
        status["redis"] = traffic.redis ? json::value(to_json(*traffic.redis)) : json::value(nullptr);
        json::array gates;
        for (const auto& gate : traffic.gates) gates.push_back(to_json(gate));
        status["gates"] = std::move(gates);
        status["traffic"] = json::object{{"requests", requests},
                                         {"server_errors", errors},
                                         {"refusals", refusals},
                                         {"connections", traffic.connections_open},
                                         {"loop_lag_seconds", traffic.loop_lag_seconds}};
    }
    return [status = std::move(status), store = backend_.incidents]() mutable {
        if (store != nullptr) {
            const auto problem = store->problem();
            status["store"] = json::object{{"incidents", store->count()},
                                           {"problem", problem.empty() ? json::value(nullptr) : json::value(problem)},
                                           {"warnings", json::value_from(store->warnings())}};
        }
        const auto self = read_self();
        status["memory"] = json::object{{"rss_bytes", self.rss ? json::value(self.rss->count) : json::value(nullptr)}};
        return json_answer(200, status);
    };
}

Answer Api::pools(const Request&, const Names&) const {
    json::array pools;
    for (const auto& pool : views()) pools.push_back(to_json(pool, true));
    return json_answer(200, {{"pools", std::move(pools)}});
}

Answer Api::pool(const Request&, const Names& names) const {
    for (const auto& pool : views())
        if (pool.name == names[0]) return json_answer(200, to_json(pool, true));
    return error_answer(404, "no pool \"" + names[0] + "\"");
}

Answer Api::workers(const Request&, const Names& names) const {
    for (const auto& pool : views())
        if (pool.name == names[0]) return json_answer(200, {{"workers", to_json_array(pool.workers)}});
    return error_answer(404, "no pool \"" + names[0] + "\"");
}

Answer Api::worker(const Request&, const Names& names) const {
    for (const auto& pool : views()) {
        if (pool.name != names[0]) continue;
        for (const auto& worker : pool.workers)
            if (worker.id == names[1]) return json_answer(200, to_json(worker));
        return error_answer(404, "no worker \"" + names[1] + "\" in pool \"" + names[0] + "\"");
    }
    return error_answer(404, "no pool \"" + names[0] + "\"");
}

Answer Api::act(const Request& request, const Names& names) const {
    static constexpr std::pair<std::string_view, Action> actions[] = {{"drain", Action::drain},
                                                                      {"undrain", Action::undrain},
                                                                      {"recycle", Action::recycle},
                                                                      {"capture", Action::capture},
                                                                      {"trace", Action::trace}};
    const auto* action =
        std::find_if(std::begin(actions), std::end(actions), [&](const auto& a) { return a.first == names[2]; });
    if (action == std::end(actions))
        return error_answer(404, "no action \"" + names[2] + "\": drain, undrain, recycle, capture, trace");

    static constexpr std::size_t longest_reason = 500;
    std::string why = "operator";
    if (!request.body.empty()) {
        boost::system::error_code error;
        const auto body = json::parse(request.body, error);
        if (error || !body.is_object())
            return error_answer(400, R"(the body must be empty or a JSON object: {"reason": "..."})");
        const auto* reason = body.get_object().if_contains("reason");
        if (!body.get_object().empty() && (reason == nullptr || !reason->is_string()))
            return error_answer(400, R"(the only thing to say is {"reason": "..."}, as text)");
        if (reason != nullptr) why = reason->get_string().c_str();
        if (why.size() > longest_reason)
            return error_answer(400, "a reason has at most " + std::to_string(longest_reason) + " bytes");
    }
    if (!backend_.act) return error_answer(404, "no worker \"" + names[1] + "\" in pool \"" + names[0] + "\"");
    const auto result = backend_.act(action->second, names[0], names[1], why);
    if (result.status == 202) {
        json::object accepted;
        if (!result.incident.empty()) accepted["incident"] = result.incident;
        return json_answer(202, accepted);
    }
    const auto title = result.status == 404   ? "no such worker"
                       : result.status == 429 ? "too many recycles within the hour"
                                              : "not now";
    auto response = json_answer(result.status, {{"error", title}, {"reason", result.reason}});
    response.type = "application/problem+json";
    if (result.status == 409 || result.status == 429) {
        const auto wait = result.retry_after.value_or(std::chrono::seconds{result.status == 429 ? 60 : 5});
        const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(wait).count());
        response.fields.emplace_back("Retry-After", std::to_string(seconds));
    }
    return response;
}

Answer Api::leaks(const Request&, const Names&) const {
    json::array leaks, workers, unjudged;
    for (const auto& pool : views()) {
        if (!pool.unjudged.empty()) unjudged.emplace_back(pool.unjudged);
        for (const auto& leak : pool.leaks) leaks.push_back(to_json(leak));
        for (const auto& worker : pool.workers) workers.push_back(growth_of(worker));
    }
    return json_answer(
        200, {{"leaks", std::move(leaks)}, {"workers", std::move(workers)}, {"unjudged", std::move(unjudged)}});
}

Answer Api::running_config(const Request&, const Names&) const {
    return json_answer(200, {{"config", to_json(backend_.config ? backend_.config() : config::Config())}});
}

Answer Api::validate(const Request& request, const Names&) const {
    const auto parsed =
        backend_.validate ? backend_.validate(request.body) : config::parse(request.body, "request", true);
    if (!parsed.problems.empty())
        return json_answer(422,
                           problems_answer(parsed.problems, parsed.warnings, "this configuration would be refused"));
    json::object answer{{"ok", true}, {"warnings", to_json_array(parsed.warnings)}};
    if (backend_.config) answer["changes"] = to_json_array(config::diff(backend_.config(), parsed.config));
    return json_answer(200, answer);
}

Answer Api::reload(const Request&, const Names&) const {
    if (!backend_.reload) return error_answer(409, "there is no configuration file to read again");
    const auto done = backend_.reload();
    if (!done.problems.empty())
        return json_answer(
            422, problems_answer(done.problems, done.warnings, "nothing was changed, the old configuration stays"));
    json::array waiting;
    for (const auto& change : done.changes)
        if (!change.live) waiting.push_back(json::string(change.key));
    return json_answer(200, {{"ok", true},
                             {"changes", to_json_array(done.changes)},
                             {"needs_restart", std::move(waiting)},
                             {"warnings", to_json_array(done.warnings)}});
}

Answer Api::events(const Request&, const Names&) const {
    Response response;
    response.type = "text/event-stream";
    response.events = true;
    return response;
}

Answer Api::openapi(const Request&, const Names&) const {
    Response response;
    response.body = openapi_document();
    return response;
}

} // namespace plimsoll::admin
