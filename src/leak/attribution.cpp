#include "plimsoll/leak/attribution.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <utility>

#include "plimsoll/core/median.hpp"
#include "plimsoll/leak/sparse_fit.hpp"

namespace plimsoll::leak {

namespace {

constexpr unsigned reweightings = 8;
constexpr double gaussian = 1.4826;   // median absolute deviation to standard deviation
constexpr double least_spread = 1000; // bytes: memory is read in pages
constexpr double jump = 5;            // spreads: from here on an interval is no noise
constexpr double most_theta = 0.95;   // of noise that alternates: ten intervals of memory
constexpr std::size_t finalists = 24; // columns that a bootstrap chooses from
constexpr double open_from = 0.05;    // part of the bootstraps that choose a label which may leak, then
constexpr std::size_t fewest_resampled = 24, longest_block = 10; // of a bootstrap; intervals

using Life = std::vector<const Interval*>;

// What may grow memory: the background, all requests alike, and groups of labels, in this order.
struct Columns {
    std::vector<std::vector<std::size_t>> groups; // labels; empty: all requests
    std::vector<std::size_t> group_of;            // by label
    std::size_t count() const { return groups.size() + 1; }
    std::ptrdiff_t labelled() const {
        return static_cast<std::ptrdiff_t>(groups.size()) - (groups.back().empty() ? 1 : 0);
    }
};

struct Rows {
    std::size_t columns = 0;
    std::vector<double> cells, growth;
    std::vector<bool> starts; // a life begins here, or goes on after a jump
    std::size_t count() const { return growth.size(); }
    std::span<const double> row(std::size_t i) const { return {&cells[i * columns], columns}; }
};

double correlation(const std::vector<double>& a, const std::vector<double>& b) { // both centred
    const double aa = std::inner_product(a.begin(), a.end(), a.begin(), 0.0);
    const double bb = std::inner_product(b.begin(), b.end(), b.begin(), 0.0);
    return aa > 0 && bb > 0 ? std::inner_product(a.begin(), a.end(), b.begin(), 0.0) / std::sqrt(aa * bb) : 0;
}

std::vector<double> centred(std::vector<double> values) {
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    for (double& each : values) each -= mean;
    return values;
}

// Labels by how often they were asked; the rare ones are nobody's, and count for label 0.
Columns columns_of(const Life& rows, const AttributionSettings& settings) {
    const std::size_t labels = rows.front()->counts.size();
    std::vector<double> asked(labels);
    std::vector<std::vector<double>> counts(labels);
    std::vector<double> all;
    for (const Interval* row : rows) {
        for (std::size_t label = 0; label < labels; ++label) counts[label].push_back(row->counts[label]);
        std::ranges::transform(asked, row->counts, asked.begin(), std::plus<>());
        all.push_back(std::accumulate(row->counts.begin(), row->counts.end(), 0.0));
    }
    std::vector<std::size_t> order(labels);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t label) { return asked[label]; });

    Columns columns;
    columns.group_of.assign(labels, 0);
    columns.groups.push_back({0}); // the rest, for whoever has no column of his own
    std::vector<std::vector<double>> heads{centred(counts[0])};
    for (const std::size_t label : order) {
        if (label == 0) continue;
        if (asked[label] < settings.rare || columns.groups.size() >= settings.most_columns) {
            for (std::size_t i = 0; i < rows.size(); ++i) counts[0][i] += counts[label][i];
            continue;
        }
        auto own = centred(std::move(counts[label]));
        std::size_t same = 0;
        while (same < heads.size() && correlation(heads[same], own) < settings.alike) ++same;
        columns.group_of[label] = same;
        if (same < heads.size()) {
            columns.groups[same].push_back(label);
            continue;
        }
        columns.groups.push_back({label});
        heads.push_back(std::move(own));
    }
    heads[0] = centred(std::move(counts[0]));
    all = centred(std::move(all));
    const bool one_is_all =
        std::ranges::any_of(heads, [&](const auto& head) { return correlation(head, all) >= settings.alike; });
    if (!one_is_all) columns.groups.emplace_back();
    return columns;
}

// A group's count is that of its first label, the busiest: bytes are told for one request to each of them.
std::vector<double> row_of(const Interval& interval, const Columns& columns) {
    std::vector<double> row(columns.count());
    row[0] = 1;
    for (std::size_t label = 0; label < interval.counts.size(); ++label) {
        const std::size_t group = columns.group_of[label];
        const bool counts = group == 0 || columns.groups[group].front() == label;
        if (counts) row[group + 1] += interval.counts[label];
    }
    if (columns.groups.back().empty())
        row.back() = std::accumulate(interval.counts.begin(), interval.counts.end(), 0.0);
    return row;
}

Rows rows_of(const std::vector<Life>& lives, const Columns& columns) {
    Rows rows;
    rows.columns = columns.count();
    for (const Life& life : lives)
        for (const Interval* interval : life) {
            const auto row = row_of(*interval, columns);
            rows.cells.insert(rows.cells.end(), row.begin(), row.end());
            rows.growth.push_back(interval->growth);
            rows.starts.push_back(interval == life.front());
        }
    return rows;
}

// What a fit leaves of each row's growth.
std::vector<double> residuals_of(const Rows& rows, const SparseFit& fit) {
    std::vector<double> left = rows.growth;
    for (std::size_t i = 0; i < rows.count(); ++i)
        for (std::size_t c = 0; c < fit.chosen.size(); ++c) left[i] -= rows.row(i)[fit.chosen[c]] * fit.slopes[c];
    return left;
}

double spread_of(std::vector<double> residuals) {
    for (double& each : residuals) each = std::abs(each);
    return std::max(gaussian * median(std::move(residuals)), least_spread);
}

struct RobustFit {
    SparseFit fit;
    std::vector<double> weights;
    double spread = least_spread, price = 0;
    NormalEquations equations{0};
};

// Starts from the background alone. As routes are taken in the spread shrinks, and smaller ones show.
RobustFit fit_robustly(const Rows& rows, const AttributionSettings& settings) {
    const auto n = static_cast<double>(rows.count());
    RobustFit robust;
    robust.fit = {{0}, {std::max(median(rows.growth), 0.0)}};
    for (unsigned turn = 0; turn < reweightings; ++turn) {
        const auto residuals = residuals_of(rows, robust.fit);
        const double spread = spread_of(residuals);
        const bool settled = turn > 0 && std::abs(spread - robust.spread) < 0.01 * robust.spread;
        robust.spread = spread;
        if (settled) break;
        robust.weights.clear();
        robust.equations = NormalEquations(rows.columns);
        for (std::size_t i = 0; i < rows.count(); ++i) {
            robust.weights.push_back(std::min(1.0, settings.huber * spread / std::max(std::abs(residuals[i]), 1e-9)));
            robust.equations.add(rows.row(i), rows.growth[i], robust.weights.back());
        }
        robust.equations.complete();
        // Extended BIC: log n for a parameter, and twice log K for choosing it among K.
        robust.price = spread * spread * (std::log(n) + 2 * std::log(static_cast<double>(rows.columns)));
        robust.fit = fit_sparsely(robust.equations, robust.price, settings.most_shares);
    }
    return robust;
}

// Of e_i - theta * e_(i-1) the correlation of neighbours is -theta / (1 + theta^2). Jumps count like large noise.
double theta_of(const Rows& rows, const RobustFit& robust, double bound) {
    const auto residuals = residuals_of(rows, robust.fit);
    const auto clipped = [&](std::size_t i) {
        return std::clamp(residuals[i], -bound * robust.spread, bound * robust.spread);
    };
    double own = 0, neighbours = 0;
    for (std::size_t i = 0; i < rows.count(); ++i) {
        own += clipped(i) * clipped(i);
        if (!rows.starts[i]) neighbours += clipped(i) * clipped(i - 1);
    }
    const double r = own > 0 ? -neighbours / own : 0;
    const double chance = 2 / std::sqrt(static_cast<double>(rows.count()));
    if (r < chance) return 0;
    return r >= 0.5 ? most_theta : std::min((1 - std::sqrt(1 - 4 * r * r)) / (2 * r), most_theta);
}

Rows without_alternation(const Rows& rows, const RobustFit& robust, double theta) {
    const auto residuals = residuals_of(rows, robust.fit);
    Rows whole;
    whole.columns = rows.columns;
    bool starts = true;
    for (std::size_t i = 0; i < rows.count(); ++i) {
        starts = starts || rows.starts[i];
        if (std::abs(residuals[i]) > jump * robust.spread) {
            starts = true;
            continue;
        }
        const std::size_t before = whole.cells.size() - rows.columns;
        for (std::size_t c = 0; c < rows.columns; ++c)
            whole.cells.push_back(rows.row(i)[c] + (starts ? 0 : theta * whole.cells[before + c]));
        whole.growth.push_back(rows.growth[i] + (starts ? 0 : theta * whole.growth.back()));
        whole.starts.push_back(std::exchange(starts, false));
    }
    return whole;
}

// Columns that are chosen, or that would come next: the bootstrap chooses from them only, a hundred times.
std::vector<std::size_t> finalists_of(const RobustFit& robust) {
    std::vector<std::size_t> found = robust.fit.chosen;
    const auto take = [&](const std::vector<double>& gain) {
        std::vector<std::size_t> order(gain.size());
        std::iota(order.begin(), order.end(), 0);
        std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t column) { return gain[column]; });
        for (std::size_t i = 0; i < std::min(order.size(), finalists / 2); ++i)
            if (gain[order[i]] > 0 && std::ranges::find(found, order[i]) == found.end()) found.push_back(order[i]);
    };
    take(gains(robust.equations, {{0}, {0}}));
    take(gains(robust.equations, robust.fit));
    return found;
}

std::vector<NormalEquations> blocks_of(const Rows& rows, const RobustFit& robust,
                                       const std::vector<std::size_t>& columns) {
    const std::size_t length = std::clamp<std::size_t>(rows.count() / fewest_resampled, 1, longest_block);
    std::vector<NormalEquations> blocks;
    std::vector<double> row(columns.size());
    std::size_t held = 0;
    for (std::size_t i = 0; i < rows.count(); ++i) {
        if (held == 0 || held == length || rows.starts[i]) {
            blocks.emplace_back(columns.size());
            held = 0;
        }
        ++held;
        std::ranges::transform(columns, row.begin(), [&](std::size_t column) { return rows.row(i)[column]; });
        blocks.back().add(row, rows.growth[i], robust.weights[i]);
    }
    return blocks;
}

// Fills in what the shares' confidence and intervals are; gives the columns that may leak.
std::vector<std::size_t> bootstrap(const Rows& rows, const RobustFit& robust, const std::vector<double>& asked,
                                   const AttributionSettings& settings, std::uint64_t chance, Attribution& found) {
    std::vector<std::size_t> open;
    std::mt19937_64 random(chance);
    const auto columns = finalists_of(robust);
    const auto blocks = blocks_of(rows, robust, columns);
    std::vector<std::vector<double>> again(columns.size());
    unsigned first = 0;
    for (unsigned turn = 0; turn < settings.bootstraps; ++turn) {
        NormalEquations drawn(columns.size());
        for (std::size_t i = 0; i < blocks.size(); ++i) drawn.add(blocks[random() % blocks.size()]);
        drawn.complete();
        const SparseFit other = fit_sparsely(drawn, robust.price, settings.most_shares);
        double heaviest = 0;
        std::size_t heaviest_column = 0;
        for (std::size_t i = 1; i < other.chosen.size(); ++i) {
            const std::size_t finalist = other.chosen[i];
            again[finalist].push_back(other.slopes[i]);
            const double grown = other.slopes[i] * asked[columns[finalist]];
            if (grown > heaviest) heaviest_column = finalist;
            heaviest = std::max(heaviest, grown);
        }
        first += heaviest_column == 1 ? 1 : 0;
    }
    found.first = static_cast<double>(first) / settings.bootstraps;
    for (std::size_t i = 1; i < columns.size(); ++i)
        if (static_cast<double>(again[i].size()) >= open_from * settings.bootstraps) open.push_back(columns[i]);
    for (std::size_t i = 1; i < robust.fit.chosen.size(); ++i) {
        Share& share = found.shares[i - 1];
        share.confidence = static_cast<double>(again[i].size()) / settings.bootstraps;
        if (again[i].empty()) continue;
        std::ranges::sort(again[i]);
        share.low = std::min(again[i][again[i].size() / 40], share.bytes);
        share.high = std::max(again[i][again[i].size() - 1 - again[i].size() / 40], share.bytes);
    }
    return open;
}

// The heaviest first, behind the background.
void sort_by_growth(SparseFit& fit, const std::vector<double>& asked) {
    std::vector<std::pair<std::size_t, double>> both;
    for (std::size_t i = 1; i < fit.chosen.size(); ++i) both.emplace_back(fit.chosen[i], fit.slopes[i]);
    std::ranges::stable_sort(both, std::greater<>(), [&](const auto& each) { return each.second * asked[each.first]; });
    for (std::size_t i = 1; i < fit.chosen.size(); ++i) std::tie(fit.chosen[i], fit.slopes[i]) = both[i - 1];
}

void tell_open(const std::vector<std::size_t>& open, const Columns& columns, const std::vector<double>& asked,
               Attribution& found) {
    const double all = std::accumulate(asked.begin() + 1, asked.begin() + 1 + columns.labelled(), 0.0);
    double share = 0;
    for (const std::size_t column : open) {
        const auto& labels = columns.groups[column - 1];
        found.open.insert(found.open.end(), labels.begin(), labels.end());
        if (!labels.empty()) share += asked[column] / std::max(all, 1.0);
    }
    if (!found.open.empty()) found.open_share = share;
}

} // namespace

Attribution attribute(std::span<const Interval> intervals, const AttributionSettings& settings, std::uint64_t chance) {
    std::map<std::uint32_t, Life> by_worker;
    Life old;
    for (const Interval& interval : intervals) {
        if (interval.age < settings.young) continue;
        old.push_back(&interval);
        by_worker[interval.worker].push_back(&interval);
    }
    Attribution found;
    found.intervals = old.size();
    if (old.size() < std::max<std::size_t>(settings.least, 1)) return found;
    std::vector<Life> lives;
    lives.reserve(by_worker.size());
    for (auto& [worker, life] : by_worker) lives.push_back(std::move(life));

    const Columns columns = columns_of(old, settings);
    Rows rows = rows_of(lives, columns);
    RobustFit robust = fit_robustly(rows, settings);
    if (const double theta = theta_of(rows, robust, settings.huber); theta > 0) {
        rows = without_alternation(rows, robust, theta);
        robust = fit_robustly(rows, settings);
    }

    std::vector<double> asked(columns.count());
    for (const Interval* interval : old) {
        const auto row = row_of(*interval, columns);
        std::ranges::transform(asked, row, asked.begin(), std::plus<>());
    }
    sort_by_growth(robust.fit, asked);
    found.background = robust.fit.slopes.front();
    double explained = 0;
    for (std::size_t i = 1; i < robust.fit.chosen.size(); ++i) {
        const std::size_t column = robust.fit.chosen[i];
        const double bytes = robust.fit.slopes[i];
        found.shares.push_back({columns.groups[column - 1], bytes, bytes, bytes, bytes * asked[column], 1});
        explained += bytes * asked[column];
    }
    for (Share& share : found.shares) share.share /= std::max(explained, 1e-9);
    if (settings.bootstraps == 0) return found;
    const auto open = bootstrap(rows, robust, asked, settings, chance, found);
    tell_open(open, columns, asked, found);
    std::erase_if(found.shares, [&](const Share& share) { return share.confidence < settings.named_from; });
    return found;
}

bool sure(const Attribution& found) {
    constexpr double first_from = 0.95, width = 0.1;
    if (found.shares.empty() || found.first < first_from) return false;
    const Share& heaviest = found.shares.front();
    return heaviest.high - heaviest.low <= 2 * width * heaviest.bytes;
}

} // namespace plimsoll::leak
