#include "plimsoll/policy/homes.hpp"

#include <algorithm>

#include "plimsoll/policy/affinity.hpp"

namespace plimsoll {

std::span<Member* const> Homes::first(const Roster& roster, std::size_t bucket) {
    if (rankings_.empty()) rankings_.resize(affinity_buckets);
    Ranking& ranking = rankings_[bucket];
    if (ranking.as_of != roster.changes()) rank(roster, bucket, ranking);
    const auto end = std::ranges::find(ranking.first, nullptr);
    return std::span(ranking.first).first(static_cast<std::size_t>(end - ranking.first.begin()));
}

void Homes::rank(const Roster& roster, std::size_t bucket, Ranking& ranking) {
    ranking = {roster.changes(), {}};
    std::array<std::uint64_t, std::tuple_size_v<decltype(ranking.first)>> scores{};
    for (const auto& each : roster.all()) {
        const auto score = affinity_score(bucket, each->place);
        if (!each->accepting || score <= scores.back()) continue;
        auto to = scores.size() - 1;
        for (; to > 0 && scores[to - 1] < score; --to) {
            scores[to] = scores[to - 1];
            ranking.first[to] = ranking.first[to - 1];
        }
        scores[to] = score;
        ranking.first[to] = each.get();
    }
}

} // namespace plimsoll
