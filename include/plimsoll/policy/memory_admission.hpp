// Whether a request may begin, as far as memory goes.
//
//   need      = what its label is expected to need at its peak (memory_costs.hpp)
//   fits      = the need fits under the worker's own limit, and under every limit that the worker shares: its cgroup's, the
//               host's (memory_account.hpp)
//   light     : a need below 1/64 of the smallest of those limits. Always begins; the margin takes care of it
//   cold      : a label of which too little is known. One at a time, so that the next reading tells its need; who has waited
//               for that for 250 ms begins anyway: an application that is merely slow must not stand still to be learned
//   full      : it does not fit. It waits for those in flight to end, and nobody with a need overtakes it, or those who need
//               much would wait for ever
//   hopeless  : it would not fit if nobody else were there. Waiting helps only if the base falls, so it may wait, and is in
//               nobody's way. But once in half a minute it is only full, and begins once nobody else with a need is there:
//               or an estimate that is too high would never be put right
//
// Nothing is decided where no limit or no reading is known.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/memory_account.hpp"
#include "plimsoll/policy/memory_costs.hpp"
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
    static constexpr Duration try_again = std::chrono::seconds{30};

    struct Place { // a worker's part of it
        MemoryAccount own;
        std::array<DomainKey, most_shared> domains{};
        RunningLabels running;
    };
    enum class Verdict : std::uint8_t { fits, cold, full, hopeless };

    // Readings.
    void observe(Place& place, const MemorySight& sight);
    void observe_domain(DomainKey domain, std::optional<Bytes> use, std::optional<Bytes> limit);
    // Since the last one; ends an interval between readings. Returns the labels that ran whose requests are not alike.
    std::vector<CostKey> rose(Place& place, Bytes rise);

    // The worker has risen so far already, with requests in flight.
    void shows(Instant now, Place& place, Bytes rise);
    bool strangers_run(Instant now, const Place& place) const; // so that it is worth telling

    // Requests.
    bool weighs(Instant now, CostKey label) const; // false: nobody need ask
    Verdict ask(Instant now, const Place& place, CostKey label, Instant arrived) const;
    void begin(Instant now, Place& place, CostKey label);
    void end(Place& place, CostKey label);

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

private:
    template <class Says>
    bool shared_say(const Place& place, Says says) const;
    bool fits(const Place& place, Bytes need) const;
    bool ever_fits(const Place& place, Bytes need) const;
    bool alone(const Place& place, Bytes need) const;
    void judge_light();
    void promise(Place& place, Bytes need); // to all whose limits it lives under

    MemoryCosts costs_;
    std::vector<MemoryAccount> domains_; // by key
    struct InFlight {
        unsigned all = 0, weighty = 0; // weighty: when they began
    };
    std::vector<InFlight> in_flight_; // by label
    unsigned weighty_ = 0;            // of all labels
    bool moved_ = false;
    Bytes own_limit_; // the last that was seen: workers of a pool have the same
    Bytes light_;
};

} // namespace plimsoll
