#include "reloader.hpp"

#include "log/log.hpp"
#include "secrets.hpp"

namespace plimsoll {

admin::Reload Reloader::reload(const std::string& why_not) {
    admin::Reload result;
    if (!why_not.empty()) {
        result.problems.push_back({"", 0, 0, "", why_not, ""});
        log::error("reload_refused", {{"problem", why_not}});
        return result;
    }
    config::Parsed parsed = load_with_tokens(file_);
    result.warnings = parsed.warnings;
    result.problems = parsed.problems;
    const config::Config next = config::in_effect(program_.config, parsed.config);
    if (result.problems.empty()) result.problems = begin(next);
    if (!result.problems.empty()) return tell_refused(std::move(result));
    tell_warnings(result.warnings);
    result.changes = config::diff(program_.config, parsed.config);
    take_over(next);
    for (const config::Change& change : result.changes)
        log::info("config_changed", {{"change", config::to_string(change)}});
    log::info("reloaded", {{"changes", result.changes.size()}});
    publish(result);
    return result;
}

// All that may still fail, one after the other; the last step changes what clients see. Empty: it is done.
std::vector<config::Problem> Reloader::begin(const config::Config& next) {
    if (const std::string why_not = log::why_not(next.log); !why_not.empty())
        return {{file_, 0, 0, "log", why_not, ""}};
    // New pools run before a route leads there.
    if (const auto problem = program_.pools.begin(next, program_.fleet); !problem.why.empty())
        return {{file_, 0, 0, "pool." + problem.pool, problem.why, ""}};
    if (const std::string why_not = program_.server.apply(next, program_.pools.all()); !why_not.empty())
        return {{file_, 0, 0, "listener.address", why_not, ""}};
    return {};
}

void Reloader::take_over(const config::Config& next) {
    config::Config& config = program_.config;
    config = next;
    if (const std::string problem = log::start(config.log); !problem.empty())
        log::error("log_not_changed", {{"problem", problem}});
    program_.fleet.apply(config);
    end_pools_but_those_of(config);
    events_.pools_changed();
}

void Reloader::end_pools_but_those_of(const config::Config& stays) {
    program_.pools.end_others(stays, program_.fleet, [this] {
        program_.server.set_pools(program_.pools.all());
        events_.pools_changed();
    });
}

admin::Reload Reloader::tell_refused(admin::Reload result) {
    end_pools_but_those_of(program_.config);
    for (const config::Problem& problem : result.problems)
        log::error("reload_refused", {{"problem", config::to_string(problem)}});
    publish(result);
    return result;
}

void Reloader::publish(const admin::Reload& result) {
    events_.publish(
        "reload",
        {{"ok", result.problems.empty()}, {"changes", result.changes.size()}, {"problems", result.problems.size()}});
}

void tell_warnings(const std::vector<config::Problem>& warnings) {
    for (const config::Problem& warning : warnings)
        log::warn("config_warning", {{"warning", config::to_string(warning)}});
}

} // namespace plimsoll
