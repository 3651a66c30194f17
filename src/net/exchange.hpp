// One request and its answer, while they are under way. Lives in the session's frame; nothing here is a view into the scratch
// buffer except `loose`, which settle() copies before anything waits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http/chunk_scanner.hpp"
#include "net/http/head.hpp"
#include "net/http/head_writer.hpp"
#include "net/io/spool.hpp"
#include "net/limits.hpp"
#include "net/pace.hpp"
#include "net/routing.hpp"
#include "net/steering.hpp"
#include "net/upload.hpp"
#include "net/upstream.hpp"
#include "net/workspace.hpp"

namespace plimsoll::net {

// How an attempt at a worker, or the whole exchange, ended.
enum class Ending : std::uint8_t {
    done,
    client_gone,     // hung up, or took too long to read or to send
    connect_refused, // nobody listens there
    connect_timeout,
    unsent, // the connection was dead before a byte of the request left: the worker never saw it
    closed, // the worker closed before the response was complete
    timeout,
    overdue,   // the deadline of the whole request passed while the worker had it
    impatient, // the client's own did, before the answer began: says nothing about the worker
    malformed, // the worker's answer breaks HTTP
    no_room,   // the proxy's own: descriptors, buffer memory or disk
};

struct Exchange {
    Exchange(io::Loop& loop, Workspace& workspace, const Snapshot& settings, const http::Identity& id)
        : spare_texts(workspace.texts), texts(workspace.texts.take()), snapshot(settings), upload(loop), outbox(loop),
          identity(id) {}
    ~Exchange() { spare_texts.give(std::move(texts)); }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    SpareTexts& spare_texts;
    std::unique_ptr<Texts> texts;
    std::string &head = texts->head, &worker_name = texts->worker_name, &worker_route = texts->worker_route;

    const Snapshot& snapshot; // held by the session for as long as this lasts

    // The request.
    bool nothing = false;        // of it came, though it looked so: the client rests
    std::uint64_t parsed_at = 0; // scratch age at which the workspace's head was this one's; 0: its head is not whole
    http::Method method = http::Method::get;
    http::Framing framing;
    std::uint8_t minor = 1;
    std::string upgrade_to; // the protocols that it asks for; empty: none
    bool keep_alive = false, expects_continue = false;
    bool half_closed = false;        // the client finished writing with this request, and waits
    bool unheard_to_the_end = false; // finish_abandoned: whether the client is there no longer matters
    Instant whole_at{};              // when its last byte was read
    const Route* route = nullptr;
    Series* series = nullptr;
    Instant began{};
    Priority priority = Priority::normal;
    Instant bound = never;    // of the whole request: the operator's
    Instant deadline = never; // the client's own, or that, whichever is sooner
    bool impatient = false;   // the session's alarm is set for the client's own
    std::string_view loose;   // a complete body that still lies in the scratch buffer
    Upload upload;
    std::uint64_t tunnelled = 0; // bytes of the client's, after an upgrade
    std::uint64_t received() const { return upload.received() + tunnelled; }
    LimitHold limit_hold;                   // it counts as under way for these keys
    std::unique_ptr<LimitsUnderWay> to_ask; // shared limits, until Redis was asked; null: none
    std::optional<double> draw;             // for the gate's next verdict, where it was asked for one already
    std::string own_fields; // what we add to the answer (limits, the cookie of an affinity): whole lines
    http::Mount mount = http::Mount::as_told;
    std::string path; // where the route changed it: what the worker gets, or where a redirect leads
    std::optional<std::uint64_t> affinity;
    CostKey label = 0;                                  // by which the memory is learned that it needs
    Steering::Phase experiment = Steering::Phase::none; // when it asked for a slot

    // The worker.
    Permit permit;
    Upstreams::Connection worker;
    std::optional<WorkerKey> avoid; // the one that failed us last
    unsigned attempts = 0;
    bool reused = false;     // this attempt's connection had rested
    unsigned unanswered = 0; // attempts that a worker ended without a word, on a fresh connection
    bool asked = false;      // the gate, for a slot
    RetryHold retry;         // its pool's budget counts it
    Ticket ticket = 0;
    std::optional<sockaddr_storage> found_at; // this attempt's worker, if it is known by name
    std::string unsent_head;
    std::size_t uwsgi_bytes = 0;                     // of the head as this attempt's worker gets it; 0: by HTTP
    bool sending_failed = false;                     // the worker takes no more of the request; it may still answer
    bool worker_moved = false, client_moved = false; // bytes, since the deadlines were set
    bool client_unwatched = false;                   // its deadline says when to join it to the epoll set
    Pace sending, taking;                            // of the client: its body, our answer
    bool owes_client = false, wants_body = false;    // whose turn it is on the client's side, while we wait
    Instant waits_since{};

    // The answer.
    io::Spool outbox;    // towards the client
    unsigned status = 0; // as told to the client; 0: nothing yet
    bool answer_began = false;
    http::Framing answer_framing;   // towards the client
    std::uint64_t answer_bytes = 0; // body; once the answer is over, what of it was handed to the client's socket
    std::uint64_t flushed = 0;      // bytes that went to the client
    std::int64_t taken = 0;         // of those, what it had acknowledged when it was looked at last
    const http::Identity identity;
    std::string_view request_id = identity.request_id(); // or what a trusted peer calls it: then it lies in `head`

    // Where the time went, for the access log; `began` is when the head was complete.
    Instant sent_at{};
    Duration head_took{}, body_took{}, waited{}, connect_took{}, first_byte_took{}; // waited: in the pool's queue
    Duration held{};                                                                // a slot, or one after the other

    // How it goes on. Nothing of it: with the next step.
    http::Refusal refusal;      // to be answered
    const Page* page = nullptr; // to be answered with; of a refusal too
    Duration retry_after{};
    bool gone = false;    // the client
    bool dawdled = false; // it did not take its answer in time
    bool abort = false;   // the answer is broken off: the client must see that
    bool complete = false;
    bool last_hop = false;  // the client asked that nobody behind us is: we answer
    bool of_health = false; // a load balancer's question: no traffic
    bool open() const { return !gone && !abort && !complete && !refusal && !page && !last_hop; }
};

} // namespace plimsoll::net
