#include "cli/show.hpp"

#include "cli/table.hpp"

namespace plimsoll::cli {
namespace {

Colour colour_of_state(std::string_view state) {
    if (state == "serving") return Colour::green;
    if (state == "stuck" || state == "failed") return Colour::red;
    return Colour::yellow;
}

Colour colour_of_pressure(Facts pressure) {
    auto share = pressure.number().value_or(0);
    return share >= 0.95 ? Colour::red : share >= 0.85 ? Colour::yellow : Colour::none;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string first_line(Facts status, const Style& style) {
    std::string text =
        "plimsoll " + or_dash(status["version"].text()) + ", up " + since_text(status["started_at"], style.now);
    if (status["ready"].known())
        text += ", " + (status["ready"].truth() ? painted("ready", Colour::green, style.colours)
                                                : painted("not ready", Colour::red, style.colours));
    std::string listeners;
    for (auto listener : status["listeners"].list()) listeners += (listeners.empty() ? "" : ", ") + listener.text();
    if (!listeners.empty()) text += ", listening on " + listeners;
    auto traffic = status["traffic"];
    if (traffic["requests"].number())
        text += "\n" + traffic["requests"].text() + " requests, " + count_text(traffic["refusals"]) + " refused, " +
                count_text(traffic["server_errors"]) + " server errors, " + count_text(traffic["connections"]) +
                " connections open";
    return text + "\n";
}

// Why requests are refused, or would be where a policy is in shadow.
template <class Alert>
void alerts_of_gate(Facts gate, Alert alert) {
    const auto pool = gate["pool"].text() + ": ";
    if (gate["overloaded"].truth()) alert(pool + "overloaded: it is asked for more than its workers can do");
    if (gate["shedding_futile"].truth())
        alert(pool + "above its load line, and refusing requests did not help: everybody is served");
    else if (gate["memory_shedding"].truth())
        alert(pool + "above its load line: memory is at " + percent_text(gate["memory_pressure"]) + " of its limit");
    for (auto need : gate["memory_needs"].list())
        if (need["never_fits"].truth())
            alert(pool + need["label"].text() + " needs " + bytes_text(need["at_first_bytes"]) +
                  ", and no worker has room for that even when it is alone: it is refused, but for a try now and then");
    if (gate["stall_shedding"].truth()) alert(pool + "tasks stand still for want of memory");
    for (auto breaker : gate["breakers"].list())
        if (const auto state = breaker["state"].text(); state == "tripped" || state == "probing")
            alert(pool + "the route " + breaker["route"].text() + " fails everywhere: its breaker is " + state);
}

std::string limits_table(Facts status, const Style& style) {
    Table table({"LIMIT", "POOL", "ROUTE", ">RATE", ">BURST", ">AT ONCE", "MODE", "COUNTED", ">PASSED", ">REFUSED"});
    for (auto limit : status["limits"].list()) {
        if (!limit["key"].known()) continue; // of a proxy that does not tell yet
        const bool shadow = limit["mode"].text() == "shadow";
        const auto refused = shadow ? limit["shadow"] : limit["refused"];
        table.row({limit["limit"].text(), or_dash(limit["pool"].text()), limit["route"].text(),
                   or_dash(limit["rate"].text()), limit["rate"].known() ? count_text(limit["burst"]) : "-",
                   count_text(limit["inflight"]), Cell(limit["mode"].text(), shadow ? Colour::yellow : Colour::none),
                   limit["shared"].truth() ? "in Redis" : "here", count_text(limit["passed"]),
                   Cell(count_text(refused), refused.number().value_or(0) > 0 ? Colour::yellow : Colour::none)});
    }
    return table.empty() ? "" : "\n" + table.text(style.colours);
}

Colour colour_of_growth(std::string_view kind) {
    if (kind == "leaking") return Colour::red;
    if (kind == "steady") return Colour::green;
    return kind == "unknown" ? Colour::dim : Colour::yellow;
}

// "in 3h 12m, 41200 requests"; without traffic there is no time.
std::string forecast_text(Facts growth) {
    const auto requests = growth["requests_to_limit"].number(), seconds = growth["seconds_to_limit"].number();
    constexpr double most = 1e15; // beyond it nobody cares, and it would not fit
    if (!requests || !(*requests < most)) return "-";
    std::string text = "at its limit in ";
    if (seconds && *seconds < most / 1000)
        text += length_text(std::chrono::milliseconds(static_cast<std::int64_t>(*seconds * 1000))) + ", ";
    return text + std::to_string(static_cast<std::int64_t>(*requests)) + " requests";
}

std::string growth_table(Facts leaks, const Style& style) {
    Table table({"WORKER", "CLASS", ">A REQUEST", ">REQUESTS", ">SURE", "FORECAST"});
    for (auto worker : leaks["workers"].list()) {
        const auto kind = worker["class"].text();
        table.row({worker["worker"].text(), Cell(kind, colour_of_growth(kind)), bytes_text(worker["bytes_per_request"]),
                   count_text(worker["requests"]), percent_text(worker["confidence"]), forecast_text(worker)});
    }
    return table.empty() ? "" : "\n" + table.text(style.colours);
}

} // namespace

std::string show_status(Facts status, const Style& style) {
    Table table({"POOL", "SOURCE", ">SERVING", ">WORKERS", ">BUSY", ">SLOTS", ">QUEUED", "RECYCLING", ">RECYCLES/H",
                 ">DEATHS"});
    std::string alerts;
    auto alert = [&](const std::string& text) {
        if (!text.empty()) alerts += painted("! " + text, Colour::red, style.colours) + "\n";
    };
    for (auto reason : status["reasons"].list()) alert(reason.text());
    for (auto pool : status["pools"].list()) {
        auto serving = pool["serving"].number().value_or(0);
        auto colour = serving == 0                                         ? Colour::red
                      : serving < pool["min_serving"].number().value_or(0) ? Colour::yellow
                                                                           : Colour::green;
        auto recycles = pool["recycles"];
        table.row({pool["name"].text(), or_dash(pool["source"].text()), Cell(count_text(pool["serving"]), colour),
                   count_text(pool["worker_count"]), count_text(pool["in_flight"]), count_text(pool["slots"]),
                   count_text(pool["queued"]), or_dash(pool["recycling"].text()),
                   count_text(recycles["last_hour"]) + "/" + count_text(recycles["max_per_hour"]),
                   count_text(pool["deaths"])});
        if (pool["alert"].known()) alert(pool["name"].text() + ": " + pool["alert"].text());
        if (pool["ailing"].number().value_or(0) > 0)
            alert(pool["name"].text() + ": " + pool["ailing"].text() + " of " + count_text(pool["worker_count"]) +
                  " workers fail their health checks (plimsoll workers tells which)");
    }
    for (auto gate : status["gates"].list()) alerts_of_gate(gate, alert);
    if (const auto redis = status["redis"]; redis["problem"].known())
        alert("shared limits are " + redis["on_failure"].text() + ": " + redis["server"].text() + ": " +
              redis["problem"].text());
    if (status["store"]["problem"].known()) alert("incidents: " + status["store"]["problem"].text());
    auto text = first_line(status, style) + "\n" + (table.empty() ? "no pools\n" : table.text(style.colours)) +
                limits_table(status, style);
    return alerts.empty() ? text : text + "\n" + alerts;
}

std::string show_workers(Facts workers, const Style& style) {
    Table table({"WORKER", "STATE", ">GEN", ">PID", ">MEMORY", ">LIMIT", ">USED", ">REQUESTS", ">BUSY", ">UP"});
    std::string advice;
    for (auto worker : workers["workers"].list()) {
        auto memory = worker["memory"];
        auto used = memory["anon_bytes"].known() ? memory["anon_bytes"] : memory["rss_bytes"];
        auto state = worker["state"].text();
        auto busy = count_text(worker["in_flight"]) + "/" +
                    (worker["slots"].number().value_or(0) > 0 ? worker["slots"].text() : "-");
        table.row({worker["id"].text(), Cell(state, colour_of_state(state)), count_text(worker["generation"]),
                   count_text(worker["pid"]), bytes_text(used), bytes_text(memory["limit_bytes"]),
                   Cell(percent_text(memory["pressure"]), colour_of_pressure(memory["pressure"])),
                   count_text(worker["requests"]), busy, since_text(worker["started_at"], style.now)});
        if (worker["health"]["healthy"].known() && !worker["health"]["healthy"].truth())
            advice += painted("! " + worker["id"].text() +
                                  " fails its health checks: " + or_dash(worker["health"]["last"].text()),
                              Colour::red, style.colours) +
                      "\n";
        if (const auto state = worker["breaker"]["state"].text(); state == "tripped" || state == "probing")
            advice += painted("! " + worker["id"].text() + " fails and is passed over: its breaker is " + state,
                              Colour::yellow, style.colours) +
                      "\n";
        if (const auto takes = worker["takes"].text(); takes == "critical" || takes == "normal")
            advice += painted("! " + worker["id"].text() + " is near its limit: while others have room it is given " +
                                  (takes == "normal" ? "no sheddable request" : "critical requests alone"),
                              Colour::yellow, style.colours) +
                      "\n";
        if (worker["addressable"].known() && !worker["addressable"].truth())
            advice +=
                painted("! " + worker["id"].text() + " has no address of its own: " + or_dash(worker["advice"].text()),
                        Colour::yellow, style.colours) +
                "\n";
        else if (worker["advice"].known())
            advice += painted("! " + worker["id"].text() + " is not ready: " + worker["advice"].text(), Colour::red,
                              style.colours) +
                      "\n";
    }
    if (table.empty()) return "no workers\n";
    return table.text(style.colours) + (advice.empty() ? "" : "\n" + advice);
}

std::string show_leaks(Facts leaks, const Style& style) {
    std::string text;
    for (auto leak : leaks["leaks"].list()) {
        const bool sure = leak["confidence"].number().value_or(0) >= 0.8;
        text += painted(sure ? "! " : "? ", sure ? Colour::red : Colour::yellow, style.colours) +
                leak["verdict"].text() + "\n";
        const bool several = leak["routes"].list().size() > 1;
        for (auto route : leak["routes"].list())
            text += "    " + route["route"].text() + "  " + bytes_text(route["bytes_per_request"]) + " a request" +
                    (several && route["heaviest"].text() == "maybe" ? ", maybe the heaviest" : "") + "\n";
        if (leak["experiment"]["state"].text() == "running")
            text += "    an experiment runs: " + leak["experiment"]["requests"].text() + " of " +
                    leak["experiment"]["budget"].text() + " requests\n";
        for (auto line : leak["lines"].list())
            text += "    " + line["file"].text() + ":" + line["line"].text() +
                    (line["function"].known() ? " in " + line["function"].text() : "") + "  " +
                    bytes_text(line["bytes_per_request"]) + " a request to the worker\n";
        if (leak["kept_by"].known()) text += "    kept by " + leak["kept_by"].text() + "\n";
        if (leak["advice"].known()) text += "    advice: " + leak["advice"].text() + "\n";
        for (auto incident : leak["incidents"].list())
            text += "    the whole story: plimsoll incidents " + incident.text() + "\n";
    }
    std::string unjudged;
    for (auto why : leaks["unjudged"].list())
        unjudged += painted("? " + why.text(), Colour::yellow, style.colours) + "\n";
    if (text.empty() && unjudged.empty()) text = "nothing leaks\n";
    return text + unjudged + growth_table(leaks, style);
}

std::string show_incidents(Facts incidents, const Style& style) {
    Table table({"INCIDENT", ">AGO", "WORKER", ">GEN", "TRIGGER", "STATE", "CAPTURE", "VERDICT"});
    for (auto incident : incidents["incidents"].list()) {
        auto state = incident["state"].text();
        auto colour = state == "open" ? Colour::yellow : state == "abandoned" ? Colour::red : Colour::none;
        table.row({incident["id"].text(), since_text(incident["opened_at"], style.now), incident["worker"].text(),
                   count_text(incident["generation"]), incident["trigger"].text(), Cell(state, colour),
                   or_dash(incident["capture"]["status"].text()), incident["verdict"].text()});
    }
    return table.empty() ? "no incidents\n" : table.text(style.colours);
}

std::string show_changes(Facts reload) {
    std::string text = reload["changes"].list().empty() ? "reloaded: nothing changed\n" : "reloaded:\n";
    for (auto change : reload["changes"].list()) text += "  " + change["text"].text() + "\n";
    for (auto warning : reload["warnings"].list()) text += warning["text"].text() + " (warning)\n";
    return text;
}

} // namespace plimsoll::cli
