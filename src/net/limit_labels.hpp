// What a request is called before it is served, for limits that count by label: "GET /users/1" and "GET /users/2" are one.
//
//   path --> does a pattern match that an answer of the pool named (X-Plimsoll-Route)? --yes--> "GET /users/{id}"
//              '--no--> was its template named by an answer in other words? --yes--> "GET checkout"
//                         '--no--> its template, while there is room --> "GET /users/{n}"
//                                    '--no--> "other"
//
// Patterns are kept as a tree of segments, the method first. What is written out beats a placeholder, and a placeholder at
// the end takes all the rest where an answer has shown that it may ("/files/{path}"). A pattern may lack the beginning of the
// path, which the route or a mount cut off: it is put in front, so that the next slug of the same place is known as well.
//
//   taught "GET /users/{id}" for /api/users/ann:   GET - api - users - {} : "GET /users/{id}"
//
// A client cannot choose what it is counted by: unknown paths share "other" once there are most_templates of them, and
// patterns come from the application alone. When there are most_patterns of those no more are learned: templates do for the rest.
//
// Behind a lock of its own, one a pool; made only where a limit counts by label, and another one where the trace is written:
// what that learns is not to take room from what limits count by.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "plimsoll/leak/route_labels.hpp"

namespace plimsoll::net {

class LimitLabels {
public:
    static constexpr std::size_t most_patterns = 1024, most_templates = 256, most_others = 1024;

    // `path` as routes see it.
    std::string of(std::string_view method, std::string_view path);
    // Only what answers have named; empty: nothing such yet. Takes no template's room.
    std::string named(std::string_view method, std::string_view path) const;
    static std::string with_method(std::string_view method, std::string_view named); // which it may have or lack
    // An answer to such a request named it so.
    void learn(std::string_view method, std::string_view path, std::string_view named);

private:
    using Segments = std::vector<std::string_view>;
    struct Node {
        std::map<std::string, std::uint32_t, std::less<>> written; // the next segment, and its node
        std::uint32_t placeholder = 0;                             // likewise, whatever the segment is; 0: none
        bool takes_rest = false;                                   // a placeholder that may stand for several segments
        std::string label;                                         // of what ends here; empty: nothing does
    };
    // With the lock held.
    const std::string* find(const Segments& path, std::size_t at, std::uint32_t node) const; // null: no pattern matches
    // Nor was it named in other words.
    const std::string* find_named(const Segments& path, const std::string& path_template) const;
    bool learn_pattern(const Segments& asked, std::string_view named, const std::string& label);
    bool add(const Segments& pattern, const std::string& label, bool takes_rest); // false: there are too many
    std::uint32_t next(std::uint32_t node, std::string_view segment);             // made where it is missing

    mutable std::mutex mutex_; // guards all below
    std::vector<Node> nodes_ = std::vector<Node>(1);
    std::size_t patterns_ = 0;                               // labels in the tree
    std::map<std::string, std::string, std::less<>> others_; // by template
    leak::RouteLabels templates_{most_templates};
};

} // namespace plimsoll::net
