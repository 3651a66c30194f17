#include "sim/await_sim.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <queue>
#include <random>
#include <unordered_map>

#include "sim/quantile.hpp"

namespace plimsoll::sim {

namespace {

using namespace std::chrono_literals;

constexpr WorkerKey the_worker = 1;
constexpr Duration reactor_tick = 10ms;  // as the reactor's, while somebody waits
constexpr Duration after_refusal = 50ms; // a closed loop asks again

class Loop {
public:
    explicit Loop(const AwaitSettings& settings) : settings_(settings), random_(settings.seed), gate_(settings.gate) {
        report_.groups.resize(settings.groups.size());
    }

    AwaitReport run() {
        Gate::Events events;
        gate_.add(the_worker, 0, now_);
        gate_.accept(the_worker, true, now_, events);
        for (std::size_t i = 0; i < settings_.groups.size(); ++i) {
            const Clients& group = settings_.groups[i];
            for (unsigned client = 0; client < group.count; ++client)
                at(group.from + 1ms * draw(), [=, this] { ask(i); });
            if (group.rate > 0) at(group.from, [=, this] { next_of_open(i); });
        }
        at(reactor_tick, [this] { expire(); });
        at(100ms, [this] { sample(); });
        while (!agenda_.empty() && agenda_.top().at <= start_ + settings_.length) {
            const Event event = agenda_.top();
            agenda_.pop();
            now_ = event.at;
            event.happens();
        }
        for (GroupReport& group : report_.groups) std::ranges::sort(group.latency);
        return std::move(report_);
    }

private:
    struct Event {
        Instant at;
        std::uint64_t order;
        std::function<void()> happens;
        bool operator<(const Event& other) const { return std::pair(at, order) > std::pair(other.at, other.order); }
    };
    struct Request {
        std::size_t group;
        Instant asked, admitted{};
    };

    void at(auto after, std::function<void()> happens) {
        agenda_.push({now_ + std::chrono::duration_cast<Duration>(after), ++order_, std::move(happens)});
    }
    double draw() { return std::uniform_real_distribution<>(0, 1)(random_); }
    const Clients& group(const Request& request) const { return settings_.groups[request.group]; }
    bool asks(const Clients& group) const { return now_ < start_ + group.to; }

    void next_of_open(std::size_t i) {
        const Clients& group = settings_.groups[i];
        if (!asks(group)) return;
        at(from_seconds(std::exponential_distribution<>(group.rate)(random_)), [=, this] {
            ask(i);
            next_of_open(i);
        });
    }

    void ask(std::size_t i) {
        if (!asks(settings_.groups[i])) return;
        Gate::Events events;
        Gate::Facts facts;
        facts.draw = draw();
        const Request request{i, now_};
        const auto arrival = gate_.arrive(now_, facts, events);
        switch (arrival.kind) {
        case Gate::Arrival::Kind::admitted: begin(request); break;
        case Gate::Arrival::Kind::queued: waiting_.emplace(arrival.ticket, request); break;
        case Gate::Arrival::Kind::refused: refuse(request); break;
        }
        tell(events);
    }

    void tell(const Gate::Events& events) {
        for (const auto& event : events) {
            const auto found = waiting_.extract(event.ticket);
            event.reason == Reason::none ? begin(found.mapped()) : refuse(found.mapped());
        }
    }

    void refuse(const Request& request) {
        ++report_.groups[request.group].refused;
        if (group(request).count > 0) at(after_refusal, [this, i = request.group] { ask(i); });
    }

    void begin(Request request) {
        request.admitted = now_;
        const Clients& of = group(request);
        const Duration spread = std::max(of.awaits_up_to - of.awaits, Duration::zero());
        at(of.awaits + spread * draw(), [=, this] {
            if (group(request).computes == Duration::zero()) return end(request);
            line_.push_back(request);
            compute();
        });
    }

    void compute() {
        if (line_.empty() || computing_ == settings_.width) return;
        ++computing_;
        const Request request = line_.front();
        line_.pop_front();
        at(group(request).computes, [=, this] {
            --computing_;
            end(request);
            compute();
        });
    }

    void end(const Request& request) {
        GroupReport& of = report_.groups[request.group];
        ++of.answered;
        of.latency.push_back(to_seconds(now_ - request.asked) * 1e3);
        Gate::Departure departure(Outcome::success);
        departure.took = now_ - request.admitted;
        Gate::Events events;
        gate_.depart(now_, the_worker, departure, events);
        tell(events);
        if (group(request).count > 0) at(Duration{}, [this, i = request.group] { ask(i); });
    }

    void expire() {
        Gate::Events events;
        gate_.expire(now_, events);
        tell(events);
        at(reactor_tick, [this] { expire(); });
    }
    void sample() {
        report_.limits.push_back(gate_.slots(the_worker));
        at(100ms, [this] { sample(); });
    }

    const AwaitSettings& settings_;
    std::mt19937_64 random_;
    Gate gate_;
    const Instant start_{1h};
    Instant now_ = start_;
    std::priority_queue<Event> agenda_;
    std::uint64_t order_ = 0;
    std::unordered_map<Ticket, Request> waiting_;
    std::deque<Request> line_; // for the processor
    unsigned computing_ = 0;
    AwaitReport report_;
};

} // namespace

double GroupReport::quantile(double q) const {
    return latency.empty() ? 0 : latency[static_cast<std::size_t>(q * static_cast<double>(latency.size() - 1))];
}

AwaitReport run(const AwaitSettings& settings) { return Loop(settings).run(); }

} // namespace plimsoll::sim
