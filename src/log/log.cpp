#include "log/log.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <shared_mutex>
#include <utility>

#include <fcntl.h>
#include <spdlog/async.h>
#include <unistd.h>

#include "log/line.hpp"
#include "log/sink.hpp"

namespace plimsoll::log {
namespace {

// Lines that may wait for the disk. spdlog keeps about 400 bytes ready for each.
constexpr std::size_t queue_size = 2048;

std::atomic<config::LogLevel> least_level = config::LogLevel::off;
std::atomic<Format> format = Format::text;

// What start() made. Callers share the lock for the time of one enqueue; it is held alone only to swap pointers.
struct Running {
    std::shared_ptr<spdlog::details::thread_pool> thread;
    std::shared_ptr<Sink> sink;
    std::shared_ptr<spdlog::async_logger> logger;
};
std::shared_mutex running_lock;
std::shared_ptr<Running> running;
std::atomic<std::uint64_t> lost_earlier = 0, trace_lost_earlier = 0; // by loggers that were stopped

std::uint64_t lost_by(const Running& some) { return some.thread->overrun_counter() + some.sink->lost(); }

std::shared_ptr<Running> current() {
    std::shared_lock lock(running_lock);
    return running;
}

// Signals are for the threads that wait for them; without SIGPIPE a closed pipe is an error of write() and no death.
void take_no_signals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

std::shared_ptr<Running> launch() {
    auto fresh = std::make_shared<Running>();
    fresh->thread = std::make_shared<spdlog::details::thread_pool>(queue_size, 1, take_no_signals);
    // Asked only on that thread, which ends before its queue does. Sharing ownership here would be wrong: the thread
    // could come to hold the last share, and would then have to wait for itself.
    auto more_waits = [thread = fresh->thread.get()] { return thread->queue_size() > 0; };
    fresh->sink = std::make_shared<Sink>(more_waits);
    fresh->logger = std::make_shared<spdlog::async_logger>("plimsoll", fresh->sink, fresh->thread,
                                                           spdlog::async_overflow_policy::overrun_oldest);
    fresh->logger->set_level(spdlog::level::trace); // ours decides
    return fresh;
}

bool wants_colour(const config::Log& settings) {
    const char* term = std::getenv("TERM");
    bool dumb = term == nullptr || std::string_view(term) == "dumb";
    return settings.file.empty() && ::isatty(2) == 1 && std::getenv("NO_COLOR") == nullptr && !dumb;
}

void enqueue(config::LogLevel level, std::string_view event, Fields fields) {
    auto to = current();
    if (!to) return;
    thread_local std::string line;
    line.clear();
    append_line(line, format.load(std::memory_order_relaxed), std::chrono::system_clock::now(), level, event, fields);
    to->logger->log(spdlog::source_loc{}, spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

} // namespace

std::string start(const config::Log& settings) {
    auto target = current();
    if (!target) target = launch();
    auto problem = target->sink->open(settings.file);
    const auto most_bytes = static_cast<std::uint64_t>(settings.trace_size.count);
    auto trace_problem = target->sink->trace_to(settings.trace, most_bytes);
    if (problem.empty()) problem.swap(trace_problem);
    format = settings.format == "json" ? Format::json : wants_colour(settings) ? Format::coloured_text : Format::text;
    least_level = settings.level;
    std::unique_lock lock(running_lock);
    running = target;
    return problem;
}

std::string why_not(const config::Log& settings) {
    for (const auto& [name, path] : {std::pair{"log file ", &settings.file}, std::pair{"trace ", &settings.trace}}) {
        if (path->empty()) continue;
        const int file = ::open(path->c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
        if (file < 0) return "the " + (name + *path) + " cannot be opened: " + std::strerror(errno);
        ::close(file);
    }
    return {};
}

void stop() {
    std::shared_ptr<Running> last;
    {
        std::unique_lock lock(running_lock);
        last.swap(running);
    }
    if (!last) return;
    least_level = config::LogLevel::off;
    // The thread ends after what waits in its queue; the sink outlives it.
    auto sink = last->sink;
    lost_earlier += last->thread->overrun_counter();
    last.reset();
    lost_earlier += sink->lost();
    trace_lost_earlier += sink->trace().lost();
}

void reopen() {
    auto target = current();
    if (!target) return;
    if (auto problem = target->sink->reopen(); !problem.empty()) error("log_reopen_failed", {{"reason", problem}});
}

bool enabled(config::LogLevel level) {
    return level >= least_level.load(std::memory_order_relaxed) && level != config::LogLevel::off;
}

std::uint64_t dropped() {
    auto target = current();
    return lost_earlier + (target ? lost_by(*target) : 0);
}

void write(config::LogLevel level, std::string_view event, Fields fields) {
    if (enabled(level)) enqueue(level, event, fields);
}

std::uint64_t trace_dropped() {
    const auto target = current();
    return trace_lost_earlier + (target ? target->sink->trace().lost() : 0);
}

void hand_over_trace(std::string& block, std::uint64_t lines) {
    const auto to = current();
    if (!to) return block.clear();
    if (to->sink->trace().put(block, lines)) to->logger->log(spdlog::source_loc{}, spdlog::level::info, "");
}

void hand_over(std::string& block, std::uint64_t lines) {
    const auto to = current();
    if (!to) return block.clear();
    if (to->sink->blocks().put(block, lines)) to->logger->log(spdlog::source_loc{}, spdlog::level::info, "");
}

} // namespace plimsoll::log
