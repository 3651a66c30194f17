#include "app.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <unistd.h>

#include "admin/admin.hpp"
#include "config/parse.hpp"
#include "fleet/fleet.hpp"
#include "live_pools.hpp"
#include "log/log.hpp"
#include "net/heirlooms.hpp"
#include "net/lent_sockets.hpp"
#include "net/server.hpp"
#include "run_directory.hpp"
#include "secrets.hpp"
#include "startup_memory.hpp"
#include "store/incident_store.hpp"
#include "successor.hpp"

namespace plimsoll {

namespace net_ = boost::asio;

namespace {

// How long `plimsoll run` holds its first line back, so that an application that does not import is told of alone.
constexpr Duration patience = std::chrono::seconds{3};

// After so long most, and then all, has been done for the first time: the first turn of every loop, the first questions to workers.
constexpr Duration settling = std::chrono::seconds{1}, settled = std::chrono::seconds{5},
                   rest = std::chrono::minutes{1};

// A successor has so long to find its workers, and a little more to say so.
constexpr Duration takeover_bound = std::chrono::seconds{20}, handover_bound = std::chrono::seconds{30};

store::IncidentStore::Settings store_settings(const config::Store& store) {
    store::IncidentStore::Settings settings;
    settings.path = store.path;
    settings.max_size = store.max_size;
    settings.max_age = std::chrono::duration_cast<std::chrono::seconds>(store.max_age);
    return settings;
}

config::Log quiet(config::Log log) {
    log.level = config::LogLevel::off;
    return log;
}

// A browser cannot open 0.0.0.0.
std::string url_of(const std::string& address) {
    if (address.starts_with("unix:")) return address;
    if (address.starts_with("0.0.0.0:")) return "http://127.0.0.1" + address.substr(7);
    return "http://" + address;
}

} // namespace

struct App::Impl {
    Impl(Options given, const RunDirectory& directory)
        : options(std::move(given)), run_directory(directory), config(options.config),
          store(store_settings(config.store)), pools(config), server(config, pools.all()),
          signals(control, SIGTERM, SIGINT, SIGHUP) {
        for (const int each : {SIGQUIT, SIGUSR1, SIGUSR2}) signals.add(each);
    }

    // Fills `failure` where it could not start.
    void start() {
        if (failure = server.start(); !failure.empty()) return;
        fleet.emplace(control, config, pools.in_order(config), store, surroundings());
        if (failure = fleet->start(); !failure.empty()) return;
        admin.emplace(control, slow, admin_settings(), backend());
        if (failure = admin->start(); !failure.empty()) return;
        if (const std::string problem = store.problem(); !problem.empty())
            log::warn("store_in_memory_only", {{"problem", problem}});
        for (const std::string& warning : store.warnings()) log::warn("store_warning", {{"warning", warning}});
        for (const std::string& id : store.abandoned()) log::warn("incident_abandoned", {{"incident", id}});
        tell_unused_sockets();
        await_signal();
        started = true;
        if (!succeeds) accept();
    }

    void accept() {
        accepting = true;
        tell_readiness();
        server.accept();
        admin->accept();
    }

    void tell_unused_sockets() const {
        const auto& lent = net::LentSockets::of_this_process();
        const auto used = server.addresses();
        for (const std::string& address : lent.addresses()) {
            const auto is_this = [&](const std::string& each) { return lent.find(each) == lent.find(address); };
            if (std::ranges::any_of(used, is_this)) continue;
            log::warn("lent_socket_unused", {{"address", address},
                                             {"effect", "who connects there waits in vain"},
                                             {"mend", "give it a [[listener]], or take it out of the socket unit"}});
        }
    }

    fleet::Surroundings surroundings() {
        fleet::Surroundings around;
        around.close_idle = [this](WorkerKey worker, std::function<void()> done) {
            server.close_idle(worker, [this, done = std::move(done)] { net_::post(control, done); });
        };
        around.run_dir = run_directory.path();
        around.agent_path = run_directory.agent_path();
        around.start_failed = [this](const std::string& pool, const std::string& why) {
            if (!options.embedded || announced) return;
            failure = pool + " did not start: " + why;
            net_::post(control, [this] { stop(); });
        };
        around.sought = [this](const std::string& pool) { return server.leads_to(pool); };
        around.publish = [this](std::string_view event, boost::json::object facts) {
            if (event == "worker") tell_readiness_soon();
            if (admin) admin->publish(event, std::move(facts));
        };
        return around;
    }

    admin::Admin::Settings admin_settings() const {
        admin::Admin::Settings settings;
        settings.listen = config.admin.listen;
        settings.token = config.admin.token;
        settings.version = PLIMSOLL_VERSION;
        return settings;
    }

    admin::Backend backend() {
        admin::Backend backend;
        backend.pools = [this] { return fleet->view(); };
        backend.traffic = [this] { return server.stats(); };
        backend.listeners = [this] { return server.addresses(); };
        backend.act = [this](admin::Action action, const std::string& pool, const std::string& worker,
                             const std::string& why) {
            switch (action) {
            case admin::Action::drain: return fleet->drain(pool, worker);
            case admin::Action::undrain: return fleet->undrain(pool, worker);
            case admin::Action::recycle: return fleet->recycle(pool, worker, why);
            case admin::Action::capture: return fleet->capture(pool, worker);
            case admin::Action::trace: return fleet->trace(pool, worker);
            }
            return fleet::ActionResult{404, {}, "no such action", {}};
        };
        backend.reload = [this] { return reload(); };
        backend.config = [this] { return config; };
        backend.not_ready = [this] { return parting || stopping ? std::string("stopping") : std::string(); };
        backend.incidents = &store;
        return backend;
    }

    // Parse, check, swap whole. New pools are started before a route leads there, and end again where the file is refused after all.
    admin::Reload reload() {
        admin::Reload result;
        if (const std::string why_not = why_not_reload(); !why_not.empty()) {
            result.problems.push_back({"", 0, 0, "", why_not, ""});
            log::error("reload_refused", {{"problem", why_not}});
            return result;
        }
        config::Parsed parsed = load_with_tokens(options.config_file);
        result.warnings = parsed.warnings;
        result.problems = parsed.problems;
        const config::Config next = config::in_effect(config, parsed.config);
        if (result.problems.empty())
            if (const std::string why_not = log::why_not(next.log); !why_not.empty())
                result.problems.push_back({options.config_file, 0, 0, "log", why_not, ""});
        if (result.problems.empty())
            if (const auto problem = pools.begin(next, *fleet); !problem.why.empty())
                result.problems.push_back({options.config_file, 0, 0, "pool." + problem.pool, problem.why, ""});
        if (result.problems.empty()) // the last step that may still fail, and then nothing has changed
            if (const std::string why_not = server.apply(next, pools.all()); !why_not.empty())
                result.problems.push_back({options.config_file, 0, 0, "listener.address", why_not, ""});
        if (!result.problems.empty()) {
            end_pools_but_those_of(config);
            for (const config::Problem& problem : result.problems)
                log::error("reload_refused", {{"problem", config::to_string(problem)}});
            tell_reload(result);
            return result;
        }
        tell_warnings(result.warnings);
        result.changes = config::diff(config, parsed.config);
        take_over(next);
        for (const config::Change& change : result.changes)
            log::info("config_changed", {{"change", config::to_string(change)}});
        log::info("reloaded", {{"changes", result.changes.size()}});
        tell_reload(result);
        return result;
    }

    std::string why_not_reload() const {
        if (options.config_file.empty()) return "there is no configuration file to read: started by `plimsoll run`";
        if (stopping) return "Plimsoll is stopping";
        if (!accepting) return "Plimsoll is starting beside its predecessor: reload again when it serves";
        if (handing_over)
            return "a successor is starting, with the file as it was: reload again when the log tells handed_over or "
                   "handover_failed";
        return {};
    }

    void end_pools_but_those_of(const config::Config& stays) {
        pools.end_others(stays, *fleet, [this] {
            server.set_pools(pools.all());
            tell_readiness_soon();
        });
    }

    static void tell_warnings(const std::vector<config::Problem>& warnings) {
        for (const config::Problem& warning : warnings)
            log::warn("config_warning", {{"warning", config::to_string(warning)}});
    }

    void tell_reload(const admin::Reload& result) {
        if (!admin) return;
        admin->publish("reload", {{"ok", result.problems.empty()},
                                  {"changes", result.changes.size()},
                                  {"problems", result.problems.size()}});
    }

    void take_over(const config::Config& next) {
        config = next;
        if (const std::string problem = log::start(config.log); !problem.empty())
            log::error("log_not_changed", {{"problem", problem}});
        for (const config::Pool& pool : config.pools) pools.all().at(pool.name)->configure(pool);
        fleet->apply(config);
        end_pools_but_those_of(config);
        tell_readiness();
    }

    // Whoever moves a worker is in the middle of it; and of a thousand that move one look is enough.
    void tell_readiness_soon() {
        if (std::exchange(will_tell_readiness, true)) return;
        net_::post(control, [this] {
            will_tell_readiness = false;
            tell_readiness();
        });
    }

    // While somebody serves in our place the service neither stops nor lacks workers.
    void tell_readiness() {
        if (relieved || (!parting && !stopping && fleet->ready_for_some()))
            server.tell(net::Readiness::ready);
        else
            server.tell(parting || stopping ? net::Readiness::stopping : net::Readiness::not_ready);
    }

    void await_signal() {
        signals.async_wait([this](boost::system::error_code error, int number) {
            if (error) return;
            if (number == SIGHUP)
                reload();
            else if (number == SIGUSR1)
                log::reopen();
            else if (number == SIGUSR2)
                hand_over();
            else if (told_to_stop() == Stop::now)
                return control.stop();
            await_signal();
        });
    }

    // By TERM, INT or QUIT. The first one while it goes because its successor serves is no second word: whoever sent it may know
    // this process only.
    enum class Stop : std::uint8_t { in_order, now };
    Stop told_to_stop() {
        const bool again = std::exchange(was_told_to_stop, true);
        if (stopping && again) return Stop::now;
        successor.end("this process was told to stop");
        if (stopping)
            log::info("stopping_already", {});
        else if (parting || config.proxy.stop_delay == Duration::zero() || has_predecessor())
            stop();
        else
            part();
        return Stop::in_order;
    }

    // What would be lost with this process, though its sockets live on. Empty: nothing.
    std::string why_not_hand_over() const {
        if (parting || stopping) return "it is stopping";
        if (handing_over) return "a successor is starting already";
        if (options.config_file.empty()) return "it was started by `plimsoll run`";
        if (::getpid() == 1) return "it is process 1 of a container, which ends with it: start a new container instead";
        for (const config::Pool& pool : config.pools)
            if (pool.source.kind != config::SourceKind::static_addresses)
                return "the workers of pool " + pool.name + " belong to this process (kind \"" +
                       std::string(config::to_string(pool.source.kind)) +
                       "\") and would end with it: restart Plimsoll, or give them to a supervisor of their own and use "
                       "kind \"static\"";
        return {};
    }

    void hand_over() {
        std::string why_not = why_not_hand_over();
        if (why_not.empty())
            why_not = successor.start(control, handover_bound, [this](int pid, const std::string& failure_of_it) {
                handed_over(pid, failure_of_it);
            });
        if (!why_not.empty()) return log::error("handover_refused", {{"why", why_not}});
        handing_over = true;
        log::info("handover_started", {});
    }

    void handed_over(int pid, const std::string& why_not) {
        handing_over = false;
        if (pid == 0)
            return log::error("handover_failed", {{"why", why_not},
                                                  {"effect", was_told_to_stop ? "the successor was ended, too"
                                                                              : "this process serves on"}});
        log::info("handed_over", {{"to", pid}});
        net::Heirlooms::of_this_process().pass_on();
        notify_supervisor("MAINPID=" + std::to_string(pid));
        admin->stop(); // questions are the successor's from now on
        relieved = true;
        stop();
    }

    // The other side of it: the predecessor goes as soon as somebody serves in its place.
    void relieve_predecessor(Instant deadline) {
        if (stopping) return;
        const bool alone = !has_predecessor(); // it has ended meanwhile: nobody is left who could serve on
        if (alone || fleet->ready()) {
            net::Heirlooms::of_this_process().close_rest();
            accept();
            return tell_predecessor();
        }
        if (Clock::now() >= deadline) {
            failure = "not every pool had a worker that answers in time, so its predecessor serves on";
            return stop();
        }
        patience_timer.expires_after(std::chrono::milliseconds{20});
        patience_timer.async_wait([this, deadline](boost::system::error_code error) {
            if (!error) relieve_predecessor(deadline);
        });
    }

    // One that still waits for us goes on serving: the files of the sockets are its own.
    static void leave_to_predecessor() {
        if (has_predecessor()) net::Heirlooms::of_this_process().pass_on();
    }

    // Load balancers in front have so long to notice, and to send their clients elsewhere.
    void part() {
        parting = true;
        log::info("stop_delayed", {{"seconds", std::chrono::duration<double>(config.proxy.stop_delay).count()}});
        notify_supervisor("STOPPING=1");
        tell_readiness();
        server.part();
        parting_timer.expires_after(config.proxy.stop_delay);
        parting_timer.async_wait([this](boost::system::error_code error) {
            if (!error) stop();
        });
    }

    void stop() {
        if (stopping) return;
        stopping = true;
        parting_timer.cancel();
        if (!parting && !relieved && !has_predecessor()) notify_supervisor("STOPPING=1"); // else another one goes on
        tell_readiness();
        stop_began = Clock::now();
        leave_to_predecessor();
        log::info("stopping", {{"bound_seconds", std::chrono::duration<double>(config.proxy.stop_timeout).count()}});
        server.stop(config.proxy.stop_timeout, [this] { net_::post(control, [this] { stop_fleet(); }); });
    }

    void stop_fleet() {
        fleet->stop([this] {
            if (admin) admin->stop();
            control.stop();
        });
    }

    // `plimsoll run`: the first line is where to look, as soon as the application answers (or takes its time).
    void announce_when_ready(Instant deadline) {
        if (stopping || announced) return;
        if (!fleet->ready() && Clock::now() < deadline) {
            patience_timer.expires_after(std::chrono::milliseconds{20});
            patience_timer.async_wait([this, deadline](boost::system::error_code error) {
                if (!error) announce_when_ready(deadline);
            });
            return;
        }
        announced = true;
        for (const std::string& address : server.addresses()) std::printf("%s\n", url_of(address).c_str());
        std::printf("admin and metrics: %s\n", url_of(admin->address()).c_str());
        if (!fleet->ready()) std::printf("the application is still starting\n");
        std::fflush(stdout);
        log::start(config.log);
    }

    // Twice after the start, and then in each minute in which nobody is connected or was: what is done once a minute (the store is
    // swept) brings back as much.
    void settle(Duration after = settling) {
        settling_timer.expires_after(after);
        settling_timer.async_wait([this, after](boost::system::error_code error) {
            if (error) return;
            const net::ServerStats stats = server.stats();
            const auto before = std::exchange(settled_connections, stats.connections_total);
            const bool rests = stats.connections_open == 0 && before == stats.connections_total;
            if (after < rest || rests) give_back_startup_memory();
            settle(after < settled ? settled : rest);
        });
    }

    int run() {
        failure = log::start(options.embedded ? quiet(config.log) : config.log);
        if (failure.empty()) {
            tell_warnings(options.warnings);
            start();
        }
        if (started) {
            log::info(
                "started",
                {{"version", PLIMSOLL_VERSION}, {"listeners", server.addresses().size()}, {"admin", admin->address()}});
            notify_supervisor("READY=1");
            give_back_startup_memory();
            settle();
            if (succeeds) relieve_predecessor(Clock::now() + takeover_bound);
            if (options.embedded) announce_when_ready(Clock::now() + patience);
            control.run();
            tell_stopped();
        } else {
            abort_start();
        }
        slow.join();
        log::stop();
        if (failure.empty()) return 0;
        std::fprintf(stderr, "plimsoll: %s\n", failure.c_str());
        return 1;
    }

    // The last line of a log: whether all went well, and what a longer stop_timeout would have saved. A second signal leaves
    // requests behind, which the end of the server cuts.
    void tell_stopped() {
        server.end();
        const auto stats = server.stats();
        log::info("stopped", {{"seconds", std::chrono::duration<double>(Clock::now() - stop_began).count()},
                              {"cut_requests", stats.cut_requests},
                              {"cut_tunnels", stats.cut_tunnels},
                              {"cut_connections", stats.cut_connections}});
    }

    // What had started before the rest could not is ended as in an ordinary stop.
    void abort_start() {
        stopping = true;
        leave_to_predecessor();
        server.stop({}, [this] {
            net_::post(control, [this] {
                if (!fleet) return control.stop();
                stop_fleet();
            });
        });
        const auto busy = net_::make_work_guard(control);
        control.run();
    }

    Options options;
    const RunDirectory& run_directory;
    config::Config config;
    store::IncidentStore store;
    net_::io_context control{1};
    net_::thread_pool slow{2}; // the API's reads of the store
    LivePools pools;
    net::Server server;
    std::optional<fleet::Fleet> fleet;
    std::optional<admin::Admin> admin;
    net_::signal_set signals;
    net_::steady_timer patience_timer{control}, settling_timer{control}, parting_timer{control};
    std::uint64_t settled_connections = 0; // so far, when it was looked last
    Successor successor;
    bool was_told_to_stop = false;
    bool accepting = false; // clients, and what the admin API is told
    bool started = false, stopping = false, announced = false, handing_over = false;
    bool parting = false;  // told to stop, it serves on for stop_delay
    bool relieved = false; // by a successor
    // At first: it may end before we have started, and its sockets are to be closed all the same.
    const bool succeeds = has_predecessor();
    bool will_tell_readiness = false;
    Instant stop_began;  // when it was told to
    std::string failure; // why it could not start, one line
};

App::App(Options options, const RunDirectory& run_directory)
    : impl_(std::make_unique<Impl>(std::move(options), run_directory)) {}
App::~App() = default;
int App::run() { return impl_->run(); }

} // namespace plimsoll
