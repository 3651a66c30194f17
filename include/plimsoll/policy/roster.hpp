// The workers of a pool as the gate sees them, and which of them have a free slot.
//
// Whom a request may go to is decided thousands of times a second, and what decides it changes rarely: so the free ones
// stand in a list of their own, and a worker's keys lead to it by a map. No decision walks through all workers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/breaker.hpp"
#include "plimsoll/policy/load_line.hpp"
#include "plimsoll/policy/memory_admission.hpp"
#include "plimsoll/policy/priority.hpp"

namespace plimsoll {

class AdaptiveLimit;

// Whose limit a worker's pressure is measured by: the worst of the three.
enum class PressureOf : std::uint8_t { unknown, worker, cgroup, host };

struct Member {
    Member();
    ~Member();
    WorkerKey key = 0;
    std::uint64_t place = 0; // the hash of its place's name
    unsigned slots = 0, in_flight = 0;
    unsigned streams = 0;                    // beside those in flight
    bool warming = false;                    // it is new (gate_warming.cpp):
    unsigned ramp = no_ramp;                 // so many at once
    bool accepting = false, removed = false; // removed: only its last permits keep it here
    bool willing = false, ailing = false;    // it is to accept; but its health checks fail
    bool checked = false;                    // one of its slots is held by a health check
    double pressure = -1;                    // of its memory; negative: unknown
    PressureOf pressure_of = PressureOf::unknown;
    LoadLine line;               // of it alone
    unsigned takes = priorities; // so many priorities, the highest first (gate_lines.cpp)
    struct Taking {              // as the roster has counted it: where it may not be asked, nobody and none
        unsigned takes = 0, slots = 0;
        bool operator==(const Taking&) const = default;
    } counted;
    MemoryAdmission::Place memory;
    Side side = Side::away;              // of an experiment
    bool resting = false;                // it refused a connection or broke one off: until `rested` nobody goes there
    Instant rested{}, accepting_since{}; // since: the first time
    Breaker breaker;
    Breaker
        shadow; // what the other would do, where breakers are in shadow: it trips, rests and probes, and stops nobody
    Window<3> results;                                   // of its requests, as `everybody_` of the gate has them of all
    std::unique_ptr<AdaptiveLimit> adaptive;             // nobody says how many slots it has: they are learned
    std::uint64_t admitted = 0, finished[outcomes] = {}; // by Outcome
    std::size_t free_at = npos;                          // its place in the list of the free ones
    std::size_t sidelined_at = npos;                     // and in that of the sidelined ones (sidelined.hpp)
    Instant wakes = never;                               // when it is looked at there

    static constexpr unsigned no_ramp = static_cast<unsigned>(-1);
    static constexpr std::size_t npos = static_cast<std::size_t>(-1);
    bool empty() const { return in_flight + streams == 0; }
    bool sidelined() const { return resting || breaker.state() != Breaker::State::passing; }
    bool warm() const { return accepting && !warming && !sidelined(); }
};

class Roster {
public:
    Member* find(WorkerKey key) const;
    Member& add(WorkerKey key);
    void erase(WorkerKey key);
    // One request more, or less.
    void took(Member& member);
    void gave_back(Member& member);
    // After any change to a member: whether it is free is judged anew. A tripped one is free for its one probe only.
    void judge(Member& member, Instant now);

    const std::vector<std::unique_ptr<Member>>& all() const { return members_; }
    const std::vector<Member*>& free() const { return free_; }
    std::size_t in_flight() const { return in_flight_; } // at those that accept
    // Those that accept, in the order of affinity_spot(place): the `affinity_reach` from `spot` on, or all. In two parts, for a
    // ring has no end.
    struct Spot {
        std::uint64_t at, place;
        Member* member;
    };
    std::array<std::span<const Spot>, 2> from(std::uint64_t spot) const;
    std::size_t accepting() const { return accepting_; }
    unsigned slots() const { return slots_; } // of those that accept
    // The lowest of those that accept, in steps of 1 %; negative where it is not known of one, or nobody accepts.
    double lowest_pressure() const;

    void set_accepting(Member& member, bool accepting, Instant now);
    void set_slots(Member& member, unsigned slots, Instant now);
    void set_pressure(Member& member, double pressure);
    void set_takes(Member& member, unsigned takes);
    // A request of this priority goes to who takes at least so many: the priority itself, or as near to it as anybody comes who
    // may be asked.
    unsigned least_takes(Priority priority) const;
    unsigned slots_for(Priority priority) const; // of those it goes to; all, while nobody may be asked

private:
    std::vector<std::unique_ptr<Member>> members_;
    std::unordered_map<WorkerKey, std::size_t> places_;
    std::vector<Member*> free_;
    static std::size_t step_of(double pressure);
    void set_on_ring(Member& member, bool there);

    std::size_t accepting_ = 0, in_flight_ = 0;
    std::vector<Spot> ring_;
    unsigned slots_ = 0;
    void count_as_taking(Member& member);
    std::array<std::size_t, priorities> takers_{}; // by priority, of those that may be asked
    std::array<unsigned, priorities> slots_of_takers_{};
    std::array<unsigned, 152>
        at_pressure_{}; // how many of those that accept: unknown, then 0 %, 1 %, ... 150 % and more
};

} // namespace plimsoll
