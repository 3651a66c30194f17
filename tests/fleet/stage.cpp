#include "tests/fleet/stage.hpp"

#include <condition_variable>
#include <mutex>

#include <boost/asio/post.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "fleet/fd.hpp"
#include "log/log.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

struct Turn final : net::Waiter {
    void wake(net::Permit given, Reason, Duration) override {
        const std::lock_guard lock(mutex);
        permit = std::move(given);
        woken = true;
        changed.notify_one();
    }
    std::mutex mutex;
    std::condition_variable changed;
    net::Permit permit;
    bool woken = false;
};

// `meanwhile`: what the waiting thread has to go on with, until it is woken; empty: others do it.
net::Permit take_permit(net::Pool& pool, const Gate::Facts& facts = {}, const std::function<void()>& meanwhile = {}) {
    Turn turn;
    auto arrival = pool.arrive(Clock::now(), facts, turn);
    if (arrival.permit || arrival.ticket == 0) return std::move(arrival.permit);
    const Instant end = Clock::now() + 10s;
    const auto woken = [&turn] { return turn.woken; };
    std::unique_lock lock(turn.mutex);
    while (!turn.woken && Clock::now() < end) {
        if (!meanwhile) {
            turn.changed.wait_until(lock, end, woken);
            break;
        }
        lock.unlock();
        meanwhile();
        lock.lock();
    }
    if (turn.woken) return std::move(turn.permit);
    lock.unlock();
    if (pool.leave(Clock::now(), arrival.ticket)) return {};
    lock.lock();
    turn.changed.wait(lock, woken);
    return std::move(turn.permit);
}

} // namespace

bool alive(int pid) {
    const auto stat = sense::Reader().stat(pid);
    return stat && stat->state != 'Z' && stat->state != 'X';
}

std::string http(const net::Address& address, const std::string& path, std::chrono::seconds bound) {
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (!net::to_sockaddr(address, storage, length)) return {};
    const Fd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{bound.count(), 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) return {};
    const std::string request = "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
    std::string answer;
    char buffer[4096];
    for (ssize_t n; (n = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;)
        answer.append(buffer, static_cast<std::size_t>(n));
    const auto body = answer.find("\r\n\r\n");
    if (!answer.starts_with("HTTP/1.1 200") || body == std::string::npos) return {};
    return answer.substr(body + 4);
}

Clients::Clients(std::shared_ptr<net::Pool> pool, int count) : pool_(std::move(pool)) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this] { loop(); });
}

void Clients::stop() {
    stopping_ = true;
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.join();
}

void Clients::loop() {
    while (!stopping_) {
        net::Permit permit = take_permit(*pool_);
        const bool answered = permit && !http(permit.endpoint().address, "/").empty();
        ++(answered ? answered_ : failed_);
        if (permit) permit.finish(answered ? Outcome::success : Outcome::failure);
    }
}

Stage::Stage() {
    char name[] = "/tmp/plimsoll-fleet-XXXXXX";
    directory = ::mkdtemp(name);
    config.proxy.control = {"unix:" + (directory / "control.sock").string()};
    config.store.path = (directory / "store").string();
    config::Pool pool;
    pool.name = "app";
    pool.memory.interval = 50ms;
    pool.recycle.end_timeout = 1s;
    pool.recycle.drain_timeout = 5s;
    pool.recycle.ready_timeout = 10s;
    pool.capture.trace = false;
    config.pools.push_back(pool);
    config::Route route;
    route.pool = pool.name;
    config.routes.push_back(route);
    config::Log log;
    log.level = std::getenv("FLEET_LOG") ? config::LogLevel::debug : config::LogLevel::off;
    log::start(log);
}

Stage::~Stage() {
    stop();
    std::error_code ignored; // a directory of a test that is left behind harms nobody
    std::filesystem::remove_all(directory, ignored);
}

std::vector<std::string> Stage::python(const std::string& script, std::vector<std::string> arguments) {
    std::vector<std::string> command = {"python3", std::filesystem::absolute("tests/fleet/" + script).string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
}

std::string Stage::start() {
    net = std::make_shared<net::Pool>("app", pool());
    if (!store) store.emplace(store::IncidentStore::Settings{config.store.path});
    Surroundings around;
    around.close_idle = [this](WorkerKey worker, std::function<void()> done) {
        closed_idle.push_back(worker);
        boost::asio::post(io, done);
    };
    around.run_dir = directory.string();
    around.start_failed = [this](const std::string&, const std::string& why) { start_failed = why; };
    around.publish = [this](std::string_view event, boost::json::object facts) {
        published.emplace_back(event, std::move(facts));
    };
    fleet = std::make_unique<Fleet>(io, config, std::vector{net}, *store, around);
    return fleet->start();
}

void Stage::stop() {
    if (!fleet) return;
    bool done = false;
    fleet->stop([&done] { done = true; });
    until([&done] { return done; });
    vanish();
}

void Stage::vanish() { fleet.reset(); }

void Stage::go_on() {
    io.restart();
    io.run_one_for(5ms);
    io.poll();
}

bool Stage::until(const std::function<bool()>& so, std::chrono::seconds bound) {
    const Instant end = Clock::now() + bound;
    while (!so()) {
        if (Clock::now() > end) return false;
        go_on();
    }
    return true;
}

WorkerView Stage::worker(const std::string& id) {
    for (const WorkerView& worker : view().workers)
        if (worker.id == id) return worker;
    return {};
}

std::string Stage::ask(const std::string& path) {
    net::Permit permit = take_permit(*net, {}, [this] { go_on(); });
    if (!permit) return {};
    const std::string body = http(permit.endpoint().address, path);
    permit.finish(body.empty() ? Outcome::failure : Outcome::success);
    return body;
}

std::string Stage::ask_by_route(const std::string& path, double draw) {
    const Instant began = Clock::now();
    net::Steering& steering = net->steering();
    const auto phase = steering.phase();
    Gate::Facts facts;
    facts.draw = draw;
    if (phase == net::Steering::Phase::varied) facts.side = steering.side_of("POST", path);
    net::Permit permit = take_permit(*net, facts, [this] { go_on(); });
    if (!permit) return {};
    const std::string body = http(permit.endpoint().address, path);
    if (const auto label = net->route_counts().count(permit.endpoint().key, "POST", path, {}))
        steering.learn("POST", path, *label);
    permit.finish(body.empty() ? Outcome::failure : Outcome::success);
    if (phase != net::Steering::Phase::none) steering.record(phase, Clock::now() - began);
    return body;
}

bool Stage::admits() {
    Turn turn;
    auto arrival = net->arrive(Clock::now(), {}, turn);
    if (arrival.permit || arrival.ticket == 0) return static_cast<bool>(arrival.permit);
    if (net->leave(Clock::now(), arrival.ticket)) return false;
    std::unique_lock lock(turn.mutex);
    turn.changed.wait(lock, [&turn] { return turn.woken; });
    return static_cast<bool>(turn.permit);
}

std::string Stage::ask_worker(const std::string& id, const std::string& path) {
    const auto address = net::parse_address(worker(id).address);
    return address ? http(*address, path) : std::string{};
}

std::optional<store::Incident> Stage::incident(const std::string& trigger, std::chrono::seconds bound) {
    std::optional<store::Incident> found;
    until(
        [&] {
            for (const store::Incident& each : store->list(100))
                if (each.trigger == trigger && each.closed_at) {
                    found = store->get(each.id);
                    return true;
                }
            return false;
        },
        bound);
    return found;
}

std::string Stage::story(const store::Incident& incident) {
    std::string text = incident.trigger + " " + incident.worker + ": " + incident.verdict + "\n";
    for (const store::TimelineEntry& entry : incident.timeline) text += "  " + entry.event + "\n";
    for (const store::FileEntry& file : incident.files) text += "  file " + file.name + "\n";
    return text + "  capture " + incident.capture_status + " " + incident.details + "\n";
}

} // namespace plimsoll::fleet
