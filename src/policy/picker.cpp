#include "plimsoll/policy/picker.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "plimsoll/policy/affinity.hpp"

namespace plimsoll {

namespace {

constexpr std::size_t few = 32; // up to here every one is looked at

// An unknown pressure ranks in the middle: neither a reason to prefer a worker nor to spare it.
int pressure_step(double pressure) { return pressure < 0 ? 10 : static_cast<int>(std::min(pressure, 10.0) * 20); }

double digits_after(double draw, double scale) { // chance that the first draw left over
    double ignored;
    return std::modf(draw * scale, &ignored);
}

class Ranking {
public:
    Ranking(const PickWish& wish, Instant now) : wish_(wish), now_(now), patience_(digits_after(wish.draw, 1024)) {}

    auto of(const Member& member) const {
        double load = static_cast<double>(member.in_flight) / member.slots;
        if (wish_.side != Side::any && wish_.side != member.side) load += std::min(1.5 / member.slots, 0.9);
        return std::tuple(member.pressure >= wish_.load_line, cold(member) ? std::max(load, 1.0) : load,
                          pressure_step(member.pressure));
    }

private:
    bool cold(const Member& member) const {
        if (wish_.slow_start <= Duration::zero()) return false;
        const Duration age = now_ - member.accepting_since;
        return age < wish_.slow_start &&
               static_cast<double>(age.count()) < patience_ * static_cast<double>(wish_.slow_start.count());
    }
    const PickWish& wish_;
    Instant now_;
    double patience_;
};

bool wanted(const Member& member, const PickWish& wish) {
    return member.key != wish.avoid && member.takes >= wish.least_takes;
}

Member* best_of_all(std::span<Member* const> free, const PickWish& wish, const Ranking& rank) {
    Member* best = nullptr;
    std::size_t ties = 0;
    for (Member* each : free) {
        if (!wanted(*each, wish)) continue;
        if (!best || rank.of(*each) < rank.of(*best)) {
            best = each;
            ties = 1;
        } else if (rank.of(*each) == rank.of(*best)) {
            ++ties;
        }
    }
    if (!best || ties == 1) return best;
    auto chosen = static_cast<std::size_t>(wish.draw * static_cast<double>(ties));
    for (Member* each : free) {
        if (!wanted(*each, wish) || rank.of(*each) != rank.of(*best)) continue;
        if (chosen-- == 0) return each;
    }
    return best;
}

} // namespace

Member* home_of(const Roster& roster, std::uint64_t key, const PickWish& wish) {
    const std::size_t in_flight = roster.in_flight(), workers = roster.accepting();
    const bool all_high = roster.lowest_pressure() >= wish.load_line;
    const auto fits = [&](const Member& each) {
        return each.free_at != Member::npos && wanted(each, wish) &&
               each.in_flight < affinity_bound(in_flight, workers, each.slots);
    };
    struct Best {
        Member* member = nullptr;
        std::uint64_t score = 0;
    } low, high; // below the load line, or above
    for (const auto part : roster.from(affinity_spot(key)))
        for (const auto& spot : part) {
            const auto score = affinity_score(key, spot.place);
            if (score <= low.score || !fits(*spot.member)) continue; // few need a look at the worker itself
            Best& best = all_high || spot.member->pressure < wish.load_line ? low : high;
            if (score > best.score) best = {spot.member, score};
        }
    return low.member ? low.member : high.member;
}

Member* pick(std::span<Member* const> free, const PickWish& wish, Instant now) {
    const Ranking rank(wish, now);
    if (free.size() <= few) return best_of_all(free, wish, rank);
    const auto size = static_cast<double>(free.size());
    Member* first = free[static_cast<std::size_t>(wish.draw * size)];
    Member* second = free[static_cast<std::size_t>(digits_after(wish.draw, size) * size)];
    if (!wanted(*first, wish) || !wanted(*second, wish)) {
        const auto other = std::ranges::find_if(free, [&](const Member* each) { return wanted(*each, wish); });
        if (other == free.end()) return nullptr;
        if (!wanted(*first, wish)) first = *other;
        if (!wanted(*second, wish)) second = *other;
    }
    return rank.of(*second) < rank.of(*first) ? second : first;
}

} // namespace plimsoll
