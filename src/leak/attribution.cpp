#include "plimsoll/leak/attribution.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

namespace plimsoll::leak {

namespace {

constexpr unsigned reweightings = 15, descents = 200;
constexpr double settled = 1e-4;    // relative change at which a descent ends
constexpr double gaussian = 1.4826; // median absolute deviation to standard deviation

// Rows of groups' counts with a last column of ones (the background), and the growth of each.
struct Problem {
    std::size_t columns = 0;
    std::vector<double> cells, growth;
    std::size_t rows() const { return growth.size(); }
    const double* row(std::size_t i) const { return &cells[i * columns]; }
};

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// Weighted non-negative least squares on the normal equations, starting from the solution before.
void descend(const Problem& p, const std::vector<double>& weights, std::vector<double>& beta) {
    const std::size_t n = p.columns;
    std::vector<double> gram(n * n), target(n);
    for (std::size_t i = 0; i < p.rows(); ++i) {
        const double* x = p.row(i);
        for (std::size_t a = 0; a < n; ++a) {
            const double weighted = weights[i] * x[a];
            if (weighted == 0) continue;
            target[a] += weighted * p.growth[i];
            for (std::size_t b = a; b < n; ++b) gram[a * n + b] += weighted * x[b];
        }
    }
    for (std::size_t a = 0; a < n; ++a)
        for (std::size_t b = 0; b < a; ++b) gram[a * n + b] = gram[b * n + a];
    for (unsigned turn = 0; turn < descents; ++turn) {
        double change = 0, size = 0;
        for (std::size_t a = 0; a < n; ++a) {
            if (gram[a * n + a] <= 0) continue;
            double rest = target[a];
            for (std::size_t b = 0; b < n; ++b) rest -= gram[a * n + b] * beta[b];
            const double next = std::max(0.0, beta[a] + rest / gram[a * n + a]);
            change += std::abs(next - beta[a]) * std::sqrt(gram[a * n + a]);
            size += next * std::sqrt(gram[a * n + a]);
            beta[a] = next;
        }
        if (change <= settled * size) return;
    }
}

std::vector<double> solve(const Problem& p, double huber, unsigned turns) {
    std::vector<double> beta(p.columns), weights(p.rows(), 1.0), residuals(p.rows());
    for (unsigned turn = 0; turn < turns; ++turn) {
        descend(p, weights, beta);
        for (std::size_t i = 0; i < p.rows(); ++i)
            residuals[i] = p.growth[i] - std::inner_product(beta.begin(), beta.end(), p.row(i), 0.0);
        std::vector<double> sizes(residuals.size());
        std::ranges::transform(residuals, sizes.begin(), [](double r) { return std::abs(r); });
        const double bound = huber * std::max(gaussian * median(std::move(sizes)), 1e-9);
        for (std::size_t i = 0; i < p.rows(); ++i)
            weights[i] = std::min(1.0, bound / std::max(std::abs(residuals[i]), 1e-9));
    }
    return beta;
}

double correlation(std::span<const Interval* const> rows, std::size_t a, std::size_t b) {
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    for (const Interval* row : rows) {
        const double x = row->counts[a], y = row->counts[b];
        sa += x, sb += y, saa += x * x, sbb += y * y, sab += x * y;
    }
    const auto n = static_cast<double>(rows.size());
    const double va = saa - sa * sa / n, vb = sbb - sb * sb / n;
    return va > 0 && vb > 0 ? (sab - sa * sb / n) / std::sqrt(va * vb) : 0;
}

std::vector<std::vector<std::size_t>> groups_of(std::span<const Interval* const> rows, double alike) {
    std::vector<std::vector<std::size_t>> groups;
    for (std::size_t label = 0; label < rows.front()->counts.size(); ++label) {
        if (std::ranges::all_of(rows, [label](const Interval* row) { return row->counts[label] <= 0; })) continue;
        const auto same = std::ranges::find_if(
            groups, [&](const auto& group) { return correlation(rows, group.front(), label) >= alike; });
        if (same != groups.end())
            same->push_back(label);
        else
            groups.push_back({label});
    }
    return groups;
}

// A group's count is that of its busiest label: bytes are told for one request to each of them.
Problem problem_of(std::span<const Interval* const> rows, const std::vector<std::vector<std::size_t>>& groups) {
    Problem p;
    p.columns = groups.size() + 1;
    for (const Interval* row : rows) {
        for (const auto& group : groups) p.cells.push_back(row->counts[group.front()]);
        p.cells.push_back(1);
        p.growth.push_back(row->growth);
    }
    return p;
}

// Stretches of each worker's life, drawn with replacement until there are as many rows.
std::vector<const Interval*> draw(const std::vector<std::vector<const Interval*>>& stretches, std::size_t rows,
                                  std::mt19937_64& random) {
    std::vector<const Interval*> drawn;
    while (drawn.size() < rows) {
        const auto& stretch = stretches[random() % stretches.size()];
        drawn.insert(drawn.end(), stretch.begin(), stretch.end());
    }
    return drawn;
}

std::vector<std::vector<const Interval*>> stretches_of(std::span<const Interval* const> rows, std::size_t length) {
    std::map<std::uint32_t, std::vector<const Interval*>> lives;
    for (const Interval* row : rows) lives[row->worker].push_back(row);
    std::vector<std::vector<const Interval*>> stretches;
    for (const auto& [worker, life] : lives)
        for (std::size_t i = 0; i < life.size(); ++i) {
            if (i % length == 0) stretches.emplace_back();
            stretches.back().push_back(life[i]);
        }
    return stretches;
}

// Asks only about those that grow; with all labels it would take a hundred times as long.
void bootstrap(std::span<const Interval* const> rows, const std::vector<std::vector<std::size_t>>& active,
               const AttributionSettings& settings, std::uint64_t chance, Attribution& found) {
    std::mt19937_64 random(chance);
    std::vector<std::vector<double>> again(active.size());
    const auto stretches = stretches_of(rows, settings.stretch);
    for (unsigned turn = 0; turn < settings.bootstraps && !active.empty(); ++turn) {
        const auto drawn = draw(stretches, rows.size(), random);
        const std::vector<double> other = solve(problem_of(drawn, active), settings.huber, reweightings / 3);
        for (std::size_t g = 0; g < active.size(); ++g) again[g].push_back(other[g]);
    }
    for (std::size_t g = 0; g < active.size(); ++g) {
        if (again[g].empty()) continue;
        std::ranges::sort(again[g]);
        found.shares[g].low = again[g][again[g].size() / 30];
        found.shares[g].high = again[g][again[g].size() - 1 - again[g].size() / 30];
    }
}

// Noise makes some innocent routes seem to grow, at the cost of those that do, since none may shrink. Whom the bootstrap does
// not hold against zero is left out, and the bytes are found anew among the rest.
void refit(std::span<const Interval* const> rows, const AttributionSettings& settings, Attribution& found) {
    if (settings.bootstraps > 0) std::erase_if(found.shares, [](const Share& share) { return share.low <= 0; });
    std::vector<std::vector<std::size_t>> sure;
    for (const Share& share : found.shares) sure.push_back(share.labels);
    const std::vector<double> beta = solve(problem_of(rows, sure), settings.huber, reweightings);
    found.background = beta.back();
    double explained = 0;
    for (std::size_t g = 0; g < sure.size(); ++g) {
        Share& share = found.shares[g];
        const double moved = beta[g] - share.bytes;
        share.bytes = beta[g];
        share.low = std::max(0.0, share.low + std::min(moved, 0.0));
        share.high = std::max(share.high + std::max(moved, 0.0), share.bytes);
        share.share = 0;
        for (const Interval* row : rows) share.share += beta[g] * row->counts[share.labels.front()];
        explained += share.share;
    }
    for (Share& share : found.shares) share.share /= std::max(explained, 1e-9);
}

} // namespace

Attribution attribute(std::span<const Interval> intervals, const AttributionSettings& settings, std::uint64_t chance) {
    std::vector<const Interval*> rows;
    for (const Interval& interval : intervals)
        if (interval.age >= settings.young) rows.push_back(&interval);
    Attribution found;
    found.intervals = rows.size();
    if (rows.size() < settings.least) return found;

    const auto groups = groups_of(rows, settings.alike);
    const std::vector<double> beta = solve(problem_of(rows, groups), settings.huber, reweightings);
    std::vector<std::vector<std::size_t>> active;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        if (beta[g] <= 0) continue;
        found.shares.push_back({groups[g], beta[g]});
        active.push_back(groups[g]);
    }
    bootstrap(rows, active, settings, chance, found);
    refit(rows, settings, found);
    std::ranges::sort(found.shares, [](const Share& a, const Share& b) { return a.share > b.share; });
    return found;
}

} // namespace plimsoll::leak
