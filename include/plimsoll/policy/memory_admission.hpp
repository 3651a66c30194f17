// Whether a request may begin, as far as memory goes.
//
//   need      = what its label is expected to need at its peak (memory_costs.hpp), here: at first, where none has run in this
//               process before
//   fits      = the need fits under the worker's own limit, and under every limit that the worker shares: its cgroup's, the
//               host's (memory_account.hpp)
//   light     : a need below 1/64 of the smallest of those limits. Always begins; the margin takes care of it
//   cold      : a label of which too little is known. One at a time, so that the next reading tells its need. An application that
//               is merely slow must not stand still to be learned, so with each 250 ms there may be twice as many: 2, 4, 8, ...
//               So does a worker's first one of a label: before the next that needs much begins there, a quiet reading tells what
//               of it stays
//   full      : it does not fit. It waits for those in flight to end, and nobody with a need overtakes it, or those who need
//               much would wait for ever
//   hopeless  : it would not fit if nobody else were there. Waiting helps only if the base falls, so it may wait, and is in
//               nobody's way. But now and then it is only full, and begins once nobody else with a need is there: or an estimate that is
//               too high would never be put right. The more readings say so the less often: from 2 s to half a minute
//
// Nothing is decided where no limit or no reading is known.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/idle_rise.hpp"
#include "plimsoll/policy/memory_account.hpp"
#include "plimsoll/policy/memory_costs.hpp"
#include "plimsoll/policy/resting_memory.hpp"
#include "plimsoll/policy/running_labels.hpp"

namespace plimsoll {

using DomainKey = std::uint16_t;              // what several workers share the memory of; 0: none
inline constexpr std::size_t most_shared = 2; // domains a worker: its cgroup, the host
inline constexpr std::size_t of_host = 1;     // which of them the host is

// A worker's reading, as the fleet tells it.
struct MemorySight {
    std::optional<Bytes> use, limit; // its own; a share of what is common to several is no limit of its own
    std::array<DomainKey, most_shared> domains{};
};

class MemoryAdmission {
public:
    static constexpr Duration cold_wait = std::chrono::milliseconds{250};
    static constexpr Duration try_again = std::chrono::seconds{30}, first_try = std::chrono::seconds{2};

    struct Place { // a worker's part of it
        MemoryAccount own;
        std::array<DomainKey, most_shared> domains{};
        RunningLabels running;
        RestingMemory resting;
        IdleRise idle_rise;
        std::optional<Instant> unseen;  // a request was given up that the worker may have gone on with
        std::vector<bool> served;       // labels that have run in this process, or do
        std::vector<bool> done;         // of which one has ended there that was not refused
        std::optional<Instant> to_read; // a first one has ended, of which a quiet reading would tell what stays
    };
    enum class Verdict : std::uint8_t { fits, cold, full, hopeless };

    // Readings.
    void observe(Place& place, const MemorySight& sight);
    void observe_domain(DomainKey domain, std::optional<Bytes> use, std::optional<Bytes> limit);
    // Ends an interval between readings. Returns the labels that ran whose requests are not alike.
    std::vector<CostKey> rose(Instant now, Place& place, const PeakReading& reading);

    // The worker holds so much already, with requests in flight.
    void shows(Instant now, Place& place, Bytes holds);
    bool strangers_run(Instant now, const Place& place) const; // so that it is worth telling
    bool quiet(Instant now, const Place& place) const;         // nothing runs that needs much, or may

    // Workers that come and go.
    void came() { ++places_; }
    void left(const Place& place);

    // Requests.
    bool weighs(Instant now, CostKey label) const; // false: nobody need ask
    Verdict ask(Instant now, const Place& place, CostKey label) const;
    bool needs_much(const Place& place, CostKey label) const { return need(place, label) > light_; }
    bool ever_fits(const Place& place, CostKey label) const; // if nobody else were there
    void begin(Instant now, Place& place, CostKey label);
    // cut: less of it was done; unseen: the worker may go on with it; refused: it never began after all
    enum class End : std::uint8_t { done, cut, unseen, refused };
    void end(Instant now, Place& place, CostKey label, End how = End::done);

    // Whether a reading now would tell something: of a cold or a heavy label, or of anything after `usual`.
    bool worth_reading(Instant now, const Place& place, Instant last_reading, Duration usual) const;

    // Gates that share a domain tell each other what they have promised there (src/net/shared_promises.hpp): to those who need
    // much, and to all others beside them. Small needs alone are the margin's business.
    void promised_elsewhere(DomainKey domain, Bytes others);
    Bytes promised_to_weighty(DomainKey domain) const;
    bool moved(); // it may have changed since this was asked last

    MemoryCosts& costs() { return costs_; }
    const MemoryCosts& costs() const { return costs_; }
    Bytes light() const { return light_; } // 0: no limit is known
    const MemoryAccount* domain(DomainKey key) const;
    // Of what the worker shares, without what requests in flight were promised; negative: unknown.
    double shared_pressure(const Place& place) const;
    Bytes shared_limit(const Place& place, bool host) const; // the host's, or of its fullest cgroup; 0: not known

private:
    template <class Says>
    bool shared_say(const Place& place, Says says) const;
    bool fits(const Place& place, Bytes need) const;
    bool ever_fits(const Place& place, Bytes need) const;
    bool may_leave_something(CostKey label) const; // the first of it in a process
    static bool awaits_reading(Instant now, const Place& place);
    Bytes need(const Place& place, CostKey label) const;
    Duration next_try(CostKey label) const;
    bool enough_strangers(Instant now, CostKey label) const;
    void contradict(const Place& place, std::span<const Ran> ran, Bytes rise);
    bool alone(const Place& place, Bytes need) const;
    void judge_light();
    void refused(Place& place, CostKey label);
    void promise(Place& place, Bytes need); // to all whose limits it lives under
    void keeps(Place& place, Bytes amount);

    MemoryCosts costs_;
    std::vector<MemoryAccount> domains_; // by key
    struct InFlight {
        unsigned all = 0, weighty = 0; // weighty: when they began
        std::size_t served_in = 0;     // workers
    };
    std::vector<InFlight> in_flight_; // by label
    unsigned weighty_ = 0;            // of all labels
    std::size_t places_ = 0;
    bool moved_ = false;
    Bytes own_limit_; // the last that was seen: workers of a pool have the same
    Bytes light_;
};

} // namespace plimsoll
