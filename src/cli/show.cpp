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

std::string or_dash(std::string text) { return text.empty() ? "-" : text; }

// A pool's workers may come as a list or as a number.
std::string worker_count(Facts pool) {
    auto workers = pool["workers"];
    if (workers.number()) return workers.text();
    return workers.known() ? std::to_string(workers.list().size()) : "-";
}

} // namespace

std::string show_status(Facts status, Facts pools, const Style& style) {
    std::string text = "plimsoll";
    if (auto version = status["version"].text(); !version.empty()) text += " " + version;
    if (status["started_at"].time()) text += ", up " + since_text(status["started_at"], style.now);
    if (status["ready"].known())
        text += ", " + (status["ready"].truth() ? painted("ready", Colour::green, style.colours)
                                                : painted("not ready", Colour::red, style.colours));
    std::string listeners;
    for (auto listener : status["listeners"].list()) listeners += (listeners.empty() ? "" : ", ") + listener.text();
    if (!listeners.empty()) text += ", listening on " + listeners;
    text += "\n\n";
    Table table({"POOL", "SOURCE", ">SERVING", ">WORKERS", ">QUEUED", "RECYCLING", ">RECYCLES/H"});
    std::string alerts;
    for (auto pool : pools["pools"].list()) {
        bool short_of = pool["serving"].number() && pool["min_serving"].number() &&
                        *pool["serving"].number() < *pool["min_serving"].number();
        table.row({pool["name"].text(), or_dash(pool["source"].text()),
                   Cell(count_text(pool["serving"]), short_of ? Colour::red : Colour::green), worker_count(pool),
                   count_text(pool["queued"]), or_dash(pool["recycling"].text()),
                   count_text(pool["recycles_last_hour"]) + "/" + count_text(pool["max_per_hour"])});
        if (auto alert = pool["alert"].text(); !alert.empty())
            alerts += painted("! " + pool["name"].text() + ": " + alert, Colour::red, style.colours) + "\n";
    }
    text += table.empty() ? "no pools\n" : table.text(style.colours);
    for (auto problem : status["problems"].list())
        alerts += painted("! " + problem.text(), Colour::red, style.colours) + "\n";
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
        if (worker["addressable"].known() && !worker["addressable"].truth())
            advice +=
                painted("! " + worker["id"].text() + " has no address of its own: " + or_dash(worker["advice"].text()),
                        Colour::yellow, style.colours) +
                "\n";
    }
    if (table.empty()) return "no workers\n";
    return table.text(style.colours) + (advice.empty() ? "" : "\n" + advice);
}

std::string show_incidents(Facts incidents, std::size_t most, const Style& style) {
    auto list = incidents["incidents"].list();
    if (list.empty()) return "no incidents\n";
    Table table({"INCIDENT", ">AGO", "WORKER", ">GEN", "TRIGGER", "STATE", "CAPTURE", "VERDICT"});
    for (std::size_t i = 0; i < list.size() && i < most; ++i) {
        auto incident = list[i];
        auto state = incident["state"].text();
        auto colour = state == "open" ? Colour::yellow : state == "abandoned" ? Colour::red : Colour::none;
        auto capture =
            incident["capture"]["status"].known() ? incident["capture"]["status"] : incident["capture_status"];
        table.row({incident["id"].text(), since_text(incident["opened_at"], style.now), incident["worker"].text(),
                   count_text(incident["generation"]), incident["trigger"].text(), Cell(state, colour),
                   or_dash(capture.text()), incident["verdict"].text()});
    }
    auto text = table.text(style.colours);
    if (list.size() > most) text += "and " + std::to_string(list.size() - most) + " older ones: --limit N shows more\n";
    return text;
}

std::string show_changes(Facts reload) {
    auto changes = reload["changes"].list();
    if (changes.empty()) return "reloaded: nothing changed\n";
    std::string text = "reloaded:\n";
    for (auto change : changes) {
        if (change["key"].known()) {
            text += "  " + change["key"].text() + ": " + change["before"].text() + " -> " + change["after"].text();
            if (change["live"].known() && !change["live"].truth()) text += " (needs a restart)";
        } else {
            text += "  " + change.text();
        }
        text += "\n";
    }
    return text;
}

} // namespace plimsoll::cli
