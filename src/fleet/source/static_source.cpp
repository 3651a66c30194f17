#include "fleet/source/static_source.hpp"

#include <algorithm>

#include <unistd.h>

#include "fleet/source/ending.hpp"
#include "fleet/source/listening.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration first_rest = 100ms, longest_rest = 30s; // between two looks for who listens

}

std::string StaticSource::start() {
    for (const std::string& text : pool_.settings().source.addresses) {
        const auto address = net::parse_address(text);
        if (!address) return "\"" + text + "\" is no address: write \"127.0.0.1:8001\" or \"unix:/run/app.sock\"";
        begin(pool_.add_worker(), *address);
    }
    return {};
}

void StaticSource::begin(const WorkerPtr& worker, net::Address address) {
    const GenerationPtr generation = pool_.new_generation(*worker);
    generation->address = std::move(address);
    if (pool_.settings().source.protocol == "uwsgi") generation->protocol = net::Protocol::uwsgi;
    pool_.install(worker, generation);
}

asio::awaitable<void> StaticSource::stop() { co_return; }

// Whoever listens at a unix socket is known even without an agent. It may be too busy to be asked just now.
void StaticSource::serves(const WorkerPtr& worker, const GenerationPtr& generation) {
    if (generation->address->family == net::Address::Family::unix_socket && !find_process(pool_, worker, generation))
        spawn(pool_.context().control, "process of " + worker->id,
              look_for_process(pool_.shared_from_this(), worker, generation));
}

bool StaticSource::find_process(Pool& pool, const WorkerPtr& worker, const GenerationPtr& generation) {
    if (generation->process) return true;
    const auto pid = listener_pid(*generation->address);
    if (!pid) return false;
    if (*pid == ::getpid()) return true; // a test's, or a mistake: we are nobody's worker
    std::string why_not;
    auto process = Process::attach(pool.context().control, *pid, std::nullopt, why_not);
    if (!process) return false;
    generation->pid = *pid;
    generation->started_at = started_at(*process);
    generation->process = std::move(process);
    pool.watch(worker, generation);
    return true;
}

asio::awaitable<void> StaticSource::look_for_process(std::shared_ptr<Pool> pool, WorkerPtr worker,
                                                     GenerationPtr generation) {
    const auto settled = [pool, generation] { return generation->gone() || generation->process || pool->stopping(); };
    for (Duration rest = first_rest; !co_await until(settled, rest); rest = std::min(2 * rest, longest_rest))
        if (find_process(*pool, worker, generation)) co_return;
}

void StaticSource::vacated(WorkerPtr worker) {
    if (!worker->empty() || !worker->current || !worker->current->address) return; // the next one may be there already
    begin(worker, *worker->current->address);
}

std::string StaticSource::why_not_recycle(const Worker& worker) const {
    if (worker.current && worker.current->agent_of_server()) return {};
    return "Plimsoll did not start " + worker.id +
           " and no agent came with it, so nothing is known that would start it again: "
           "install plimsoll-agent there, or let Plimsoll start it ([pool.source] kind = \"command\")";
}

asio::awaitable<Successor> StaticSource::begin_successor(WorkerPtr, Duration) {
    co_return Successor{nullptr, "it has one address, so its successor cannot live beside it", true};
}

asio::awaitable<std::string> StaticSource::cancel_successor(WorkerPtr, GenerationPtr, Said) { co_return std::string{}; }

asio::awaitable<bool> StaticSource::retire(WorkerPtr, GenerationPtr generation, Said said) {
    return end_by_signals(pool_.shared_from_this(), std::move(generation), false, std::move(said));
}

// By its number, by its private address, by whoever listens at the address that we were given; a single worker is meant.
WorkerPtr StaticSource::owner(const Hello& hello) const {
    const auto& workers = pool_.workers();
    const auto announced = net::parse_address(hello.address);
    for (const WorkerPtr& worker : workers) {
        if (!worker->current || !worker->current->address) continue;
        const net::Address& address = *worker->current->address;
        if (hello.index && *hello.index == worker->number) return worker;
        if (announced && *announced == address) return worker;
        if (hello.same_pids && (listens_on(hello.pid, address) || listens_on(hello.ppid, address))) return worker;
        // A container: its private listener is at the same host as its public one.
        if (!hello.same_pids && announced && announced->family == net::Address::Family::tcp &&
            announced->host == address.host)
            return worker;
    }
    return workers.size() == 1 ? workers.front() : nullptr;
}

std::string StaticSource::refuse(const Hello& hello) {
    if (owner(hello)) return {};
    return "pid " + std::to_string(hello.pid) + " on " + hello.host + " listens at none of the addresses of pool " +
           pool_.settings().name + " (PLIMSOLL_INDEX = 1, 2, ... would tell which one it is)";
}

void StaticSource::connected(std::shared_ptr<Agent> agent) {
    const WorkerPtr worker = owner(agent->hello());
    if (!worker) return;
    const GenerationPtr known = worker->current;
    if (known->agent_connected()) {
        log::warn("several_workers_at_one_address",
                  {{"pool", pool_.settings().name},
                   {"worker", worker->id},
                   {"advice",
                    "its server has several workers: kind = \"gunicorn\" or \"uvicorn\" without a command gives each "
                    "an address of its own"}});
        return;
    }
    // Another process than before: the server was started again, and this is news of the old one's end.
    if (known->agent && known->agent->hello().pid != agent->hello().pid && !known->gone()) pool_.died(worker, known);
    if (known->gone()) vacated(worker); // its end was known, but not that another one comes
    const GenerationPtr current = worker->current;
    pool_.bind(worker, current, agent);
    current->ready = true; // its address was given: an answer there is all that readiness needs
}

asio::awaitable<std::string> StaticSource::settle(LeftOver left) {
    const auto worker = pool_.find(left.worker);
    const auto answers = [worker] { return worker->serves(); };
    const bool serves = worker && co_await until(answers, pool_.settings().recycle.ready_timeout);
    co_return serves ? std::string("abandoned: whatever had been done to the worker, it serves")
                     : std::string("abandoned: the worker does not serve");
}

} // namespace plimsoll::fleet
