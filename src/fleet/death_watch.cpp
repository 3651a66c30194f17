#include "fleet/death_watch.hpp"

#include <utility>

#include "fleet/monitor.hpp"
#include "fleet/stacks_file.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration cause_wait = 1500ms;   // an arbiter reaps and speaks within its loop of one second
constexpr std::uint64_t told_apart = 100; // deaths of one loop: of further ones the verdict counts alone

bool cause_known(const Generation& generation) {
    return generation.exit && (generation.exit->code || generation.exit->signal);
}

std::string how_it_ended(const Generation& generation) {
    return generation.exit ? generation.exit->text() : "cause unknown";
}

void describe(Incident& incident, const Generation& generation, const Death& death) {
    incident.note(death.verdict);
    if (generation.boot_failed) incident.note("it failed while it loaded the application");
    if (death.out_of_memory)
        incident.note("the kernel's count of out-of-memory kills in " + generation.memory.cgroup->path + " rose from " +
                      std::to_string(*generation.memory.cgroup->oom_kills) + " to " +
                      std::to_string(death.out_of_memory_kills));
    incident.details["death"] = {
        {"code", nullptr}, {"signal", nullptr}, {"out_of_memory", death.out_of_memory}, {"in_flight", death.in_flight}};
    auto& told = incident.details["death"].as_object();
    if (generation.exit && generation.exit->code) told["code"] = *generation.exit->code;
    if (generation.exit && generation.exit->signal) told["signal"] = *generation.exit->signal;
}

asio::awaitable<void> keep_stacks(std::shared_ptr<Incident> incident, std::string stacks) {
    if (stacks.empty()) co_return;
    const std::string why_not = co_await incident->add_file("stacks-end.txt", std::move(stacks));
    if (why_not.empty()) incident->note("its faulthandler left the stacks of all threads: stacks-end.txt");
}

} // namespace

void DeathWatch::tell(const WorkerPtr& worker, const GenerationPtr& generation, unsigned lost) {
    spawn(pool_.context().control, "death of " + worker->id,
          tell_when_known(pool_.shared_from_this(), this, worker, generation, lost));
}

asio::awaitable<void> DeathWatch::tell_when_known(std::shared_ptr<Pool> pool, DeathWatch* self, WorkerPtr worker,
                                                  GenerationPtr generation, unsigned lost) {
    const auto known = [generation] { return cause_known(*generation); };
    co_await until(known, cause_wait);
    std::string stacks = co_await take_stacks(pool->context(), generation); // told or not, the file goes with it
    if (generation->serving_since == Instant{}) {
        self->tell_trouble(worker, *generation);
        // One that never served is told once, not at each of its server's attempts; before the first has served the alert
        // is enough, unless it left more to say.
        if (++worker->boot_failures > 1 || (!pool->served_once() && stacks.empty())) co_return;
    }
    const bool on_purpose = generation->said_bye || (generation->exit && generation->exit->code == 0);
    if (on_purpose && lost == 0) {
        log::info("worker_left", {{"pool", pool->settings().name},
                                  {"worker", worker->id},
                                  {"generation", generation->number},
                                  {"process", generation->name_of_process()},
                                  {"how", generation->exit ? generation->exit->text() : "it said goodbye"}});
        co_return;
    }
    ++self->count_;
    const auto kills = co_await pool->monitor().oom_kills_now(generation->memory.cgroup);
    const auto used = generation->memory.anon ? generation->memory.anon : generation->memory.rss;
    Death death = explain_death(worker->id, generation->name_of_process(), generation->exit, generation->memory.cgroup,
                                kills, used, lost);
    const bool had_served = generation->serving_since != Instant{};
    if (had_served && self->loop_.died(Clock::now()) != DeathLoop::News::apart)
        co_await self->tell_loop(pool, generation, std::move(death), std::move(stacks));
    else
        co_await self->tell_one(pool, worker, generation, std::move(death), std::move(stacks));
}

void DeathWatch::tell_trouble(const WorkerPtr& worker, const Generation& generation) {
    std::string why = worker->id + " ended before it served: " + how_it_ended(generation);
    if (generation.boot_failed) why += " (it failed while it loaded the application)";
    if (const std::string words = pool_.source().last_words_of(generation); !words.empty()) why += ": " + words;
    pool_.set_trouble(worker, std::move(why));
}

asio::awaitable<void> DeathWatch::tell_one(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                           Death death, std::string stacks) {
    const auto incident =
        pool->context().journal.open({pool->settings().name, worker->id, "death", death.verdict, generation->number});
    describe(*incident, *generation, death);
    co_await keep_stacks(incident, std::move(stacks));
    // The place heals by itself: the story ends when its successor serves, or when nobody came.
    const auto healed = [pool, worker, generation] {
        return pool->stopping() || (worker->current != generation && worker->serves());
    };
    if (co_await until(healed, pool->settings().recycle.ready_timeout) && !pool->stopping())
        incident->note(worker->id + " generation " + std::to_string(worker->current->number) + " (" +
                       worker->current->name_of_process() + ") serves in its place");
    else
        incident->note(pool->stopping() ? "Plimsoll stopped before another process took its place"
                                        : "no other process has taken its place yet");
    incident->close();
}

asio::awaitable<void> DeathWatch::tell_loop(std::shared_ptr<Pool> pool, GenerationPtr generation, Death death,
                                            std::string stacks) {
    const std::string& name = pool->settings().name;
    alert_ = "its workers die one after the other, " + std::to_string(loop_.deaths()) +
             " so far; the last: " + death.verdict;
    if (!incident_) {
        incident_ = pool->context().journal.open({name, "", "death", alert_, generation->number});
        has_stacks_ = false;
        incident_->note("the third death within a minute: those that follow are told here");
        spawn(pool->context().control, "deaths of " + name, await_end_of_loop(pool, this));
    } else
        incident_->verdict(alert_);
    pool->alert_changed(alert_);
    const auto incident = incident_;
    if (loop_.deaths() <= told_apart) describe(*incident, *generation, death);
    if (!std::exchange(has_stacks_, has_stacks_ || !stacks.empty())) co_await keep_stacks(incident, std::move(stacks));
}

asio::awaitable<void> DeathWatch::await_end_of_loop(std::shared_ptr<Pool> pool, DeathWatch* self) {
    const auto over = [pool, self] { return pool->stopping() || !self->loop_.open(Clock::now()); };
    while (!co_await until(over, std::chrono::hours{24})) {
    }
    const auto incident = std::exchange(self->incident_, nullptr);
    incident->note(pool->stopping() ? pool->why_stopping() : "nobody has died for a minute");
    incident->close();
    self->alert_.clear();
    pool->alert_changed({});
}

} // namespace plimsoll::fleet
