// The low-water marks of a series, in bounded space however long the worker lives.
//
// What a request holds while it runs, and what waits for the collector, stands *on top of* what is kept. So a series is
// cut into blocks of as many requests each (and of two readings at least), and of each block only the lowest reading counts. When there are too many
// blocks, neighbours are merged and the width doubles:
//
//     width 16:  |12|13|12|14|13|15|14|16|   --full-->   width 32:  |12 |12 |13 |14 |  |  |  |  |
//
// so that the whole life is always covered by 32 to 64 blocks. The highest reading of each block is kept beside the lowest: it
// tells how far the series swings above its marks.
#pragma once

#include <vector>

#include "plimsoll/core/robust_line.hpp"

namespace plimsoll::leak {

class BlockMinima {
public:
    // A block has at least so many readings: two where single ones are of a moment, one where they come seldom. One is enough that
    // is four widths from the next: of a process that is full in two seconds there are not many.
    explicit BlockMinima(double width = 16, std::size_t most = 64, std::size_t least_readings = 2);

    void add(double x, double y); // x never falls
    // Of the blocks that are complete; x is where the lowest reading was taken.
    const std::vector<Point>& points() const { return points_; }
    // Those from `from` on.
    std::span<const Point> since(double from) const;
    // The highest readings of the blocks from `from` on, with that of the block that is open.
    std::vector<Point> peaks_since(double from) const;
    double width() const { return width_; }
    double open_mark() const { return readings_ > 0 ? lowest_.y : 0; } // of the block that is not complete

private:
    void close();

    double width_, start_ = 0;
    std::size_t most_, least_readings_;
    std::size_t readings_ = 0; // of the open block
    Point lowest_, highest_;
    std::vector<Point> points_, peaks_; // block by block
};

} // namespace plimsoll::leak
