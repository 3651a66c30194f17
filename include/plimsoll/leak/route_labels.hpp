// Names for what was asked, few enough to count by: "GET /orders/1234?x=1" is one of "GET /orders/{n}".
//
// A path's variable parts are known by their looks: numbers, UUIDs, hashes, dates, long tokens. What is left may still be
// without end (slugs, names), so a table has room for `most` labels, and "other" for the rest. A newcomer is counted on
// probation, and takes the place of the rarest label only when it comes again and is asked twice as often: heavy routes are
// never lost to rare ones, nor any to a scanner's paths that nobody asks twice. Counts are halved now and then, so that what
// nobody asks any more makes room.
//
//   path --template--> known? --yes--> its index
//                        '--no--> room? --yes--> a new index
//                                   '--no--> probation, until it outweighs the rarest; meanwhile "other"
//
// Scanners ask for nothing but unknown paths, and everybody waits for the lock that is held meanwhile: so a label costs the same
// however many there are. The counts of a table only rise, and the sum of them by one with each request, so the lowest is a
// bound that moves at most once in as many requests as there are labels; those that stand at it are found by a hand that
// goes round once for each move.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace plimsoll::leak {

// "/users/42/files/report.pdf" -> "/users/{n}/files/report.pdf". The query is left out, and the scheme and host of a target in
// absolute form; long paths are cut.
std::string route_template(std::string_view target);
void append_route_template(std::string& label, std::string_view target);

class RouteLabels {
public:
    static constexpr std::size_t other = 0; // the index of all the rest
    explicit RouteLabels(std::size_t most = 256);

    // The index of the label, and of whose it was before where a new one took it over (then all that was counted under it
    // belongs to `other`). O(1) amortised, and without an allocation once the tables are full.
    struct Found {
        std::size_t index = other;
        bool taken_over = false;
    };
    Found find(std::string_view label);
    const std::string& name(std::size_t index) const { return index == other ? other_name_ : labels_.name(index - 1); }
    std::size_t size() const { return labels_.size() + 1; }

private:
    // Labels and how often each was asked, of which one of the rarest is found in O(1) amortised.
    class Counted {
    public:
        static constexpr std::size_t npos = static_cast<std::size_t>(-1);
        std::size_t find(std::string_view name) const; // npos: not there
        std::size_t add(std::string_view name, std::uint64_t asked);
        void replace(std::size_t at, std::string_view name, std::uint64_t asked); // asked >= lowest()
        std::uint64_t ask(std::size_t at) { return ++labels_[at].asked; }
        std::size_t rarest();                            // lowest() is exact afterwards
        std::uint64_t lowest() const { return lowest_; } // none is asked less
        std::uint64_t asked(std::size_t at) const { return labels_[at].asked; }
        const std::string& name(std::size_t at) const { return labels_[at].name; }
        std::size_t size() const { return labels_.size(); }
        void halve();

    private:
        struct Label {
            std::string name;
            std::uint64_t asked = 0;
        };
        struct Hash {
            using is_transparent = void;
            std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
        };
        std::vector<Label> labels_;
        std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>> index_;
        std::size_t hand_ = 0;
        std::uint64_t lowest_ = 0;
    };

    std::size_t most_;
    std::string other_name_ = "other";
    Counted labels_, probation_; // bounded alike
    std::string displaced_;      // kept for its room
    std::uint64_t asked_ = 0;
};

} // namespace plimsoll::leak
