#include "cli/commands.hpp"

#include <fstream>
#include <ostream>
#include <thread>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <unistd.h>

#include "cli/api.hpp"
#include "config/nearest.hpp"

namespace plimsoll::cli {
namespace {

// The API's own words with --json, else what `show` makes of them.
template <class Show>
int print(Context& context, const boost::json::value& answer, Show show) {
    if (context.json)
        context.out << boost::json::serialize(answer) << "\n";
    else
        context.out << show(Facts(&answer));
    return 0;
}

// Of all pools, or of one.
boost::json::value all_workers(const Context& context, const std::string& pool) {
    if (!pool.empty()) return get(context, "/v1/pools/" + url_encoded(pool) + "/workers");
    auto answer = get(context, "/v1/pools");
    boost::json::array workers;
    for (auto one : Facts(&answer)["pools"].list())
        for (auto worker : one["workers"].list()) workers.push_back(*worker.value());
    return boost::json::object{{"workers", std::move(workers)}};
}

struct Place {
    std::string pool, worker;
};
Place find_worker(const Context& context, const std::string& word) {
    if (auto slash = word.find('/'); slash != std::string::npos) return {word.substr(0, slash), word.substr(slash + 1)};
    auto answer = all_workers(context, "");
    std::vector<std::string> ids;
    for (auto worker : Facts(&answer)["workers"].list()) {
        ids.push_back(worker["id"].text());
        if (ids.back() == word) return {worker["pool"].text(), word};
    }
    auto meant = config::nearest(word, ids);
    std::string text = "there is no worker '" + word + "'";
    if (!meant.empty()) text += " (did you mean " + meant + "?)";
    throw Failure{.code = 1, .text = text + ": `plimsoll workers` lists them"};
}

std::string progress(const std::string& action, const std::string& worker, const std::string& incident) {
    std::string text = worker;
    if (action == "drain")
        text += " is draining: it gets no new requests until `plimsoll undrain " + worker + "`";
    else if (action == "undrain")
        text += " gets requests again";
    else if (action == "recycle")
        text += " is being recycled";
    else if (action == "capture")
        text += ": a capture has begun";
    else
        text += ": a trace has begun";
    return incident.empty() ? text + "\n" : text + ": plimsoll incidents " + incident + "\n";
}

void keep(const std::string& output, const std::string& content) {
    std::ofstream file(output, std::ios::binary | std::ios::trunc);
    file << content << std::flush;
    if (!file) throw Failure{.code = 1, .text = output + " cannot be written: " + std::strerror(errno)};
}

// Empty: it came to what was asked for.
std::string unhappy_end(const Facts& incident, const std::string& action) {
    const auto state = incident["state"].text(), outcome = incident["recycle"]["outcome"].text();
    const auto captured = incident["capture"]["status"].text();
    if (!outcome.empty() && outcome != "done") return state + ", recycle " + outcome;
    if (action != "recycle" && captured != "done" && captured != "partial") return state + ", and nothing was captured";
    return state == "closed" ? std::string() : state;
}

// Prints the timeline as it grows, until the incident is closed.
int follow(Context& context, const std::string& id, const std::string& action) {
    auto deadline = std::chrono::steady_clock::now() + context.patience;
    for (std::size_t printed = 0;;) {
        auto answer = get(context, "/v1/incidents/" + url_encoded(id));
        Facts incident(&answer);
        auto timeline = incident["timeline"].list();
        for (; !context.json && printed < timeline.size(); ++printed)
            context.out << timeline_line(timeline[printed], incident["opened_at"].time()) << std::flush;
        auto state = incident["state"].text();
        if (state != "open") {
            if (context.json)
                context.out << boost::json::serialize(answer) << "\n";
            else
                context.out << incident["verdict"].text() << "\n";
            const auto unhappy = unhappy_end(incident, action);
            if (unhappy.empty()) return 0;
            throw Failure{.code = 1, .text = "incident " + id + " is " + unhappy, .json = ""}; // it has been printed
        }
        if (std::chrono::steady_clock::now() > deadline)
            throw Failure{.code = 1,
                          .text = "incident " + id + " is still open after " + length_text(context.patience)};
        std::this_thread::sleep_for(context.poll);
    }
}

} // namespace

int status(Context& context) {
    return print(context, get(context, "/v1/status"), [&](Facts status) { return show_status(status, context.style); });
}

int workers(Context& context, const std::string& pool) {
    return print(context, all_workers(context, pool), [&](Facts list) { return show_workers(list, context.style); });
}

int reload(Context& context) { return print(context, post(context, "/v1/config/reload"), show_changes); }

int leaks(Context& context) {
    return print(context, get(context, "/v1/leaks"), [&](Facts list) { return show_leaks(list, context.style); });
}

int incidents(Context& context, std::size_t most) {
    return print(context, get(context, "/v1/incidents?limit=" + std::to_string(most)),
                 [&](Facts list) { return show_incidents(list, context.style); });
}

int incident(Context& context, const std::string& id) {
    return print(context, get(context, "/v1/incidents/" + url_encoded(id)),
                 [&](Facts one) { return show_incident(one, context.style); });
}

int incident_file(Context& context, const std::string& id, const std::string& name, const std::string& output) {
    auto answer = ask(context, "GET", "/v1/incidents/" + url_encoded(id) + "/files/" + url_encoded(name));
    if (answer.status != 200) throw refusal(context, answer);
    if (output.empty()) {
        if (::isatty(1) == 1 && answer.body.find('\0') != std::string::npos)
            throw Failure{.code = 1, .text = name + " is no text: keep it with -o FILE"};
        context.out << answer.body << std::flush;
        return 0;
    }
    keep(output, answer.body);
    return 0;
}

int incident_html(Context& context, const std::string& id, const std::string& output) {
    auto answer = ask(context, "GET", "/v1/incidents/" + url_encoded(id) + ".html");
    if (answer.status != 200) throw refusal(context, answer);
    if (output == "-")
        context.out << answer.body << std::flush;
    else
        keep(output, answer.body);
    return 0;
}

int act(Context& context, const std::string& action, const std::string& worker, bool wait) {
    auto place = find_worker(context, worker);
    auto answer =
        post(context, "/v1/pools/" + url_encoded(place.pool) + "/workers/" + url_encoded(place.worker) + "/" + action);
    auto id = Facts(&answer)["incident"].text();
    if (wait && !id.empty()) {
        if (!context.json) context.out << progress(action, place.worker, id) << std::flush;
        return follow(context, id, action);
    }
    return print(context, answer, [&](Facts) { return progress(action, place.worker, id); });
}

} // namespace plimsoll::cli
