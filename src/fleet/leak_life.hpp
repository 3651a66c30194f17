// One generation as the detectors see it: memory, descriptors, threads and child processes against the requests that it has
// served. The agent's counts where there are any, else those of our own /proc.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fleet/worker.hpp"
#include "plimsoll/leak/detector.hpp"

namespace plimsoll::fleet {

enum class Watched : std::uint8_t { memory, descriptors, threads, children };
inline constexpr std::array all_watched{Watched::memory, Watched::descriptors, Watched::threads, Watched::children};
std::string_view to_string(Watched what);
constexpr std::size_t index(Watched what) { return static_cast<std::size_t>(what); }

struct LeakLife {
    // `watched_from`: since when requests are counted.
    LeakLife(const Worker& worker, const Generation& generation, WallTime watched_from);

    leak::Detector& of(Watched what) { return detectors[index(what)]; }
    const leak::Verdict& verdict(Watched what) const { return detectors[index(what)].verdict(); }
    std::string name() const { return worker + "/" + std::to_string(generation); }

    // Takes what is new of the generation's readings. Returns the memory it uses, where that was read anew.
    std::optional<double> read(const Generation& from, std::uint64_t requests_so_far, Instant now,
                               Duration stale_after);
    // Its heap was trimmed, or its process executed itself anew: what memory does from here on has nothing to do with the line
    // that it followed before.
    void forget_memory();
    bool suspected() const; // something of it is called leaking, with whatever confidence

    std::array<leak::Detector, all_watched.size()> detectors; // of(what)
    std::string worker;
    WorkerKey key = 0;
    unsigned generation = 1;
    std::string release;           // of the application; empty: not known
    double rate = 0, rate_now = 0; // requests a second: over an hour or so, and over the last minute
    std::uint64_t requests = 0;
    Instant began{}, last_read{};
    std::uint64_t memory_from = 0; // requests, at which the memory's detector began anew
    std::optional<double> blocks;  // bytes at most in Python's own blocks, as told last
    Instant sampled{}, looked{};   // the agent's last sample that was fed; our own last count
    double limit = 0;              // of its memory, when it was judged last
    bool over = false;
    bool steered = false; // an experiment has a say in what it is asked
    // It served before requests were counted: Plimsoll was started again, or put in front of it. What grows a request is seen all
    // the same; its age is not known.
    bool came_late = false;
    double served() const { return came_late ? 0 : static_cast<double>(requests); } // in all; 0: not known

private:
    WallTime watched_from_{};
    void follow_rate(std::uint64_t requests_so_far, Instant now);
    std::optional<double> read_memory(const Generation& from, bool fresh, leak::Reading reading, Duration stale_after);
    void read_counts(const Generation& from, bool fresh, leak::Reading reading);
};

LeakView view_of(const leak::Verdict& verdict);
bool accuses(const leak::Verdict& verdict); // sure enough for an incident; below it is a suspicion

} // namespace plimsoll::fleet
