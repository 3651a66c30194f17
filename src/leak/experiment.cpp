#include "plimsoll/leak/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace plimsoll::leak {

namespace {

constexpr double room = 1.5; // of the workers that the home labels' share asks for, so that one of them is free

}

Experiment::Change Experiment::look(Instant now, const Settings& settings, const Sight& sight, std::uint64_t chance) {
    const bool wanted = settings.on && sight.suspected && sight.workers >= 2;
    if (!running_) {
        const bool failed = ended_ == End::spent || ended_ == End::slower;
        if (!wanted || !sight.ready || sight.sure || (failed && now - finished_ < settings.rest)) return Change::none;
        running_ = true;
        ended_ = End::none;
        epochs_ = 0;
        began_ = now;
        began_requests_ = requests_ = sight.requests;
        turn(sight, chance);
        return Change::began;
    }
    requests_ = sight.requests;
    if (!wanted) return end(now, End::over);
    if (sight.sure) return end(now, End::answered);
    if (sight.p99_risen) return end(now, End::slower);
    if (requests() >= settings.budget) return end(now, End::spent);
    if (sight.requests - turned_requests_ < std::uint64_t{epoch_requests} * sight.workers) return Change::none;
    if (sight.intervals - turned_intervals_ < std::uint64_t{epoch_intervals} * sight.workers) return Change::none;
    turn(sight, chance);
    return Change::turned;
}

void Experiment::turn(const Sight& sight, std::uint64_t chance) {
    const bool control = epochs_ % control_every == control_every - 1;
    salt_ = control ? 0 : chance | 1;
    turned_requests_ = sight.requests;
    turned_intervals_ = sight.intervals;
    ++epochs_;
}

Experiment::Change Experiment::end(Instant now, End how) {
    running_ = false;
    salt_ = 0;
    ended_ = how;
    finished_ = now;
    return Change::ended;
}

Lots draw_lots(std::uint64_t salt, std::size_t labels, std::span<const Candidate> open, std::size_t workers) {
    std::mt19937_64 random(salt);
    std::vector<Candidate> drawn(open.begin(), open.end());
    if (drawn.empty())
        for (std::size_t label = 0; label < labels; ++label) drawn.push_back({label, 1 / static_cast<double>(labels)});
    Lots lots;
    lots.home.resize(labels);
    // Half of them; of an odd number by lot the larger or the smaller part. Who leads is always among them.
    const std::size_t leads = open.empty() ? 0 : 1;
    std::ranges::shuffle(drawn.begin() + static_cast<std::ptrdiff_t>(leads), drawn.end(), random);
    const std::size_t half = std::max((drawn.size() + random() % 2) / 2, leads);
    double share = 0;
    for (std::size_t i = 0; i < half; ++i) {
        share += drawn[i].share;
        if (drawn[i].label < labels) lots.home[drawn[i].label] = true;
    }
    lots.homes.resize(workers);
    std::iota(lots.homes.begin(), lots.homes.end(), 0);
    std::ranges::shuffle(lots.homes, random);
    const double wanted = std::ceil(room * static_cast<double>(workers) * share);
    lots.homes.resize(std::clamp<std::size_t>(static_cast<std::size_t>(wanted), std::min<std::size_t>(workers, 1),
                                              std::max<std::size_t>(workers / 2, 1)));
    return lots;
}

std::string_view to_string(Experiment::End end) {
    switch (end) {
    case Experiment::End::none: break;
    case Experiment::End::answered: return "answered";
    case Experiment::End::spent: return "spent";
    case Experiment::End::slower: return "slower";
    case Experiment::End::over: return "over";
    }
    return "none";
}

} // namespace plimsoll::leak
