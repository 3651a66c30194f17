// What a client may have of a route: [[route.limit]] at work.
//
// A limit counts by one or more parts of the request (client address, field, cookie, query parameter, path, label). Their values are
// hashed together with the identity of the limit into one key of 64 bits; what is remembered of a key is a time (RateTable)
// and, while requests of it are under way, their number (InflightTable). A part that a request does not have counts as an
// empty value: leaving a field out must not be the way around a limit.
//
// A shared limit is counted in Redis, over all proxies. It is asked last, when this proxy itself would let the request pass (see
// Session::ask_redis). What Redis says is noted in the own table as well: when Redis is lost, this proxy's share goes on from
// there.
//
// The table belongs to the program and outlives every routing, so a reload keeps what clients have used up. It is split into
// stripes with a lock each, held for some 50 ns: reactors hardly ever meet.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "net/http/forwarded.hpp"
#include "net/http/refusal.hpp"
#include "net/limit_labels.hpp"
#include "plimsoll/core/keyed_hash.hpp"
#include "plimsoll/policy/inflight_limit.hpp"
#include "plimsoll/policy/rate_limit.hpp"

namespace plimsoll::net {

struct ServerStats;
class Limits;

struct LimitCounters {
    std::string pool, route, limit;
    std::atomic<std::uint64_t> passed = 0, refused = 0, shadow = 0;
    std::optional<config::Limit> terms; // of the newest routing; unset: it has no such limit
};

// One limit of one route, ready to be asked.
struct RouteLimit {
    enum class Part : std::uint8_t { client, path, label, header, cookie, query };
    std::string name; // as clients see it: its own, or "client"
    std::uint64_t identity = 0;
    std::vector<std::pair<Part, std::string>> parts;
    bool rated = false;
    RateRule rate;
    unsigned inflight = 0; // 0: any number
    unsigned ipv6_prefix = 64;
    http::TrustedProxies allow;
    bool enforced = true;
    bool shared = false; // its rate is counted in Redis
    std::string scope;   // what tells it from other limits
    LimitCounters* counters = nullptr;
    bool counts_by(Part part) const;
};

struct LimitedRequest {
    std::string_view client, path, query; // path as routes see it; query with its '?'
    std::string_view label;               // where a limit counts by it
    const http::FieldTable& fields;
};

// The request's places in inflight limits; given back when it ends.
class LimitHold {
public:
    LimitHold() = default;
    LimitHold(LimitHold&& other) noexcept : limits_(other.limits_), keys_(std::exchange(other.keys_, {})) {}
    LimitHold& operator=(LimitHold&&) = delete;
    ~LimitHold() { give_back(); }
    void give_back();

private:
    friend class Limits;
    Limits* limits_ = nullptr;
    std::vector<std::uint64_t> keys_;
};

// What the limits have said to a request so far. `shared`: who is to be asked still.
struct LimitsUnderWay {
    struct Passed {
        std::uint64_t key;
        RateRule rule;
    };
    struct Shared {
        const RouteLimit* limit;
        std::uint64_t key;  // in our own table
        std::string digest; // in Redis, behind the prefix
    };
    struct Told {
        const RouteLimit* limit;
        RateRule rate; // the limit's own, or this proxy's share of it
        RateVerdict verdict;
    };
    std::vector<Passed> passed; // to be taken back if a later one refuses
    std::vector<Shared> shared;
    std::vector<Told> told;
    std::string fields() const; // RateLimit-Policy and RateLimit, as lines
};

struct LimitVerdict {
    http::Refusal refusal; // none: it passes
    Duration retry_after{};
    bool of_many = false;                 // it refuses many clients by one count
    std::vector<std::string_view> shadow; // reasons for which it would have been refused
    std::string fields;                   // RateLimit-Policy and RateLimit, as lines
};

class Limits {
public:
    Limits();
    ~Limits();

    // Control thread. A new routing begins: what it does not compile is not in force.
    void withdraw();
    // The first limit that there is makes the table.
    std::vector<RouteLimit> compile(const config::Route& route, const std::string& label, std::size_t keys);
    // Of all the routes to one pool.
    LimitLabels& labels_of(const std::string& pool);
    void add_to(ServerStats& stats) const;

    // Any reactor. In the order of the configuration; the first that refuses ends it, and those before it count nothing.
    // `under_way.shared` is not empty where it passes and shared limits must be asked: then one of the two below follows.
    LimitVerdict judge(Instant now, const std::vector<RouteLimit>& limits, const LimitedRequest& request,
                       LimitHold& hold, LimitsUnderWay& under_way);
    // What Redis said, in the order of `under_way.shared`; fewer where one refuses, which is the last then.
    LimitVerdict conclude(Instant now, LimitsUnderWay& under_way, std::span<const RateVerdict> said);
    LimitVerdict conclude_without(Instant now, LimitsUnderWay& under_way, config::OnFailure how, unsigned proxies);

private:
    friend class LimitHold;
    static constexpr std::size_t stripes = 64;
    struct alignas(64) Stripe {
        explicit Stripe(std::size_t keys) : rates(keys) {}
        std::mutex mutex;
        RateTable rates;
        InflightTable inflight;
    };
    std::uint64_t key_of(const RouteLimit& limit, const LimitedRequest& request) const;
    Stripe& stripe_of(std::uint64_t key) { return *stripes_[key % stripes]; }
    bool enter(const RouteLimit& limit, std::uint64_t key, LimitHold& hold);
    void leave(std::uint64_t key);
    RateVerdict spend(Instant now, std::uint64_t key, const RateRule& rule);
    void take_back(LimitsUnderWay& under_way);
    // False: it refuses, and what passed before is taken back.
    bool apply(const RouteLimit& limit, const http::Refusal& refusal, Duration retry_after, LimitsUnderWay& under_way,
               LimitVerdict& verdict);

    const HashKey seed_;
    std::vector<std::unique_ptr<Stripe>> stripes_; // empty until a route has a limit
    mutable std::mutex mutex_;                     // guards counters_ and labels_
    std::map<std::string, std::unique_ptr<LimitCounters>> counters_;
    std::map<std::string, LimitLabels> labels_; // by pool
};

} // namespace plimsoll::net
