#include "fleet/capture.hpp"

#include <algorithm>
#include <csignal>

#include "fleet/environment.hpp"
#include "fleet/json_fields.hpp"
#include "fleet/leak_watch.hpp"
#include "fleet/monitor.hpp"
#include "fleet/process_evidence.hpp"
#include "fleet/remote_agent.hpp"
#include "fleet/remote_python.hpp"
#include "fleet/stacks_file.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration phase_a_deadline = 3s; // its pause is 50 ms; the rest is waiting for its turn
constexpr Duration trace_start_deadline = 3s;
constexpr Duration trace_margin = 10s;   // until the agent ends a trace by itself that nobody stopped
constexpr Duration census_deadline = 3s; // it is counted while it serves, a little at a time
constexpr unsigned census_types = 200;
constexpr Duration ping_deadline = 1s;
constexpr int top_lines = 50;

} // namespace

Capture::Capture(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                 std::shared_ptr<Incident> incident)
    : pool_(std::move(pool)), worker_(std::move(worker)), generation_(std::move(generation)),
      incident_(std::move(incident)), room_(pool_->settings().capture.max_size.count) {}

asio::awaitable<bool> Capture::begin() {
    const auto self = shared_from_this();
    if (!pool_->settings().capture.enabled) {
        refusal_ = "[pool.capture] enabled is false";
        incident_->note("nothing is captured: " + refusal_);
        co_return false;
    }
    refusal_ = co_await incident_->why_no_capture();
    if (!refusal_.empty()) {
        incident_->capture_status("refused");
        incident_->note("the capture is refused: " + refusal_);
        co_return false;
    }
    incident_->capture_status("running");
    allowed_ = true;
    co_return true;
}

void Capture::missed(const std::string& what, const std::string& why) {
    ++missed_;
    incident_->note(what + " could not be captured: " + why);
}

asio::awaitable<bool> Capture::keep(std::string name, std::string content) {
    const auto self = shared_from_this();
    const auto size = static_cast<std::int64_t>(content.size());
    if (size > room_) {
        missed(name, "it would pass capture.max_size (" + to_string(pool_->settings().capture.max_size) + ")");
        co_return false;
    }
    room_ -= size;
    const std::string problem = co_await incident_->add_file(name, std::move(content));
    if (!problem.empty()) missed(name, problem);
    co_return problem.empty();
}

// One command to the agent; its files and its data go into the incident.
asio::awaitable<bool> Capture::ask(std::string command, boost::json::object args, Duration deadline, std::string what) {
    const auto self = shared_from_this();
    const auto agent = generation_->agent;
    if (!agent) co_return false;
    CommandResult result = co_await agent->command(command, std::move(args), deadline);
    for (AgentFile& file : result.files) co_await keep(file.name, std::move(file.content));
    add_answer(incident_->details, std::move(result.data));
    incident_->save_details();
    silent_ = result.error == "deadline";
    if (!result.ok)
        missed(what, result.error == "deadline" ? "the agent did not answer in time" : result.error);
    else if (!result.error.empty())
        missed("a part of " + what, result.error);
    co_return result.ok;
}

// What the proxy itself sees of the process.
asio::awaitable<void> Capture::own_numbers(std::string name) {
    const auto self = shared_from_this();
    co_await pool_->monitor().look_closely(generation_);
    const MemoryReading& memory = generation_->memory;
    boost::json::object numbers{
        {"anon_bytes", json_of(memory.anon)},        {"rss_bytes", json_of(memory.rss)},
        {"limit_bytes", json_of(memory.limit)},      {"source", memory.source},
        {"requests", pool_->requests(*generation_)}, {"in_flight", pool_->in_flight(*generation_)}};
    if (memory.rollup) {
        numbers["pss_bytes"] = memory.rollup->pss.count;
        numbers["uss_bytes"] = memory.rollup->uss.count;
        numbers["swap_bytes"] = memory.rollup->swap.count;
    }
    if (memory.cgroup) {
        numbers["cgroup"] = memory.cgroup->path;
        numbers["cgroup_usage_bytes"] = json_of(memory.cgroup->usage);
        numbers["cgroup_limit_bytes"] = json_of(memory.cgroup->limit);
    }
    if (co_await keep(name, boost::json::serialize(numbers))) ++taken_;
}

asio::awaitable<void> Capture::what_proc_tells(std::string name) {
    const auto self = shared_from_this();
    if (generation_->pid <= 0 || generation_->gone()) co_return;
    // Of a wrapper that started a Python, that one.
    auto read = [pid = generation_->pid] { return process_evidence(find_remote_python(pid).pid); };
    boost::json::object seen = co_await offload(*pool_->context().threads, std::move(read));
    if (seen.empty()) co_return;
    if (const auto* open = seen.if_contains("open")) incident_->details["open"] = *open;
    if (co_await keep(name, boost::json::serialize(seen))) ++taken_;
}

asio::awaitable<bool> Capture::have_agent() {
    const auto self = shared_from_this();
    if (!generation_->agent) {
        const std::string why_not = co_await attach_agent(pool_, generation_, false);
        if (!why_not.empty()) {
            if (std::exchange(why_no_agent_, why_not) != why_not)
                incident_->note(
                    "no agent is in the worker (pip install plimsoll-agent), and none could be put into it: " +
                    why_not + ". Only what the kernel tells is captured");
            co_return false;
        }
    }
    if (!generation_->agent_of_server() && !std::exchange(told_of_remote_, true))
        incident_->note("an agent was put into pid " + std::to_string(generation_->agent_pid()) +
                        " while it ran (sys.remote_exec)");
    co_return true;
}

asio::awaitable<void> Capture::trace_window(Duration at_most, unsigned requests, std::function<bool()> urgent,
                                            Duration stopped_within) {
    const auto self = shared_from_this();
    const config::Capture& settings = pool_->settings().capture;
    if (!allowed_ || !co_await have_agent() || !generation_->agent_connected()) co_return;
    const std::chrono::duration<double> longest = at_most + stopped_within + trace_margin;
    boost::json::object args{{"frames", settings.trace_frames}, {"seconds", longest.count()}};
    const MemoryReading& memory = generation_->memory;
    if (const auto used = memory.used(Clock::now(), pool_->settings().memory.stale_after); used && memory.limit)
        args["headroom"] = std::max(*memory.limit - *used, Bytes{}).count;
    tracing_ = co_await ask("trace_start", std::move(args), trace_start_deadline, "a trace");
    if (!tracing_) co_return;
    incident_->details.erase("cpu_seconds"); // an earlier window's
    note_growth();
    asked_before_ = pool_->leaks().asked(*generation_);
    const std::uint64_t begun = pool_->requests(*generation_);
    const auto enough = [self, begun, requests, urgent] {
        return self->generation_->gone() || self->pool_->stopping() || (urgent && urgent()) ||
               self->pool_->requests(*self->generation_) - begun >= requests;
    };
    co_await until(enough, at_most);
    traced_ = pool_->requests(*generation_) - begun;
    incident_->note("allocations were traced during " + std::to_string(traced_) + " requests");
}

void Capture::note_growth() {
    const std::optional<Growth> now = pool_->leaks().growth(*generation_);
    if (!now) return;
    if (growth_)
        growth_ = Growth{std::min(growth_->low, now->low), std::max(growth_->high, now->high), now->requests};
    else
        growth_ = now;
}

// Bytes that survive a window are no leak yet, a churning cache has them too: the agent claims a line only where its
// bytes a request agree with what the detector saw. Of a worker that is not known to grow it tells what there is.
// The worker's growth is that of thousands of requests: those of the window may have been others.
void Capture::tell_growth(boost::json::object& args) {
    args["requests"] = traced_;
    note_growth();
    if (!growth_) return;
    const auto by_routes = pool_->leaks().growth(*generation_, asked_before_, static_cast<double>(traced_));
    leaks_were_asked_ = !by_routes || by_routes->high > 0;
    Growth growth = *growth_;
    if (by_routes && by_routes->low > 0) {
        growth.low = std::min(growth.low, by_routes->low);
        growth.high = std::max(growth.high, by_routes->high);
    }
    args["growth"] = boost::json::object{{"low", growth.low}, {"high", growth.high}};
}

boost::json::object Capture::asked_in_window() const {
    return pool_->leaks().asked_since(*generation_, asked_before_, static_cast<double>(traced_));
}

Duration Capture::trace_cpu() const {
    const auto* told = incident_->details.if_contains("cpu_seconds");
    if (told == nullptr || !told->is_number()) return {};
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(told->to_number<double>()));
}

asio::awaitable<void> Capture::phase_a() {
    const auto self = shared_from_this();
    if (!allowed_) co_return;
    co_await own_numbers("memory-before.json");
    if (co_await have_agent()) {
        const bool told = co_await ask("capture_a", {}, phase_a_deadline, "the stacks");
        if (told) {
            ++taken_;
            co_return;
        }
    } else {
        ++missed_; // the stacks, and why is told
    }
    co_await what_proc_tells("process.json");
}

asio::awaitable<void> Capture::trace_stop() {
    const auto self = shared_from_this();
    if (!tracing_) co_return;
    tracing_ = false;
    if (!generation_->agent_connected()) co_return; // it stops by itself, or has ended
    boost::json::object args{{"top", top_lines}};
    tell_growth(args);
    boost::json::object asked = asked_in_window();
    if (co_await ask("trace_stop", std::move(args), pool_->settings().recycle.capture_timeout, "the trace")) {
        ++taken_;
        incident_->details["asked"] = std::move(asked); // the lines are of this window now
    }
}

asio::awaitable<void> Capture::phase_b(Duration bound, Afterwards afterwards) {
    const auto self = shared_from_this();
    if (!allowed_ || generation_->gone()) co_return;
    const Instant begun = Clock::now();
    command_done_ = pool_->settings().capture.command.empty();
    if (!command_done_)
        spawn(pool_->context().control, "capture command",
              run_command(self, std::min(bound, pool_->settings().capture.command_timeout)));
    boost::json::object args{{"trace", tracing_}, {"top", top_lines}, {"reprs", false}};
    if (afterwards == Afterwards::may_serve) args["serves_on"] = true; // it leaves frozen what was
    tell_growth(args);
    boost::json::object asked = asked_in_window();
    bool examined = co_await answers();
    if (examined) {
        boost::json::object sibling = co_await census_of_sibling();
        if (!sibling.empty()) args["sibling"] = std::move(sibling);
        const Duration left = std::max<Duration>(bound - (Clock::now() - begun), 0s);
        examined = co_await ask("capture_b", std::move(args), left, "the heap");
    }
    if (examined) ++taken_;
    if (examined && tracing_) incident_->details["asked"] = std::move(asked);
    tracing_ = false;
    const auto command_done = [self] { return self->command_done_; };
    co_await until(command_done, std::max<Duration>(bound - (Clock::now() - begun), 0s));
    if (!generation_->gone()) co_await own_numbers("memory-drained.json");
    if (!examined) co_await what_proc_tells("process-drained.json");
}

// What one has that leaks and one has not that does the same is the leak. The longest-lived: its caches are as full.
asio::awaitable<boost::json::object> Capture::census_of_sibling() {
    const auto self = shared_from_this();
    if (!LeakWatch::suspects(*generation_)) co_return boost::json::object{};
    GenerationPtr sibling;
    for (const WorkerPtr& worker : pool_->workers()) {
        const GenerationPtr& each = worker->current;
        if (worker == worker_ || !each || each->gone() || worker->in_capture || !takes_requests(each->state)) continue;
        if (!each->agent_connected() || LeakWatch::suspects(*each)) continue;
        if (!sibling || pool_->requests(*each) > pool_->requests(*sibling)) sibling = each;
    }
    if (!sibling) co_return boost::json::object{};
    boost::json::object args{{"types", census_types}};
    const CommandResult result = co_await sibling->agent->command("census", std::move(args), census_deadline);
    const auto* types = result.data.if_contains("types");
    if (!result.ok || types == nullptr || !types->is_object()) {
        log::debug("census_of_sibling_failed", {{"pool", pool_->settings().name}, {"error", result.error}});
        co_return boost::json::object{};
    }
    boost::json::object told = types->get_object();
    told["requests"] = pool_->requests(*sibling);
    if (const auto* frozen = result.data.if_contains("frozen")) told["frozen"] = *frozen;
    co_return told;
}

// An agent that was silent may be silent still (a stopped process, C code that holds the GIL): then its deadline is not
// waited for a second time. Now that its worker is drained it may also be back.
asio::awaitable<bool> Capture::answers() {
    const auto self = shared_from_this();
    if (!co_await have_agent()) co_return false;
    if (!silent_) co_return true;
    boost::json::object nothing;
    const CommandResult pong = co_await generation_->agent->command("ping", std::move(nothing), ping_deadline);
    if (!pong.ok) incident_->note("its agent is silent still: the heap is not captured");
    co_return pong.ok;
}

asio::awaitable<void> Capture::run_command(std::shared_ptr<Capture> self, Duration bound) {
    Pool& pool = *self->pool_;
    const GenerationPtr generation = self->generation_;
    const std::string directory = co_await self->incident_->directory();
    const int pid = generation->pid > 0 ? generation->pid : generation->agent_pid();
    const Placeholders values = {{"pid", std::to_string(pid)},
                                 {"worker", self->worker_->id},
                                 {"pool", pool.settings().name},
                                 {"directory", directory}};
    Command command;
    command.argv = fill(pool.settings().capture.command, values);
    command.capture_output = true;
    command.max_output = {std::min<std::int64_t>(command.max_output.count, self->room_)};
    std::string why_not;
    const auto child = Child::start(pool.context().control, command, why_not);
    if (!child) {
        self->missed("the capture command's output", why_not);
    } else {
        const bool ended = co_await child->ended(bound);
        if (!ended) {
            child->kill_group(SIGKILL);
            co_await child->ended(1s);
        }
        const auto exit = child->exit();
        if (!ended)
            self->missed("all of the capture command's output", "it did not end in capture.command_timeout");
        else if (exit && exit->code != 0)
            self->missed("all of the capture command's output", command.argv.front() + " ended with " + exit->text());
        if (!child->output().empty() && co_await self->keep("command.txt", child->output())) ++self->taken_;
    }
    self->command_done_ = true;
}

asio::awaitable<void> Capture::stacks_of_the_dead() {
    const auto self = shared_from_this();
    if (!generation_->agent) co_return;
    std::string stacks = co_await take_stacks(pool_->context(), generation_);
    if (stacks.empty() || !allowed_) co_return;
    if (co_await keep("stacks-end.txt", std::move(stacks))) {
        ++taken_;
        incident_->note("the worker's faulthandler left the stacks of all threads: stacks-end.txt");
    }
}

void Capture::finish() {
    if (!allowed_) return;
    incident_->capture_status(missed_ == 0 && taken_ > 0 ? "done" : taken_ > 0 ? "partial" : "failed");
    incident_->save_details();
}

} // namespace plimsoll::fleet
