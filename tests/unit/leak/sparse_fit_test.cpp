#include "plimsoll/leak/sparse_fit.hpp"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

// Columns: ones, then some of random counts; growth by the slopes given, and noise.
NormalEquations drawn(const std::vector<double>& slopes, unsigned rows, double noise, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::poisson_distribution<> count(5);
    std::normal_distribution<> normal(0, 1);
    NormalEquations equations(slopes.size());
    for (unsigned i = 0; i < rows; ++i) {
        std::vector<double> row{1};
        double growth = slopes[0] + noise * normal(random);
        for (std::size_t column = 1; column < slopes.size(); ++column) {
            row.push_back(count(random));
            growth += row.back() * slopes[column];
        }
        equations.add(row, growth, 1);
    }
    equations.complete();
    return equations;
}

TEST(SparseFit, finds_the_few_that_matter_and_what_they_weigh) {
    std::vector<double> slopes(40);
    slopes[0] = 3, slopes[7] = 2, slopes[31] = 0.5;
    const SparseFit fit = fit_sparsely(drawn(slopes, 300, 0.5, 1), 0.25 * 13, 8);
    ASSERT_EQ(fit.chosen, (std::vector<std::size_t>{0, 7, 31}));
    EXPECT_NEAR(fit.slopes[1], 2, 0.1);
    EXPECT_NEAR(fit.slopes[2], 0.5, 0.1);
    EXPECT_NEAR(fit.slopes[0], 3, 1);
}

TEST(SparseFit, noise_alone_chooses_nobody) {
    unsigned chosen = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        std::vector<double> slopes(40);
        slopes[0] = 10;
        chosen += fit_sparsely(drawn(slopes, 100, 1, seed), 13, 8).chosen.size() > 1 ? 1 : 0;
    }
    EXPECT_LE(chosen, 2U);
}

TEST(SparseFit, nothing_is_negative_not_even_the_background) {
    std::vector<double> slopes{-20, 2, -1, 0};
    const SparseFit fit = fit_sparsely(drawn(slopes, 200, 0.1, 2), 0.1, 8);
    for (const double slope : fit.slopes) EXPECT_GE(slope, 0);
    EXPECT_EQ(fit.chosen.front(), 0U);
    EXPECT_EQ(std::ranges::count(fit.chosen, 2), 0);
}

TEST(SparseFit, a_column_that_is_a_copy_is_not_taken_twice) {
    NormalEquations equations(3);
    for (double x = 0; x < 50; ++x) equations.add(std::vector{1.0, x, x}, 4 * x, 1);
    equations.complete();
    const SparseFit fit = fit_sparsely(equations, 1, 8);
    EXPECT_EQ(fit.chosen, (std::vector<std::size_t>{0, 1}));
    EXPECT_NEAR(fit.slopes[1], 4, 1e-6);
}

TEST(SparseFit, stops_at_the_most_it_may_choose) {
    std::vector<double> slopes(10, 1.0);
    EXPECT_EQ(fit_sparsely(drawn(slopes, 400, 0.1, 3), 0.1, 4).chosen.size(), 5U);
}

} // namespace
} // namespace plimsoll::leak
