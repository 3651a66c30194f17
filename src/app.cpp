#include "app.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "admin/admin.hpp"
#include "fleet/fleet.hpp"
#include "handover.hpp"
#include "live_pools.hpp"
#include "log/log.hpp"
#include "net/lent_sockets.hpp"
#include "net/server.hpp"
#include "reloader.hpp"
#include "run_directory.hpp"
#include "startup_memory.hpp"
#include "store/incident_store.hpp"

namespace plimsoll {

namespace net_ = boost::asio;

namespace {

// How long `plimsoll run` holds its first line back, so that an application that does not import is told of alone.
constexpr Duration patience = std::chrono::seconds{3};

// After so long most, and then all, has been done for the first time: the first turn of every loop, the first questions to workers.
constexpr Duration settling = std::chrono::seconds{1}, settled = std::chrono::seconds{5},
                   rest = std::chrono::minutes{1};

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
    //   starting --accepts--> serving --told to stop, and stop_delay--> parting: serves on --> stopping
    //      '----------------------'--told to stop, or a successor serves--------------------------^
    enum class Phase : std::uint8_t { starting, serving, parting, stopping };

    Impl(Options given, const RunDirectory& directory)
        : options(std::move(given)), run_directory(directory), config(options.config),
          store(store_settings(config.store)), pools(config), server(config, pools.all()),
          signals(control, SIGTERM, SIGINT, SIGHUP), handover(control, program_of_handover()) {
        for (const int each : {SIGQUIT, SIGUSR1, SIGUSR2}) signals.add(each);
    }

    // False: `failure` says why it could not start.
    bool start() {
        if (failure = server.start(); !failure.empty()) return false;
        fleet.emplace(control, config, pools.in_order(config), store, surroundings());
        reloader.emplace(options.config_file, Reloader::Program{config, pools, server, *fleet}, events_of_reloads());
        if (failure = fleet->start(); !failure.empty()) return false;
        admin.emplace(control, slow, admin_settings(), backend());
        if (failure = admin->start(); !failure.empty()) return false;
        if (const std::string problem = store.problem(); !problem.empty())
            log::warn("store_in_memory_only", {{"problem", problem}});
        for (const std::string& warning : store.warnings()) log::warn("store_warning", {{"warning", warning}});
        for (const std::string& id : store.abandoned()) log::warn("incident_abandoned", {{"incident", id}});
        tell_unused_sockets();
        await_signal();
        if (!handover.succeeds()) accept();
        return true;
    }

    void accept() {
        phase = Phase::serving;
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

    Reloader::Events events_of_reloads() {
        Reloader::Events events;
        events.pools_changed = [this] { tell_readiness_soon(); };
        events.publish = [this](std::string_view event, boost::json::object facts) {
            if (admin) admin->publish(event, std::move(facts));
        };
        return events;
    }

    Handover::Program program_of_handover() {
        Handover::Program program;
        program.ready = [this] { return fleet->ready(); };
        program.accept = [this] { accept(); };
        program.relieved = [this] {
            admin->stop(); // questions are the successor's from now on
            stop();
        };
        program.give_up = [this](const std::string& why) {
            failure = why;
            stop();
        };
        return program;
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
        backend.agents = [this] { return fleet->agents(); };
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
        backend.reload = [this] { return reloader->reload(why_not_reload()); };
        backend.config = [this] { return config; };
        backend.not_ready = [this] { return phase > Phase::serving ? std::string("stopping") : std::string(); };
        backend.incidents = &store;
        return backend;
    }

    std::string why_not_reload() const {
        if (options.config_file.empty()) return "there is no configuration file to read: started by `plimsoll run`";
        if (phase == Phase::stopping) return "Plimsoll is stopping";
        if (phase == Phase::starting) return "Plimsoll is starting beside its predecessor: reload again when it serves";
        if (handover.in_progress())
            return "a successor is starting, with the file as it was: reload again when the log tells handed_over or "
                   "handover_failed";
        return {};
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
        const bool goes = phase > Phase::serving;
        if (handover.relieved() || (!goes && fleet->ready_for_some()))
            server.tell(net::Readiness::ready);
        else
            server.tell(goes ? net::Readiness::stopping : net::Readiness::not_ready);
    }

    void await_signal() {
        signals.async_wait([this](boost::system::error_code error, int number) {
            if (error) return;
            if (number == SIGHUP)
                reloader->reload(why_not_reload());
            else if (number == SIGUSR1)
                log::reopen();
            else if (number == SIGUSR2)
                handover.begin(why_not_go());
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
        if (phase == Phase::stopping && again) return Stop::now;
        handover.end_successor("this process was told to stop");
        if (phase == Phase::stopping)
            log::info("stopping_already", {});
        else if (phase == Phase::parting || config.proxy.stop_delay == Duration::zero() || has_predecessor())
            stop();
        else
            part();
        return Stop::in_order;
    }

    std::string why_not_go() const {
        if (phase > Phase::serving) return "it is stopping";
        if (options.config_file.empty()) return "it was started by `plimsoll run`";
        return why_not_hand_over(config);
    }

    // Load balancers in front have so long to notice, and to send their clients elsewhere.
    void part() {
        phase = Phase::parting;
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
        if (phase == Phase::stopping) return;
        const bool told = phase == Phase::parting || handover.relieved() || has_predecessor(); // or another one goes on
        phase = Phase::stopping;
        parting_timer.cancel();
        handover.end();
        if (!told) notify_supervisor("STOPPING=1");
        tell_readiness();
        stop_began = Clock::now();
        Handover::leave_to_predecessor();
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
        if (phase > Phase::serving || announced) return;
        if (!fleet->ready() && Clock::now() < deadline) {
            announce_timer.expires_after(std::chrono::milliseconds{20});
            announce_timer.async_wait([this, deadline](boost::system::error_code error) {
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
        if (failure.empty()) tell_warnings(options.warnings);
        if (failure.empty() && start()) {
            log::info(
                "started",
                {{"version", PLIMSOLL_VERSION}, {"listeners", server.addresses().size()}, {"admin", admin->address()}});
            notify_supervisor("READY=1");
            give_back_startup_memory();
            settle();
            if (handover.succeeds()) handover.relieve_predecessor();
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
        phase = Phase::stopping;
        Handover::leave_to_predecessor();
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
    net_::steady_timer announce_timer{control}, settling_timer{control}, parting_timer{control};
    std::uint64_t settled_connections = 0; // so far, when it was looked last
    Handover handover;
    std::optional<Reloader> reloader;
    Phase phase = Phase::starting;
    bool was_told_to_stop = false, announced = false, will_tell_readiness = false;
    Instant stop_began;  // when it was told to
    std::string failure; // why it could not start, one line
};

App::App(Options options, const RunDirectory& run_directory)
    : impl_(std::make_unique<Impl>(std::move(options), run_directory)) {}
App::~App() = default;
int App::run() { return impl_->run(); }

} // namespace plimsoll
