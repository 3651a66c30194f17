#include "plimsoll/leak/growth_rows.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

namespace plimsoll::leak {

namespace {

constexpr std::size_t most_joined = 8; // intervals

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

// How many intervals from `first` on make one row.
std::size_t length_of_row(const Life& life, std::size_t first) {
    for (std::size_t i = first; i < std::min(life.size(), first + most_joined); ++i)
        if (!life[i]->busy) return i - first + 1;
    return 1;
}

} // namespace

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

Rows rows_of(std::span<const Life> lives, const Columns& columns) {
    Rows rows;
    rows.columns = columns.count();
    for (const Life& life : lives) {
        bool busy = true; // when it began: nobody knows
        for (std::size_t i = 0; i < life.size();) {
            const std::size_t end = i + length_of_row(life, i);
            rows.starts.push_back(i == 0);
            std::vector<double> row(columns.count());
            double growth = 0;
            for (; i < end; ++i) {
                std::ranges::transform(row, row_of(*life[i], columns), row.begin(), std::plus<>());
                growth += life[i]->growth;
            }
            rows.cells.insert(rows.cells.end(), row.begin(), row.end());
            rows.growth.push_back(growth);
            rows.from_busy.push_back(std::exchange(busy, life[end - 1]->busy));
            rows.noisy.push_back(busy || rows.from_busy.back());
        }
    }
    return rows;
}

} // namespace plimsoll::leak
