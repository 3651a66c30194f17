#include "net/redis/health.hpp"

#include <algorithm>

#include "log/log.hpp"

namespace plimsoll::net::redis {

namespace {

std::size_t index(RedisResult result) { return static_cast<std::size_t>(result); }

} // namespace

void Health::use(const std::shared_ptr<const Settings>& settings) {
    const std::lock_guard lock(mutex_);
    settings_ = settings;
    stats_.trips += guard_.trips();
    if (settings)
        guard_.replace(settings->config.timeout);
    else
        guard_ = StoreGuard(Duration::zero());
    stats_.problem.clear();
    if (!guard_.lost().open()) without_ = 0;
}

bool Health::passing() const {
    const std::lock_guard lock(mutex_);
    return guard_.state() == Breaker::State::passing;
}

bool Health::admits(const Settings& of, Instant now) {
    const std::lock_guard lock(mutex_);
    return concerns(of) && guard_.admits(now);
}

void Health::answered(const Settings& of, Instant now, Duration took) {
    const std::lock_guard lock(mutex_);
    ++stats_.results[index(RedisResult::ok)];
    const double seconds = std::chrono::duration<double>(took).count();
    const auto bucket = std::ranges::lower_bound(redis_latency_bounds, seconds) - redis_latency_bounds.begin();
    ++stats_.latency[static_cast<std::size_t>(bucket)];
    stats_.latency_sum += seconds;
    if (concerns(of)) tell(guard_.record(now, Breaker::Result::good), {});
}

void Health::failed(const Settings& of, Instant now, RedisResult how, const std::string& problem) {
    const std::lock_guard lock(mutex_);
    ++stats_.results[index(how)];
    ++without_;
    if (concerns(of)) tell(guard_.record(now, Breaker::Result::failed), problem);
}

void Health::unsent(const Settings& of, Instant now, RedisResult how, const std::string& problem) {
    const std::lock_guard lock(mutex_);
    ++stats_.results[index(how)];
    ++without_;
    if (concerns(of) && stats_.connections == 0) tell(guard_.record(now, Breaker::Result::failed), problem);
}

void Health::withdrawn(const Settings& of, Instant now) {
    const std::lock_guard lock(mutex_);
    if (concerns(of)) tell(guard_.record(now, Breaker::Result::nothing), {});
}

void Health::not_asked(RedisResult how) {
    const std::lock_guard lock(mutex_);
    ++stats_.results[index(how)];
    ++without_;
}

void Health::unreachable(const Settings& of, Instant now, const std::string& problem) {
    const std::lock_guard lock(mutex_);
    ++stats_.connects_failed;
    // Redis is well where others are connected: it has as many clients as it may, say, and one reactor too few would cost all of them
    // the counts that they share.
    if (concerns(of) && stats_.connections == 0) tell(guard_.unreachable(now), problem);
}

void Health::connected(bool yes) {
    const std::lock_guard lock(mutex_);
    if (yes) ++stats_.connects;
    stats_.connections += yes ? 1 : -1;
}

void Health::tell(StoreGuard::News news, const std::string& problem) {
    if (!problem.empty()) stats_.problem = problem;
    if (!settings_) return;
    if (news == StoreGuard::News::began) {
        log::warn("redis_lost", {{"server", settings_->url.shown()},
                                 {"problem", problem},
                                 {"shared_limits", config::to_string(settings_->config.on_failure)}});
    } else if (news == StoreGuard::News::ended) {
        stats_.problem.clear();
        log::info("redis_back", {{"server", settings_->url.shown()},
                                 {"after_seconds", to_seconds(guard_.lost().lasted())},
                                 {"times", guard_.lost().times()},
                                 {"requests_without_it", without_}});
    }
    if (!guard_.lost().open()) without_ = 0;
}

void Health::add_to(ServerStats& stats) const {
    const std::lock_guard lock(mutex_);
    if (!settings_) return;
    stats.redis = stats_;
    stats.redis->server = settings_->url.shown();
    stats.redis->on_failure = config::to_string(settings_->config.on_failure);
    stats.redis->breaker = to_string(guard_.state());
    if (guard_.state() == Breaker::State::passing) stats.redis->problem.clear();
    stats.redis->trips += guard_.trips();
}

} // namespace plimsoll::net::redis
