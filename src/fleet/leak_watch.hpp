// Runs the detector (plimsoll/leak/detector.hpp) over a pool: memory, descriptors and threads of every generation, against
// the requests that it has served.
//
//   reading, every memory.interval --> detectors of the generation --> verdict --> `suspect`, an incident, a wish to recycle
//                                          ^                              |
//                                       history of the pool <-- its end --'      kept in STORE/leaks-POOL.json
//
// One incident a pool for each thing that leaks: every worker and generation that leaks the same joins it, and growth that
// does not come back closes it. policy = "observe" shows classes only; "advise" opens incidents; "act" recycles too.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fleet/canary_trace.hpp"
#include "fleet/journal.hpp"
#include "fleet/leak_routes.hpp"
#include "fleet/pool.hpp"
#include "plimsoll/leak/detector.hpp"

namespace plimsoll::fleet {

enum class Watched : std::uint8_t { memory, descriptors, threads };
inline constexpr std::array all_watched{Watched::memory, Watched::descriptors, Watched::threads};
std::string_view to_string(Watched what);

// Of one generation.
struct LeakLife {
    LeakLife(std::uint64_t life, const Generation& generation);
    leak::Detector& of(Watched what) { return detectors[static_cast<std::size_t>(what)]; }

    std::array<leak::Detector, all_watched.size()> detectors;
    std::string worker;
    WorkerKey key = 0;
    unsigned generation = 1;
    double rate = 0, rate_now = 0; // requests a second: over an hour or so, and over the last minute
    std::uint64_t requests = 0;
    Instant began{}, read{};
    Instant sampled{}; // the agent's last sample that was fed
    bool over = false;
};

class LeakWatch {
public:
    explicit LeakWatch(Pool& pool);
    ~LeakWatch();
    void start(); // what earlier lives of the program learned
    void tick(Instant now);
    void save();
    void recycled(const Worker& worker, const std::string& incident); // for the story of a leak

    static bool suspects(const Generation& generation);
    static std::optional<LeakView> view_of(const Generation& generation);
    // Not empty: it should be recycled now, for this reason.
    std::string why_recycle(const Generation& generation, Instant now) const;
    std::vector<LeakReport> report() const;

private:
    struct Case { // one thing that leaks in this pool
        leak::History history;
        std::shared_ptr<Incident> incident; // null: none is open
        std::string id;                     // of that incident
        double accused_age = 0;             // requests at which it was accused first
        unsigned recycles = 0;
        std::vector<std::string> accused; // "app-1/3": worker and generation
    };
    struct File;

    void read(Generation& generation, LeakLife& life, Instant now);
    void judge(Watched what, LeakLife& life, const Generation& generation);
    void accuse(Watched what, Case& found, const LeakLife& life, const leak::Verdict& verdict);
    void acquit(Watched what, Case& found, const LeakLife& life, const leak::Verdict& verdict);
    std::optional<double> limit_of(Watched what, const Generation& generation) const;
    Case& of(Watched what) { return cases_[static_cast<std::size_t>(what)]; }
    const Case& of(Watched what) const { return cases_[static_cast<std::size_t>(what)]; }
    void tell_routes(); // to the open incident
    std::string sentence(Watched what, const std::vector<std::string>& workers, const LeakView& view) const;
    std::string fingerprint() const; // of the application: what was learned of another one says nothing

    Pool& pool_;
    LeakRoutes routes_;
    std::array<Case, all_watched.size()> cases_;
    std::vector<std::shared_ptr<LeakLife>> lives_; // of generations that were alive at the last tick
    std::shared_ptr<File> file_;
    CanaryTrace canary_;
    Instant saved_{};
    bool changed_ = false;
};

} // namespace plimsoll::fleet
