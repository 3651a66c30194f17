#include "run_config.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace plimsoll {

namespace fs = std::filesystem;

namespace {

using Argv = std::vector<std::string>;

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

bool executable(const fs::path& path) {
    std::error_code error;
    return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

std::optional<std::string> find_program(const std::string& name) {
    if (const std::string venv = from_environment("VIRTUAL_ENV"); !venv.empty())
        if (const fs::path path = fs::path(venv) / "bin" / name; executable(path)) return path.string();
    const std::string all = from_environment("PATH");
    for (std::size_t start = 0; start <= all.size();) {
        const std::size_t end = std::min(all.find(':', start), all.size());
        if (const fs::path path = fs::path(all.substr(start, end - start)) / name; executable(path))
            return path.string();
        start = end + 1;
    }
    return std::nullopt;
}

// `python3 -m NAME --version` is the one answer that holds for every way of installing it.
bool runs_as_module(const std::string& python, const std::string& module) {
    const pid_t child = fork();
    if (child < 0) return false;
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(127);
        execl(python.c_str(), python.c_str(), "-m", module.c_str(), "--version", nullptr);
        _exit(127);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::optional<Argv> find_server(const std::string& name) {
    if (const auto program = find_program(name)) return Argv{*program};
    if (const auto python = find_program("python3"); python && runs_as_module(*python, name))
        return Argv{*python, "-m", name};
    return std::nullopt;
}

// Evidence outlives a run: beside the user's other state, one directory for each application.
std::string state_directory(const std::string& app) {
    std::string base = from_environment("XDG_STATE_HOME");
    if (base.empty()) base = from_environment("HOME") + "/.local/state";
    std::error_code error;
    const std::string place = fs::current_path(error).string() + "/" + app;
    std::string name = app.substr(0, app.find(':'));
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '/' || c == '.'; }, '_');
    return base + "/plimsoll/" + name + "-" + std::to_string(std::hash<std::string>{}(place) % 100'000'000);
}

config::Source gunicorn(const RunChoice& choice, const Argv& server, unsigned workers) {
    config::Source source;
    source.kind = config::SourceKind::gunicorn;
    source.command = server;
    // Requests come through the workers' private listeners; gunicorn wants a public one all the same.
    for (const char* word : {"--bind", "unix:{run_dir}/gunicorn.sock", "--workers"}) source.command.emplace_back(word);
    source.command.push_back(std::to_string(workers));
    source.command.push_back(choice.app);
    return source;
}

config::Source uvicorn(const RunChoice& choice, const Argv& server, unsigned workers) {
    config::Source source;
    source.kind = config::SourceKind::command;
    source.command = server;
    // On a unix socket uvicorn believes X-Forwarded-* only when told whom to believe; nobody but Plimsoll reaches it
    // there.
    for (const char* word : {"--uds", "{socket}", "--forwarded-allow-ips", "*"}) source.command.emplace_back(word);
    source.command.push_back(choice.app);
    source.workers = workers;
    return source;
}

} // namespace

RunConfig run_config(const RunChoice& choice, const std::string& run_dir) {
    RunConfig out;
    const std::string name = choice.asgi ? "uvicorn" : "gunicorn";
    const auto server = find_server(name);
    if (!server) {
        out.problem = name + " is not installed in this environment: pip install " + name +
                      (choice.asgi ? "" : " (for an ASGI application: plimsoll run --asgi)");
        return out;
    }
    const unsigned workers = choice.workers ? choice.workers : std::max(1U, std::thread::hardware_concurrency());
    config::Pool pool;
    pool.name = "app";
    pool.source = choice.asgi ? uvicorn(choice, *server, workers) : gunicorn(choice, *server, workers);
    config::Route route;
    route.pool = pool.name;
    config::Listener listener;
    listener.address = choice.listen;

    out.config.proxy.control = {run_dir + "/control.sock"};
    out.config.admin.listen = choice.admin;
    out.config.store.path = state_directory(choice.app);
    out.config.listeners = {listener};
    out.config.routes = {route};
    out.config.pools = {pool};
    return out;
}

} // namespace plimsoll
