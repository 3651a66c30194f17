// A client's connection: one coroutine, from accept to close, that reads like the life of a request.
//
//   read head -> route -> take body -> admit -> attempt ... (again, if it may be retried) -> account -> next request
//
// Each step leaves its mark in the Exchange: a refusal to be answered, or that the client is gone; the steps after it are then
// passed over. Most requests run through all of them without a pause but one: for the worker's answer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/admission.hpp"
#include "net/clients.hpp"
#include "net/exchange.hpp"
#include "net/io/alarm.hpp"
#include "net/io/read_ahead.hpp"
#include "net/io/stream.hpp"
#include "net/io/task.hpp"
#include "net/io/wakeup.hpp"

namespace plimsoll::net {

class Download;
class Reactor;

// Said to a client that finished writing too early: it may still be reading (RFC 9112, 8).
inline constexpr http::Refusal request_incomplete = {400, "incomplete", "the connection ended before the request did"};

class Session {
public:
    static void start(Reactor& reactor, int fd, unsigned listener, std::string peer, std::uint16_t port,
                      Clients::Place place);
    ~Session();

    // Of one at rest.
    void leave();    // the proxy stops
    bool make_way(); // for a new client; false: it has just said something, or leaves anyhow
    enum class Busy : std::uint8_t { no, request, tunnel };
    Busy cut(); // now, whatever is under way, which is told

private:
    friend class Reactor; // its lists of sessions
    Session(Reactor& reactor, int fd, unsigned listener, std::string peer, std::uint16_t port, Clients::Place place);

    static io::Detached run(std::unique_ptr<Session> self);
    io::Task<> serve();
    io::Task<bool> serve_one(); // true: another request may follow

    io::Task<bool> read_proxy_header(); // proxied_peer.cpp
    bool find_place();                  // false: the announced client has as many connections as it may

    // The steps: heads and routes (session.cpp), bodies (take_body.cpp), the gate (admit.cpp), and what is noted (account.cpp).
    io::Task<> read_head(Exchange& x);
    bool begun() const;
    void give_up_empty_lines();
    bool parse_held(Exchange& x, std::size_t& seen);
    bool parse_head(Exchange& x, std::string_view bytes, std::size_t seen);
    void find_route(Exchange& x);
    void tell_health(Exchange& x);
    void read_wishes(Exchange& x, const http::RequestHead& head);
    void check_limits(Exchange& x, const http::RequestHead& head, std::string_view path);
    void heed(Exchange& x, const LimitVerdict& verdict, std::size_t told);
    void begin_body(Exchange& x);
    void check_body(Exchange& x);
    io::Task<> read_body(Exchange& x);
    Gate::Facts facts_of(Exchange& x);
    bool turned_away(Exchange& x); // the gate would refuse it now
    bool try_admit(Exchange& x);   // false: in the queue
    io::Task<> wait_for_slot(Exchange& x);
    void refuse_admission(Exchange& x, Reason reason, Duration retry_after);
    io::Task<> ask_redis(Exchange& x); // shared_limits.cpp
    Side wanted_side(Exchange& x);     // by an experiment
    void account(Exchange& x);
    void name_for_memory(Exchange& x);
    void teach_labels(Exchange& x);      // what the application calls such requests
    void count_route(const Exchange& x); // by worker; before its permit is given back

    // What needs no worker (own_answer.cpp).
    http::Forwarding about_client() const; // and whom to believe of it
    http::Client client_of(const http::RequestHead& head) const;
    void disambiguate(Exchange& x, const http::RequestHead& head, std::string_view resolved);
    void take_actions(Exchange& x, const http::RequestHead& head, std::string_view resolved);
    void close_for(Exchange& x, const Closed& closed);
    io::Task<> answer_refusal(Exchange& x);
    io::Task<> answer_with_page(Exchange& x);
    io::Task<> answer_as_last_hop(Exchange& x);
    http::Answer own_answer(Exchange& x);
    Duration pause_of(const Exchange& x); // how long a refused client is asked to wait; 0: it is not
    Duration no_hint();
    io::Task<> send_own(Exchange& x, std::size_t head_size, std::string_view body = {});

    // One attempt at one worker (attempt.cpp) ...
    enum class Lease : std::uint8_t { ready, connecting, busy, failed, no_room };
    io::Task<> attempt(Exchange& x);
    Lease lease(Exchange& x);
    Lease open(Exchange& x);
    io::Task<Ending> connect(Exchange& x, Lease state);
    Ending send_request(Exchange& x);
    void conclude(Exchange& x, Ending ending, const Download& download);
    bool may_go_on(Exchange& x, Ending ending) const;
    bool is_still_busy(Exchange& x, Ending ending) const;
    Duration leave_behind(Exchange& x, Outcome outcome);
    void report_failure(const Exchange& x, Ending ending, const Download& download);
    bool may_retry(Exchange& x, Ending ending, const Download& download);
    // ... and what goes over the wires meanwhile (converse.cpp, tunnel.cpp).
    io::Task<Ending> converse(Exchange& x, Download& download);
    std::uint8_t await_client(Exchange& x, const Download& download);
    std::uint8_t await_worker(Exchange& x, const Download& download);
    void heed_patience(Exchange& x); // the client's own deadline holds until the answer begins
    void forget_patience(Exchange& x);
    Ending too_late(const Exchange& x) const { return x.impatient ? Ending::impatient : Ending::overdue; }
    std::optional<Ending> judge_lateness(Exchange& x, Download& download);
    std::optional<Ending> move_bytes(Exchange& x, Download& download);
    void move_request(Exchange& x);
    std::optional<Ending> stream_body(Exchange& x);
    bool request_unsent(Exchange& x) const { return !x.unsent_head.empty() || !x.upload.spool().empty(); }
    void release_worker(Exchange& x, const Download& download);
    Duration time_at_rest(const Exchange& x) const; // of its worker's connection; 0: it is not kept
    io::Task<Ending> tunnel(Exchange& x);

    const http::RequestHead& head_of(Exchange& x);
    http::Limits limits() const;
    const config::Listener& listener() const;
    void settle(Exchange& x); // before a wait: nothing of this request in the scratch buffer
    bool client_left(Exchange& x);
    std::uint8_t client_end(const Exchange& x) const; // the mark that tells of it, while that would be news
    bool too_slow_a_sender(Exchange& x, Duration waited);
    bool too_slow_a_taker(Exchange& x, Duration waited);
    bool took_something(Exchange& x);
    Ending overtaken(Exchange& x, const Download& download); // by its deadline
    Ending given_up(Exchange& x, std::string_view reason, std::string_view detail);
    bool overdue() const { return wakeup_.signals() & io::Wakeup::overdue; }
    bool cut_short() const { return wakeup_.signals() & io::Wakeup::cut; }
    void use_newest_snapshot();
    void break_off(const Exchange& x); // so that the client sees an error, not an end
    io::Task<> linger();
    void log_access(Exchange& x);
    void trace(Exchange& x);
    std::string traced_name(Exchange& x);                        // empty: the route's label
    std::string_view routed_path(const http::RequestHead& head); // in the workspace
    std::uint64_t client_hash(Exchange& x);

    Reactor& reactor_;
    io::Wakeup wakeup_;
    io::Stream client_;
    io::Alarm deadline_; // of a whole request or tunnel, where there is one
    Admission admission_;
    Clients::Place place_;
    std::shared_ptr<const Snapshot> snapshot_;
    std::string peer_;   // as text; empty: a unix socket
    io::ReadAhead held_; // what follows this request
    Session* before_ = nullptr;
    Session* after_ = nullptr;
    const unsigned listener_;
    std::uint16_t peer_port_; // 0: it has none
    bool idle_ = false, trusted_ = false;
    Busy busy_ = Busy::no;
    bool kept_ = false;                    // it has had an answer
    Instant rests_until_ = Instant::max(); // at the latest, with empty lines or without
    bool sends_bodies_ = false;            // its last request had one
    bool unknown_client_ = false;          // behind a proxy that does not tell who it is
};

} // namespace plimsoll::net
