#include "cli/cli.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <unistd.h>

#include "cli/check.hpp"
#include "cli/commands.hpp"
#include "cli/replay.hpp"
#include "config/nearest.hpp"
#include "config/place.hpp"
#include "config/values.hpp"

namespace plimsoll::cli {
namespace {

// Not CLI11's envname(): all commands fill in the same options, and those that were not called would put the variable over
// what was told.
std::string variable(const char* name, std::string otherwise = {}) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : otherwise;
}

// What the options fill in; one of them is called.
struct Options {
    ServeOptions serve;
    RunOptions run;
    ReplayOptions replay;
    std::string admin = variable("PLIMSOLL_ADMIN", "127.0.0.1:9180"), token, token_file;
    bool json = false, wait = false;
    std::string file, worker, pool, incident, name, output, html;
    std::size_t most = 20;
};

bool on_terminal() {
    const char* term = std::getenv("TERM");
    const char* no_colour = std::getenv("NO_COLOR");
    return ::isatty(1) == 1 && (no_colour == nullptr || *no_colour == '\0') && term != nullptr &&
           std::string_view(term) != "dumb";
}

std::string token_of(const Options& options) {
    if (options.token_file.empty()) {
        if (!options.token.empty()) return options.token;
        return variable("PLIMSOLL_ADMIN_TOKEN", variable("PLIMSOLL_TOKEN")); // the agents' was once the name of both
    }
    std::ifstream file(options.token_file);
    std::string token;
    if (!std::getline(file, token))
        throw Failure{.code = 2, .text = "--token-file " + options.token_file + " cannot be read or is empty"};
    while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
    return token;
}

Context context_of(const Options& options) {
    if (auto problem = config::place_problem(options.admin); !problem.empty())
        throw Failure{.code = 2, .text = "--admin " + problem};
    auto token = token_of(options);
    for (unsigned char c : token)
        if (c <= ' ' || c >= 0x7f)
            throw Failure{.code = 2,
                          .text =
                              "the token holds a character that no token may hold (white space, a control character)"};
    return {.client = AdminClient(options.admin, token),
            .json = options.json,
            .style = {on_terminal(), std::chrono::system_clock::now()},
            .out = std::cout};
}

void speaks_to_proxy(CLI::App& command, Options& options) {
    command
        .add_option("--admin", options.admin, "admin address of the proxy: HOST:PORT or unix:/path (PLIMSOLL_ADMIN)")
        ->capture_default_str();
    command.add_option("--token", options.token, "its token, where it wants one (PLIMSOLL_ADMIN_TOKEN)");
    command.add_option("--token-file", options.token_file, "the same, read from a file");
    command.add_flag("--json", options.json, "print what the admin API answers");
}

void add_proxy_commands(CLI::App& app, Options& options, const Program& program, int& code) {
    auto* serve = app.add_subcommand("serve", "Serve as a configuration file says");
    serve->add_option("-c,--config,FILE", options.serve.config_file, "the configuration file")->required();
    serve->callback([&] { code = program.serve(options.serve); });

    auto* run = app.add_subcommand("run", "Serve an application without a configuration: gunicorn, one worker a core");
    run->add_option("APP", options.run.app, "module:attribute")->required();
    run->add_option("--workers", options.run.workers, "how many; 0: one a core")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    run->add_flag("--asgi", options.run.asgi, "an ASGI application: uvicorn instead of gunicorn");
    run->add_option("--listen", options.run.listen, "HOST:PORT or unix:/path")
        ->check(config::place_problem)
        ->capture_default_str();
    run->add_option("--admin", options.run.admin, "admin address")->check(config::place_problem)->capture_default_str();
    run->callback([&] { code = program.run(options.run); });

    auto* check_file = app.add_subcommand("check", "Tell every problem of a configuration file");
    check_file->add_option("FILE", options.file, "the configuration file")->required();
    check_file->add_flag("--json", options.json, "as JSON");
    check_file->callback([&] { code = check(options.file, options.json, std::cout, std::cerr); });
}

std::string duration_problem(const std::string& text) {
    const auto length = config::parse_duration(text);
    return length && *length > Duration::zero() ? "" : "'" + text + "' is no time: 300ms, 5s";
}

std::string size_problem(const std::string& text) {
    const auto size = parse_bytes(text);
    return size && *size > Bytes{} ? "" : "'" + text + "' is no size: 400MiB, 1.5GiB";
}

void add_replay(CLI::App& app, ReplayOptions& options, int& code) {
    auto* added = app.add_subcommand(
        "replay", "Play a recorded trace ([log] trace) under other limits: who would be served, how soon, who refused");
    added->add_option("TRACE", options.files, "what was recorded; FILE.1 and FILE where it was rotated")->required();
    added->add_option("--pool", options.pool, "whose requests; unset: those of the first pool in it");
    added->add_option("--workers", options.workers, "that serve them")
        ->check(CLI::Range(1, 10000))
        ->capture_default_str();
    added->add_option("--slots", options.slots, "of each worker")->check(CLI::Range(1, 10000))->capture_default_str();
    added->add_option("--size", options.size, "of the queue: [pool.queue] size")
        ->check(CLI::Range(1, 10'000'000))
        ->capture_default_str();
    added->add_option("--timeout", options.timeout, "of the queue: [pool.queue] timeout")
        ->check(duration_problem)
        ->capture_default_str();
    added->add_option("--target", options.target, "of the wait under overload: [pool.queue] target")
        ->check(duration_problem);
    added->add_option("--faster", options.faster, "the same requests, so many times as many a second")
        ->check(CLI::Range(0.001, 1000.0))
        ->capture_default_str();
    auto* base =
        added->add_option("--base", options.base, "of memory: what a worker holds at rest")->check(size_problem);
    added->add_option("--memory", options.memory, "that all workers share: their cgroup's limit")
        ->check(size_problem)
        ->needs(base);
    added->add_option("--worker-memory", options.worker_memory, "the limit of each worker")
        ->check(size_problem)
        ->needs(base);
    added
        ->add_option(
            "--limit", options.limits,
            "ROUTE=RATE[,burst=N][,key=client], ROUTE as the trace has it or * for all: a rate limit of all requests "
            "of the route together, or of those of each client; may be given several times")
        ->allow_extra_args(false);
    added->callback([&options, &code] { code = replay(options, std::cout); });
}

void add_reading_commands(CLI::App& app, Options& options, int& code) {
    auto command = [&](const char* name, const char* what, auto body) {
        auto* added = app.add_subcommand(name, what);
        speaks_to_proxy(*added, options);
        added->callback([&options, &code, body] {
            auto context = context_of(options);
            code = body(context);
        });
        return added;
    };
    command("reload", "Take the changed configuration file over, whole or not at all",
            [](Context& context) { return reload(context); });
    command("status", "The proxy and its pools", [](Context& context) { return status(context); });
    auto* list = command("workers", "Who serves, with how much memory",
                         [&options](Context& context) { return workers(context, options.pool); });
    list->add_option("--pool", options.pool, "of this pool alone");
    command("leaks", "What grows, which workers it takes down, and when",
            [](Context& context) { return leaks(context); });
    auto* found =
        command("incidents", "What happened and why; with an ID the whole story", [&options](Context& context) {
            if (options.incident.empty()) return incidents(context, options.most);
            if (!options.html.empty()) return incident_html(context, options.incident, options.html);
            return options.name.empty() ? incident(context, options.incident)
                                        : incident_file(context, options.incident, options.name, options.output);
        });
    auto* id = found->add_option("ID", options.incident, "as in the list: i-000042");
    auto* file = found->add_option("--file", options.name, "print this piece of evidence")->needs(id);
    found->add_option("--html", options.html, "write the whole story to this file, to attach to a ticket; -: print it")
        ->needs(id)
        ->excludes(file);
    found->add_option("-o,--output", options.output, "write it to this file")->needs(file);
    found->add_option("--limit", options.most, "how many of the newest to list")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
}

void add_actions(CLI::App& app, Options& options, int& code) {
    struct {
        const char *name, *what;
        bool can_wait;
    } actions[] = {{"drain", "Send a worker no new requests", false},
                   {"undrain", "Send it requests again", false},
                   {"recycle", "Replace a worker: successor, drain, capture, end", true},
                   {"capture", "Take evidence from a worker that goes on serving", true},
                   {"trace", "Trace a worker's allocations for a while", true}};
    for (const auto& action : actions) {
        auto* added = app.add_subcommand(action.name, action.what);
        added->add_option("WORKER", options.worker, "its id: app-1, or POOL/WORKER")->required();
        speaks_to_proxy(*added, options);
        if (action.can_wait) added->add_flag("--wait", options.wait, "follow it to its end");
        added->callback([&options, &code, name = std::string(action.name)] {
            auto context = context_of(options);
            code = act(context, name, options.worker, options.wait);
        });
    }
}

int tell(const Failure& failure, bool json) {
    std::cerr << (failure.is_problems ? "" : "plimsoll: ") << failure.text << "\n";
    auto shown = failure.json.value_or(boost::json::serialize(boost::json::object{{"error", failure.text}}));
    if (json && !shown.empty()) std::cout << shown << "\n";
    return failure.code;
}

// CLI11 would only say that an argument was not expected.
void find_misspelt_command(const CLI::App& app, int argc, char** argv) {
    if (argc < 2 || argv[1][0] == '-') return;
    std::vector<std::string> names;
    for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
        names.push_back(command->get_name());
    std::string word = argv[1];
    if (std::find(names.begin(), names.end(), word) != names.end()) return;
    auto meant = config::nearest(word, names);
    throw Failure{.code = 2,
                  .text = "there is no command '" + word + "'" +
                          (meant.empty() ? ": plimsoll --help lists them" : " (did you mean " + meant + "?)")};
}

int parse_and_call(int argc, char** argv, const Program& program, Options& options) {
    CLI::App app{"The reverse proxy that knows how much memory its Python workers use, and acts on it.", "plimsoll"};
    app.set_version_flag("--version", std::string("plimsoll ") + PLIMSOLL_VERSION);
    app.require_subcommand(0, 1);
    int code = 0;
    add_proxy_commands(app, options, program, code);
    add_replay(app, options.replay, code);
    add_reading_commands(app, options, code);
    add_actions(app, options, code);
    find_misspelt_command(app, argc, argv);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error); // --help, --version
        std::string command = argc > 1 && argv[1][0] != '-' ? std::string(argv[1]) + " " : "";
        throw Failure{.code = 2, .text = std::string(error.what()) + " (plimsoll " + command + "--help)"};
    }
    if (app.get_subcommands().empty()) std::cout << app.help();
    return code;
}

} // namespace

int main(int argc, char** argv, Program program) {
    Options options;
    try {
        const int code = parse_and_call(argc, argv, program, options);
        if (std::cout.flush()) return code;
        throw Failure{.code = 1, .text = std::string("standard output cannot be written: ") + std::strerror(errno)};
    } catch (const Failure& failure) {
        return tell(failure, options.json);
    } catch (const std::exception& error) {
        return tell({.code = 1, .text = error.what()}, options.json);
    }
}

} // namespace plimsoll::cli
