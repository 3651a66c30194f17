// What earlier processes of a pool did at the same age: the one evidence that tells a cache that fills from a leak.
//
// A generation's curve holds, at ages of 64 * 2^(k/4) requests, the most it had grown since boot and what it grew then
// (its trend where that is sure and does not fade, else 0). Up to eight curves of those that are gone are kept, the oldest goes
// first; siblings that have lived longer count as well. Asked at an age, the history says
//
//     then    their trend when they were as old
//     later   their trend at the end of what they lived
//     peak    the most that any of them ever grew
//
// Curves of the same release are asked; only where there is none, those of others, and that is said: a release may have brought
// the leak, or mended it, so others excuse a cache but accuse nobody. A release without a name is like all.
//
//   growth                 leak: later ~ then         cache: later = 0
//     |            peak  . - - - - -
//     |               .'
//     |            .'
//     |         .'
//     '------------|------------------ age in requests
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace plimsoll::leak {

struct AgeCurve {
    struct Mark {
        float growth = 0, trend = 0;
        friend bool operator==(const Mark&, const Mark&) = default;
    };
    std::uint64_t life = 0;  // which process: a curve that is told again replaces the earlier one
    bool ended = false;      // the life is over; otherwise its owner still lives
    bool accused = false;    // of a leak, at its end: it went on growing for as long as it was let
    std::string release;     // of the application; empty: not known
    double pace = 0;         // the most requests a second that it had; 0: not known
    std::vector<Mark> marks; // at age_of(k)
    friend bool operator==(const AgeCurve&, const AgeCurve&) = default;

    static double age_of(std::size_t k); // 64, 76, 90, 107, 128, ...
    bool due(double age) const;          // a mark for this age is missing
    void tell(double age, Mark mark);
    double end() const; // the age of the last mark; 0: none
    Mark at(double age) const;
};

class History {
public:
    static constexpr std::size_t most = 8, most_living = 64;

    struct Precedent {
        double then = 0, later = 0, peak = 0;
        double pace = 0; // the most requests a second that any of them had; 0: not known
        unsigned curves = 0;
        bool older = false;   // at least one lived half as long again as this age
        bool accused = false; // one was to its end: a recycle in time is what kept it from growing older
        bool others = false;  // they are of other releases
    };
    // Of lives that came to a quarter of this age and to `least` requests, and of living ones only where they are older by half:
    // siblings of one age share their warm-up and the filling of their caches. Never of `life` itself.
    std::optional<Precedent> precedent(double age, double least, std::uint64_t life,
                                       const std::string& release = {}) const;
    void learn(const AgeCurve& curve);
    void forget_living(std::uint64_t life);                         // it has ended, and is not worth knowing
    const std::vector<AgeCurve>& curves() const { return curves_; } // of those that are gone

private:
    std::optional<Precedent> precedent_of(const std::vector<const AgeCurve*>& comparable, double age) const;

    std::vector<AgeCurve> curves_, living_;
};

} // namespace plimsoll::leak
