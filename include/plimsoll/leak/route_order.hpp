// Is the route that an attribution puts first the one that leaks most? Which routes leak shows before their order does: of some that
// leak nearly alike, or are asked for together, chance puts one first.
//
//   look --another one first, or its lead may be chance--> unsure, the count begins anew
//     '--the same one leads clearly--> 1 --again, on a quarter more intervals--> sure --another one first--> unsure
//
//   leads clearly: the heaviest in 95 of 100 draws, and no route that is not surely a leak may grow by more
//
// Labels that always come together are one route, and which they are changes as more is asked: one in common makes it the same.
//
// Looks share most of their intervals, so the next one nearly always agrees, right or wrong: hence the quarter. Who is unsure names a
// group: the first and all whose intervals reach into its own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace plimsoll::leak {

enum class Heaviest : std::uint8_t { no, maybe, yes };
std::string_view to_string(Heaviest heaviest);

class RouteOrder {
public:
    static constexpr double leads_from = 0.95; // part of the draws in which the first is the heaviest
    static constexpr unsigned looks = 2;
    static constexpr double fresh = 0.25; // new intervals, of those that the look before had
    static constexpr std::uint64_t fewest = 8;

    struct Route {
        std::vector<std::string> labels; // several that nothing can separate, yet
        double low = 0, high = 0;        // share of the growth; 95 %
    };
    struct Look {
        std::vector<Route> routes;   // the heaviest first
        double first = 0;            // part of the draws in which the first is
        double unnamed = 0;          // the largest share of one that is not surely a leak
        std::uint64_t intervals = 0; // that it goes by
        std::uint64_t seen = 0;      // intervals, ever
    };
    // Of each route, as of now. A look that names nobody tells nothing.
    std::vector<Heaviest> look(const Look& look);

private:
    std::vector<std::string> first_;
    unsigned agreed_ = 0;
    std::uint64_t next_ = 0; // from so many intervals on a look counts
};

} // namespace plimsoll::leak
