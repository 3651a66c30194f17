// How long a request holds its slot: the mean, which tells how fast a queue moves, and the median, which tells what clients
// are used to. Learned from every request that ends.
//
//   mean   += (took - mean) / min(n, 64)
//   median *= 1 + step where took is longer, else 1 - step         (step = 5 %: as many steps up as down)
#pragma once

#include <algorithm>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

class ServiceTime {
public:
    void record(Duration took) {
        const double value = std::max(to_seconds(took), 1e-6);
        if (count_ == 0) mean_ = median_ = value;
        if (count_ < smoothing) ++count_;
        mean_ += (value - mean_) / count_;
        median_ *= value > median_ ? 1 + step : 1 - step;
    }
    bool known() const { return count_ > 0; }
    Duration mean() const { return from_seconds(mean_); }
    Duration median() const { return from_seconds(median_); }

private:
    static constexpr unsigned smoothing = 64;
    static constexpr double step = 0.05;
    double mean_ = 0, median_ = 0; // seconds
    unsigned count_ = 0;
};

} // namespace plimsoll
