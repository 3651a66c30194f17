#include "plimsoll/leak/block_minima.hpp"

#include <algorithm>

namespace plimsoll::leak {

BlockMinima::BlockMinima(double width, std::size_t most, std::size_t least_readings)
    : width_(width), most_(most), least_readings_(least_readings) {
    points_.reserve(most);
}

void BlockMinima::add(double x, double y) {
    if (readings_ >= least_readings_ && x >= start_ + width_) close();
    if (readings_++ == 0) {
        start_ = x;
        lowest_ = {x, y};
    } else if (y < lowest_.y) {
        lowest_ = {x, y};
    }
}

void BlockMinima::close() {
    readings_ = 0;
    points_.push_back(lowest_);
    if (points_.size() < most_) return;
    for (std::size_t i = 0; i < points_.size() / 2; ++i) {
        const Point &a = points_[2 * i], &b = points_[2 * i + 1];
        points_[i] = a.y <= b.y ? a : b;
    }
    points_.resize(points_.size() / 2);
    width_ *= 2;
}

std::span<const Point> BlockMinima::since(double from) const {
    const auto first = std::ranges::find_if(points_, [from](const Point& point) { return point.x >= from; });
    return {first, points_.end()};
}

} // namespace plimsoll::leak
