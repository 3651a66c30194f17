#include "fleet/health_watch.hpp"

#include <algorithm>
#include <cmath>

#include "config/values.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

namespace {

// Multiples of the golden ratio: however many workers there are, their shares of the interval lie apart.
double share_of_interval(unsigned number) {
    double whole;
    return std::modf(number * 0.6180339887498949, &whole);
}

bool asked(const Generation& generation) {
    return generation.key != 0 && generation.address && takes_requests(generation.state);
}

} // namespace

Question question_of(const config::Health& settings) {
    Question question;
    question.path = settings.path;
    question.method = settings.method;
    question.host = settings.host;
    return question;
}

bool as_expected(const config::Health& settings, const ProbeResult& result) {
    if (!result.answered) return false;
    const auto holds = [&](const std::string& text) {
        const auto range = config::parse_status_range(text);
        return range && range->holds(result.status);
    };
    return settings.expect.empty() || std::ranges::any_of(settings.expect, holds);
}

std::string why_not_well(const config::Health& settings, const ProbeResult& result) {
    if (!result.answered) return result.problem;
    std::string expected;
    for (const std::string& each : settings.expect) expected += (expected.empty() ? "" : ", ") + each;
    return "answered " + std::to_string(result.status) + ", and " + expected + " is expected";
}

bool HealthWatch::on() const { return pool_.settings().health.interval && pool_.settings().health.mode != Mode::off; }

void HealthWatch::watch(const WorkerPtr& worker, const GenerationPtr& generation) {
    if (!generation->address) return;
    if (!generation->health) generation->health = std::make_shared<HealthLife>(pool_.context().control);
    if (!on() || generation->health->watched) return;
    generation->health->watched = true;
    spawn(pool_.context().control, "health of " + worker->id,
          ask_again_and_again(pool_.shared_from_this(), worker, generation));
}

void HealthWatch::configure() {
    for (const WorkerPtr& worker : pool_.workers())
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation || generation->key == 0 || !generation->health) continue;
            generation->health->next.cancel();
            ++generation->health->settings_number;
            if (!on()) generation->health->health = Health{}; // nobody asks any more: innocent
            pool_.net().set_ailing(generation->key, !generation->health->health.healthy());
            watch(worker, generation);
        }
}

asio::awaitable<void> HealthWatch::ask_again_and_again(std::shared_ptr<Pool> pool, WorkerPtr worker,
                                                       GenerationPtr generation) {
    const std::shared_ptr<HealthLife> life = generation->health;
    const HealthWatch& self = pool->health();
    double share = share_of_interval(worker->number);
    while (self.on() && generation->key != 0 && !pool->stopping()) {
        const Duration interval = *pool->settings().health.interval;
        life->next.expires_after(std::chrono::duration_cast<Duration>(interval * std::exchange(share, 1.0)));
        const auto [ec] = co_await life->next.async_wait(as_result);
        if (ec || pool->stopping()) continue; // other settings, or the end
        if (asked(*generation)) co_await look(pool, worker, generation);
    }
    life->watched = false;
}

asio::awaitable<void> HealthWatch::look(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation) {
    HealthLife& life = *generation->health;
    HealthWatch& self = pool->health();
    const WorkerKey key = generation->key;
    const std::uint64_t before = std::exchange(life.successes, pool->net().successes(key));
    net::CheckSlot slot = pool->net().begin_check(key);
    if (!slot) {
        ++self.skipped_;
        if (life.successes > before) self.learn(*worker, *generation, Health::Seen::served);
        co_return;
    }
    const Question question = question_of(pool->settings().health);
    life.asking = true;
    const ProbeResult result =
        co_await probe(*generation->address, generation->protocol, question, pool->settings().health.timeout);
    life.asking = false;
    if (result.unheard && slot.of_told_slots() && generation->key == key)
        life.unheard = result.unheard;
    else
        slot.give_back();
    if (asked(*generation) && self.on())
        self.judge(*worker, *generation, result); // else it went: no matter what it said
    if (!life.unheard) co_return;
    co_await outlast(pool, worker, generation, result);
    slot.give_back();
    life.successes = pool->net().successes(key); // beside a check that hung: they are no word against it
}

// No other check begins: it would take another slot into the same silence. That goes on counting as if one had, as long as nobody
// else is answered well beside it, and until other settings ask for something else.
asio::awaitable<void> HealthWatch::outlast(std::shared_ptr<Pool> pool, WorkerPtr worker, GenerationPtr generation,
                                           ProbeResult silence) {
    HealthLife& life = *generation->health;
    const HealthWatch& self = pool->health();
    const unsigned settings_number = life.settings_number;
    const Instant last = Clock::now() + pool->settings().upstream.response_timeout;
    leave_off(*life.unheard);
    for (Instant now = Clock::now(); now < last; now = Clock::now()) {
        const std::uint64_t before = pool->net().successes(generation->key);
        const config::Health& settings = pool->settings().health;
        const Duration another = settings.interval.value_or(Duration{}) + settings.timeout;
        const bool is_heard = co_await heard(life.unheard, std::min<Duration>(another, last - now));
        if (is_heard || pool->stopping()) break;
        const bool serves = pool->net().successes(generation->key) > before;
        if (asked(*generation) && self.on() && !serves && life.settings_number == settings_number &&
            Clock::now() < last)
            pool->health().judge(*worker, *generation, silence);
    }
    boost::system::error_code ignored; // closed is closed
    life.unheard->close(ignored);
    life.unheard.reset();
}

void HealthWatch::judge(const Worker& worker, Generation& generation, const ProbeResult& result) {
    HealthLife& life = *generation.health;
    const config::Health& settings = pool_.settings().health;
    const bool passed = as_expected(settings, result);
    ++(passed ? passed_ : failed_);
    life.last = passed ? "answered " + std::to_string(result.status) : why_not_well(settings, result);
    life.last_at = std::chrono::system_clock::now();
    learn(worker, generation,
          passed            ? Health::Seen::passed
          : result.answered ? Health::Seen::refused
                            : Health::Seen::unanswered);
}

void HealthWatch::learn(const Worker& worker, Generation& generation, Health::Seen seen) {
    Health& health = generation.health->health;
    const config::Health& settings = pool_.settings().health;
    if (!health.record({.rise = settings.rise, .fall = settings.fall}, seen)) return;
    const std::string why =
        seen == Health::Seen::served ? "it answers requests again" : "its health check " + generation.health->last;
    log::write(health.healthy() ? config::LogLevel::info : config::LogLevel::warn,
               health.healthy() ? "worker_well" : "worker_ailing",
               {{"pool", pool_.settings().name},
                {"worker", worker.id},
                {"generation", generation.number},
                {"process", generation.name_of_process()},
                {"why", why},
                {"mode", config::to_string(settings.mode)}});
    pool_.context().journal.publish("health", {{"pool", pool_.settings().name},
                                               {"id", worker.id},
                                               {"generation", generation.number},
                                               {"healthy", health.healthy()},
                                               {"why", why}});
    pool_.net().set_ailing(generation.key, !health.healthy());
}

bool HealthWatch::ailing(const Generation& generation) {
    return generation.health && !generation.health->health.healthy();
}

bool HealthWatch::is_asked(const Generation& generation) { return generation.health && generation.health->asking; }

bool HealthWatch::holds_unheard(const Generation& generation) {
    return generation.health && generation.health->unheard;
}

void HealthWatch::let_go(const Generation& generation) {
    if (!holds_unheard(generation)) return;
    boost::system::error_code ignored; // closed is closed; the slot goes back when heard() sees it
    generation.health->unheard->close(ignored);
}

std::optional<HealthView> HealthWatch::view_of(const Generation& generation) {
    if (!generation.health || generation.key == 0 || !generation.health->watched) return std::nullopt;
    const HealthLife& life = *generation.health;
    HealthView view;
    view.healthy = life.health.healthy();
    view.row = life.health.row();
    view.last = life.last;
    if (!life.last.empty()) view.last_at = life.last_at;
    return view;
}

void HealthWatch::describe(PoolView& view) const {
    view.ailing = static_cast<unsigned>(std::ranges::count_if(
        pool_.workers(), [](const WorkerPtr& worker) { return worker->face() && ailing(*worker->face()); }));
    view.checks_passed = passed_;
    view.checks_failed = failed_;
    view.checks_skipped = skipped_;
}

} // namespace plimsoll::fleet
