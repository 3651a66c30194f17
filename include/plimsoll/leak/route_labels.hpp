// Names for what was asked, few enough to count by: "GET /orders/1234?x=1" is one of "GET /orders/{n}".
//
// A path's variable parts are known by their looks: numbers, UUIDs, hashes, dates, long tokens. What is left may still be
// without end (slugs, names), so a table has room for `most` labels, and "other" for the rest. A newcomer is counted on
// probation, and takes the place of the rarest label only when it is asked twice as often: heavy routes are never lost to
// rare ones. Counts are halved now and then, so that what nobody asks any more makes room.
//
//   path --template--> known? --yes--> its index
//                        '--no--> room? --yes--> a new index
//                                   '--no--> probation, until it outweighs the rarest; meanwhile "other"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace plimsoll::leak {

// "/users/42/files/report.pdf" -> "/users/{n}/files/report.pdf". The query is left out, and the scheme and host of a target in
// absolute form; long paths are cut.
std::string route_template(std::string_view target);

class RouteLabels {
public:
    static constexpr std::size_t other = 0; // the index of all the rest
    explicit RouteLabels(std::size_t most = 256);

    // The index of the label, and of whose it was before where a new one took it over (then all that was counted under it
    // belongs to `other`).
    struct Found {
        std::size_t index = other;
        bool taken_over = false;
    };
    Found find(std::string_view label);
    const std::string& name(std::size_t index) const { return labels_[index].name; }
    std::size_t size() const { return labels_.size(); }

private:
    struct Label {
        std::string name;
        std::uint64_t asked = 0;
    };
    void forget_half();

    std::size_t most_;
    std::vector<Label> labels_;
    std::unordered_map<std::string, std::size_t> index_;
    std::unordered_map<std::string, std::uint64_t> probation_; // bounded like the labels
    std::uint64_t asked_ = 0;
};

} // namespace plimsoll::leak
