// One thing that leaks in a pool (its memory, descriptors, threads, child processes), as the story of one incident.
//
//   a worker is accused --> opened, or joined --captures, routes, recycles--> told --growth does not come back--> closed
//         ^                     |                                                                                   |
//         '------ is it one that was there before (plimsoll/leak/recurrence.hpp)? then its story goes on <----------'
//
// Every worker, generation and release that leaks the same joins it. What captures found (also those of recycles, which have
// incidents of their own) is gathered here, so that the verdict of the leak has all that is known of it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "fleet/journal.hpp"
#include "fleet/leak_life.hpp"
#include "fleet/view.hpp"
#include "plimsoll/leak/history.hpp"
#include "plimsoll/leak/recurrence.hpp"
#include "plimsoll/leak/releases.hpp"

namespace plimsoll::fleet {

class LeakCase {
public:
    LeakCase(Watched what, std::string pool) : what_(what), pool_(std::move(pool)) {}

    leak::History history; // of this pool's earlier lives, leaking or not

    // A worker that was not accused before joins; opens the incident where none is open, or the one that it had before.
    void accuse(Journal& journal, const LeakLife& life, const std::vector<RouteShare>& routes);
    // How often a route was asked of the life in question, and of all that have its release: so often, of so many requests.
    struct Asks {
        double here = 0, anywhere = 0, requests = 0;
    };
    using Asked = std::function<Asks(const std::string& route)>;
    // Of a life that does not grow. Closes the case when nobody is accused any more, nor so much as suspected, and this one went on
    // for longer than the accusation took, with as many requests to the leak's routes as would have shown it: a life that began
    // after the last accusation, or the very one that was accused, since. Or several such lives, together. A route that nobody
    // asks any more, in another release, is gone. True: it is closed.
    // `others_grow` is asked only where a case could be closed: it looks at every life of the pool.
    bool acquit(const LeakLife& life, const Asked& asked, const std::function<bool()>& others_grow);
    void ended(const LeakLife& life);
    void recycled(const LeakLife& life, const std::string& incident);
    // Of a capture of an accused worker: its lines, who keeps what has grown, what is open.
    void learn(Journal& journal, const LeakLife& life, const std::string& from, const boost::json::object& details);
    void found_routes(Journal& journal, const std::vector<RouteShare>& routes);
    // Nearly all requests have one label (GraphQL, JSON-RPC): that a leak is of it tells no leak from another.
    void has_one_route(bool one) { one_route_ = one; }
    void verdict(const LeakReport& report); // and the advice, as they stand by now
    struct Around {                         // what the advice has to know of the processes that leak
        std::string beside;                 // "threads", "children": they leak these too
        bool has_agent = true;              // one of them, at least
        bool trimmed_in_vain = false;
        bool looked_into = true; // who is accused
    };
    // All that is known beyond the detector's numbers. The routes are those of the incident where the report has none: after a
    // restart of the program they have to be learned anew.
    void describe(LeakReport& report, leak::Class kind, const Around& around) const;
    void describe(LeakReport& report, leak::Class kind) const { describe(report, kind, Around{}); }

    // What the open incident accuses of, as it was seen last: a process that is recycled takes its growth along, and the next one
    // is too young to show it. Unset: none is open.
    std::optional<LeakView> seen() const;
    double proof() const; // requests that one process has to serve without that growth: more close the incident

    bool is_accused(const LeakLife& life) const;
    const std::shared_ptr<Incident>& incident() const { return incident_; } // null: none is open
    const std::string& open_incident() const; // its id, also where it is not gone on with yet; empty: none
    bool has_lines() const; // of the release that leaks now, and they explain the heaviest route that is known

    // Over restarts of the program.
    struct Kept {
        std::vector<leak::AgeCurve> curves;
        std::string incident; // the open one
        bool is_new = false;  // and it may turn out to be one of the past
        double accused_age = 0;
        unsigned recycles = 0;
        std::string release; // in which somebody was accused last
        std::vector<leak::PastLeak> past;
        std::vector<leak::ReleaseRecord> releases;
    };
    Kept kept() const;
    void resume(Journal& journal, const Kept& kept);
    // With the incident that was left open. While the store is the predecessor's still, it is not to be had: to be tried again.
    void go_on(Journal& journal);

private:
    void open(Journal& journal, const leak::Fingerprint& mark);
    void open_new(Journal& journal);
    void part(Journal& journal, const boost::json::object& found, const std::string& what_leaks);
    bool is_another(const boost::json::object& found) const;
    void join_the_past(Journal& journal);
    bool take_up(Journal& journal, const leak::PastLeak& past);
    struct Clean { // a life that does not grow, since the last accusation
        std::string life;
        double requests = 0, would_have_left = 0;
    };
    Clean note_clean(const LeakLife& life, double requests, const Asked& asked);
    std::string proof_by(const LeakLife& life, const Clean& clean) const;
    bool is_gone(const LeakLife& life, const RouteShare& route, const Asks& asked) const;
    void close(const std::string& verdict);
    void drop_what_another_release_had();
    void trust_lines();
    void keep_better_lines(boost::json::object& found) const;
    void record_growth(const LeakLife& life);
    leak::Fingerprint mark() const;

    Watched what_;
    std::string pool_;
    std::shared_ptr<Incident> incident_;
    std::string left_open_;    // by an earlier life of the program, and not gone on with yet
    bool is_new_ = false;      // it was opened for want of knowledge, and may turn out to be one of the past
    double accused_age_ = 0;   // the fewest requests at which it was accused
    Instant accused_at_{};     // last: who was there already, and was not accused, may just have been spared
    std::string last_accused_; // name of the life
    std::uint64_t last_accused_requests_ = 0; // that it had served
    Incident::Facts last_accusation_;         // with which its incident would be opened
    bool one_route_ = false;
    std::vector<Clean> clean_;
    unsigned recycles_ = 0;
    std::string release_;
    std::vector<std::string> accused_; // names of lives
    boost::json::object told_;         // the details of which the story has told
    leak::Docket docket_;
    leak::Releases releases_;
};

} // namespace plimsoll::fleet
