#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "config/checks.hpp"
#include "config/nearest.hpp"
#include "config/place.hpp"
#include "config/values.hpp"
#include "plimsoll/policy/load_line.hpp"

namespace plimsoll::config {
namespace {

// Stands in URLs, ids, metrics and file names.
bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::isalnum(static_cast<unsigned char>(name.front())) != 0 &&
           std::all_of(name.begin(), name.end(),
                       [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

bool has_placeholder(const std::vector<std::string>& command, std::string_view placeholder) {
    return std::any_of(command.begin(), command.end(),
                       [&](const std::string& word) { return word.find(placeholder) != std::string::npos; });
}

// Each {word} of a command, wherever it stands in it.
std::vector<std::string> placeholders_in(const std::string& word) {
    std::vector<std::string> found;
    for (auto begin = word.find('{'); begin != word.npos; begin = word.find('{', begin + 1)) {
        const auto end = word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-", begin + 1);
        if (end != word.npos && end > begin + 1 && word[end] == '}' &&
            (begin == 0 || std::string_view("$%(").find(word[begin - 1]) == std::string_view::npos))
            found.push_back(word.substr(begin, end - begin + 1));
    }
    return found;
}

// A word that is nearly a placeholder is a slip; other braces are the command's own.
void check_placeholders(const std::string& path, const std::vector<std::string>& command,
                        const std::vector<std::string>& known, Findings& findings) {
    std::string all;
    for (const auto& each : known) all += (all.empty() ? "" : ", ") + each;
    for (std::size_t i = 0; i < command.size(); ++i)
        for (const auto& word : placeholders_in(command[i])) {
            if (std::find(known.begin(), known.end(), word) != known.end()) continue;
            if (word == "{socket}" || word == "{port}" || word == "{index}")
                findings.warning(path + ".command[" + std::to_string(i) + "]",
                                 "'" + word + "' is filled in with kind = \"command\" alone, and stays as it is here");
            else if (auto meant = nearest(word, known); !meant.empty())
                findings.problem(path + ".command[" + std::to_string(i) + "]", "'" + word + "' is none of " + all,
                                 meant);
        }
}

void check_source_addresses(const std::string& path, const Source& source, Findings& findings) {
    if (!findings.sound(path + ".addresses")) return;
    if (source.kind != SourceKind::static_addresses) {
        if (!source.addresses.empty())
            findings.problem(path + ".addresses", "belongs to kind = \"static\"; with \"" +
                                                      std::string(to_string(source.kind)) +
                                                      "\" each worker gets an address of its own");
        return;
    }
    if (source.addresses.empty())
        findings.problem(path + (findings.stands(path + ".addresses") ? ".addresses" : ""),
                         "kind \"static\" needs the workers' addresses: addresses = [\"127.0.0.1:8001\"]");
    std::set<std::string> seen;
    for (std::size_t i = 0; i < source.addresses.size(); ++i) {
        auto element = path + ".addresses[" + std::to_string(i) + "]";
        const auto& address = source.addresses[i];
        std::string why_not;
        auto place = parse_place(address, why_not);
        if (!place)
            findings.problem(element, place_problem(address));
        else if (!place->unix_socket && (place->port == 0 || place->host.empty()))
            findings.problem(element, "'" + address + "' needs a host and a port above 0");
        else if (!seen.insert(address).second)
            findings.problem(element, "'" + address + "' stands in the list twice");
    }
}

void check_command(const std::string& path, const Source& source, Findings& findings) {
    if (!findings.sound(path + ".command")) return;
    const bool copies = source.kind == SourceKind::command;
    check_placeholders(path, source.command,
                       copies ? std::vector<std::string>{"{socket}", "{port}", "{index}", "{pool}", "{run_dir}"}
                              : std::vector<std::string>{"{pool}", "{run_dir}"},
                       findings);
    if (!findings.sound(path + ".command")) return;
    auto key = findings.stands(path + ".command") ? path + ".command" : path;
    if (source.kind == SourceKind::static_addresses) {
        if (!source.command.empty())
            findings.problem(key, "kind \"static\" starts nothing: write kind = \"command\" (or gunicorn, uvicorn, "
                                  "uwsgi) to start workers with it");
        return;
    }
    if (source.kind == SourceKind::command) {
        if (source.command.empty())
            findings.problem(
                key,
                "kind \"command\" needs what to start: command = [\"uvicorn\", \"--uds\", \"{socket}\", \"app:app\"]");
        else if (!has_placeholder(source.command, "{socket}") && !has_placeholder(source.command, "{port}"))
            findings.problem(
                key, "must tell each worker where to listen: put {socket} (a unix socket's path) or {port} into it");
    }
    if (source.kind == SourceKind::uwsgi && source.command.empty())
        findings.problem(
            key,
            "kind \"uwsgi\" needs what to start, so that each worker can be given a socket of its own: command = "
            "[\"uwsgi\", \"--ini\", \"app.ini\"]; one that runs already is reached by kind = \"static\", its socket's "
            "address and protocol = \"uwsgi\"");
    if (!source.command.empty() && source.command.front().empty())
        findings.problem(key, "the first word is the program, and it is empty");
}

void check_source(const std::string& path, const Source& source, Findings& findings) {
    if (findings.sound(path + ".kind")) {
        check_source_addresses(path, source, findings);
        check_command(path, source, findings);
        if (source.kind != SourceKind::static_addresses && findings.stands(path + ".protocol"))
            findings.problem(path + ".protocol", "belongs to kind = \"static\": what \"" +
                                                     std::string(to_string(source.kind)) + "\" speaks is known");
        if (source.kind != SourceKind::command && source.kind != SourceKind::uwsgi && source.workers != 0)
            findings.warning(path + ".workers",
                             source.kind == SourceKind::static_addresses
                                 ? "does nothing with kind \"static\": there are as many workers as addresses"
                                 : "does nothing with kind \"" + std::string(to_string(source.kind)) +
                                       "\": the server's own command line says how many");
    }
    if (source.directory.empty())
        findings.problem(path + ".directory", "must not be empty: write \".\" for the current one");
}

void check_memory(const std::string& path, const Memory& memory, Findings& findings) {
    bool sound = findings.sound(path + ".stale_after") && findings.sound(path + ".interval");
    if (sound && memory.stale_after <= memory.interval)
        findings.problem(path + (findings.stands(path + ".stale_after") ? ".stale_after" : ".interval"),
                         "stale_after (" + to_text(memory.stale_after) + ") must be longer than interval (" +
                             to_text(memory.interval) + "), or every reading would be too old");
    constexpr double full = LoadLine::Settings{}.limit; // where normal requests are shed, all of them
    if (findings.sound(path + ".load_line") && memory.load_line >= full && memory.mode != Mode::off)
        findings.warning(path + ".load_line", "from " + to_text(full) +
                                                  " on only sheddable requests are shed, and late: " +
                                                  "write less, or mode = \"off\" to shed nobody");
}

// Two levels, or a level and the limit, in one measure: bytes where both can be had in bytes, else shares.
std::optional<std::pair<double, double>> comparable(const Level& a, const Level& b, std::optional<Bytes> limit) {
    if (a.value.index() == b.value.index()) {
        if (const auto* share = std::get_if<double>(&a.value)) return {{*share, std::get<double>(b.value)}};
        return {
            {static_cast<double>(std::get<Bytes>(a.value).count), static_cast<double>(std::get<Bytes>(b.value).count)}};
    }
    if (!limit) return {};
    return {{static_cast<double>(a.of(*limit).count), static_cast<double>(b.of(*limit).count)}};
}

void check_levels(const std::string& path, const Pool& pool, Findings& findings) {
    auto recycle = path + ".recycle";
    for (auto key : {".memory.limit", ".recycle.soft_limit", ".recycle.hard_limit"})
        if (!findings.sound(path + key)) return;
    const auto &soft = pool.recycle.soft_limit, &hard = pool.recycle.hard_limit;
    const auto& limit = pool.memory.limit;
    if (soft && hard) {
        auto pair = comparable(*soft, *hard, limit);
        if (pair && pair->first >= pair->second)
            findings.problem(recycle + ".soft_limit",
                             "must be below hard_limit (" + to_text(*hard) + "), is " + to_text(*soft));
    }
    for (const auto& [key, level] : {std::pair{".soft_limit", soft}, std::pair{".hard_limit", hard}})
        if (level && limit && level->of(*limit) > *limit)
            findings.problem(recycle + key, "must not be above the worker's limit ([pool.memory] limit = " +
                                                to_text(*limit) + "), is " + to_text(*level));
}

void check_min_serving(const std::string& path, const Pool& pool, Findings& findings) {
    auto key = path + ".recycle.min_serving";
    if (!pool.recycle.min_serving || !findings.sound(key)) return;
    for (auto of_source : {".source.kind", ".source.workers", ".source.addresses"})
        if (!findings.sound(path + of_source)) return;
    std::size_t workers = pool.source.kind == SourceKind::command            ? pool.source.workers
                          : pool.source.kind == SourceKind::static_addresses ? pool.source.addresses.size()
                                                                             : 0;
    if (workers != 0 && *pool.recycle.min_serving >= workers)
        findings.problem(key, "must be below the number of workers (" + std::to_string(workers) + "), is " +
                                  std::to_string(*pool.recycle.min_serving) + ": no worker could ever be recycled");
}

void check_capture(const std::string& path, const Capture& capture, Findings& findings) {
    if (!capture.command.empty() && capture.command.front().empty())
        findings.problem(path + ".command", "the first word is the program, and it is empty");
    check_placeholders(path, capture.command, {"{pid}", "{worker}", "{pool}", "{directory}"}, findings);
}

void check_adaptive(const std::string& path, const Adaptive& adaptive, Findings& findings) {
    for (const auto* key : {".min", ".initial", ".max"})
        if (!findings.sound(path + key)) return;
    if (adaptive.min > adaptive.max)
        findings.problem(path + (findings.stands(path + ".min") ? ".min" : ".max"),
                         "min (" + std::to_string(adaptive.min) + ") must not be above max (" +
                             std::to_string(adaptive.max) + ")");
    else if (adaptive.initial < adaptive.min || adaptive.initial > adaptive.max)
        findings.problem(path + (findings.stands(path + ".initial") ? ".initial"
                                 : findings.stands(path + ".max")   ? ".max"
                                                                    : ".min"),
                         "initial (" + std::to_string(adaptive.initial) + ") must be from min (" +
                             std::to_string(adaptive.min) + ") to max (" + std::to_string(adaptive.max) + ")");
}

void check_queue(const std::string& path, const Queue& queue, Findings& findings) {
    if (!findings.sound(path + ".target") || !findings.sound(path + ".timeout")) return;
    if (!queue.target || queue.timeout == Duration::zero() || *queue.target < queue.timeout) return;
    findings.problem(path + ".target", "target (" + to_text(*queue.target) + ") must be below timeout (" +
                                           to_text(queue.timeout) + "), after which nobody waits any more");
}

void check_breaker(const std::string& path, const CircuitBreaker& breaker, Findings& findings) {
    if (findings.sound(path + ".rest") && findings.sound(path + ".longest_rest") && breaker.rest > breaker.longest_rest)
        findings.problem(path + (findings.stands(path + ".rest") ? ".rest" : ".longest_rest"),
                         "rest (" + to_text(breaker.rest) + ") must not be above longest_rest (" +
                             to_text(breaker.longest_rest) + ")",
                         "longest_rest = \"" + to_text(breaker.rest) + '"');
    if (findings.sound(path + ".floor") && breaker.floor <= 0)
        findings.warning(path + ".floor", "with a floor of 0 all workers may be passed over at once, and everybody is "
                                          "refused: write at least the share that one of them is");
}

void check_health(const std::string& path, const Health& health, Findings& findings) {
    if (findings.sound(path + ".path") && !health.path.starts_with('/'))
        findings.problem(path + ".path", "must begin with /");
    const auto in_a_field = [](unsigned char c) { return c > 0x20 && c < 0x7f; };
    if (findings.sound(path + ".host") && (health.host.empty() || !std::ranges::all_of(health.host, in_a_field)))
        findings.problem(path + ".host",
                         "'" + health.host + "' must be what stands in a Host field: \"app.example.org\"");
    if (!findings.sound(path + ".expect")) return;
    for (std::size_t i = 0; i < health.expect.size(); ++i)
        if (!parse_status_range(health.expect[i]))
            findings.problem(path + ".expect[" + std::to_string(i) + "]",
                             "'" + health.expect[i] + "' is neither a status (\"200\") nor a range (\"200-399\")");
    if (health.interval && health.expect.empty())
        findings.warning(path + ".interval",
                         "any answer passes for well, 500 too: say with `expect` which status does");
}

void check_pool(const std::string& path, const Pool& pool, Findings& findings) {
    if (findings.sound(path + ".source") && !findings.stands(path + ".source"))
        findings.problem(path + ".source", "is missing: [pool.source] says where the workers come from");
    else
        check_source(path + ".source", pool.source, findings);
    check_memory(path + ".memory", pool.memory, findings);
    check_levels(path, pool, findings);
    check_min_serving(path, pool, findings);
    check_capture(path + ".capture", pool.capture, findings);
    check_maintenance(path + ".maintenance", pool.maintenance, findings);
    check_queue(path + ".queue", pool.queue, findings);
    check_breaker(path + ".breaker", pool.breaker, findings);
    check_adaptive(path + ".adaptive", pool.adaptive, findings);
    check_health(path + ".health", pool.health, findings);
}

} // namespace

void check_pools(const Config& config, Findings& findings) {
    if (config.pools.empty() && findings.sound("pool"))
        findings.problem(
            "pool", "there is none: a [[pool]] with a name and a [pool.source] says which workers to send requests to");
    std::map<std::string, unsigned> lines;
    for (std::size_t i = 0; i < config.pools.size(); ++i) {
        auto path = "pool[" + std::to_string(i) + "]";
        const auto& name = config.pools[i].name;
        if (findings.sound(path + ".name")) {
            auto [other, first] = lines.emplace(name, findings.position(path).line);
            if (name.empty())
                findings.problem(path + ".name", "is missing: routes, logs and commands call the pool by it");
            else if (!is_name(name))
                findings.problem(path + ".name",
                                 "'" + name +
                                     "' must be made of letters, digits, - and _, at most 64, a letter or digit first");
            else if (!first)
                findings.problem(path + ".name", "the pool on line " + std::to_string(other->second) + " is called '" +
                                                     name + "' as well");
        }
        check_pool(path, config.pools[i], findings);
    }
}

} // namespace plimsoll::config
