#include "fleet/source/command_source.hpp"

#include <algorithm>
#include <thread>

#include <unistd.h>

#include "fleet/environment.hpp"
#include "fleet/process_tree.hpp"
#include "fleet/source/last_words.hpp"
#include "fleet/source/server.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration notice_bound = 1s; // between a child's end and our watcher's word of it

// Our pid in the name: servers of an earlier life that are still ending must not unlink what is ours.
std::string socket_path(const Context& context, const Worker& worker, const Generation& generation) {
    return context.surroundings.run_dir + "/" + worker.id + "." + std::to_string(generation.number) + "-" +
           std::to_string(::getpid()) + ".sock";
}

void remove_socket(const Generation& generation) {
    if (generation.address && !generation.address->path.empty()) ::unlink(generation.address->path.c_str());
}

} // namespace

std::string CommandSource::start() {
    const config::Source& source = pool_.settings().source;
    if (!mentions(source.command, "socket") && !mentions(source.command, "port"))
        return "the command has neither {socket} nor {port} in it, so its copies would have no address of their own: "
               "write for example [\"uvicorn\", \"--uds\", \"{socket}\", \"app:app\"]";
    const unsigned copies = source.workers > 0 ? source.workers : std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < copies; ++i) {
        const WorkerPtr worker = pool_.add_worker();
        std::string why_not;
        const GenerationPtr generation = start_generation(worker, why_not);
        if (!generation) return why_not;
        pool_.install(worker, generation);
    }
    return {};
}

GenerationPtr CommandSource::start_generation(const WorkerPtr& worker, std::string& why_not) {
    Context& context = pool_.context();
    const config::Pool& settings = pool_.settings();
    GenerationPtr generation = pool_.new_generation(*worker);
    Placeholders values;
    net::Address address;
    if (mentions(settings.source.command, "socket")) {
        address.family = net::Address::Family::unix_socket;
        address.path = socket_path(context, *worker, *generation);
        ::unlink(address.path.c_str());
        values.emplace_back("socket", address.path);
    } else {
        const auto port = free_port();
        if (!port) {
            why_not = "no free TCP port on 127.0.0.1";
            return nullptr;
        }
        address.host = "127.0.0.1";
        address.port = *port;
        values.emplace_back("port", std::to_string(*port));
    }
    generation->address = address;
    const Command command = server_command(context, settings, worker->id, "none", worker->number, values);
    generation->child = Child::start(context.control, command, why_not);
    if (!generation->child) return nullptr;
    generation->process = generation->child;
    generation->pid = generation->child->pid();
    log::info("worker_started", {{"pool", settings.name},
                                 {"worker", worker->id},
                                 {"generation", generation->number},
                                 {"pid", generation->pid},
                                 {"address", net::to_string(address)}});
    pool_.watch(worker, generation);
    return generation;
}

void CommandSource::vacated(WorkerPtr worker) {
    spawn(pool_.context().control, "start " + worker->id + " again",
          start_again(pool_.shared_from_this(), this, worker, worker->current));
}

asio::awaitable<void> CommandSource::start_again(std::shared_ptr<Pool> pool, CommandSource* self, WorkerPtr worker,
                                                 GenerationPtr last) {
    const std::string program = pool->settings().source.command.front();
    remove_socket(*last);
    const bool had_served = last->serving_since != Instant{};
    if (!had_served && last->child) {
        const std::string why = worker->id + ": " + why_it_ended(program, *last->child);
        if (!pool->served_once() && pool->context().surroundings.start_failed)
            pool->context().surroundings.start_failed(pool->settings().name, why);
    }
    Backoff& backoff = self->backoffs_[worker->place];
    const auto stopped = [pool, worker, last] { return pool->stopping() || worker->current != last; };
    Duration rest = backoff.next(had_served);
    while (!co_await until(stopped, rest)) {
        std::string why_not;
        if (const GenerationPtr generation = self->start_generation(worker, why_not))
            co_return pool->install(worker, generation);
        pool->set_trouble(worker, worker->id + ": " + why_not);
        rest = backoff.next(false);
    }
}

std::string CommandSource::last_words_of(const Generation& generation) const {
    return generation.child ? last_words(generation.child->output()) : std::string{};
}

asio::awaitable<Successor> CommandSource::begin_successor(WorkerPtr worker, Duration) {
    Successor successor;
    successor.generation = start_generation(worker, successor.problem);
    co_return successor;
}

asio::awaitable<bool> CommandSource::end(std::shared_ptr<Pool> pool, GenerationPtr generation, Said said) {
    generation->ending = true;
    const bool ended = co_await end_child(generation->child, pool->settings().recycle.end_timeout, said);
    const auto noticed = [generation] { return generation->gone(); };
    if (ended) co_await until(noticed, notice_bound);
    remove_socket(*generation);
    co_return ended;
}

asio::awaitable<std::string> CommandSource::cancel_successor(WorkerPtr, GenerationPtr generation, Said said) {
    if (!generation) co_return std::string{};
    if (generation->gone()) {
        remove_socket(*generation);
        said(why_it_ended(pool_.settings().source.command.front(), *generation->child));
        co_return std::string{};
    }
    const bool ended = co_await end(pool_.shared_from_this(), generation, said);
    co_return ended ? std::string{} : generation->name_of_process() + " does not end: not even SIGKILL helped";
}

asio::awaitable<bool> CommandSource::retire(WorkerPtr, GenerationPtr generation, Said said) {
    return end(pool_.shared_from_this(), std::move(generation), std::move(said));
}

asio::awaitable<void> CommandSource::stop() {
    const auto pool = pool_.shared_from_this();
    const auto left = std::make_shared<unsigned>(0);
    const auto finish = [](std::shared_ptr<Pool> of, GenerationPtr generation,
                           std::shared_ptr<unsigned> count) -> asio::awaitable<void> {
        co_await end(of, generation, [](const std::string&) {});
        --*count;
    };
    for (const WorkerPtr& worker : pool->workers())
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation || !generation->child || !generation->child->running()) continue;
            ++*left;
            spawn(pool->context().control, "end " + worker->id, finish(pool, generation, left));
        }
    // All at once; each has its own ladder, which ends by itself.
    const auto all_ended = [left] { return *left == 0; };
    co_await until(all_ended, pool->settings().recycle.end_timeout * 3 + notice_bound * 2);
}

// The worker whose process, or whose wrapper, the agent lives in.
std::pair<WorkerPtr, GenerationPtr> CommandSource::owner(const Hello& hello) const {
    std::pair<WorkerPtr, GenerationPtr> by_index;
    const std::vector<int> line = hello.same_pids ? lineage(hello.pid) : std::vector<int>{};
    for (const WorkerPtr& worker : pool_.workers())
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation || generation->gone() || !generation->child) continue;
            if (std::ranges::find(line, generation->child->pid()) != line.end()) return {worker, generation};
            if (hello.index && *hello.index == worker->number) by_index = {worker, generation};
        }
    return hello.same_pids ? std::pair<WorkerPtr, GenerationPtr>{} : by_index;
}

std::string CommandSource::refuse(const Hello& hello) {
    if (!hello.same_pids && hello.index) return {};
    if (owner(hello).first) return {};
    return "pid " + std::to_string(hello.pid) + " is no worker that Plimsoll started for pool " + pool_.settings().name;
}

void CommandSource::connected(std::shared_ptr<Agent> agent) {
    const auto [worker, generation] = owner(agent->hello());
    if (!worker) return;
    pool_.bind(worker, generation, agent);
    generation->ready = true; // we gave it its address: an answer there is all that readiness needs
}

asio::awaitable<std::string> CommandSource::settle(LeftOver) {
    co_return std::string(
        "abandoned: all processes of this pool were started by the Plimsoll that was killed, and ended with it");
}

} // namespace plimsoll::fleet
