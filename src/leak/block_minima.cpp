#include "plimsoll/leak/block_minima.hpp"

#include <algorithm>

namespace plimsoll::leak {

namespace {

constexpr double widths_apart = 4;

} // namespace

BlockMinima::BlockMinima(double width, std::size_t most, std::size_t least_readings)
    : width_(width), most_(most), least_readings_(least_readings) {
    points_.reserve(most);
    peaks_.reserve(most);
}

void BlockMinima::add(double x, double y) {
    const bool enough = readings_ >= least_readings_ || (readings_ > 0 && x >= start_ + widths_apart * width_);
    if (enough && x >= start_ + width_) close();
    if (readings_++ == 0) {
        start_ = x;
        lowest_ = highest_ = {x, y};
    } else if (y < lowest_.y) {
        lowest_ = {x, y};
    } else if (y > highest_.y) {
        highest_ = {x, y};
    }
}

void BlockMinima::close() {
    readings_ = 0;
    points_.push_back(lowest_);
    peaks_.push_back(highest_);
    if (points_.size() < most_) return;
    for (std::size_t i = 0; i < points_.size() / 2; ++i) {
        const Point &a = points_[2 * i], &b = points_[2 * i + 1];
        points_[i] = a.y <= b.y ? a : b;
        const Point &c = peaks_[2 * i], &d = peaks_[2 * i + 1];
        peaks_[i] = c.y >= d.y ? c : d;
    }
    points_.resize(points_.size() / 2);
    peaks_.resize(points_.size());
    width_ *= 2;
}

std::span<const Point> BlockMinima::since(double from) const {
    const auto first = std::ranges::find_if(points_, [from](const Point& point) { return point.x >= from; });
    return {first, points_.end()};
}

std::vector<Point> BlockMinima::peaks_since(double from) const {
    std::vector<Point> found;
    for (const Point& peak : peaks_)
        if (peak.x >= from) found.push_back(peak);
    if (readings_ > 0 && highest_.x >= from) found.push_back(highest_);
    return found;
}

} // namespace plimsoll::leak
