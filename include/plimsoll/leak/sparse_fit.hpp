// Explains a series by few of many causes, none of which can be negative: forward selection on the normal equations.
//
//     gain(j) = c_j^2 / (G_jj - G_jA G_AA^-1 G_Aj)      c = what is not explained yet, along column j; A: chosen so far
//
// The column that gains most is taken in while its gain, in squared spreads, is worth `price`; those that have become
// worthless go; at the end each is exchanged for any other that fits better. Column 0 is always in: the background.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace plimsoll::leak {

// Sums over weighted rows: all that a least-squares fit needs to know of them. Adding is cheap, so a bootstrap can draw
// stretches of rows instead of rows.
struct NormalEquations {
    explicit NormalEquations(std::size_t count) : columns(count), gram(count * count), target(count) {}
    void add(std::span<const double> row, double growth, double weight);
    void add(const NormalEquations& other);
    void complete(); // the lower triangle, which add() leaves out
    NormalEquations of(std::span<const std::size_t> some) const;
    double cell(std::size_t a, std::size_t b) const { return gram[a * columns + b]; }

    std::size_t columns;
    std::vector<double> gram, target;
};

struct SparseFit {
    std::vector<std::size_t> chosen; // columns; the first is 0
    std::vector<double> slopes;      // of those, in the same order; none negative
};

// `price`: the gain that a column must bring; both in the square of the growth's unit.
SparseFit fit_sparsely(const NormalEquations& equations, double price, std::size_t most_chosen);

// The gain of each column on top of a fit; 0 for those that are in, or would bring nothing.
std::vector<double> gains(const NormalEquations& equations, const SparseFit& fit);

} // namespace plimsoll::leak
