// What memory admission promises whatever happens, over 10,000 seeds (seeds.hpp): small fleets with limits of their own and shared
// ones, labels of any need, readings that are late or missing, limits that move, workers that die, drain and come back, reloads,
// streams, clients that leave. Nobody is told what a request needs; the gate reads it.
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plimsoll/policy/gate.hpp"
#include "sim/seeds.hpp"

namespace plimsoll::sim {
namespace {

using namespace std::chrono_literals;
using Kind = Gate::Arrival::Kind;
using Verdict = MemoryAdmission::Verdict;

constexpr DomainKey most_domains = 3; // two cgroups and the host
constexpr Duration step_of_time = 10ms;

Bytes mebibytes(double amount) { return Bytes{static_cast<std::int64_t>(amount * (1 << 20))}; }

struct Label {
    double need = 0; // MiB at its peak
    Duration holds{};
    Priority priority = Priority::normal;
};
struct Machine { // one worker
    unsigned slots = 1;
    double rest = 20, highest = 0; // MiB
    std::array<DomainKey, most_shared> domains{};
    std::optional<double> limit;
    bool dead = false, accepting = true;
    Instant read_at{};
};
struct Asked {
    CostKey label = 0;
    Priority priority = Priority::normal;
    Instant arrived{}, deadline = never;
};
struct InFlight {
    Asked asked;
    WorkerKey worker = 0;
    Instant began{}, ends{};
    double need = 0;
};

class Storm {
public:
    explicit Storm(std::uint64_t seed) : random_(seed) {}

    std::string broken; // the first promise that broke
    unsigned served[priorities] = {}, refused[priorities] = {};
    Duration longest_wait{};

    double between(double low, double high) { return std::uniform_real_distribution<>(low, high)(random_); }
    unsigned upto(unsigned most) { return std::uniform_int_distribution<unsigned>(1, most)(random_); }
    bool odds(double share) { return between(0, 1) < share; }

    std::vector<Label> routes; // by label; [0] is nobody's
    Gate::Settings settings;
    double shared_limit = 400; // MiB, of each domain
    bool readings_fail = false, peaks_are_read = true;

    void configure() { gate_.configure(settings); }
    void add(Machine machine) {
        const WorkerKey key = ++last_key_;
        machine.highest = machine.rest;
        machines_[key] = machine;
        gate_.add(key, machine.slots, now_);
        observe(key);
        gate_.rose(now_, key, {mebibytes(machine.rest), mebibytes(machine.rest), true});
        gate_.accept(key, true, now_, events_);
        settle("add");
    }
    // What is known of labels, as after a restart.
    void know_all() {
        for (CostKey label = 1; label < routes.size(); ++label)
            gate_.costs().recall(label, mebibytes(routes[label].need));
    }

    // Arrivals for so long, `rate` a second; every so often something happens to the fleet.
    void blow(Duration length, double rate, double trouble) {
        double owed = 0;
        for (const Instant end = now_ + length; now_ < end && broken.empty();) {
            pass_time();
            for (owed += rate * to_seconds(step_of_time); owed >= 1; owed -= 1) {
                const auto label = static_cast<CostKey>(upto(static_cast<unsigned>(routes.size()) - 1));
                Asked asked{label, routes[label].priority, now_};
                if (trouble > 0 && odds(0.1)) asked.deadline = now_ + from_seconds(between(0.01, 0.5));
                arrive(asked);
            }
            while (broken.empty() && odds(trouble)) happen();
        }
    }
    // Nobody comes any more, and readings do.
    void calm_down() {
        readings_fail = false;
        settings = {};
        settings.breaker_mode = Mode::off;
        configure();
        while (!streams_.empty()) end_stream();
        for (auto& [key, machine] : machines_)
            if (!machine.dead) accept(key, true);
        for (DomainKey domain = 1; domain <= most_domains; ++domain) gate_.promised_elsewhere(domain, {});
        const Instant end = now_ + settings.queue_timeout + 2s;
        while ((!held_.empty() || !waiting_.empty()) && broken.empty()) {
            pass_time();
            if (now_ > end) broken = std::to_string(waiting_.size()) + " still wait and nobody works";
        }
        for (DomainKey domain = 1; domain <= most_domains; ++domain) {
            const MemoryAccount* account = gate_.memory().domain(domain);
            if (account && account->promised() != Bytes{}) broken = "a promise is left";
            if (gate_.promised_to_weighty(domain) != Bytes{}) broken = "a promise to somebody who needs much is left";
        }
    }
    // Everybody who comes alone is served: at once who needs little, and whoever fits within the half minute after which an estimate is
    // tried again. One who is refused comes back.
    void everybody_is_served_alone() {
        for (CostKey label = 1; label < routes.size() && broken.empty(); ++label) {
            const unsigned before = served[index(Priority::critical)];
            const Instant end = now_ + MemoryAdmission::try_again + settings.queue_timeout;
            while (served[index(Priority::critical)] == before && broken.empty()) {
                if (held_.empty() && waiting_.empty()) arrive({label, Priority::critical, now_});
                pass_time(waiting_.empty() ? step_of_time : Duration{250ms});
                if (now_ > end)
                    broken = "label " + std::to_string(label) + " of " + std::to_string(routes[label].need) +
                             " MiB is not served by an idle fleet";
            }
        }
    }

private:
    // Time, and what comes with it.
    void pass_time(Duration step = step_of_time) {
        now_ += step;
        std::erase_if(machines_,
                      [&](const auto& each) { return each.second.dead && gate_.in_flight(each.first) == 0; });
        for (std::size_t i = 0; i < held_.size() && broken.empty();) held_[i].ends <= now_ ? end(i) : void(++i);
        if (!readings_fail || odds(0.7)) read();
        const std::vector<Blocked> blocked = blocked_ones();
        const Ticket first = first_in_line();
        gate_.expire(now_, events_);
        overtaken(blocked);
        settle("expire");
        if (first != 0 && broken.empty()) has_no_room(first);
    }
    double held(const InFlight& each) const {
        const double part = to_seconds(now_ - each.began) * 3 / std::max(to_seconds(each.ends - each.began), 1e-3);
        return each.need * std::min(part, 1.0);
    }
    double used(WorkerKey worker) const {
        double sum = machines_.at(worker).rest;
        for (const InFlight& each : held_)
            if (each.worker == worker) sum += held(each);
        return sum;
    }
    void observe(WorkerKey key) {
        const Machine& machine = machines_.at(key);
        const double use = used(key);
        const bool known = !readings_fail || odds(0.9);
        gate_.observe(now_, key, known && machine.limit ? use / *machine.limit : -1,
                      {known ? std::optional(mebibytes(use)) : std::nullopt,
                       machine.limit ? std::optional(mebibytes(*machine.limit)) : std::nullopt, machine.domains});
    }
    void read() {
        std::array<double, most_domains + 1> sums{};
        for (auto& [key, machine] : machines_) {
            if (machine.dead) continue;
            const double use = used(key);
            machine.highest = std::max(machine.highest, use);
            for (const DomainKey domain : machine.domains) sums[domain] += use;
            if (!peaks_are_read) continue;
            if (gate_.strangers_run(now_, key)) gate_.shows(now_, key, mebibytes(use));
            if (!gate_.worth_reading(now_, key, machine.read_at, 1s)) continue;
            gate_.rose(now_, key, {mebibytes(machine.highest), mebibytes(use), gate_.quiet(now_, key)});
            machine.highest = use;
            machine.read_at = now_;
        }
        if (++reads_ % 10 != 0) return;
        for (const auto& [key, machine] : machines_)
            if (!machine.dead) observe(key);
        for (DomainKey domain = 1; domain <= most_domains; ++domain)
            gate_.observe_domain(domain,
                                 readings_fail && odds(0.1) ? std::nullopt : std::optional(mebibytes(sums[domain])),
                                 mebibytes(shared_limit));
        check("reading");
    }

    // Requests.
    void arrive(const Asked& asked) {
        const bool weighs = settings.memory_mode == Mode::enforce && needs(asked.label);
        const bool may_not = weighs && stands_behind_somebody(asked);
        Gate::Facts facts;
        facts.priority = asked.priority;
        facts.deadline = asked.deadline;
        facts.label = asked.label;
        facts.draw = between(0, 1);
        const auto arrival = gate_.arrive(now_, facts, events_);
        switch (arrival.kind) {
        case Kind::admitted:
            if (may_not) broken = "a newcomer with a need overtook one who waits for room";
            begin(asked, arrival.worker);
            break;
        case Kind::queued: waiting_[arrival.ticket] = asked; break;
        case Kind::refused: refuse(asked, arrival.reason, arrival.retry_after); break;
        }
        settle("arrive");
    }
    void begin(const Asked& asked, WorkerKey worker) {
        const Machine& machine = machines_.at(worker);
        if (machine.dead || !machine.accepting) broken = "a request was given to a worker that does not accept";
        const Label& route = routes[asked.label];
        const Duration holds = std::chrono::duration_cast<Duration>(route.holds * between(0.5, 1.5));
        held_.push_back({asked, worker, now_, now_ + holds, route.need * between(0.8, 1.0)});
        longest_wait = std::max(longest_wait, now_ - asked.arrived);
    }
    void refuse(const Asked& asked, Reason reason, Duration retry_after) {
        if (reason == Reason::none) broken = "a refusal without a reason";
        if (retry_after <= Duration::zero()) broken = "a refusal without a hint";
        if (reason == Reason::memory && settings.memory_mode == Mode::off) broken = "refused for what is switched off";
        ++refused[index(asked.priority)];
    }
    void end(std::size_t which, Outcome outcome = Outcome::success) {
        const InFlight done = held_[which];
        machines_[done.worker].highest = std::max(machines_[done.worker].highest, used(done.worker));
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(which));
        Gate::Departure departure(outcome);
        departure.label = done.asked.label;
        departure.took = now_ - done.began;
        if (readings_fail && odds(0.1) && gate_.become_stream(now_, done.worker, departure, events_))
            streams_.push_back(done.worker);
        else
            gate_.depart(now_, done.worker, departure, events_);
        if (outcome == Outcome::success) ++served[index(done.asked.priority)];
        settle("depart");
    }
    void end_stream() {
        gate_.end_stream(streams_.back());
        streams_.pop_back();
        check("end of a stream");
    }
    void settle(const char* when) {
        std::vector<Granted> granted;
        for (const Gate::Event& event : std::exchange(events_, {})) {
            const auto found = waiting_.find(event.ticket);
            if (found == waiting_.end()) {
                broken = "somebody was told twice";
                return;
            }
            const Asked asked = found->second;
            waiting_.erase(found);
            if (!event.granted) {
                refuse(asked, event.reason, event.retry_after);
                continue;
            }
            begin(asked, *event.granted);
            if (in_memory_line(event.ticket)) granted.push_back({asked, *event.granted});
        }
        no_lower_one_before_the_first(granted);
        check(when);
    }

    // What happens to a fleet.
    void happen() {
        switch (upto(10)) {
        case 1: die(); break;
        case 2:
            if (machines_.size() < 4) add(any_machine());
            break;
        case 3:
            if (const WorkerKey key = any()) accept(key, odds(0.7));
            break;
        case 4: // a reload
            settings.memory_mode = std::array{Mode::enforce, Mode::enforce, Mode::shadow, Mode::off}[upto(4) - 1];
            settings.overload_mode = std::array{Mode::enforce, Mode::shadow, Mode::off}[upto(3) - 1];
            settings.queue_size = odds(0.3) ? 4 : 60;
            configure();
            check("reload");
            break;
        case 5: shared_limit *= between(0.7, 1.4); break;
        case 6:
            if (const WorkerKey key = any()) {
                machines_[key] = moved(machines_[key]);
                observe(key);
                check("move");
            }
            break;
        case 7:
            gate_.promised_elsewhere(static_cast<DomainKey>(upto(most_domains)),
                                     mebibytes(odds(0.5) ? 0 : between(0, 200)));
            break;
        case 8:
            if (!waiting_.empty()) {
                gate_.leave(now_, waiting_.begin()->first);
                waiting_.erase(waiting_.begin());
                settle("leave");
            }
            break;
        case 9:
            if (!streams_.empty()) end_stream();
            break;
        case 10: // somebody else's memory, in the worker
            if (const WorkerKey key = any()) machines_[key].rest = between(10, 60);
            break;
        }
    }
    WorkerKey any() {
        std::vector<WorkerKey> alive;
        for (const auto& [key, machine] : machines_)
            if (!machine.dead) alive.push_back(key);
        return alive.empty() ? 0 : alive[upto(static_cast<unsigned>(alive.size())) - 1];
    }
    void accept(WorkerKey key, bool accepting) {
        machines_[key].accepting = accepting;
        gate_.accept(key, accepting, now_, events_);
        settle("accept");
    }
    // Its process is gone: the gate hears of that before or after its requests fail. Its successor is there at once.
    void die() {
        const WorkerKey key = any();
        if (key == 0) return;
        const bool first = odds(0.5);
        const auto remove = [&] {
            machines_[key].dead = true;
            gate_.remove(key);
            settle("remove");
        };
        if (first)
            remove();
        else
            accept(key, false);
        for (std::size_t i = 0; i < held_.size();) held_[i].worker == key ? end(i, Outcome::failure) : void(++i);
        if (!first) remove();
        Machine successor = machines_[key];
        successor.dead = false;
        successor.accepting = true;
        add(successor);
    }

public:
    Machine any_machine() {
        Machine machine;
        machine.slots = odds(0.2) ? 0 : upto(3);
        machine.rest = between(10, 40);
        return moved(machine);
    }

private:
    Machine moved(Machine machine) {
        machine.domains = {static_cast<DomainKey>(odds(0.3) ? 0 : upto(2)), static_cast<DomainKey>(odds(0.5) ? 0 : 3)};
        machine.limit = odds(0.5) ? std::optional(between(100, 300)) : std::nullopt;
        return machine;
    }

    // Promises.
    static bool in_memory_line(Ticket ticket) { return ticket % 2 == 0; } // gate.hpp: one sequence, odd and even
    bool needs(CostKey label) const { return gate_.memory().costs().expected(label) > gate_.memory().light(); }
    Verdict verdict(WorkerKey worker, const Asked& asked) const {
        return gate_.memory().ask(now_, *gate_.memory_of(worker), asked.label);
    }
    std::vector<WorkerKey> free_ones() const {
        std::vector<WorkerKey> free;
        for (const auto& [key, machine] : machines_)
            if (!machine.dead && machine.accepting && gate_.in_flight(key) - gate_.streams(key) < gate_.slots(key))
                free.push_back(key);
        return free;
    }

    // What is promised is what runs: of each worker, and of each limit that workers share.
    void check(const char* when) {
        if (!broken.empty()) return;
        const auto fail = [&](const std::string& what) { broken = what + " after: " + when; };
        std::array<Bytes, most_domains + 1> shared{};
        for (const auto& [key, machine] : machines_) {
            const auto in_flight = static_cast<unsigned>(
                std::ranges::count_if(held_, [key = key](const InFlight& each) { return each.worker == key; }));
            const auto open = static_cast<unsigned>(std::ranges::count(streams_, key));
            if (gate_.in_flight(key) != in_flight + open) return fail("the gate counts other requests than there are");
            if (machine.slots > 0 && in_flight > machine.slots) return fail("more permits than slots");
            const MemoryAdmission::Place* place = gate_.memory_of(key);
            if (!place) continue;
            const Bytes promised = place->running.promised();
            if (promised < Bytes{}) return fail("a negative promise");
            if (in_flight == 0 && promised != Bytes{}) return fail("nobody runs, and something is promised");
            if (place->own.promised() != promised) return fail("a worker's account is not what runs there");
            for (const DomainKey domain : place->domains) shared[domain] = shared[domain] + promised;
        }
        for (DomainKey domain = 1; domain <= most_domains; ++domain)
            if (const MemoryAccount* account = gate_.memory().domain(domain);
                account && account->promised() != shared[domain])
                return fail("a shared account is not what runs under it");
    }

    // The first of those who wait for room: nobody else's place in the line keeps him waiting.
    Ticket first_in_line() const {
        Ticket first = 0;
        for (const auto& [ticket, asked] : waiting_)
            if (in_memory_line(ticket) && asked.deadline > now_ &&
                (first == 0 || asked.priority < waiting_.at(first).priority))
                first = ticket;
        return first;
    }
    // After a tick at whose beginning he was the first. Judged with whoever has begun in it: there was more room before.
    void has_no_room(Ticket first) {
        const auto found = waiting_.find(first);
        if (found == waiting_.end() || first != first_in_line()) return;
        for (const WorkerKey key : free_ones())
            if (gate_.takes(key) > index(found->second.priority) && verdict(key, found->second) == Verdict::fits)
                broken = "somebody waits for room where there is some";
    }
    // In one call. Judged after all have begun: whoever is first and has room even now would have had it. Only where nobody before him
    // was served in the same call, at another worker.
    struct Granted {
        Asked asked;
        WorkerKey worker = 0;
    };
    void no_lower_one_before_the_first(const std::vector<Granted>& granted) {
        const Ticket first = granted.empty() ? 0 : first_in_line();
        if (first == 0) return;
        const Asked& him = waiting_.at(first);
        const auto lower = [&](const Granted& each) { return each.asked.priority > him.priority; };
        if (std::ranges::all_of(granted, lower) && std::ranges::any_of(granted, [&](const Granted& each) {
                return verdict(each.worker, him) == Verdict::fits;
            }))
            broken = "a lower priority was served while a higher one has room";
    }
    // Whom a need keeps waiting at a worker, before a call in which nobody leaves: nobody with a need may begin there before him.
    struct Blocked {
        Asked asked;
        WorkerKey worker = 0;
        Ticket ticket = 0;
    };
    std::vector<Blocked> blocked_ones() const {
        std::vector<Blocked> blocked;
        for (const auto& [ticket, asked] : waiting_)
            if (in_memory_line(ticket) && asked.deadline > now_ && needs(asked.label))
                for (const WorkerKey key : free_ones())
                    if (verdict(key, asked) == Verdict::full) blocked.push_back({asked, key, ticket});
        return blocked;
    }
    void overtaken(const std::vector<Blocked>& blocked) {
        const auto still_waits = [&](const Blocked& each) {
            return std::ranges::find(events_, each.ticket, &Gate::Event::ticket) == events_.end();
        };
        for (const Gate::Event& event : events_) {
            if (!event.granted || !in_memory_line(event.ticket)) continue;
            const Asked& granted = waiting_.at(event.ticket);
            for (const Blocked& each : blocked)
                if (each.worker == *event.granted && still_waits(each) && needs(granted.label) &&
                    each.ticket < event.ticket && each.asked.priority <= granted.priority &&
                    verdict(each.worker, each.asked) != Verdict::hopeless) // one of his label was let in alone just now
                    broken = "one who needs much was overtaken by another one";
        }
    }
    bool stands_behind_somebody(const Asked& newcomer) const {
        const std::vector<WorkerKey> free = free_ones();
        return std::ranges::any_of(waiting_, [&](const auto& each) {
            const Asked& asked = each.second;
            return in_memory_line(each.first) && asked.priority <= newcomer.priority && needs(asked.label) &&
                   std::ranges::any_of(free, [&](WorkerKey key) { return verdict(key, asked) == Verdict::full; });
        });
    }

    std::mt19937_64 random_;
    Gate gate_{Gate::Settings{}};
    Gate::Events events_;
    Instant now_{std::chrono::hours{1}};
    WorkerKey last_key_ = 0;
    std::map<WorkerKey, Machine> machines_; // with the dead
    std::vector<InFlight> held_;
    std::vector<WorkerKey> streams_;
    std::map<Ticket, Asked> waiting_;
    std::uint64_t reads_ = 0;
};

// Small fleets of any kind, in trouble for a second.
void any_storm(Storm& storm) {
    storm.settings.breaker_mode = Mode::off;
    storm.settings.queue_timeout = 1s;
    storm.settings.queue_size = 60; // so many the gate looks through
    storm.configure();
    storm.shared_limit = storm.between(150, 500);
    storm.routes.resize(2 + storm.upto(6));
    for (Label& route : storm.routes) {
        route.need = std::exp(storm.between(std::log(0.5), std::log(120)));
        route.holds = from_seconds(storm.between(0.005, 0.15));
        route.priority = static_cast<Priority>(storm.upto(priorities) - 1);
    }
    for (unsigned workers = storm.upto(3); workers > 0; --workers) storm.add(storm.any_machine());
    if (storm.odds(0.3)) storm.know_all();
    storm.readings_fail = true;
    storm.blow(1s, storm.between(20, 300), storm.between(0, 0.3));
}

// Every promise is checked after every step of it: the accounts, the line, the reasons.
TEST(MemoryInvariants, whatever_happens_and_after_it_an_idle_fleet_serves_everybody_whatever_he_needs) {
    for (std::uint64_t seed = 1; seed <= seeds(100); ++seed) {
        Storm storm(seed);
        any_storm(storm);
        if (storm.broken.empty()) storm.calm_down();
        if (storm.broken.empty()) storm.everybody_is_served_alone();
        ASSERT_EQ(storm.broken, "") << "seed " << seed;
    }
}

// Most of what is asked is critical, and all together it is at most half of the room and of the slots. What requests need is known,
// and stands: this is about the line, not about what is learned.
TEST(MemoryInvariants, below_the_room_critical_requests_do_not_starve_normal_ones) {
    std::uint64_t served = 0;
    for (std::uint64_t seed = 1; seed <= seeds(100); ++seed) {
        Storm storm(seed);
        storm.settings.breaker_mode = Mode::off;
        storm.configure();
        const unsigned workers = 1 + storm.upto(3);
        Machine machine;
        machine.slots = 1 + storm.upto(2);
        machine.domains = {1, 0};
        storm.shared_limit = storm.between(300, 800);
        const double room = storm.shared_limit * (1 - MemoryAccount::margin) - workers * machine.rest;
        storm.routes.resize(1 + 3 + storm.upto(3));
        double needed = 0, held = 0; // of the room and of the slots, by one request a second of each
        for (std::size_t label = 1; label < storm.routes.size(); ++label) {
            Label& route = storm.routes[label];
            route.need = label == 1 ? 1 : storm.between(0.05, 0.25) * room;
            route.holds = from_seconds(storm.between(0.01, 0.1));
            route.priority = label % 3 == 2 ? Priority::normal : Priority::critical;
            needed += route.need * to_seconds(route.holds) / room;
            held += to_seconds(route.holds) / (workers * machine.slots);
        }
        for (unsigned i = 0; i < workers; ++i) storm.add(machine);
        storm.know_all();
        storm.peaks_are_read = false;
        const double share = storm.between(0.1, 0.5);
        const auto labels = static_cast<double>(storm.routes.size() - 1);
        storm.blow(2s, share * labels / std::max(needed, held), 0);
        if (storm.broken.empty()) storm.calm_down();
        ASSERT_EQ(storm.broken, "") << "seed " << seed;
        served += storm.served[index(Priority::normal)];
        ASSERT_EQ(storm.refused[index(Priority::normal)], 0U) << "seed " << seed;
        ASSERT_LT(storm.longest_wait, 2s) << "seed " << seed;
    }
    EXPECT_GT(served, 10 * seeds(100));
}

} // namespace
} // namespace plimsoll::sim
