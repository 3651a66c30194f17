// Whatever happens in whatever order: once everybody has left, nothing is held any more.
#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "unit/policy/start.hpp"

namespace plimsoll {
namespace {

using namespace std::chrono_literals;
using Kind = Gate::Arrival::Kind;

// A gate, and what is owed to it.
class Ledger {
public:
    explicit Ledger(std::uint64_t seed) : random_(seed) {}

    void step() {
        now_ += std::chrono::microseconds{below(20'000)};
        switch (below(16)) {
        case 0: add(); break;
        case 1:
            if (!workers_.empty() && below(4) == 0) remove(below(workers_.size()));
            break;
        case 2:
            if (const auto worker = any()) gate_.accept(worker, below(4) != 0, now_, events_);
            break;
        case 3:
            if (const auto worker = any()) gate_.set_ailing(worker, below(3) == 0, now_, events_);
            break;
        case 4: check(); break;
        case 5: reload(); break;
        case 6: read(); break;
        case 7:
            if (const auto worker = any()) gate_.shows(now_, worker, mebibytes(below(300)));
            break;
        case 8:
            if (const auto worker = any())
                gate_.rose(now_, worker, {mebibytes(below(300)), mebibytes(below(200)), below(2) == 0});
            break;
        case 9:
            if (!waiting_.empty()) leave();
            break;
        case 10: gate_.expire(now_, events_); break;
        case 11:
            if (!streams_.empty()) end_stream();
            break;
        case 12:
        case 13:
            if (!held_.empty()) depart(below(held_.size()));
            break;
        default: arrive(); break;
        }
        settle();
        for (const auto& [worker, count] : requests_) ASSERT_EQ(gate_.in_flight(worker), count) << "worker " << worker;
    }

    void everybody_leaves() {
        while (!waiting_.empty()) leave(), settle();
        while (!held_.empty()) depart(0), settle();
        while (!streams_.empty()) end_stream();
        for (const WorkerKey worker : checked_) gate_.end_check(worker, now_, events_);
        settle();
        while (!held_.empty()) depart(0), settle();
        for (DomainKey domain = 1; domain <= 3; ++domain) {
            EXPECT_EQ(gate_.promised_to_weighty(domain), Bytes{});
            const MemoryAccount* account = gate_.memory().domain(domain);
            EXPECT_EQ(account ? account->promised() : Bytes{}, Bytes{}) << "domain " << domain;
        }
        // Who rested or was tripped comes back, whatever it was.
        now_ += 10min;
        for (const WorkerKey worker : workers_) {
            gate_.set_ailing(worker, false, now_, events_);
            gate_.accept(worker, true, now_, events_);
        }
        gate_.configure({.memory_mode = Mode::off});
        for (std::size_t i = 0; i < workers_.size(); ++i) {
            unsigned slots = gate_.slots(workers_[i]);
            for (; slots > 0; --slots) arrive(), settle();
        }
        for (const WorkerKey worker : workers_)
            EXPECT_GT(requests_[worker], 0U) << "nobody goes to " << worker << " any more";
        while (!held_.empty()) depart(0, Outcome::success), settle();
        while (!streams_.empty()) end_stream();
        while (!workers_.empty()) remove(0);
        EXPECT_TRUE(gate_.stats().workers.empty());
    }

private:
    static Bytes mebibytes(std::size_t amount) { return Bytes{static_cast<std::int64_t>(amount) << 20}; }
    struct Held {
        WorkerKey worker;
        RouteKey route;
        CostKey label;
        Gate::Probe probe;
        Instant since;
    };
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    WorkerKey any() { return workers_.empty() ? 0 : workers_[below(workers_.size())]; }

    void add() {
        if (workers_.size() >= 6) return;
        gate_.add(++last_, below(3) == 0 ? 0 : 1 + static_cast<unsigned>(below(4)), now_, below(6));
        gate_.accept(last_, true, now_, events_);
        workers_.push_back(last_);
        requests_[last_] = 0;
    }
    void remove(std::size_t which) {
        gate_.remove(workers_[which]);
        workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(which));
    }
    void check() {
        if (!checked_.empty() && below(2) == 0) {
            const WorkerKey worker = checked_.back();
            checked_.pop_back();
            --requests_[worker];
            gate_.end_check(worker, now_, events_);
        } else if (const auto worker = any(); worker && gate_.begin_check(worker, now_)) {
            checked_.push_back(worker);
            ++requests_[worker];
        }
    }
    void reload() {
        const auto mode = [&] { return std::array{Mode::off, Mode::shadow, Mode::enforce}[below(3)]; };
        Gate::Settings settings;
        settings.queue_size = 8;
        settings.most_streams = 3;
        settings.first_slots = 2;
        settings.memory_mode = mode();
        settings.adaptive_mode = mode();
        settings.breaker_mode = mode();
        settings.route_mode = mode();
        settings.health_mode = mode();
        settings.overload_mode = mode();
        settings.breaker.minimum = 4;
        gate_.configure(settings);
    }
    void read() {
        const auto domain = [&] { return static_cast<DomainKey>(below(4)); };
        const auto use = Bytes{static_cast<std::int64_t>(below(700)) << 20};
        if (below(3) == 0)
            gate_.observe_domain(domain(), below(4) == 0 ? std::nullopt : std::optional(use), 600_MiB);
        else if (const auto worker = any())
            gate_.observe(now_, worker, static_cast<double>(below(105)) / 100,
                          {use, below(3) == 0 ? std::nullopt : std::optional(600_MiB), {domain(), domain()}});
        if (below(3) == 0) gate_.promised_elsewhere(domain(), Bytes{static_cast<std::int64_t>(below(200)) << 20});
    }
    void arrive() {
        Gate::Facts facts;
        facts.priority = static_cast<Priority>(below(3));
        facts.draw = static_cast<double>(below(1000)) / 1000;
        facts.route = static_cast<RouteKey>(below(3));
        facts.label = static_cast<CostKey>(below(90));
        if (below(4) == 0) facts.deadline = now_ + std::chrono::milliseconds{below(200)};
        if (below(4) == 0 && any()) facts.avoid = any();
        const auto arrival = gate_.arrive(now_, facts, events_);
        if (arrival.kind == Kind::admitted) hold(arrival.worker, facts.route, facts.label, arrival.probe);
        if (arrival.kind == Kind::queued) waiting_[arrival.ticket] = {0, facts.route, facts.label, {}, {}};
    }
    void hold(WorkerKey worker, RouteKey route, CostKey label, Gate::Probe probe) {
        held_.push_back({worker, route, label, probe, now_});
        ++requests_[worker];
    }
    void depart(std::size_t which) {
        depart(which, std::array{Outcome::success, Outcome::failure, Outcome::timeout, Outcome::refused_upstream,
                                 Outcome::abandoned}[below(5)]);
    }
    void depart(std::size_t which, Outcome outcome) {
        const Held held = held_[which];
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(which));
        Gate::Departure departure(outcome);
        departure.took = now_ - held.since;
        departure.route = held.route;
        departure.label = held.label;
        departure.probe = held.probe;
        if (below(8) == 0) gate_.broke_off(now_, held.worker);
        if (below(4) == 0 && gate_.become_stream(now_, held.worker, departure, events_)) {
            streams_.push_back(held.worker);
            return;
        }
        --requests_[held.worker];
        gate_.depart(now_, held.worker, departure, events_);
    }
    void end_stream() {
        gate_.end_stream(streams_.back());
        --requests_[streams_.back()];
        streams_.pop_back();
    }
    void leave() {
        const auto who = waiting_.begin();
        gate_.leave(now_, who->first);
        waiting_.erase(who);
    }
    void settle() {
        const auto events = std::exchange(events_, {});
        for (const Gate::Event& event : events) {
            const auto found = waiting_.find(event.ticket);
            ASSERT_NE(found, waiting_.end()) << "told twice, or to nobody";
            const Held waited = found->second;
            waiting_.erase(found);
            if (event.granted) hold(*event.granted, waited.route, waited.label, event.probe);
        }
    }

    std::mt19937_64 random_;
    Gate gate_{Gate::Settings{}};
    Gate::Events events_;
    Instant now_ = start;
    WorkerKey last_ = 0;
    std::vector<WorkerKey> workers_, checked_, streams_;
    std::vector<Held> held_;
    std::map<Ticket, Held> waiting_;
    std::map<WorkerKey, unsigned> requests_; // in flight, with checks and streams
};

TEST(GateLedger, once_everybody_has_left_nothing_is_held) {
    for (std::uint64_t seed = 1; seed <= 100 && !::testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE(seed);
        Ledger ledger(seed);
        for (int i = 0; i < 2000 && !::testing::Test::HasFatalFailure(); ++i) ledger.step();
        if (!::testing::Test::HasFatalFailure()) ledger.everybody_leaves();
    }
}

} // namespace
} // namespace plimsoll
