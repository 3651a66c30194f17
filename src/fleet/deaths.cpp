// How the pool learns that a worker died, and what it does then: the worker leaves net::Pool at once, so that no further
// request is sent to a socket that nobody serves; the story is told when its cause is known (death_watch.hpp).
#include <utility>

#include "fleet/death_watch.hpp"
#include "fleet/health_watch.hpp"
#include "fleet/pool.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration first_look = 100ms;   // after a goodbye: most end at once
constexpr Duration silence_step = 500ms; // between two looks at a worker whose agent hung up
constexpr int silent_looks = 3;          // unanswered in a row: dead
constexpr std::size_t dead_kept = 64;

} // namespace

void Pool::watch(const WorkerPtr& worker, const GenerationPtr& generation) {
    if (generation->key != 0) net_->set_process(generation->key, generation->process->pid());
    spawn(context_->control, "watch " + worker->id, watch_process(shared_from_this(), worker, generation));
}

asio::awaitable<void> Pool::watch_process(std::shared_ptr<Pool> self, WorkerPtr worker, GenerationPtr generation) {
    const std::shared_ptr<Process> process = generation->process;
    while (!co_await process->ended(std::chrono::hours{24})) {
    }
    // A static server may have come back with another process in the meantime: only the one that is held counts.
    if (generation->process != process) co_return;
    if (!generation->exit) generation->exit = process->exit();
    self->died(worker, generation);
}

void Pool::look_after(const WorkerPtr& worker, const GenerationPtr& generation) {
    if (std::exchange(generation->looked_after, true)) return;
    spawn(context_->control, "silence of " + worker->id, judge_silence(shared_from_this(), worker, generation));
}

// The agent of a generation said goodbye, or its connection is gone and its process cannot be seen:
//
//   goodbye --no requests--> somebody answers at the address --requests again--> done, where a process is held
//   silence ---------------> an answer: alive, its agent will dial again         done when it does
//                            three looks without one: dead                       never of a process that is held
//
// A server below our child replaces its workers behind one address (max_requests, a reload): the answer is the next one's.
// Without an address only the agent's return tells.
asio::awaitable<void> Pool::judge_silence(std::shared_ptr<Pool> self, WorkerPtr worker, GenerationPtr generation) {
    const auto settled = [self, generation] {
        const bool told = generation->process || generation->agent_connected(); // its end will be seen
        return generation->gone() || self->stopping() || (told && (!generation->said_bye || generation->ending));
    };
    int unanswered = 0;
    Duration rest = generation->said_bye ? first_look : silence_step;
    while (unanswered < silent_looks || generation->process || generation->agent_connected()) {
        if (co_await until(settled, rest)) break;
        rest = silence_step;
        bool answered = false;
        if (generation->address) {
            const Question question = question_of(self->settings_.health);
            const ProbeResult result =
                co_await probe(*generation->address, generation->protocol, question, self->settings_.health.timeout);
            answered = result.answered;
        }
        unanswered = answered || generation->agent_connected() ? 0 : unanswered + 1;
        if (!answered || !generation->said_bye || generation->gone()) continue;
        generation->said_bye = false;
        self->update_acceptance(*worker, *generation);
    }
    generation->looked_after = false;
    if (!settled()) self->died(worker, generation);
}

void Pool::died(const WorkerPtr& worker, const GenerationPtr& generation) {
    if (generation->gone()) return;
    const unsigned asked = HealthWatch::is_asked(*generation) ? 1 : 0; // a check is nobody's request
    const unsigned lost =
        in_flight(*generation) - std::min(asked, in_flight(*generation)) + net_->broken_off(generation->key);
    take_out(*generation);
    dead_.push_back(generation);
    if (dead_.size() > dead_kept) dead_.pop_front();
    const bool was_ending = generation->ending || stopping();
    const bool was_stuck = generation->state == WorkerState::stuck;
    move(*worker, *generation, was_ending ? WorkerState::gone : WorkerState::failed);
    if (was_ending) {
        // Whoever ends it knows what comes next; but nobody waits any more for one that was stuck.
        if (was_stuck && worker->current == generation && !stopping()) source_->vacated(worker);
        return;
    }
    // Nor is a recycle's successor that never served told here: its recycle tells of it, and gives it up.
    if (worker->in_recycle && generation != worker->current && generation->serving_since == Instant{}) return;
    deaths_->tell(worker, generation, lost);
    if (worker->current == generation && !worker->in_recycle) source_->vacated(worker); // else the recycle decides
}

} // namespace plimsoll::fleet
