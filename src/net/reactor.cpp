#include "net/reactor.hpp"

#include <algorithm>
#include <csignal>
#include <optional>
#include <random>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unistd.h>

#include "net/admission.hpp"
#include "net/heirlooms.hpp"
#include "net/listener.hpp"
#include "net/names.hpp"
#include "net/redis/link.hpp"
#include "net/session.hpp"

namespace plimsoll::net {

namespace asio = boost::asio;

namespace {

thread_local Reactor* this_thread = nullptr;

constexpr int batches_a_turn = 64; // before timers and posted work get their turn
constexpr auto finest_tick = std::chrono::milliseconds{2};
constexpr auto queue_tick = std::chrono::milliseconds{10};
constexpr unsigned warnings_a_second = 10;
constexpr int most_evict_looks = 16; // at who rests; a look is a system call
constexpr auto lag_window = std::chrono::seconds{1};

void count_cut(ReactorCounters& counters, Session::Busy with) {
    switch (with) {
    case Session::Busy::no: return counters.cut_connections.add();
    case Session::Busy::request: return counters.cut_requests.add();
    case Session::Busy::tunnel: return counters.cut_tunnels.add();
    }
}

} // namespace

struct Reactor::Ports {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    asio::posix::stream_descriptor epoll{context};
    asio::steady_timer ticker{context};
    asio::steady_timer stop_bound{context};
};

Shared::Shared(unsigned reactors) : registry(reactors) {
    for (unsigned i = 0; i < reactors; ++i) counters.push_back(std::make_unique<ReactorCounters>());
}

std::shared_ptr<const Snapshot> Shared::snapshot() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
}

void Shared::publish(std::shared_ptr<const Snapshot> snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(snapshot);
    budgets.buffers.set_limit(snapshot_->buffer_memory);
    budgets.files.set_limit(snapshot_->buffer_files);
    generation_.store(snapshot_->generation, std::memory_order_release);
}

std::uint64_t Shared::open_connections() const {
    std::uint64_t sum = 0;
    for (const auto& each : counters) sum += each->connections_open.get();
    return sum;
}

Reactor::Reactor(unsigned index, Shared& shared)
    : loop(shared.budgets), counters(*shared.counters[index]), index_(index), shared_(shared),
      ports_(std::make_unique<Ports>()), names_(std::make_unique<Names>(ports_->context)),
      random_(std::uint64_t{std::random_device{}()} << 32 | std::random_device{}()) {
    // A descriptor of its own for Asio, which closes what it was given.
    ports_->epoll.assign(::dup(loop.poller.descriptor()));
}

Reactor::~Reactor() = default;

void Reactor::post(std::function<void()> what) {
    asio::post(ports_->context, [this, what = std::move(what)] { act(what); });
}

void Reactor::act(const std::function<void()>& what) {
    loop.now = Clock::now();
    what();
    settle();
}

void Reactor::deliver(Admission& admission) {
    if (this_thread == this) return admission.arrive_home();
    bool first;
    {
        const std::lock_guard lock(mailbox_mutex_);
        first = mailbox_.empty();
        mailbox_.push_back(&admission);
    }
    if (!first) return;
    post([this] {
        std::vector<Admission*> arrived;
        {
            const std::lock_guard lock(mailbox_mutex_);
            arrived.swap(mailbox_);
        }
        for (auto* each : arrived) each->arrive_home();
    });
}

void Admission::wake(Permit granted, Reason why, Duration hint) {
    permit = std::move(granted);
    reason = why;
    retry_after = hint;
    reactor_.deliver(*this);
}

void Reactor::run() {
    this_thread = this;
    // splice and sendfile know no MSG_NOSIGNAL; blocked here only, so that workers which are started elsewhere do not inherit it.
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    loop.now = Clock::now();
    refresh_date();
    snapshot(); // connects to what requests will need
    watch();
    ports_->context.run();
    this_thread = nullptr;
}

void Reactor::leave() {
    ports_->work.reset();
    ports_->context.stop();
}

void Reactor::listen(std::shared_ptr<ListeningSocket> socket, unsigned listener, bool shared_socket) {
    listeners_.push_back(std::make_unique<Listener>(*this, std::move(socket), listener, shared_socket));
}

void Reactor::stop_listening(unsigned listener) {
    const bool handed_over = Heirlooms::of_this_process().passed_on(); // then the queue is the successor's
    std::erase_if(listeners_, [&](const auto& each) {
        return each->index() == listener && (handed_over ? each->leave_at_once() : each->leave());
    });
}

void Reactor::watch() {
    ports_->epoll.async_wait(asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
        if (!error) traffic();
    });
}

void Reactor::traffic() {
    // Answers of Redis come by Asio, and somebody waits for them: not behind 64 batches of others.
    const int batches = redis_ && redis_->busy() ? 1 : batches_a_turn;
    for (int i = 0; i < batches; ++i) {
        const auto before = std::exchange(loop.now, Clock::now());
        if (i > 0) note_lag(loop.now - before);
        if (loop.poller.poll() == 0 && loop.runnable.empty()) break;
        if (loop.now >= date_until_) refresh_date();
        for (std::size_t each = 0; each < listeners_.size(); ++each) listeners_[each]->accept_pending();
        loop.runnable.run();
    }
    settle();
    watch();
}

void Reactor::settle() {
    for (int i = 0; i < batches_a_turn && !loop.runnable.empty(); ++i) loop.runnable.run();
    if (!loop.runnable.empty()) post([] {});
    auto next = loop.deadlines.next().value_or(never);
    if (queued_ > 0) next = std::min(next, loop.now + queue_tick);
    if (next >= tick_at_) return;
    tick_at_ = std::max(next, loop.now + finest_tick);
    ports_->ticker.expires_at(tick_at_);
    ports_->ticker.async_wait([this](const boost::system::error_code& error) {
        if (!error) tick();
    });
}

void Reactor::tick() {
    loop.now = Clock::now();
    note_lag(loop.now - tick_at_);
    tick_at_ = never;
    if (loop.now >= date_until_) refresh_date();
    loop.deadlines.expire(loop.now);
    if (queued_ > 0)
        for (const auto& target : snapshot()->targets())
            if (target->pool) target->pool->tick(loop.now);
    settle();
}

void Reactor::refresh_date() {
    const auto wall = std::chrono::system_clock::now();
    workspace.date = http::http_date(wall);
    date_until_ = loop.now + (std::chrono::ceil<std::chrono::seconds>(wall + std::chrono::nanoseconds{1}) - wall);
}

void Reactor::note_lag(Duration lag) {
    if (loop.now - lag_since_ > lag_window) {
        lag_before_ = lag_;
        lag_ = {};
        lag_since_ = loop.now;
    }
    lag_ = std::max(lag_, lag);
    const auto worst = std::chrono::nanoseconds(std::max(lag_, lag_before_)).count();
    counters.loop_lag_nanoseconds.set(static_cast<std::uint64_t>(std::max<std::int64_t>(worst, 0)));
}

std::shared_ptr<const Snapshot> Reactor::snapshot() {
    if (!snapshot_ || snapshot_->generation != shared_.generation()) {
        // A handle of this thread's own, so that sessions never touch a reference count that another thread touches too.
        const auto newest = shared_.snapshot();
        snapshot_ = {newest.get(), [newest](const Snapshot*) {}};
        use_redis(newest->redis_settings);
    }
    return snapshot_;
}

void Reactor::use_redis(const std::shared_ptr<const redis::Settings>& settings) {
    if (redis_ ? &redis_->settings() == settings.get() : !settings) return;
    if (const auto before = std::exchange(redis_, nullptr)) before->retire();
    if (!settings) return;
    redis_ = std::make_shared<redis::Link>(
        ports_->context, loop, shared_.redis_health, [this](const std::function<void()>& what) { act(what); },
        settings);
    redis_->start();
}

bool Reactor::may_warn(std::uint64_t& passed_over) {
    if (loop.now - warned_since_ > std::chrono::seconds{1}) {
        warned_since_ = loop.now;
        warned_ = 0;
    }
    if (warned_ == warnings_a_second) {
        ++unwarned_;
        return false;
    }
    ++warned_;
    passed_over = std::exchange(unwarned_, 0);
    return true;
}

std::uint64_t Reactor::random() { // splitmix64
    auto z = random_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

bool Reactor::over_connection_limit() { return shared_.open_connections() >= snapshot()->max_connections; }

Series& Reactor::labelled(std::string_view pool, std::string_view label) {
    auto& series = labels_[std::string(pool)];
    const auto found = series.find(std::string(label));
    if (found != series.end()) return *found->second;
    auto& made = shared_.registry.labelled(pool, label);
    if (series.size() < Registry::max_series) series.emplace(label, &made);
    return made;
}

bool Reactor::evict_one() {
    auto* each = at_rest_.first;
    for (int looks = 0; each && looks < most_evict_looks; ++looks) {
        auto& session = *std::exchange(each, each->after_);
        if (!session.make_way()) continue;
        rests(session, false); // not to be asked again
        counters.connections_evicted.add();
        return true;
    }
    return false;
}

void Reactor::Sessions::append(Session& session) {
    session.before_ = last;
    session.after_ = nullptr;
    (last ? last->after_ : first) = &session;
    last = &session;
}

void Reactor::Sessions::remove(Session& session) {
    (session.before_ ? session.before_->after_ : first) = session.after_;
    (session.after_ ? session.after_->before_ : last) = session.before_;
}

void Reactor::rests(Session& session, bool yes) {
    if (session.idle_ == yes) return;
    session.idle_ = yes;
    (yes ? at_work_ : at_rest_).remove(session);
    (yes ? at_rest_ : at_work_).append(session);
}

void Reactor::joined(Session& session) {
    at_work_.append(session);
    ++session_count_;
    counters.connections_open.add();
    counters.connections_total.add();
}

void Reactor::left(Session& session) {
    (session.idle_ ? at_rest_ : at_work_).remove(session);
    --session_count_;
    counters.connections_open.subtract();
    if (session_count_ == 0) access_log.flush(), trace_log.flush();
    finish_if_over();
}

void Reactor::left(Listener& listener) {
    std::erase_if(listeners_, [&](const auto& each) { return each.get() == &listener; });
    finish_if_over();
}

void Reactor::finish_if_over() {
    if (over() && stopped_) asio::post(ports_->context, std::exchange(stopped_, nullptr));
}

void Reactor::stop(Duration bound, std::function<void()> done) {
    stopping_ = true;
    const bool handed_over = Heirlooms::of_this_process().passed_on();
    std::erase_if(listeners_, [&](const auto& each) { return handed_over || each->leave(); });
    if (bound <= Duration::zero()) listeners_.clear();
    for (auto* each = at_rest_.first; each; each = each->after_) each->leave();
    upstreams.close_idle();
    if (over()) return done();
    if (stopped_) // asked twice: both are told
        stopped_ = [first = std::move(stopped_), done = std::move(done)] {
            first();
            done();
        };
    else
        stopped_ = std::move(done);
    ports_->stop_bound.expires_after(bound);
    ports_->stop_bound.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        loop.now = Clock::now();
        listeners_.clear();
        for (const auto& list : {at_work_, at_rest_})
            for (auto* each = list.first; each; each = each->after_) count_cut(counters, each->cut());
        finish_if_over();
        settle();
    });
}

} // namespace plimsoll::net
