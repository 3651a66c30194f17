// One thread of the data plane: an io_context that watches this thread's epoll set, its listening sockets, its upstream
// connections, and the sessions of the clients that it accepted. Everything here belongs to that thread, but for post(),
// deliver() and the counters.
//
//   io_context --readable--> epoll set --batch--> marks on streams --rung--> coroutines run --> settle(): next deadline
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/access_log.hpp"
#include "net/clients.hpp"
#include "net/io/loop.hpp"
#include "net/redis/health.hpp"
#include "net/routing.hpp"
#include "net/stats.hpp"
#include "net/trace_log.hpp"
#include "net/upstream.hpp"
#include "net/workspace.hpp"

namespace plimsoll::net {

class Admission;
class Listener;
class ListeningSocket;
class Names;
class Session;
namespace redis {
class Link;
}

// What the reactors of one server share.
class Shared {
public:
    explicit Shared(unsigned reactors);
    std::shared_ptr<const Snapshot> snapshot() const;
    std::uint64_t generation() const { return generation_.load(std::memory_order_relaxed); }
    void publish(std::shared_ptr<const Snapshot> snapshot);
    std::uint64_t open_connections() const;

    Registry registry;
    Limits limits;
    redis::Health redis_health;
    std::vector<std::unique_ptr<ReactorCounters>> counters;
    Clients clients;
    io::Budgets budgets;
    std::atomic<Readiness> readiness = Readiness::not_ready; // for health_path
    std::atomic<bool> parting = false; // a stop is near: connections end with the request that they are at

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Snapshot> snapshot_;
    std::atomic<std::uint64_t> generation_ = 0;
};

class Reactor {
public:
    Reactor(unsigned index, Shared& shared);
    ~Reactor();
    Reactor(const Reactor&) = delete;

    // Any thread.
    void post(std::function<void()> what);
    void deliver(Admission& admission);

    void run(); // the thread's body; ends after leave()
    void leave();
    void listen(std::shared_ptr<ListeningSocket> socket, unsigned listener, bool shared_socket);
    void stop_listening(unsigned listener);
    // Stops accepting, once those are here who were on their way. Clients that rest may send one more request, for a moment; all
    // others have the bound to finish, then they are cut. `done` when none is left.
    void stop(Duration bound, std::function<void()> done);
    // A client that has rested may be just about to send, and closing would reset it. So for so long what it sends is
    // answered still, with "Connection: close".
    static constexpr Duration last_chance = std::chrono::seconds{1};
    bool stopping() const { return stopping_; }
    bool parting() const { return stopping_ || shared_.parting.load(std::memory_order_relaxed); }
    Readiness readiness() const { return shared_.readiness.load(std::memory_order_relaxed); }

    // For sessions.
    unsigned index() const { return index_; }
    std::shared_ptr<const Snapshot> snapshot(); // the newest; this thread's own handle on it
    std::uint64_t generation() const { return shared_.generation(); }
    Limits& limits() { return shared_.limits; }
    Series& labelled(std::string_view pool, std::string_view label); // by the application's own label
    std::uint64_t random();                                          // good enough to spread load and to name requests
    double draw() { return static_cast<double>(random() >> 11) * 0x1p-53; } // in [0, 1)
    // A failing worker must not flood the log: ten lines a second, and the next one tells how many were passed over.
    bool may_warn(std::uint64_t& passed_over);
    void joined(Session& session);
    void left(Session& session);
    void left(Listener& listener);          // destroys it
    void rests(Session& session, bool yes); // it waits for a request that has not begun
    bool over_connection_limit();
    // Ends the session that has rested longest, before anybody is refused. One that has sent something meanwhile is passed over.
    // It leaves in this turn, so whoever takes its place need not wait. False: none rests here. Other reactors' sessions are
    // theirs, but the kernel spreads clients, so of many that rest each reactor has its share.
    bool evict_one();
    Clients& clients() { return shared_.clients; }
    void waits_in_queue() { ++queued_; }
    void waits_no_more() { --queued_; }

    io::Loop loop;
    Workspace workspace;
    ReactorCounters& counters;
    Upstreams upstreams{loop, counters};
    AccessLog access_log{loop};
    TraceLog trace_log{loop};
    Names& names() { return *names_; }
    redis::Link* redis_link() { return redis_.get(); } // null: no limit is shared

private:
    struct Ports; // what is Asio's
    void act(const std::function<void()>& what);
    bool over() const { return session_count_ == 0 && listeners_.empty(); }
    void finish_if_over();
    void use_redis(const std::shared_ptr<const redis::Settings>& settings);
    void watch();
    void traffic();
    void settle(); // after anything that may have rung or armed something
    void tick();
    void refresh_date();
    void note_lag(Duration lag);

    const unsigned index_;
    Shared& shared_;
    std::unique_ptr<Ports> ports_;
    std::unique_ptr<Names> names_;
    std::shared_ptr<redis::Link> redis_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::shared_ptr<const Snapshot> snapshot_;
    std::unordered_map<std::string, std::unordered_map<std::string, Series*>> labels_;
    std::uint64_t random_;
    struct Sessions { // in the order in which they came here
        Session* first = nullptr;
        Session* last = nullptr;
        void append(Session& session);
        void remove(Session& session);
    };
    Sessions at_work_, at_rest_;
    std::size_t session_count_ = 0;
    std::size_t queued_ = 0; // sessions that wait in a pool's queue
    bool stopping_ = false;
    std::function<void()> stopped_;
    Instant tick_at_ = never;
    Instant date_until_{};
    Instant lag_since_{};
    Duration lag_{}, lag_before_{};
    Instant warned_since_{};
    unsigned warned_ = 0;
    std::uint64_t unwarned_ = 0;

    std::mutex mailbox_mutex_;
    std::vector<Admission*> mailbox_;
};

} // namespace plimsoll::net
