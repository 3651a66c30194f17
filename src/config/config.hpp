// The configuration as plain structs, each member at its default. conf/plimsoll.toml holds the same defaults with their
// comments; a test compares the two. Parsing is parse.hpp's; this file knows no TOML.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"
#include "plimsoll/policy/priority.hpp"

namespace plimsoll::config {

using std::chrono::milliseconds;
using std::chrono::seconds;

using plimsoll::Mode;
std::string_view to_string(Mode mode);

// An amount of memory, or a share of the limit ("80%", 0.8).
struct Level {
    std::variant<Bytes, double> value;
    Bytes of(Bytes limit) const;
    friend bool operator==(const Level&, const Level&) = default;
};

struct Proxy {
    unsigned threads = 0;                                              // 0: one a core
    std::vector<std::string> control = {"/run/plimsoll/control.sock"}; // "tcp:HOST:PORT" needs a token
    std::string token;                                                 // what agents on TCP must show; or token_file
    std::string token_file;
    Duration stop_delay{}; // told to stop, it says so to who asks for its health, and serves on for so long
    Duration stop_timeout = seconds{30};
    std::vector<std::string> trusted_proxies; // CIDR; whose X-Forwarded-* are believed
    std::vector<std::string> trusted_proxies_set = {
        "*"};                                // of the claims about a client, those that they write themselves
    std::vector<std::string> trusted_fields; // names, or prefixes with *, that nobody else may send either
    std::string via = "plimsoll";            // our name in Via; empty: we are not in it
    bool via_to_clients = false;
    std::string traceparent = "add";                   // where no trusted proxy sent one: add, or pass none on
    double trace_share = 1.0;                          // of those that we add, with the flag "sampled"
    std::string server = "pass";                       // the worker's Server field: pass, replace, remove
    unsigned max_connections = 10'000;                 // or as many as the limit of open files affords
    unsigned max_connections_per_client = 0;           // of one address that is no trusted proxy; 0: no bound
    unsigned rate_keys = 1'000'000;                    // that rate limits remember, 21.3 bytes each
    std::string deadline_header = "X-Request-Timeout"; // seconds that the client will wait; empty: none is read
    std::string priority_header;                       // believed from trusted proxies; empty: none is read
    Bytes buffer_memory = {256 << 20};                 // of bodies that wait, all together
    Bytes buffer_files = {16LL << 30};                 // in temporary files, all together
    Bytes body_memory = {64 << 10};                    // of one body; what is beyond goes to a temporary file
    Bytes response_file = {1LL << 30};                 // of one response that its client is slow to take
    friend bool operator==(const Proxy&, const Proxy&) = default;
};
struct Admin {
    std::string listen = "127.0.0.1:9180"; // or unix:/path
    std::string token;                     // required unless loopback or a unix socket
    std::string token_file;
    friend bool operator==(const Admin&, const Admin&) = default;
};
struct Store {
    std::string path = "/var/lib/plimsoll";
    Bytes max_size = {1LL << 30}; // captures beyond it: the oldest go first
    Duration max_age = std::chrono::hours{24 * 30};
    friend bool operator==(const Store&, const Store&) = default;
};
enum class OnFailure : std::uint8_t { local, open, closed }; // of shared limits, while Redis does not answer
std::string_view to_string(OnFailure how);
struct Redis {            // [redis]: where shared limits are counted
    std::string url;      // empty: none
    std::string password; // if it is not in the url; or password_file
    std::string password_file;
    std::string ca_file;             // whom rediss:// trusts; empty: the system's authorities
    std::string cert_file, key_file; // our own, where the server asks for one
    Duration timeout = milliseconds{5};
    OnFailure on_failure = OnFailure::local;
    unsigned proxies = 1; // that share the limits
    std::string prefix = "plimsoll:";
    unsigned max_in_flight = 1024; // questions of one reactor
    friend bool operator==(const Redis&, const Redis&) = default;
};
enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };
std::string_view to_string(LogLevel level);
// What a line of the access log may hold, in the order of a request's life.
enum class AccessField : std::uint8_t {
    client,
    method,
    host,
    path,
    protocol,
    status,
    request_bytes,
    response_bytes,
    seconds, // whole, from the first byte of the request to the last one of the answer; then its parts
    head_seconds,
    body_seconds,
    queue_seconds,
    connect_seconds,
    first_byte_seconds,
    pool,
    worker,
    route,
    priority,
    attempts,
    reason,
    request_id,
    user_agent,
    referer,
};
struct Log {
    LogLevel level = LogLevel::info;
    std::string format = "text"; // text or json
    std::string file;            // empty: standard error
    bool access = false;
    double access_sample = 1.0;                // share of requests logged
    std::vector<std::string> access_fields = { // AccessField by name
        "client",   "method",        "path",
        "status",   "request_bytes", "response_bytes",
        "seconds",  "queue_seconds", "first_byte_seconds",
        "pool",     "worker",        "route",
        "attempts", "reason",        "request_id"};
    std::string trace;                // a file that gets one line a request, for replaying; empty: none
    Bytes trace_size = {256LL << 20}; // of it; then it becomes FILE.1, and a new one begins
    friend bool operator==(const Log&, const Log&) = default;
};
struct Listener {
    static constexpr std::int64_t largest_head = 76 << 10; // what the data path reads a head into
    static constexpr std::int64_t most_fields = 256;       // what its table of fields holds

    std::string address = "0.0.0.0:8080";  // HOST:PORT, [IPV6]:PORT or unix:/path
    std::string socket_mode = "0666";      // of a unix socket's file, octal
    Duration header_timeout = seconds{10}; // from the first byte to the end of the head
    Duration idle_timeout = seconds{75};   // between requests
    Duration body_timeout = seconds{30};   // between two reads of a body
    Duration write_timeout = seconds{30};  // between two writes that the client takes
    Bytes min_rate = {256};                // a second, of a body that the client sends or takes; 0: no bound
    Bytes max_header = {32 << 10};
    Bytes max_target = {8 << 10}; // of what it asks for: path and query
    unsigned max_fields = 100;
    Bytes max_body = {1LL << 30};
    std::string health_path;     // asked by load balancers in front: Plimsoll itself answers; empty: none
    bool proxy_protocol = false; // every connection begins with its header, from a trusted proxy
    friend bool operator==(const Listener&, const Listener&) = default;
};
struct Limit { // [[route.limit]]
    std::vector<std::string> key = {"client"};
    std::string name; // limits of one name share their counts; empty: counted for this route alone
    std::string rate; // "100/s"; empty: only inflight
    unsigned burst = 0;
    unsigned cost = 1;              // of one request
    unsigned inflight = 0;          // requests of one key at once, in this proxy; 0: any number
    bool shared = false;            // the rate is counted in Redis, over all proxies
    unsigned ipv6_prefix = 64;      // a client is its network of this length
    std::vector<std::string> allow; // CIDR; clients that are not limited
    Mode mode = Mode::enforce;
    friend bool operator==(const Limit&, const Limit&) = default;
};
struct Respond {            // [route.respond]: a fixed answer instead of a pool
    unsigned status = 0;    // 0: none
    std::string body, file; // one of them, or none
    std::string content_type = "text/plain; charset=utf-8";
    friend bool operator==(const Respond&, const Respond&) = default;
};
struct Redirect {   // [route.redirect]: elsewhere instead of to a pool
    std::string to; // "https://{host}{path}{query}"; empty: none
    unsigned status = 308;
    friend bool operator==(const Redirect&, const Redirect&) = default;
};
struct Maintenance { // [route.maintenance], [pool.maintenance]: 503 and a page instead of a worker
    bool enabled = false;
    Duration retry_after = seconds{60};
    std::string body, file; // one of them, or none
    std::string content_type = "text/html; charset=utf-8";
    friend bool operator==(const Maintenance&, const Maintenance&) = default;
};
struct Route {
    std::string path = "/";           // prefix; "=/exact"; "~regex"
    std::string host;                 // empty: any; "*.example.org"
    std::vector<std::string> methods; // empty: any
    std::vector<std::string> headers; // all of them: "NAME", "NAME: VALUE", "NAME: ~regex"
    std::string pool;                 // may be left out where there is only one
    Priority priority = Priority::normal;
    bool stream = false;              // do not buffer bodies
    std::optional<Duration> deadline; // of a whole request; unset: the pool's
    std::string label;                // empty: the path
    std::string strip_prefix;         // taken off the path on the way to the worker
    std::string replace_prefix;       // put in its place
    std::vector<std::pair<std::string, std::string>> set_request_fields, set_response_fields;
    std::vector<std::string> remove_request_fields, remove_response_fields;
    std::string affinity; // "cookie:NAME", "header:NAME"; empty: none
    bool set_affinity_cookie = false;
    Respond respond;
    Redirect redirect;
    Maintenance maintenance;
    std::vector<Limit> limits;
    friend bool operator==(const Route&, const Route&) = default;
};
enum class SourceKind : std::uint8_t { static_addresses, command, gunicorn, uvicorn, uwsgi };
std::string_view to_string(SourceKind kind);        // "static", "command", ...
struct Source {                                     // [pool.source]
    SourceKind kind = SourceKind::static_addresses; // "static"
    std::vector<std::string> command;
    std::string directory = ".";
    std::vector<std::pair<std::string, std::string>> environment;
    unsigned workers = 0;               // command: how many; 0: one a core
    std::vector<std::string> addresses; // static
    std::string protocol = "http";      // static: http or uwsgi
    unsigned slots = 0;                 // 0: what the agent or the command tells
    std::string listen = "unix";        // private listeners: unix or tcp
    friend bool operator==(const Source&, const Source&) = default;
};
struct Memory {                 // [pool.memory]
    std::optional<Bytes> limit; // of one worker; unset: its share of the cgroup's or host's
    Duration interval = milliseconds{500};
    Duration stale_after = seconds{10}; // an older reading is unknown
    Mode mode = Mode::enforce;
    double load_line = 0.85;
    double stall_line = 0.2; // share of the time that tasks of the host or the cgroup stall for memory (PSI full avg10)
    std::string cgroup_root = "/sys/fs/cgroup";
    friend bool operator==(const Memory&, const Memory&) = default;
};
struct Recycle { // [pool.recycle]
    std::optional<Level> soft_limit;
    std::optional<Level> hard_limit;
    bool futile_shedding = true;         // who has gathered most, where refusing requests did not lower the memory
    std::optional<unsigned> min_serving; // unset: all but one
    unsigned max_per_hour = 60;
    Duration ready_timeout = seconds{60};
    Duration drain_timeout = seconds{30};
    Duration capture_timeout = seconds{10};
    Duration end_timeout = seconds{10}; // each rung of the ladder TERM, ABRT, KILL
    friend bool operator==(const Recycle&, const Recycle&) = default;
};
struct Capture { // [pool.capture]
    bool enabled = true;
    bool trace = true; // a tracemalloc window before a recycle on soft_limit
    unsigned trace_requests = 200;
    Duration trace_time = seconds{3};
    unsigned trace_frames = 25;
    bool remote = true;               // an agent is put into workers that have none, where Python can do that (3.14)
    std::vector<std::string> command; // an operator's own; {pid} {worker} {pool} {directory}
    Duration command_timeout = seconds{5};
    Bytes max_size = {64 << 20}; // of one capture
    friend bool operator==(const Capture&, const Capture&) = default;
};
struct Leak {                   // [pool.leak]
    std::string policy = "act"; // observe, advise, act
    bool experiments = true;
    unsigned experiment_budget = 200'000; // requests of the pool
    double experiment_slowdown = 0.05;    // of the pool's p99: more ends it
    friend bool operator==(const Leak&, const Leak&) = default;
};
struct Queue { // [pool.queue]
    unsigned size = 1024;
    Duration timeout = seconds{5};
    std::optional<Duration> target; // of the wait under overload; unset: the median service time
    Mode mode = Mode::enforce;      // of refusing at once under overload
    friend bool operator==(const Queue&, const Queue&) = default;
};
struct Adaptive {              // [pool.adaptive]: workers that nobody knows the slots of
    Mode mode = Mode::enforce; // shadow: the limit is learned and told, and `max` holds
    unsigned min = 1, initial = 8, max = 200;
    unsigned streams = 1000; // event streams and upgraded connections of a worker, beside its requests
    friend bool operator==(const Adaptive&, const Adaptive&) = default;
};
struct CircuitBreaker {        // [pool.breaker]
    Mode mode = Mode::enforce; // of workers
    Mode routes = Mode::shadow;
    unsigned consecutive = 5;
    double share = 0.5;
    unsigned minimum = 20;
    Duration window = seconds{10};
    std::optional<Duration> slow; // unset: no request is too slow
    Duration rest = seconds{1};
    Duration longest_rest = seconds{30};
    double floor = 0.5; // share of the workers that always pass
    friend bool operator==(const CircuitBreaker&, const CircuitBreaker&) = default;
};
struct Retry {                 // [pool.retry]: what requests that no worker has seen, or answered, may cost once more
    Mode mode = Mode::enforce; // shadow: beyond the budget they are counted, and retried; off: there is none
    double share = 0.2;        // of the pool's requests
    unsigned most_saved = 100, minimum = 3;
    friend bool operator==(const Retry&, const Retry&) = default;
};
struct Upstream { // [pool.upstream]
    Duration connect_timeout = seconds{2};
    Duration response_timeout = seconds{60}; // to the head of the response
    Duration read_timeout = seconds{60};     // between two reads of its body
    std::optional<Duration> idle_timeout;    // unset: below the server's own (gunicorn 2 s, uvicorn 5 s)
    std::optional<Duration> deadline;        // of a whole request, first to last byte; unset: none
    Duration upgrade_idle_timeout = std::chrono::minutes{10};
    std::optional<Duration> upgrade_deadline; // of a whole tunnel; unset: none
    bool finish_abandoned = false;            // a request goes on though its client left
    friend bool operator==(const Upstream&, const Upstream&) = default;
};
struct Health {             // [pool.health]
    std::string path = "/"; // what a new worker is asked, and at every interval one that serves
    std::string method = "GET", host = "localhost";
    std::vector<std::string> expect; // "200", "200-399"; empty: any answer counts
    Duration timeout = seconds{2};
    std::optional<Duration> interval; // unset: only new workers are asked
    unsigned rise = 2, fall = 3;
    Mode mode = Mode::enforce;        // shadow: who fails goes on taking requests
    Duration slow_start = seconds{5}; // a new worker gets its full share of requests after so long
    friend bool operator==(const Health&, const Health&) = default;
};
struct Pool {
    std::string name;
    Source source;
    Memory memory;
    Recycle recycle;
    Capture capture;
    Leak leak;
    Queue queue;
    Adaptive adaptive;
    CircuitBreaker breaker;
    Retry retry;
    Upstream upstream;
    Health health;
    Maintenance maintenance;
    friend bool operator==(const Pool&, const Pool&) = default;
};
struct Config {
    Proxy proxy;
    Admin admin;
    Store store;
    Log log;
    Redis redis;
    std::vector<Listener> listeners;
    std::vector<Route> routes;
    std::vector<Pool> pools;
    friend bool operator==(const Config&, const Config&) = default;
};

} // namespace plimsoll::config
