// Runs the detector (plimsoll/leak/detector.hpp) over a pool: memory, descriptors, threads and children of every generation,
// against the requests that it has served.
//
//   reading, every memory.interval --> detectors of the generation --> verdict --> `suspect`, an incident, a wish to recycle
//                                          ^                              |
//                                       history of the pool <-- its end --'      kept in STORE/leaks-POOL.json
//
// One incident a pool for each thing that leaks (leak_case.hpp). policy = "observe" shows classes only; "advise" opens
// incidents; "act" recycles too, and trims heaps that are fragmented (heap_trim.hpp). Of a cache it is only told.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fleet/canary_trace.hpp"
#include "fleet/heap_trim.hpp"
#include "fleet/leak_case.hpp"
#include "fleet/leak_evidence.hpp"
#include "fleet/leak_life.hpp"
#include "fleet/leak_routes.hpp"
#include "fleet/pool.hpp"
#include "plimsoll/leak/recycle_time.hpp"
#include "plimsoll/leak/troughs.hpp"

namespace plimsoll::fleet {

class LeakWatch {
public:
    explicit LeakWatch(Pool& pool);
    ~LeakWatch();
    void start(); // what earlier lives of the program learned
    void tick(Instant now);
    void sampled(const Generation& generation); // its agent has just told of it
    void save();
    void recycled(const Worker& worker, const std::string& incident); // for the story of a leak
    // What a capture of this generation found is in the incident; it gets the growth of the generation as a picture.
    void captured(const Generation& generation, Incident& incident);
    void opened(const Generation& generation, const boost::json::object& what); // what its agent tells of it

    // By what an accused worker's memory grows a request, or one's that is called leaking.
    std::optional<Growth> growth(const Generation& generation) const;
    std::vector<std::uint64_t> asked(const Generation& generation) const; // requests by label
    // The same of a window that began when `before` had been asked, by what is known of its routes.
    std::optional<Growth> growth(const Generation& generation, const std::vector<std::uint64_t>& before,
                                 double requests) const;
    boost::json::object asked_since(const Generation& generation, const std::vector<std::uint64_t>& before,
                                    double requests) const; // leak_pairs.hpp
    bool has_lines() const { return of(Watched::memory).has_lines(); }
    // A leak is open, and a worker may be slowed down to find its line.
    bool wants_lines() const;
    static bool suspects(const Generation& generation);
    static std::optional<LeakView> view_of(const Generation& generation);
    // Not empty: it should be recycled now, for this reason.
    std::string why_recycle(const Generation& generation, Instant now) const;
    std::vector<LeakReport> report() const;
    // Its server replaces its processes before they are old enough for a judgement; empty: it does not say so.
    std::string unjudged() const;
    const HeapTrim& trim() const { return trim_; }
    std::optional<ExperimentView> experiment() const;

private:
    struct File;

    void begin(const WorkerPtr& worker, Generation& generation);
    void read(const GenerationPtr& generation, Instant now);
    void note_ended();
    void forget_ended();
    void judge(Watched what, LeakLife& life, const Generation& generation);
    void explain(Instant now); // what leaks already: routes, lines
    void put_agents();
    void trace(Instant now);
    void note_load(Instant now);
    void act_on_holes(const GenerationPtr& generation, Instant now);
    void ask_what_is_open(const LeakLife& life);
    // How often a route, or the routes of a group, were asked of this life.
    double asked(const LeakLife& life, const std::string& route) const;
    LeakCase::Asks asks(const LeakLife& life, const std::string& route);
    std::optional<leak::LoadLineAhead> load_line_of(Watched what, const LeakLife& life) const;
    leak::RecycleOutlook outlook_of(Watched what, const LeakLife& life) const;
    double lead(double bound) const;
    static double second_of_day(); // since midnight, in UTC
    bool has_one_route() const;
    void tell(Watched what); // the verdict, to the open incident
    std::optional<double> limit_of(Watched what, const Generation& generation) const;
    LeakCase& of(Watched what) { return cases_[index(what)]; }
    const LeakCase& of(Watched what) const { return cases_[index(what)]; }
    std::optional<LeakReport> report_of(Watched what) const;
    std::optional<LeakReport> report_of(Watched what, leak::Class kind) const;
    std::optional<LeakReport> report_of_open(Watched what) const;
    using Lives = std::vector<const LeakLife*>;
    LeakReport report_on(Watched what, leak::Class kind, const LeakView& view, const Lives& lives) const;
    LeakCase::Around around(Watched what, const Lives& lives) const;
    bool is_worth_telling(Watched what, const LeakLife& life) const;
    void tell_experiment(const std::string& news);
    std::string fingerprint() const; // of the application: what was learned of another one says nothing

    Pool& pool_;
    const WallTime created_ = std::chrono::system_clock::now();
    LeakRoutes routes_;
    std::array<LeakCase, all_watched.size()> cases_;
    std::vector<std::shared_ptr<LeakLife>> lives_; // of generations that were alive at the last tick
    std::shared_ptr<File> file_;
    CanaryTrace canary_;
    HeapTrim trim_;
    leak::DayLoad load_;
    Instant saved_{}, load_noted_{}, all_asked_{};
    leak::SeenReleases releases_;
    bool changed_ = false;
    std::array<std::string, all_watched.size()> saved_incidents_;
};

} // namespace plimsoll::fleet
