#include "plimsoll/fleet/recycle_planner.hpp"

#include <algorithm>
#include <tuple>

namespace plimsoll {

namespace {

constexpr Duration hour = std::chrono::hours{1};
constexpr Duration soon = std::chrono::seconds{2}; // a typical recycle of an ordinary application

bool all_serve(std::span<const RecyclePlanner::Place> places) {
    return std::ranges::all_of(places, [](const auto& place) { return takes_requests(place.state); });
}

// By cause, then by pressure, of those with a wish for whom it is `allowed`.
template <class Allowed>
std::optional<WorkerKey> best_of(std::span<const RecyclePlanner::Place> places, const Allowed& allowed) {
    const RecyclePlanner::Place* best = nullptr;
    for (const RecyclePlanner::Place& place : places) {
        if (!place.wish || !allowed(place)) continue;
        if (!best || std::tuple(*place.wish, -place.pressure) < std::tuple(*best->wish, -best->pressure)) best = &place;
    }
    if (!best) return std::nullopt;
    return best->worker;
}

} // namespace

std::string_view to_string(RecycleCause cause) {
    switch (cause) {
    case RecycleCause::hard_limit: return "hard_limit";
    case RecycleCause::operator_request: return "operator";
    case RecycleCause::leak: return "leak";
    case RecycleCause::soft_limit: return "soft_limit";
    case RecycleCause::futile_shedding: return "futile_shedding";
    }
    return "unknown";
}

RecyclePlanner::RecyclePlanner(Settings settings) : settings_(settings), pause_(settings.first_pause) {}

void RecyclePlanner::configure(const Settings& settings) { settings_ = settings; }

unsigned RecyclePlanner::min_serving(std::size_t places) const {
    return settings_.min_serving.value_or(places > 0 ? static_cast<unsigned>(places - 1) : 0U);
}

unsigned RecyclePlanner::last_hour(Instant now) const {
    return static_cast<unsigned>(std::ranges::count_if(starts_, [&](Instant start) { return now - start < hour; }));
}

RecyclePlanner::Verdict RecyclePlanner::ask(Instant now, WorkerKey worker, std::span<const Place> places,
                                            bool successor_first) const {
    using Kind = Verdict::Kind;
    if (running_) return {Kind::busy, "another recycle of this pool is running", soon};
    if (settling_) return {Kind::busy, "a recycle that was running when Plimsoll ended is being settled", soon};
    const auto place = std::ranges::find(places, worker, &Place::worker);
    if (place == places.end()) return {Kind::not_serving, "the worker is gone", soon};
    if (!takes_requests(place->state) && place->state != WorkerState::draining)
        return {Kind::not_serving, "the worker is " + std::string(to_string(place->state)), soon};
    if (!alert_.empty()) {
        if (now < trial_at_) return {Kind::halted, "recycling is halted: " + alert_, trial_at_ - now};
        if (!successor_first && !all_serve(places))
            return {Kind::halted, "recycling is halted until every worker serves: " + alert_, soon};
    }
    if (last_hour(now) >= settings_.max_per_hour) {
        const auto oldest = std::ranges::find_if(starts_, [&](Instant start) { return now - start < hour; });
        const Duration wait = oldest == starts_.end() ? hour : *oldest + hour - now;
        return {Kind::hourly_limit, "max_per_hour (" + std::to_string(settings_.max_per_hour) + ") is reached", wait};
    }
    const std::size_t taken = successor_first || !takes_requests(place->state) || !place->accepts ? 0 : 1;
    const auto counts = [taken](const Place& p) { return takes_requests(p.state) && (p.accepts || taken == 0); };
    const auto serving = static_cast<std::size_t>(std::ranges::count_if(places, counts));
    const unsigned wanted = min_serving(places.size());
    if (serving < wanted + taken)
        return {Kind::below_min_serving,
                std::to_string(serving) + " of " + std::to_string(places.size()) + " workers serve; min_serving is " +
                    std::to_string(wanted),
                soon};
    return {};
}

std::optional<WorkerKey> RecyclePlanner::most_urgent(std::span<const Place> places) {
    return best_of(places, [](const Place&) { return true; });
}

std::optional<WorkerKey> RecyclePlanner::next(Instant now, std::span<const Place> places, bool successor_first) const {
    return best_of(places, [&](const Place& place) {
        return ask(now, place.worker, places, successor_first).kind == Verdict::Kind::go;
    });
}

void RecyclePlanner::started(Instant now, WorkerKey worker) {
    running_ = worker;
    while (!starts_.empty() && now - starts_.front() >= hour) starts_.pop_front();
    starts_.push_back(now);
}

void RecyclePlanner::finished(Instant now, bool ready, const std::string& why) {
    running_.reset();
    if (ready) return heal();
    alert_ = why.empty() ? "a successor did not become ready" : why;
    trial_at_ = now + pause_;
    pause_ = std::min(pause_ * 2, settings_.longest_pause);
}

void RecyclePlanner::abandoned() { running_.reset(); }

void RecyclePlanner::heal() {
    alert_.clear();
    pause_ = settings_.first_pause;
}

} // namespace plimsoll
