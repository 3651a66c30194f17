#include "plimsoll/leak/sparse_fit.hpp"

#include <algorithm>
#include <cmath>

namespace plimsoll::leak {

namespace {

constexpr double inseparable = 1e-4; // part of a column that the chosen ones leave over
constexpr std::size_t most_exchanges = 8;

// The lower triangle L of G_AA = L L^T.
class Cholesky {
public:
    Cholesky(const NormalEquations& equations, std::span<const std::size_t> chosen)
        : size_(chosen.size()), cells_(size_ * size_) {
        for (std::size_t i = 0; i < size_; ++i)
            for (std::size_t j = 0; j <= i; ++j) {
                double rest = equations.cell(chosen[i], chosen[j]);
                for (std::size_t k = 0; k < j; ++k) rest -= at(i, k) * at(j, k);
                cells_[i * size_ + j] = i == j ? std::sqrt(std::max(rest, 1e-12)) : rest / at(j, j);
            }
    }
    // L^-1 v: its squared length is what the chosen columns hold of a column.
    std::vector<double> forward(std::vector<double> v) const {
        for (std::size_t i = 0; i < size_; ++i) {
            for (std::size_t k = 0; k < i; ++k) v[i] -= at(i, k) * v[k];
            v[i] /= at(i, i);
        }
        return v;
    }
    std::vector<double> solve(std::vector<double> v) const {
        v = forward(std::move(v));
        for (std::size_t i = size_; i-- > 0;) {
            for (std::size_t k = i + 1; k < size_; ++k) v[i] -= at(k, i) * v[k];
            v[i] /= at(i, i);
        }
        return v;
    }

private:
    double at(std::size_t i, std::size_t j) const { return cells_[i * size_ + j]; }
    std::size_t size_;
    std::vector<double> cells_;
};

// Exact where no slope would be negative; else the most negative one is left out, and again. The background stays, at zero.
SparseFit solve(const NormalEquations& equations, std::vector<std::size_t> chosen) {
    while (true) {
        std::vector<double> target;
        target.reserve(chosen.size());
        for (const std::size_t column : chosen) target.push_back(equations.target[column]);
        SparseFit fit{chosen, Cholesky(equations, chosen).solve(std::move(target))};
        const auto lowest = std::ranges::min_element(fit.slopes);
        if (*lowest >= 0) return fit;
        const auto place = lowest - fit.slopes.begin();
        if (place == 0) { // without a background, then
            if (chosen.size() == 1) return {chosen, {0}};
            SparseFit bare = solve(equations, {chosen.begin() + 1, chosen.end()});
            if (bare.chosen.front() == 0) return bare;
            bare.chosen.insert(bare.chosen.begin(), 0);
            bare.slopes.insert(bare.slopes.begin(), 0);
            return bare;
        }
        if (chosen.size() == 1) return {chosen, {0}};
        chosen.erase(chosen.begin() + place);
    }
}

// What a fit leaves unexplained, but for a constant.
double badness(const NormalEquations& equations, const SparseFit& fit) {
    double sum = 0;
    for (std::size_t i = 0; i < fit.chosen.size(); ++i) {
        double explained = 0;
        for (std::size_t j = 0; j < fit.chosen.size(); ++j)
            explained += equations.cell(fit.chosen[i], fit.chosen[j]) * fit.slopes[j];
        sum += fit.slopes[i] * (explained - 2 * equations.target[fit.chosen[i]]);
    }
    return sum;
}

SparseFit without(const NormalEquations& equations, const SparseFit& fit, std::size_t place) {
    std::vector<std::size_t> rest = fit.chosen;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(place));
    return solve(equations, std::move(rest));
}

SparseFit with(const NormalEquations& equations, const SparseFit& fit, std::size_t column) {
    std::vector<std::size_t> more = fit.chosen;
    more.push_back(column);
    return solve(equations, std::move(more));
}

void drop_worthless(const NormalEquations& equations, double price, SparseFit& fit) {
    for (std::size_t place = fit.chosen.size(); place-- > 1;) {
        SparseFit less = without(equations, fit, place);
        if (badness(equations, less) - badness(equations, fit) >= price) continue;
        fit = std::move(less);
        place = std::min(place, fit.chosen.size());
    }
}

bool exchange_one(const NormalEquations& equations, SparseFit& fit) {
    for (std::size_t place = 1; place < fit.chosen.size(); ++place) {
        const SparseFit less = without(equations, fit, place);
        const auto gain = gains(equations, less);
        const auto best = std::ranges::max_element(gain);
        if (*best <= 0) continue;
        SparseFit other = with(equations, less, static_cast<std::size_t>(best - gain.begin()));
        const double before = badness(equations, fit);
        if (badness(equations, other) >= before - 1e-9 * std::abs(before)) continue;
        fit = std::move(other);
        return true;
    }
    return false;
}

} // namespace

void NormalEquations::add(std::span<const double> row, double growth, double weight) {
    for (std::size_t a = 0; a < columns; ++a) {
        const double weighted = weight * row[a];
        if (weighted == 0) continue;
        target[a] += weighted * growth;
        for (std::size_t b = a; b < columns; ++b) gram[a * columns + b] += weighted * row[b];
    }
}

void NormalEquations::add(const NormalEquations& other) {
    std::ranges::transform(gram, other.gram, gram.begin(), std::plus<>());
    std::ranges::transform(target, other.target, target.begin(), std::plus<>());
}

void NormalEquations::complete() {
    for (std::size_t a = 0; a < columns; ++a)
        for (std::size_t b = 0; b < a; ++b) gram[a * columns + b] = gram[b * columns + a];
}

NormalEquations NormalEquations::of(std::span<const std::size_t> some) const {
    NormalEquations part(some.size());
    for (std::size_t a = 0; a < some.size(); ++a) {
        part.target[a] = target[some[a]];
        for (std::size_t b = 0; b < some.size(); ++b) part.gram[a * some.size() + b] = cell(some[a], some[b]);
    }
    return part;
}

std::vector<double> gains(const NormalEquations& equations, const SparseFit& fit) {
    const Cholesky chosen(equations, fit.chosen);
    std::vector<double> found(equations.columns);
    for (std::size_t column = 0; column < equations.columns; ++column) {
        const double own = equations.cell(column, column);
        if (own <= 0 || std::ranges::find(fit.chosen, column) != fit.chosen.end()) continue;
        double rest = equations.target[column];
        std::vector<double> shared;
        for (std::size_t i = 0; i < fit.chosen.size(); ++i) {
            shared.push_back(equations.cell(column, fit.chosen[i]));
            rest -= shared.back() * fit.slopes[i];
        }
        if (rest <= 0) continue;
        double left = own;
        for (const double part : chosen.forward(std::move(shared))) left -= part * part;
        if (left > inseparable * own) found[column] = rest * rest / left;
    }
    return found;
}

SparseFit fit_sparsely(const NormalEquations& equations, double price, std::size_t most_chosen) {
    SparseFit fit = solve(equations, {0});
    for (std::size_t turn = 0; turn < 2 * most_chosen && fit.chosen.size() <= most_chosen; ++turn) {
        const auto gain = gains(equations, fit);
        const auto best = std::ranges::max_element(gain);
        if (*best < price) break;
        const auto column = static_cast<std::size_t>(best - gain.begin());
        fit = with(equations, fit, column);
        drop_worthless(equations, price, fit);
        if (std::ranges::find(fit.chosen, column) == fit.chosen.end()) break; // it would come and go for ever
    }
    for (std::size_t turn = 0; turn < most_exchanges && exchange_one(equations, fit); ++turn) {
    }
    return fit;
}

} // namespace plimsoll::leak
