#include "fleet/source/announced_source.hpp"

#include <algorithm>

#include "fleet/environment.hpp"
#include "fleet/process_tree.hpp"
#include "fleet/source/ending.hpp"
#include "fleet/source/listening.hpp"
#include "fleet/source/public_address.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

// A worker that left on purpose (its server was reloaded or scaled down), or that never got as far as serving, is not waited
// for as long as one that died.
constexpr Duration short_wait = 5s;
constexpr Duration agents_wait = 5s; // a server's workers whose agents have not dialled by then are looked for
constexpr Duration children_interval = 1s;
constexpr unsigned rarely = 10; // of these, where every place has its worker
constexpr const char* no_agent = "no agent dials from its workers: install plimsoll-agent in the Python that runs them";

// Those that are not known yet. Beside its workers a server has helpers, such as multiprocessing's: they do not listen. While
// applications load nobody may (uvicorn), and nobody is found before one does.
std::vector<int> find_workers(int server, const std::vector<int>& known, const std::optional<net::Address>& address) {
    std::vector<int> pids = children_of(server);
    std::erase_if(pids, [&known](int pid) { return std::ranges::find(known, pid) != known.end(); });
    return address ? listeners_among(std::move(pids), *address) : pids;
}

// Nothing but the server's public address leads to it.
bool behind_the_door(const Worker& worker) {
    const GenerationPtr& generation = worker.current;
    return generation && generation->key == 0 && takes_requests(generation->state);
}

void give_address(Generation& generation, const Hello& hello) {
    generation.advice.clear();
    generation.address = net::parse_address(hello.address);
    if (!generation.address)
        generation.advice =
            hello.server == "other"
                ? "its server is not known to the agent: start it with [pool.source] kind = \"command\""
                : "the agent made no private listener: set PLIMSOLL_LISTEN to unix or tcp in its environment";
}

} // namespace

AnnouncedSource::AnnouncedSource(Pool& pool) : pool_(pool) {
    if (pool.settings().source.command.empty()) return;
    server_ = std::make_shared<Server>(pool);
    const Placeholders values = {{"run_dir", pool.context().surroundings.run_dir}, {"pool", pool.settings().name}};
    public_address_ = fleet::public_address(fill(pool.settings().source.command, values));
}

std::string AnnouncedSource::start() {
    if (server_) {
        const std::string why_not = server_->start();
        if (why_not.empty())
            spawn(pool_.context().control, "children of " + pool_.settings().name,
                  look_after_those_without_address(pool_.shared_from_this(), this));
        return why_not;
    }
    log::info("awaiting_agents", {{"pool", pool_.settings().name}, {"control", pool_.context().control_address}});
    return {};
}

std::string AnnouncedSource::last_words_of(const Generation&) const {
    return server_ ? server_->last_exception() : std::string{};
}

asio::awaitable<void> AnnouncedSource::stop() {
    if (server_) co_await server_->stop();
}

// Its server forks the next one by itself; a place that stays empty is one that the server does not have any more.
void AnnouncedSource::vacated(WorkerPtr worker) {
    const bool on_purpose = worker->current && worker->current->said_bye;
    const bool never_served = worker->current && worker->current->serving_since == Instant{};
    pool_.forget_place(worker, on_purpose || never_served ? short_wait : pool_.settings().recycle.ready_timeout);
    mind_the_door();
}

std::string AnnouncedSource::refuse(const Hello& hello) {
    if (!server_ || !hello.same_pids || server_->pid() == 0) return {};
    if (descends_from(hello.pid, server_->pid())) return {};
    return "pool " + pool_.settings().name + " has a server of its own, and pid " + std::to_string(hello.pid) +
           " is none of its workers";
}

// The first empty place, or that of a worker of the same server whose agent is silent and whose process is not visible:
// its server would not have forked this one if that one lived.
WorkerPtr AnnouncedSource::place_for(const Hello* hello) {
    auto& workers = pool_.workers();
    const auto place = std::ranges::find_if(workers, &Worker::empty);
    if (place != workers.end()) return *place;
    const auto silent = std::ranges::find_if(workers, [hello](const WorkerPtr& worker) {
        const GenerationPtr& generation = worker->current;
        return hello && !generation->process && generation->agent && !generation->agent->connected() &&
               same_server(generation->agent->hello(), *hello);
    });
    if (silent == workers.end()) return pool_.add_worker();
    const WorkerPtr worker = *silent;
    pool_.died(worker, worker->current);
    return worker;
}

bool AnnouncedSource::take_over(const std::shared_ptr<Agent>& agent) {
    const auto is_its = [pid = pid_here(agent->hello())](const WorkerPtr& worker) {
        const GenerationPtr& generation = worker->current;
        return pid > 0 && generation && !generation->agent && !generation->gone() && generation->pid == pid;
    };
    const auto found = std::ranges::find_if(pool_.workers(), is_its);
    if (found == pool_.workers().end()) return false;
    const GenerationPtr generation = (*found)->current;
    pool_.bind(*found, generation, agent);
    generation->slots = pool_.slots_of(*generation);
    generation->advice.clear();
    mind_the_door();
    return true;
}

// Of those that were in service before their agents dialled. Until it has answered there, requests reach it as before.
void AnnouncedSource::give_late_addresses() {
    for (const WorkerPtr& worker : pool_.workers()) {
        const GenerationPtr& generation = worker->current;
        if (!behind_the_door(*worker) || generation->address || generation->ending || !generation->agent_of_server())
            continue;
        give_address(*generation, generation->agent->hello());
        if (!generation->address) continue;
        generation->served = 0; // from now on it is known
        generation->met_late = true;
        generation->leak.reset();
        pool_.install(worker, generation);
    }
}

void AnnouncedSource::connected(std::shared_ptr<Agent> agent) {
    heard_of_agents_ = true;
    if (take_over(agent)) return;
    const bool awaited = awaited_ && !awaited_->arrived;
    const WorkerPtr worker = awaited ? awaited_->worker : place_for(&agent->hello());
    const GenerationPtr generation = pool_.new_generation(*worker);
    give_address(*generation, agent->hello());
    pool_.bind(worker, generation, agent);
    log::info("worker_announced", {{"pool", pool_.settings().name},
                                   {"worker", worker->id},
                                   {"generation", generation->number},
                                   {"process", generation->name_of_process()},
                                   {"address", agent->hello().address}});
    if (awaited)
        awaited_->arrived = generation;
    else
        pool_.install(worker, generation);
}

// One that failed before its agent could say a word. Its server tries again, with pauses.
void AnnouncedSource::exited(const Exited& word) {
    if (!word.boot_failed || !pool_.served_once()) return;
    const std::string why = server_ ? server_->last_exception() : std::string{};
    pool_.set_alert("a new worker failed while it loaded the application" + (why.empty() ? why : " (" + why + ")") +
                    "; the others serve on");
}

void AnnouncedSource::serves(const WorkerPtr& worker, const GenerationPtr& generation) {
    if (!generation->address)
        log::warn("worker_not_addressable",
                  {{"pool", pool_.settings().name}, {"worker", worker->id}, {"advice", generation->advice}});
    mind_the_door();
}

// All workers without an address of their own share the public one: as one endpoint with the slots of all of them, which are
// learned where nobody says how many one of them has.
void AnnouncedSource::mind_the_door() {
    if (!public_address_) return;
    unsigned slots = 0, workers = 0;
    bool known = true;
    for (const WorkerPtr& worker : pool_.workers()) {
        if (!behind_the_door(*worker)) continue;
        ++workers;
        slots += worker->current->slots;
        known = known && worker->current->slots > 0;
    }
    if (!known) slots = 0;
    if (workers == 0) {
        if (door_ != 0) pool_.net().remove(door_);
        door_ = 0;
        divided_ = 0;
        return;
    }
    if (door_ == 0) {
        net::Endpoint endpoint;
        endpoint.worker = pool_.settings().name;
        endpoint.address = *public_address_;
        endpoint.keep_alive = false; // a connection that is kept belongs to one worker, and nobody knows to which
        door_ = pool_.net().add(std::move(endpoint), slots);
        pool_.net().accept(door_, true);
    }
    pool_.net().set_slots(door_, slots);
}

void AnnouncedSource::divide_requests() {
    std::vector<Generation*> behind;
    for (const WorkerPtr& worker : pool_.workers())
        if (behind_the_door(*worker)) behind.push_back(worker->current.get());
    if (door_ == 0 || behind.empty()) return;
    const std::uint64_t each = (pool_.net().requests(door_) - divided_) / behind.size();
    for (Generation* generation : behind) generation->served += each;
    divided_ += each * behind.size(); // the rest is divided with those that come
}

asio::awaitable<void> AnnouncedSource::look_after_those_without_address(std::shared_ptr<Pool> pool,
                                                                        AnnouncedSource* self) {
    const auto settled = [pool, self] { return pool->stopping() || self->heard_of_agents_; };
    co_await until(settled, agents_wait);
    const auto stopping = [pool] { return pool->stopping(); };
    for (unsigned second = 0; !co_await until(stopping, children_interval); ++second) {
        const auto& workers = pool->workers();
        const bool all_there = !workers.empty() && std::ranges::none_of(workers, &Worker::empty);
        if (!self->heard_of_agents_ && (!all_there || second % rarely == 0)) co_await self->adopt_children(pool);
        self->divide_requests();
        self->give_late_addresses();
    }
}

asio::awaitable<void> AnnouncedSource::adopt_children(std::shared_ptr<Pool> pool) {
    if (!server_->runs()) co_return;
    const int server = server_->pid();
    std::vector<int> known;
    for (const WorkerPtr& worker : pool->workers())
        if (worker->current && !worker->current->gone()) known.push_back(worker->current->pid);
    auto look = [server, known, address = public_address_] { return find_workers(server, known, address); };
    const std::vector<int> pids = co_await offload(*pool->context().threads, std::move(look));
    if (pool->stopping() || heard_of_agents_ || server_->pid() != server) co_return;
    for (const int pid : pids) adopt(pid);
}

void AnnouncedSource::adopt(int pid) {
    const auto known = [pid](const WorkerPtr& worker) {
        return worker->current && !worker->current->gone() && worker->current->pid == pid;
    };
    if (std::ranges::any_of(pool_.workers(), known)) return;
    std::string why_not;
    auto process = Process::attach(pool_.context().control, pid, server_->pid(), why_not);
    if (!process) return; // it has ended in the meantime
    const WorkerPtr worker = place_for(nullptr);
    const GenerationPtr generation = pool_.new_generation(*worker);
    generation->pid = pid;
    generation->started_at = started_at(*process);
    generation->process = std::move(process);
    generation->advice = no_agent;
    pool_.watch(worker, generation);
    pool_.install(worker, generation);
}

// Our own server ended with us; one of somebody else's may have lost the worker, or not yet.
asio::awaitable<std::string> AnnouncedSource::settle(LeftOver left) {
    if (server_)
        co_return std::string("abandoned: its server was started by the Plimsoll that was killed, and ended with it");
    const auto known = [this, left] {
        return std::ranges::any_of(pool_.workers(), [&](const WorkerPtr& worker) {
            return worker->current && !worker->current->gone() && worker->current->agent_pid() == left.pid;
        });
    };
    const bool alive = co_await until(known, pool_.settings().recycle.ready_timeout / 4);
    co_return alive ? std::string("abandoned: the worker had not been ended yet, it serves on")
                    : std::string("finished: the worker is gone, its server has forked the next one");
}

} // namespace plimsoll::fleet
