// What a generation goes through between its announcement and its end: the pool's verbs for it.
#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include "fleet/health_watch.hpp"
#include "fleet/monitor.hpp"
#include "fleet/peaks.hpp"
#include "fleet/pool.hpp"
#include "fleet/recycler.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

// Where nobody tells how many requests an asynchronous worker can take, and nobody is to learn it. Bounded, so that a stalled
// worker cannot swallow the whole queue; high enough that an event loop is never starved.
constexpr unsigned slots_when_unbounded = 64;
constexpr Duration first_probe_pause = 20ms, longest_probe_pause = 500ms;
constexpr Duration first_silence = 1s, longest_silence = 5min; // about one that is not ready
constexpr Duration idle_when_unknown = 1500ms;                 // below the shortest keep-alive there is: gunicorn's 2 s
constexpr Duration longest_idle = 60s;

// Where a worker that was not started by us listens, and what keeps us from it. Empty: nothing does, or it is no unix socket.
std::string why_out_of_reach(const net::Address& address, const Generation& generation) {
    if (!generation.agent || generation.child || address.family != net::Address::Family::unix_socket) return {};
    if (::faccessat(AT_FDCWD, address.path.c_str(), W_OK, AT_EACCESS) == 0) return {};
    const int error = errno;
    const std::string reason =
        "it announced unix:" + address.path + ", which Plimsoll (uid " + std::to_string(::geteuid()) + ") ";
    if (error == ENOENT)
        return reason +
               "does not see: it is another container's, or PrivateTmp= hides it. Where that server is started, "
               "set PLIMSOLL_LISTEN=tcp:127.0.0.1, or PLIMSOLL_RUN_DIR to a directory that both see";
    if (error == EACCES)
        return reason +
               "may not connect to: that server is another user's. Where it is started, set "
               "PLIMSOLL_LISTEN=tcp:127.0.0.1, or PLIMSOLL_RUN_DIR to a directory with the setgid bit and a group "
               "of both";
    return {};
}

std::string seconds_text(Duration length) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f s", std::chrono::duration<double>(length).count());
    return text;
}

bool one_request_a_connection(const Generation& generation) {
    if (generation.protocol == net::Protocol::uwsgi) return true;
    if (!generation.agent) return false;
    const Hello& hello = generation.agent->hello();
    if (hello.keep_alive) return *hello.keep_alive <= 0;
    return hello.server == "gunicorn" && hello.worker_class == "sync";
}

// Below the server's own, by a quarter: the proxy must be the one that closes.
Duration idle_time(const config::Pool& settings, const Generation& generation) {
    if (settings.upstream.idle_timeout) return *settings.upstream.idle_timeout;
    if (!generation.agent || !generation.agent->hello().keep_alive) return idle_when_unknown;
    const std::chrono::duration<double> rest(*generation.agent->hello().keep_alive * 0.75);
    return std::min(std::chrono::duration_cast<Duration>(rest), longest_idle);
}

// gunicorn says on its command line how many requests a worker serves at once, and is the one server whose workers would
// take more than that into a backlog where nobody sees them.
std::optional<unsigned> slots_by_command(const std::vector<std::string>& argv) {
    const bool gunicorn = std::ranges::any_of(
        argv, [](const std::string& part) { return part == "gunicorn" || part.ends_with("/gunicorn"); });
    if (!gunicorn) return std::nullopt;
    const auto value = [&](std::string_view brief, std::string_view whole) -> std::string {
        for (std::size_t i = 0; i < argv.size(); ++i) {
            if ((argv[i] == brief || argv[i] == whole) && i + 1 < argv.size()) return argv[i + 1];
            if (argv[i].starts_with(std::string(whole) + "=")) return argv[i].substr(whole.size() + 1);
        }
        return {};
    };
    const std::string worker_class = value("-k", "--worker-class");
    if (!worker_class.empty() && worker_class != "sync" && worker_class != "gthread") return std::nullopt;
    const int threads = std::atoi(value("", "--threads").c_str());
    return threads > 0 ? static_cast<unsigned>(threads) : 1U;
}

} // namespace

unsigned Pool::slots_of(const Generation& generation) const {
    const unsigned unknown = settings_.adaptive.mode == Mode::off ? slots_when_unbounded : 0;
    if (settings_.source.slots > 0) return settings_.source.slots;
    if (generation.told_slots > 0) return generation.told_slots;
    if (generation.agent) {
        const Hello& hello = generation.agent->hello();
        if (hello.threads) return *hello.threads > 0 ? *hello.threads : unknown;
        if (hello.worker_class == "sync") return 1;
    }
    return slots_by_command(settings_.source.command).value_or(unknown);
}

void Pool::move(const Worker& worker, Generation& generation, WorkerState state) {
    if (!may_follow(generation.state, state)) return;
    generation.state = state;
    generation.since = Clock::now();
    log::debug("worker_state", {{"pool", settings_.name},
                                {"worker", worker.id},
                                {"generation", generation.number},
                                {"state", to_string(state)}});
    context_->journal.publish("worker", {{"pool", settings_.name},
                                         {"id", worker.id},
                                         {"generation", generation.number},
                                         {"state", to_string(state)},
                                         {"pid", generation.pid > 0 ? generation.pid : generation.agent_pid()}});
}

asio::awaitable<Pool::Readiness> Pool::make_ready(WorkerPtr worker, GenerationPtr generation, Duration bound) {
    const auto self = shared_from_this();
    const Instant deadline = Clock::now() + bound;
    const auto told = [self, generation] {
        return generation->ready || generation->gone() || !generation->agent || self->stopping();
    };
    // Listeners are open before the application is loaded: a probe would only wait in the backlog. Half of the time, since
    // an agent that cannot tell must not hide a worker that answers.
    co_await until(told, bound / 2);
    move(*worker, *generation, WorkerState::warming);
    if (!generation->memory.looked_at) co_await monitor_->look_closely(generation); // its limits hang on it
    // Who has no address of his own is asked through everybody's, as long as nobody is known to serve there.
    const bool others = std::ranges::any_of(
        workers_, [](const WorkerPtr& each) { return each->current && takes_requests(each->current->state); });
    const auto address = generation->address || others ? generation->address : source_->public_address();
    std::string problem = "no time was left for a request";
    Duration rest = first_probe_pause;
    while (!generation->gone() && !stopping()) {
        if (!address) co_return Readiness{true, "has started (it has no address of its own)"};
        const Duration left = deadline - Clock::now();
        if (left <= Duration::zero())
            co_return Readiness{false, "it did not answer a request in " + seconds_text(bound) + " (" + problem + ")"};
        const Question question = question_of(settings_.health);
        const Instant asked = Clock::now();
        const ProbeResult result =
            co_await probe(*address, generation->protocol, question, std::min(left, settings_.health.timeout));
        if (as_expected(settings_.health, result) && !generation->gone()) {
            generation->not_ready = {};
            co_return Readiness{true, "answered " + std::to_string(result.status) + " after " +
                                          seconds_text(Clock::now() - generation->born)};
        }
        problem = why_not_well(settings_.health, result);
        if (!result.answered && generation->address)
            if (const std::string why = why_out_of_reach(*address, *generation); !why.empty()) {
                problem = why;
                // At once: it will not change by itself.
                if (worker->trouble.find(why) == std::string::npos)
                    set_trouble(worker, worker->id + " is not ready: " + why);
            }
        if (!generation->gone()) tell_not_ready(*worker, *generation, problem, asked);
        co_await pause(std::min(left, rest));
        rest = std::min(rest * 2, longest_probe_pause);
    }
    if (stopping()) co_return Readiness{false, why_stopping()};
    co_return Readiness{false, "it ended before it answered" +
                                   (generation->exit ? ": " + generation->exit->text() : std::string{})};
}

// Whoever looks at the worker sees why at once. The log hears of it when it lasts, and then ever more seldom: many a server opens its
// listener a moment after it was started, and one that stays away is no news.
void Pool::tell_not_ready(const Worker& worker, Generation& generation, std::string why, Instant asked) {
    NotReady& known = generation.not_ready;
    const Instant now = Clock::now();
    if (known.why.empty()) {
        known.since = asked;
        known.pause = first_silence;
        known.tell_at = asked + first_silence;
    }
    known.why = std::move(why);
    if (now < known.tell_at) return;
    log::warn("worker_not_ready", {{"pool", settings_.name},
                                   {"worker", worker.id},
                                   {"generation", generation.number},
                                   {"process", generation.name_of_process()},
                                   {"why", known.why},
                                   {"seconds", std::chrono::duration<double>(now - known.since).count()}});
    known.pause = std::min(known.pause * 2, longest_silence);
    known.tell_at = now + known.pause;
}

asio::awaitable<void> Pool::attend(std::shared_ptr<Pool> self, WorkerPtr worker, GenerationPtr generation) {
    while (!generation->gone() && !self->stopping()) {
        const Readiness readiness =
            co_await self->make_ready(worker, generation, self->settings_.recycle.ready_timeout);
        if (generation->gone() || generation->ending || self->stopping()) co_return;
        if (readiness.ready) {
            log::info("worker_ready", {{"pool", self->settings_.name},
                                       {"worker", worker->id},
                                       {"generation", generation->number},
                                       {"process", generation->name_of_process()},
                                       {"how", readiness.text}});
            self->put_in_service(worker, generation);
            self->recycler_->healed();
            self->set_alert({});
            self->set_trouble(worker, {});
            co_return;
        }
        const std::string start = worker->id + " is not ready: ";
        const bool told = worker->trouble.starts_with(start) &&
                          readiness.text.find(worker->trouble.substr(start.size())) != std::string::npos;
        if (!told) self->set_trouble(worker, start + readiness.text); // else of the same cause, that was told at once
    }
}

void Pool::put_in_service(const WorkerPtr& worker, const GenerationPtr& generation) {
    if (generation->gone() || generation->key != 0) return;
    generation->slots = slots_of(*generation);
    if (generation->address) {
        net::Endpoint endpoint;
        endpoint.worker = worker->id;
        endpoint.address = *generation->address;
        endpoint.protocol = generation->protocol;
        endpoint.keep_alive = !one_request_a_connection(*generation);
        endpoint.idle_time = idle_time(settings_, *generation);
        generation->key = net_->add(std::move(endpoint), generation->slots);
        if (generation->process) net_->set_process(generation->key, generation->process->pid());
        monitor_->look(*generation);
        peaks_->joined(*generation);
    }
    generation->serving_since = Clock::now();
    move(*worker, *generation, WorkerState::serving);
    ++times_served_;
    worker->boot_failures = 0;
    if (worker->held) move(*worker, *generation, WorkerState::draining); // an operator's drain outlives the process
    update_acceptance(*worker, *generation);
    health_->watch(worker, generation);
    source_->serves(worker, generation);
}

void Pool::update_acceptance(const Worker& worker, const Generation& generation) {
    if (generation.key == 0) return;
    const bool accepts =
        takes_requests(generation.state) && !worker.held && !generation.said_bye && !generation.aside && !stopping();
    net_->accept(generation.key, accepts);
}

void Pool::take_out(Generation& generation) {
    if (generation.key == 0) return;
    generation.served = net_->requests(generation.key);
    net_->remove(generation.key);
    if (context_->surroundings.close_idle) context_->surroundings.close_idle(generation.key, [] {});
    generation.key = 0;
    HealthWatch::let_go(generation);
}

unsigned Pool::in_flight(const Generation& generation) const {
    const unsigned all = generation.key ? net_->in_flight(generation.key) : 0;
    return all - std::min(HealthWatch::holds_unheard(generation) ? 1U : 0U, all);
}

std::uint64_t Pool::requests(const Generation& generation) const {
    return generation.key ? net_->requests(generation.key) : generation.served;
}

} // namespace plimsoll::fleet
