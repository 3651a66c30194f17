#include "fleet/source/uwsgi_source.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "fleet/process_tree.hpp"
#include "fleet/rung.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration busy_interval = 100ms,
                   calm_interval = 1s; // of asking the stats server: while a place is empty, else
constexpr Duration stats_bound = 1s;

// The worker is drained: TERM cuts nothing any more.
constexpr Rung uwsgi_ladder[] = {{SIGHUP, "SIGHUP"}, {SIGTERM, "SIGTERM"}, {SIGKILL, "SIGKILL"}};

} // namespace

unsigned uwsgi_processes(const std::vector<std::string>& argv) {
    for (std::size_t i = 0; i < argv.size(); ++i) {
        const std::string& part = argv[i];
        for (const std::string option : {"-p", "--processes", "--workers"}) {
            if (part == option && i + 1 < argv.size()) return static_cast<unsigned>(std::atoi(argv[i + 1].c_str()));
            if (part.starts_with(option + "="))
                return static_cast<unsigned>(std::atoi(part.c_str() + option.size() + 1));
        }
    }
    return 0;
}

std::string UwsgiSource::path(const std::string& name) const {
    return pool_.context().surroundings.run_dir + "/" + pool_.settings().name + "." + name;
}

std::string UwsgiSource::start() {
    const config::Source& source = pool_.settings().source;
    if (source.command.empty())
        return "kind \"uwsgi\" needs a command, so that each worker can be given a socket of its own: "
               "command = [\"uwsgi\", \"--ini\", \"app.ini\"]";
    const unsigned asked = uwsgi_processes(source.command);
    const unsigned workers = asked > 0 ? asked : source.workers;
    if (workers == 0)
        return "how many workers has this uWSGI? Write workers = 4 into [pool.source], or --processes 4 into its "
               "command";
    if (!write_ini(workers)) return "cannot write " + path("uwsgi.ini");
    for (unsigned i = 0; i < workers; ++i) pool_.add_worker();
    server_ = std::make_shared<Server>(pool_, Server::Environment{{"UWSGI_INI", path("uwsgi.ini")}});
    const std::string why_not = server_->start();
    if (why_not.empty())
        spawn(pool_.context().control, "workers of " + pool_.settings().name, follow(pool_.shared_from_this(), this));
    return why_not;
}

// Sockets of an environment's ini come first, whatever else the configuration has: ours are number 0 to N-1.
bool UwsgiSource::write_ini(unsigned workers) const {
    std::ofstream ini(path("uwsgi.ini"));
    ini << "[uwsgi]\n";
    for (unsigned i = 1; i <= workers; ++i) ini << "socket = " << path(std::to_string(i) + ".sock") << "\n";
    for (unsigned i = 1; i <= workers; ++i) ini << "map-socket = " << i - 1 << ":" << i << "\n";
    // By itself it hangs up on heads of more than 4,096 bytes. An environment's options come before all others, and of those given
    // twice the last one counts: so this is a default, whatever the command or a file of the operator's says.
    ini << "buffer-size = 65535\n";
    // Without the last one older releases never hand the interpreter's lock over in an orderly way: the agent's thread gets
    // no turn, or now and then a turn that leaves the worker unable to run its application.
    ini << "stats = " << path("stats.sock") << "\nmaster = true\ndie-on-term = true\nenable-threads = true\n";
    ini.flush();
    return ini.good();
}

asio::awaitable<void> UwsgiSource::stop() {
    if (server_) co_await server_->stop();
}

asio::awaitable<void> UwsgiSource::follow(std::shared_ptr<Pool> pool, UwsgiSource* self) {
    const std::string stats = self->path("stats.sock");
    while (!pool->stopping()) {
        const auto told = co_await read_uwsgi_stats(stats, stats_bound);
        if (pool->stopping()) co_return;
        if (told && self->server_->runs())
            for (const UwsgiWorker& each : *told) {
                self->meet(each);
                self->count(each);
            }
        const bool busy = std::ranges::any_of(pool->workers(), &Worker::empty);
        co_await pause(busy ? busy_interval : calm_interval);
    }
}

void UwsgiSource::meet(const UwsgiWorker& told) {
    const auto& workers = pool_.workers();
    const auto place = std::ranges::find(workers, told.id, [](const WorkerPtr& worker) { return worker->number; });
    // A place whose process we still hold is told of by its pidfd first.
    if (told.pid <= 0 || !told.accepting || place == workers.end() || !(*place)->empty()) return;
    if ((*place)->current && (*place)->current->pid == told.pid) return; // the document is older than its death
    std::string why_not;
    auto process = Process::attach(pool_.context().control, told.pid, server_->pid(), why_not);
    if (!process) return;
    const GenerationPtr generation = pool_.new_generation(**place);
    net::Address address;
    address.family = net::Address::Family::unix_socket;
    address.path = path(std::to_string(told.id) + ".sock");
    generation->address = address;
    generation->protocol = net::Protocol::uwsgi;
    generation->told_slots = told.cores;
    generation->pid = told.pid;
    generation->started_at = started_at(*process);
    generation->process = std::move(process);
    pool_.watch(*place, generation);
    pool_.install(*place, generation);
    const auto early = std::ranges::find(early_, told.pid, [](const auto& agent) { return agent->hello().pid; });
    if (early == early_.end()) return;
    const std::shared_ptr<Agent> agent = *early;
    early_.erase(early);
    if (agent->connected()) connected(agent);
}

void UwsgiSource::count(const UwsgiWorker& told) {
    if (told.pid <= 0) return;
    if (const auto generation = owner(told.pid).second) generation->server_requests = told.requests;
}

asio::awaitable<Successor> UwsgiSource::begin_successor(WorkerPtr, Duration) {
    co_return Successor{nullptr, "uWSGI's master forks a worker only when one has ended", true};
}

asio::awaitable<std::string> UwsgiSource::cancel_successor(WorkerPtr, GenerationPtr, Said) { co_return std::string{}; }

asio::awaitable<bool> UwsgiSource::retire(WorkerPtr, GenerationPtr generation, Said said) {
    const auto gone = [generation] { return generation->gone(); };
    const Duration bound = pool_.settings().recycle.end_timeout;
    for (const Rung& rung : uwsgi_ladder) {
        std::string why_not;
        if (!generation->process->send(rung.signal, why_not) && !generation->gone())
            said(std::string(rung.name) + " could not be sent: " + why_not);
        else
            said("told to end: " + std::string(rung.name));
        if (co_await until(gone, bound)) co_return true;
    }
    co_return generation->gone();
}

std::pair<WorkerPtr, GenerationPtr> UwsgiSource::owner(int pid) const {
    for (const WorkerPtr& worker : pool_.workers())
        if (!worker->empty() && worker->current->pid == pid) return {worker, worker->current};
    return {};
}

std::string UwsgiSource::refuse(const Hello& hello) {
    if (hello.same_pids && server_ && descends_from(hello.pid, server_->pid())) return {};
    return "pid " + std::to_string(hello.pid) + " is no worker of this uWSGI";
}

// A worker dials as soon as it is forked, often before the stats server has told of it.
void UwsgiSource::connected(std::shared_ptr<Agent> agent) {
    const auto [worker, generation] = owner(agent->hello().pid);
    if (!worker) {
        std::erase_if(early_, [](const auto& other) { return !other->connected(); });
        early_.push_back(std::move(agent));
        return;
    }
    pool_.bind(worker, generation, agent);
    generation->ready = true; // its address was given: an answer there is all that readiness needs
}

asio::awaitable<std::string> UwsgiSource::settle(LeftOver) {
    co_return std::string("abandoned: its server was started by the Plimsoll that was killed, and ended with it");
}

} // namespace plimsoll::fleet
