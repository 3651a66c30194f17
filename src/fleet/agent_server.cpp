#include "fleet/agent_server.hpp"

#include <algorithm>
#include <list>
#include <set>

#include <boost/asio/basic_socket_acceptor.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "fleet/agent_commands.hpp"
#include "fleet/agent_link.hpp"
#include "fleet/agent_messages.hpp"
#include "fleet/control_listener.hpp"
#include "fleet/deadline.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

constexpr std::int64_t protocol_version = 1;
constexpr Duration parting_bound = 1s;   // for a refused peer to read why
constexpr std::size_t max_partings = 64; // beyond max_agents; who comes then is closed without a word
constexpr Duration accept_pause = 100ms; // when accept itself fails: no descriptors, usually

class ConnectedAgent final : public Agent {
public:
    ConnectedAgent(asio::io_context& control, Hello hello, std::shared_ptr<AgentLink> link, Bytes max_files_size)
        : hello_(std::move(hello)), link_(std::move(link)),
          commands_(std::make_shared<AgentCommands>(
              control, max_files_size,
              [to = link_](const boost::json::object& message) { return to->write(message); })) {}

    const Hello& hello() const override { return hello_; }
    bool connected() const override { return connected_; }
    void hang_up() override { link_->close(); }
    asio::awaitable<CommandResult> command(std::string name, boost::json::object args, Duration deadline) override {
        return commands_->call(std::move(name), std::move(args), deadline);
    }
    AgentCommands& commands() { return *commands_; }
    void disconnect() {
        connected_ = false;
        commands_->disconnect();
    }
    bool become_ready(std::string release) {
        if (!release.empty()) hello_.release = std::move(release);
        return !std::exchange(hello_.ready, true);
    }

private:
    Hello hello_;
    std::shared_ptr<AgentLink> link_;
    std::shared_ptr<AgentCommands> commands_;
    bool connected_ = true;
};

boost::json::object refused(std::string_view reason) { return {{"type", "refused"}, {"reason", reason}}; }

// A host that vanished sends nothing, not even an end. The kernel asks, and ends the connection after about 25 s.
void watch_for_vanished_host(int socket) {
    const int on = 1, idle = 10, interval = 5, count = 3;
    ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

} // namespace

struct AgentServer::Impl {
    using Self = std::shared_ptr<Impl>;
    using Link = std::shared_ptr<AgentLink>;

    Impl(asio::io_context& io, Settings with, Events tell)
        : control(io), settings(std::move(with)), events(std::move(tell)) {}

    static asio::awaitable<void> accept(Self self, std::shared_ptr<Acceptor> acceptor);
    static asio::awaitable<void> mind(Self self, ControlListener* listener, std::shared_ptr<Acceptor> acceptor);
    static asio::awaitable<void> connection(Self self, Link link);
    static asio::awaitable<std::shared_ptr<ConnectedAgent>> greet(Self self, Link link);
    static asio::awaitable<void> serve(Self self, Link link, std::shared_ptr<ConnectedAgent> agent);
    std::string why_refused(const AgentLink& link, Hello& hello, const std::string& token, std::int64_t version);
    std::string dispatch(ConnectedAgent& agent, const std::string& text, bool& said_bye);
    void fault(const AgentLink& link, const std::string& problem);
    void forget(const Link& link);

    asio::io_context& control;
    const Settings settings;
    const Events events;
    std::list<ControlListener> listeners;
    std::vector<std::shared_ptr<Acceptor>> acceptors;
    std::set<Link> links;
    Stats stats;
    bool told_full = false; // once for each time that they become as many
    bool stopped = false;
};

asio::awaitable<void> AgentServer::Impl::accept(Self self, std::shared_ptr<Acceptor> acceptor) {
    bool failing = false; // one line for a row of failures
    while (!self->stopped) {
        auto [ec, socket] = co_await acceptor->async_accept(as_result);
        if (self->stopped) co_return;
        if (ec == asio::error::operation_aborted) continue; // its socket was opened again
        if (ec) {
            if (!failing) log::error("agent_accept_failed", {{"error", ec.message()}});
            failing = true;
            co_await pause(accept_pause);
            continue;
        }
        failing = false;
        auto link = std::make_shared<AgentLink>(self->control, std::move(socket), self->settings.write_timeout);
        self->links.insert(link);
        spawn(self->control, "agent_connection", connection(self, link));
    }
}

// Opens a socket again whose file was deleted. The agents that are connected notice nothing.
asio::awaitable<void> AgentServer::Impl::mind(Self self, ControlListener* listener,
                                              std::shared_ptr<Acceptor> acceptor) {
    std::string told; // one line for a row of failures of one kind
    while (!self->stopped) {
        co_await pause(self->settings.look_interval);
        if (self->stopped) co_return;
        if (!listener->is_lost()) continue;
        const std::string why_not = listener->open_again();
        if (!why_not.empty()) {
            if (std::exchange(told, why_not) != why_not) log::error("control_socket_lost", {{"problem", why_not}});
            continue;
        }
        told.clear();
        boost::system::error_code ignored; // nobody can reach the old one
        acceptor->close(ignored);
        Fd fresh(listener->release());
        boost::system::error_code error;
        acceptor->assign(asio::generic::stream_protocol(listener->family(), 0), fresh.get(), error);
        if (error) {
            log::error("control_socket_lost", {{"problem", error.message()}});
            continue; // accepting fails and says so; the file of the one that is closed now stays
        }
        fresh.release();
        log::warn("control_socket_renewed", {{"address", listener->address()}, {"why", "its file had been deleted"}});
    }
}

asio::awaitable<void> AgentServer::Impl::connection(Self self, Link link) {
    // However this ends, an exception in an event's handler included.
    struct Leave {
        Self server;
        Link link;
        ~Leave() { server->forget(link); }
    };
    const Leave leave{self, link};
    if (link->peer().tcp) watch_for_vanished_host(link->socket().native_handle());
    if (self->links.size() > self->settings.max_agents) {
        ++self->stats.over_capacity;
        if (!std::exchange(self->told_full, true))
            log::warn("agents_refused",
                      {{"why", "as many are connected as there may be"}, {"max_agents", self->settings.max_agents}});
        if (self->links.size() > self->settings.max_agents + max_partings) co_return;
        co_await AgentLink::part(link, refused("the proxy has as many agents as it takes"), parting_bound);
    } else if (auto agent = co_await greet(self, link)) {
        co_await serve(self, link, std::move(agent));
    }
}

// From the first byte to the welcome. Nothing: it was no agent, or it was refused.
asio::awaitable<std::shared_ptr<ConnectedAgent>> AgentServer::Impl::greet(Self self, Link link) {
    const Deadline deadline(link->socket(), self->settings.hello_timeout);
    bool reaped = false; // an arbiter, who says no hello
    for (;;) {
        const Frame frame = co_await link->read(max_first_frame);
        if (self->stopped) co_return nullptr;
        if (frame.closed) {
            if (deadline.expired() && !reaped)
                self->fault(*link, "no hello in time");
            else if (!frame.problem.empty())
                self->fault(*link, frame.problem);
            co_return nullptr;
        }
        boost::json::object message;
        std::string problem = read_object(frame.text, message);
        std::string token, refusal;
        if (problem.empty() && type_of(message) == "exited") {
            Exited exited;
            problem = read_exited(message, exited, token);
            if (problem.empty()) refusal = why_not_admitted(link->peer(), token, self->settings.token);
            if (problem.empty() && refusal.empty()) {
                reaped = true;
                if (self->events.exited) self->events.exited(exited);
                continue; // an arbiter may have reaped several
            }
        } else if (problem.empty() && type_of(message) == "hello") {
            Hello hello;
            std::int64_t version = 0;
            problem = read_hello(message, hello, token, version);
            if (problem.empty()) refusal = self->why_refused(*link, hello, token, version);
            if (problem.empty() && refusal.empty())
                co_return std::make_shared<ConnectedAgent>(self->control, std::move(hello), link,
                                                           self->settings.max_files_size);
        }
        if (!problem.empty()) {
            self->fault(*link, problem);
            co_return nullptr;
        }
        if (!refusal.empty()) {
            ++self->stats.refused;
            log::warn("agent_refused", {{"peer", link->peer().name}, {"reason", refusal}});
            co_await AgentLink::part(link, refused(refusal), parting_bound);
            co_return nullptr;
        }
    }
}

std::string AgentServer::Impl::why_refused(const AgentLink& link, Hello& hello, const std::string& token,
                                           std::int64_t version) {
    if (version != protocol_version)
        return "protocol version " + std::to_string(version) + " is not spoken here, only " +
               std::to_string(protocol_version) + ": install the plimsoll-agent of the proxy's version";
    if (auto reason = why_not_admitted(link.peer(), token, settings.token); !reason.empty()) return reason;
    hello.peer_pid = link.peer().pid;
    hello.same_pids = same_pids(link.peer(), hello.pid, hello.ppid, hello.pid_namespace);
    std::string refusal;
    if (events.admit) hello.pool = events.admit(hello, refusal);
    return refusal;
}

asio::awaitable<void> AgentServer::Impl::serve(Self self, Link link, std::shared_ptr<ConnectedAgent> agent) {
    const std::chrono::duration<double> interval = self->settings.sample_interval;
    // A process that we can see is read from here, and two readers would spoil each other's readings of its peak.
    const bool out_of_sight = !agent->hello().same_pids && agent->hello().peer_pid <= 0;
    link->write(
        {{"type", "welcome"}, {"v", protocol_version}, {"sample_interval", interval.count()}, {"peaks", out_of_sight}});
    ++self->stats.accepted;
    ++self->stats.connected;
    if (self->events.connected) self->events.connected(agent);
    if (agent->hello().ready && self->events.ready) self->events.ready(*agent);

    bool said_bye = false;
    std::string problem;
    while (problem.empty() && !self->stopped) {
        const Frame frame = co_await link->read(max_frame);
        if (self->stopped) break;
        problem = frame.closed ? frame.problem : self->dispatch(*agent, frame.text, said_bye);
        if (frame.closed) break;
    }
    if (link->too_slow()) {
        ++self->stats.too_slow;
        log::warn("agent_too_slow", {{"peer", link->peer().name}, {"pid", agent->hello().pid}});
    } else if (!problem.empty() && !said_bye && !self->stopped) {
        self->fault(*link, problem);
    }
    --self->stats.connected;
    link->close();
    agent->disconnect();
    if (!self->stopped && self->events.disconnected) self->events.disconnected(*agent, said_bye);
}

// One message of a welcome agent. Returns what is wrong with it.
std::string AgentServer::Impl::dispatch(ConnectedAgent& agent, const std::string& text, bool& said_bye) {
    boost::json::object message;
    if (auto problem = read_object(text, message); !problem.empty()) return problem;
    const auto type = type_of(message);
    if (type == "sample") {
        Sample sample;
        if (auto problem = read_sample(message, sample); !problem.empty()) return "sample: " + problem;
        sample.taken = Clock::now();
        if (events.sample) events.sample(agent, sample);
    } else if (type == "ready") {
        std::string release;
        if (auto problem = read_ready(message, release); !problem.empty()) return "ready: " + problem;
        if (agent.become_ready(std::move(release)) && events.ready) events.ready(agent);
    } else if (type == "file") {
        FilePart part;
        if (auto problem = read_file(message, part); !problem.empty()) return "file: " + problem;
        return agent.commands().on_file(std::move(part));
    } else if (type == "result") {
        Result result;
        if (auto problem = read_result(std::move(message), result); !problem.empty()) return "result: " + problem;
        agent.commands().on_result(std::move(result));
    } else if (type == "bye") {
        said_bye = true;
    } // other types are of a newer agent, and ignored
    return {};
}

void AgentServer::Impl::fault(const AgentLink& link, const std::string& problem) {
    ++stats.faults;
    log::warn("agent_fault", {{"peer", link.peer().name}, {"problem", problem}});
}

void AgentServer::Impl::forget(const Link& link) {
    link->close();
    links.erase(link);
    told_full = told_full && links.size() >= settings.max_agents;
}

AgentServer::AgentServer(asio::io_context& control, Settings settings, Events events)
    : impl_(std::make_shared<Impl>(control, std::move(settings), std::move(events))) {}

AgentServer::~AgentServer() { stop(); }

std::string AgentServer::start() {
    for (const auto& where : impl_->settings.listen) {
        std::string problem;
        if (where.rfind("tcp:", 0) == 0 && impl_->settings.token.empty())
            problem = "agents on " + where + " must show a token: set proxy.token or proxy.token_file";
        else
            problem = impl_->listeners.emplace_back().open(where);
        if (!problem.empty()) {
            impl_->listeners.clear();
            return problem;
        }
    }
    for (auto& listener : impl_->listeners) {
        const asio::generic::stream_protocol protocol(listener.family(), 0);
        auto acceptor = std::make_shared<Acceptor>(impl_->control);
        acceptor->assign(protocol, listener.release());
        impl_->acceptors.push_back(acceptor);
        spawn(impl_->control, "agent_accept", Impl::accept(impl_, acceptor));
        if (listener.family() == AF_UNIX) spawn(impl_->control, "agent_socket", Impl::mind(impl_, &listener, acceptor));
    }
    return {};
}

std::vector<std::string> AgentServer::addresses() const {
    std::vector<std::string> addresses;
    for (const auto& listener : impl_->listeners) addresses.push_back(listener.address());
    return addresses;
}

AgentServer::Stats AgentServer::stats() const { return impl_->stats; }

void AgentServer::stop() {
    impl_->stopped = true;
    boost::system::error_code ignored; // closed is closed
    for (const auto& acceptor : impl_->acceptors) acceptor->close(ignored);
    for (const auto& link : impl_->links) link->close(); // their coroutines end with it
    impl_->listeners.clear();
}

} // namespace plimsoll::fleet
