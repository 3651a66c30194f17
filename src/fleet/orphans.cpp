#include "fleet/orphans.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include <unistd.h>

#include "fleet/process.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {

namespace {

struct Starter {
    int pid = 0;
    unsigned long long start_time = 0;
    int session = 0;
};

std::optional<Starter> parse_starter(const std::string& text) {
    Starter starter;
    if (std::sscanf(text.c_str(), "%d:%llu:%d", &starter.pid, &starter.start_time, &starter.session) != 3)
        return std::nullopt;
    return starter;
}

// The value of a variable as the process was given it; empty where we may not look.
std::string variable_of(int pid, const std::string& name) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
    std::string entry;
    while (std::getline(in, entry, '\0'))
        if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
    return {};
}

bool is_orphan(const sense::Reader& proc, int pid, const std::string& run_dir) {
    const auto starter = parse_starter(variable_of(pid, starter_variable));
    if (!starter || variable_of(pid, "PLIMSOLL_RUN_DIR") != run_dir || ::getsid(pid) != starter->session) return false;
    const auto alive = proc.stat(starter->pid);
    return !alive || alive->start_time != starter->start_time;
}

} // namespace

std::string starter() {
    const auto stat = sense::Reader().stat(::getpid());
    return std::to_string(::getpid()) + ":" + std::to_string(stat ? stat->start_time : 0) + ":" +
           std::to_string(::getsid(0));
}

std::vector<int> find_orphans(const std::string& run_dir) {
    std::vector<int> found;
    const sense::Reader proc;
    std::error_code ec;
    for (std::filesystem::directory_iterator entry("/proc", ec), end; !ec && entry != end; entry.increment(ec)) {
        const std::string name = entry->path().filename().string();
        if (!std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c); })) continue;
        const int pid = std::atoi(name.c_str());
        if (pid != ::getpid() && is_orphan(proc, pid, run_dir)) found.push_back(pid);
    }
    return found;
}

asio::awaitable<void> end_orphans(std::shared_ptr<Context> context, std::vector<int> pids, Duration bound) {
    std::vector<std::shared_ptr<Process>> orphans;
    std::string why_not;
    for (const int pid : pids) {
        auto process = Process::attach(context->control, pid, std::nullopt, why_not);
        // Looked at again through the pidfd's time: the number may be somebody else's by now.
        if (!process || variable_of(pid, starter_variable).empty()) continue;
        log::warn("orphan_found",
                  {{"pid", pid}, {"why", "an earlier Plimsoll started it and was killed: it is ended"}});
        process->send(SIGTERM, why_not);
        orphans.push_back(std::move(process));
    }
    const auto gone = [&orphans] {
        return std::ranges::none_of(orphans, [](const auto& process) { return process->running(); });
    };
    if (co_await until(gone, bound)) co_return;
    for (const auto& process : orphans)
        if (process->running() && !process->send(SIGKILL, why_not))
            log::error("orphan_not_ended", {{"pid", process->pid()}, {"why", why_not}});
}

} // namespace plimsoll::fleet
