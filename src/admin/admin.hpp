// The admin API, metrics and events, on the control thread. What it shows and does comes through Backend, so that it can be
// tested against scripted answers and knows nothing of how a fleet works.
//
//   accept -> session (one coroutine a connection) -> access: may they? -> Api: route, answer -> write
//                                                                          '- reads of the store: on the slow pool
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "config/config.hpp"
#include "config/parse.hpp"
#include "fleet/agent_server.hpp"
#include "fleet/view.hpp"
#include "net/server.hpp"
#include "plimsoll/core/bytes.hpp"
#include "plimsoll/core/time.hpp"
#include "store/incident_store.hpp"

namespace boost::asio {
class io_context;
class thread_pool;
} // namespace boost::asio

namespace plimsoll::admin {

enum class Action : std::uint8_t { drain, undrain, recycle, capture, trace };

struct Reload {                            // what came of reading the file again
    std::vector<config::Change> changes;   // those that are not live wait for a restart
    std::vector<config::Problem> problems; // one is enough: nothing was changed
    std::vector<config::Problem> warnings;
};

// What the program gives the API. Called on the control thread, must not block; an empty function counts as "nothing to tell".
struct Backend {
    std::function<std::vector<fleet::PoolView>()> pools;
    std::function<net::ServerStats()> traffic;
    std::function<fleet::AgentServer::Stats()> agents;
    std::function<std::vector<std::string>()> listeners; // addresses as bound
    std::function<fleet::ActionResult(Action, const std::string& pool, const std::string& worker,
                                      const std::string& why)>
        act;
    std::function<Reload()> reload;
    std::function<config::Parsed(std::string_view text)> validate; // unset: config::parse
    std::function<config::Config()> config;                        // the running one; secrets are hidden here
    std::function<std::string()> not_ready;    // a reason beyond the pools' own ("stopping"), or empty
    store::IncidentStore* incidents = nullptr; // read on the slow pool; outlives it
};

class Admin {
public:
    struct Settings {
        std::string listen = "127.0.0.1:9180"; // "unix:/path" (made 0600) or HOST:PORT
        std::string token;                     // the secret itself; required beyond loopback and unix sockets
        std::string version = "0.0.0";
        unsigned max_connections = 64;       // more are answered 503 and closed
        unsigned max_subscribers = 16;       // of /v1/events
        std::size_t max_queued_events = 256; // of one subscriber; then it is told what it missed
        Bytes max_body = 1_MiB;
        Bytes max_answers = {256 << 20};                     // evidence on its way to clients, all together
        Duration request_timeout = std::chrono::seconds{10}; // from the first byte of a request to its last
        Duration idle_timeout = std::chrono::seconds{60};
        Duration write_timeout = std::chrono::seconds{30}; // of one answer
        Duration event_pause = std::chrono::seconds{15};   // a comment line keeps a quiet event stream alive
    };
    // Both outlive this object; `slow` is joined before the store goes.
    Admin(boost::asio::io_context& control, boost::asio::thread_pool& slow, Settings settings, Backend backend);
    ~Admin();

    std::string start();         // opens its address; empty, or the one line that says what is wrong and how to mend it
    void accept();               // and from here on answers
    std::string address() const; // as bound: "127.0.0.1:9180", "unix:/run/plimsoll/admin.sock"
    void stop();                 // hangs up on all; a socket's file is unlinked
    void publish(std::string_view event, boost::json::object facts); // to every subscriber of /v1/events

private:
    struct Impl;
    std::shared_ptr<Impl> impl_; // shared with the sessions that still run
};

} // namespace plimsoll::admin
