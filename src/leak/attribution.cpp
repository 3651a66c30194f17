#include "plimsoll/leak/attribution.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <utility>

#include "plimsoll/core/median.hpp"
#include "plimsoll/leak/growth_rows.hpp"
#include "plimsoll/leak/sparse_fit.hpp"

namespace plimsoll::leak {

namespace {

constexpr unsigned reweightings = 8;
constexpr double gaussian = 1.4826;          // median absolute deviation to standard deviation
constexpr double least_spread = 1000;        // bytes: memory is read in pages
constexpr double jump = 5;                   // spreads: from here on an interval is no noise
constexpr double most_theta = 0.98;          // of noise that alternates: fifty intervals of memory
constexpr std::size_t fewest_of_a_kind = 20; // rows, that tell a spread of their own
constexpr std::size_t finalists = 24;        // columns that a bootstrap chooses from
constexpr double most_held_fast = 2;
constexpr double peeking = 1.1;    // wider: the answer is looked at again and again until it seems sure
constexpr double beyond_price = 2; // standard deviations: what would be taken in nearly always
constexpr double open_from = 0.05; // part of the bootstraps that choose a label which may leak, then
constexpr std::size_t fewest_resampled = 24, longest_block = 10; // of a bootstrap; intervals

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

// Of each row: readings at rest are more exact, and count for more.
std::vector<double> spreads_of(const Rows& rows, const std::vector<double>& residuals) {
    std::vector<double> calm, noisy;
    for (std::size_t i = 0; i < rows.count(); ++i) (rows.noisy[i] ? noisy : calm).push_back(residuals[i]);
    const double all = spread_of(residuals);
    if (std::min(calm.size(), noisy.size()) < fewest_of_a_kind) return std::vector<double>(rows.count(), all);
    const double low = spread_of(std::move(calm)), high = std::max(spread_of(std::move(noisy)), low);
    std::vector<double> spreads;
    for (std::size_t i = 0; i < rows.count(); ++i) spreads.push_back(rows.noisy[i] ? high : low);
    return spreads;
}

struct RobustFit {
    SparseFit fit;
    std::vector<double> weights, spreads; // by row
    double spread = least_spread, price = 0;
    // By how much a fit with these weights, drawn anew, varies less than one that would weigh anew: E w / E psi' (Huber 1981).
    double held_fast = 1;
    NormalEquations equations{0};
};

// Starts from the background alone. As routes are taken in the spread shrinks, and smaller ones show. But what several routes leak
// together may be worth nothing while the others are missing. So it is tried a second time, `generous` at first: the spread of
// a fit that takes whatever helps is never too large, and those that are not worth their price go again.
RobustFit fit_from(const Rows& rows, const AttributionSettings& settings, bool generous) {
    const auto n = static_cast<double>(rows.count());
    RobustFit robust;
    robust.fit = {{0}, {std::max(median(rows.growth), 0.0)}};
    for (unsigned turn = 0; turn < reweightings; ++turn) {
        const auto residuals = residuals_of(rows, robust.fit);
        robust.spreads = spreads_of(rows, residuals);
        const double spread = *std::ranges::min_element(robust.spreads); // of the most exact rows, which weigh 1
        const bool settled = turn > 0 && std::abs(spread - robust.spread) < 0.01 * robust.spread;
        robust.spread = spread;
        if (settled) break;
        robust.weights.clear();
        double weight = 0, unbent = 0;
        robust.equations = NormalEquations(rows.columns);
        for (std::size_t i = 0; i < rows.count(); ++i) {
            const double own = robust.spreads[i], exact = spread / own;
            const double believed = std::min(1.0, settings.huber * own / std::max(std::abs(residuals[i]), 1e-9));
            robust.weights.push_back(exact * exact * believed);
            robust.equations.add(rows.row(i), rows.growth[i], robust.weights.back());
            weight += robust.weights.back();
            unbent += believed < 1 ? 0 : exact * exact;
        }
        robust.held_fast = weight / std::max(unbent, weight / most_held_fast);
        robust.equations.complete();
        // Extended BIC: log n for a parameter, and twice log K for choosing it among K.
        robust.price = spread * spread * (std::log(n) + 2 * std::log(static_cast<double>(rows.columns)));
        robust.fit = fit_sparsely(robust.equations, generous && turn == 0 ? 0 : robust.price, settings.most_shares);
    }
    return robust;
}

// BIC, of what is left unexplained and of the columns that it takes. Three rows of four must be explained: of half of them any few
// columns can make as good as nothing.
double cost_of(const Rows& rows, const RobustFit& robust) {
    std::vector<double> left = residuals_of(rows, robust.fit);
    for (double& each : left) each = std::abs(each);
    const auto quartile = left.begin() + static_cast<std::ptrdiff_t>(3 * left.size() / 4);
    std::ranges::nth_element(left, quartile);
    const auto n = static_cast<double>(rows.count());
    const double each = std::log(n) + 2 * std::log(static_cast<double>(rows.columns));
    return 2 * n * std::log(std::max(*quartile, least_spread)) + each * static_cast<double>(robust.fit.chosen.size());
}

RobustFit fit_robustly(const Rows& rows, const AttributionSettings& settings) {
    RobustFit modest = fit_from(rows, settings, false), generous = fit_from(rows, settings, true);
    return cost_of(rows, generous) < cost_of(rows, modest) ? generous : modest;
}

// Of e_i - theta * e_(i-1) the correlation of neighbours is -theta / (1 + theta^2). Jumps count like large noise. Rows that begin
// at a reading at rest have a theta of their own: what they hold then is not what requests do (a buffer that breathes).
double theta_of(const Rows& rows, const RobustFit& robust, double bound, bool from_busy) {
    const auto residuals = residuals_of(rows, robust.fit);
    const auto clipped = [&](std::size_t i) {
        return std::clamp(residuals[i], -bound * robust.spreads[i], bound * robust.spreads[i]);
    };
    double own = 0, neighbours = 0, pairs = 0;
    for (std::size_t i = 0; i < rows.count(); ++i) {
        if (rows.starts[i] || rows.from_busy[i] != from_busy) continue;
        own += (clipped(i) * clipped(i) + clipped(i - 1) * clipped(i - 1)) / 2;
        neighbours += clipped(i) * clipped(i - 1);
        ++pairs;
    }
    const double r = own > 0 ? -neighbours / own : 0;
    const double chance = 2 / std::sqrt(std::max(pairs, 1.0));
    if (r < chance) return 0;
    return r >= 0.5 ? most_theta : std::min((1 - std::sqrt(1 - 4 * r * r)) / (2 * r), most_theta);
}

struct Theta {
    double at_rest = 0, busy = 0;
};

Rows without_alternation(const Rows& rows, const RobustFit& robust, Theta theta) {
    const auto residuals = residuals_of(rows, robust.fit);
    Rows whole;
    whole.columns = rows.columns;
    bool starts = true;
    for (std::size_t i = 0; i < rows.count(); ++i) {
        const double part = rows.from_busy[i] ? theta.busy : theta.at_rest;
        starts = starts || rows.starts[i] || part == 0;
        if (std::abs(residuals[i]) > jump * robust.spreads[i]) {
            starts = true;
            continue;
        }
        const std::size_t before = whole.cells.size() - rows.columns;
        for (std::size_t c = 0; c < rows.columns; ++c)
            whole.cells.push_back(rows.row(i)[c] + (starts ? 0 : part * whole.cells[before + c]));
        whole.growth.push_back(rows.growth[i] + (starts ? 0 : part * whole.growth.back()));
        whole.from_busy.push_back(rows.from_busy[i]);
        whole.noisy.push_back(rows.noisy[i]);
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

// A bootstrap of few blocks is too sure of itself: its weights are those of the fit, its spread lacks the degrees of freedom
// that the fit took, and its tails are a normal's instead of Student's (z + (z^3 + z) / 4 nu, Fisher and Cornish).
double widening(const RobustFit& robust, std::size_t blocks) {
    constexpr double z = 1.96, bend = (z * z * z + z) / 4;
    const auto n = static_cast<double>(blocks);
    const double freedom = std::max(n - static_cast<double>(robust.fit.chosen.size()), 4.0);
    return robust.held_fast * (1 + bend / z / freedom) * std::sqrt(std::max(n / freedom, 1.0)) * peeking;
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
    const double wider = widening(robust, blocks.size());
    for (std::size_t i = 1; i < columns.size(); ++i)
        if (static_cast<double>(again[i].size()) >= open_from * settings.bootstraps) open.push_back(columns[i]);
    for (std::size_t i = 1; i < robust.fit.chosen.size(); ++i) {
        Share& share = found.shares[i - 1];
        share.confidence = static_cast<double>(again[i].size()) / settings.bootstraps;
        if (again[i].empty()) continue;
        std::ranges::sort(again[i]);
        share.low = share.bytes - wider * std::max(share.bytes - again[i][again[i].size() / 40], 0.0);
        share.high =
            share.bytes + wider * std::max(again[i][again[i].size() - 1 - again[i].size() / 40] - share.bytes, 0.0);
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

// What few routes leak looks like every route's as long as nothing tells the routes apart: growth follows requests. So every route
// is blamed only if these few would have shown. The hardest to see are those that are asked most, at so many bytes each as all of
// them need for the whole growth.
bool few_would_show(const Rows& rows, const RobustFit& robust, const Columns& columns, const std::vector<double>& asked,
                    const AttributionSettings& settings, double bytes_of_all) {
    std::vector<std::size_t> order(static_cast<std::size_t>(columns.labelled()));
    std::iota(order.begin(), order.end(), 1);
    const std::size_t few = std::min(order.size(), settings.most_shares);
    std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(few), std::greater<>(),
                              [&](std::size_t column) { return asked[column]; });
    double asked_of_few = 0;
    for (std::size_t i = 0; i < few; ++i) asked_of_few += asked[order[i]];
    if (asked_of_few <= 0) return true;
    const double bytes = bytes_of_all * asked[columns.count() - 1] / asked_of_few;
    const double to_show = std::sqrt(robust.price) + beyond_price * robust.spread;
    for (std::size_t i = 0; i < few; ++i) {
        double weight = 0, sum = 0, squares = 0;
        for (std::size_t row = 0; row < rows.count(); ++row) {
            const double count = rows.row(row)[order[i]];
            weight += robust.weights[row];
            sum += robust.weights[row] * count;
            squares += robust.weights[row] * count * count;
        }
        if (bytes * std::sqrt(std::max(squares - sum * sum / weight, 0.0)) < to_show) return false;
    }
    return true;
}

void tell_open(const std::vector<std::size_t>& open, const Columns& columns, const std::vector<double>& asked,
               Attribution& found) {
    const double all = std::accumulate(asked.begin() + 1, asked.begin() + 1 + columns.labelled(), 0.0);
    for (const std::size_t column : open) // of a group each was asked as often
        for (const std::size_t label : columns.groups[column - 1])
            found.open.push_back({label, asked[column] / std::max(all, 1.0)});
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
    const Theta theta{theta_of(rows, robust, settings.huber, false), theta_of(rows, robust, settings.huber, true)};
    if (theta.at_rest > 0 || theta.busy > 0) {
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
    for (std::size_t i = 0; i < found.shares.size(); ++i) {
        Share& share = found.shares[i];
        if (!share.labels.empty() || few_would_show(rows, robust, columns, asked, settings, share.bytes)) continue;
        share.confidence = 0;
        if (i == 0) found.first = 0;
    }
    std::erase_if(found.shares, [&](const Share& share) {
        if (share.confidence >= settings.named_from) return false;
        found.unnamed = std::max(found.unnamed, share.share);
        return true;
    });
    return found;
}

bool sure(const Attribution& found) {
    constexpr double first_from = 0.95, width = 0.1;
    if (found.shares.empty() || found.first < first_from) return false;
    const Share& heaviest = found.shares.front();
    return heaviest.high - heaviest.low <= 2 * width * heaviest.bytes;
}

bool parted(const Attribution& found) { return !found.shares.empty() && found.shares.front().labels.size() <= 1; }

} // namespace plimsoll::leak
