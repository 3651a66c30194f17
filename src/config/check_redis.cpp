#include <algorithm>
#include <cctype>

#include "config/checks.hpp"
#include "config/redis_url.hpp"

namespace plimsoll::config {
namespace {

void check_files(const Redis& redis, const RedisUrl& url, Findings& findings) {
    if (redis.cert_file.empty() != redis.key_file.empty()) {
        const auto* missing = redis.cert_file.empty() ? "redis.cert_file" : "redis.key_file";
        findings.problem(missing, "is missing: a certificate of our own takes both cert_file and key_file");
    }
    if (!url.tls && (!redis.ca_file.empty() || !redis.cert_file.empty()))
        findings.problem(redis.ca_file.empty() ? "redis.cert_file" : "redis.ca_file",
                         "has no effect without TLS: write the url as rediss://HOST:PORT");
}

void check_url(const Redis& redis, Findings& findings) {
    if (redis.url.empty() || !findings.sound("redis.url")) return;
    std::string why_not;
    const auto url = parse_redis_url(redis.url, why_not);
    if (!url) return findings.problem("redis.url", why_not, "\"redis://HOST:6379/0\"");
    check_files(redis, *url, findings);
    const int passwords = !url->password.empty() + !redis.password.empty() + !redis.password_file.empty();
    if (passwords > 1)
        findings.problem(redis.password_file.empty() ? "redis.password" : "redis.password_file",
                         "the password is said twice: keep one of url, password and password_file");
    if (!url->user.empty() && passwords == 0)
        findings.problem("redis.url",
                         "a user needs a password: here (USER:PASSWORD@), in password or in password_file");
}

void check_limit(const std::string& path, const Limit& limit, const Redis& redis, Findings& findings) {
    if (!limit.shared || limit.mode == Mode::off || !findings.sound(path + ".shared")) return;
    if (limit.rate.empty() && findings.sound(path + ".rate"))
        findings.problem(path + ".shared", "only a rate can be shared: inflight is counted in each proxy");
    if (redis.url.empty() && findings.sound("redis.url"))
        findings.problem(path + ".shared", "a shared limit is counted in Redis: say where it is in [redis] url",
                         "[redis] url = \"redis://127.0.0.1:6379/0\"");
}

} // namespace

void check_redis(const Config& config, Findings& findings) {
    check_url(config.redis, findings);
    const auto& prefix = config.redis.prefix;
    if (prefix.size() > 64 ||
        std::any_of(prefix.begin(), prefix.end(), [](unsigned char c) { return !std::isgraph(c); }))
        findings.problem("redis.prefix", "a prefix is at most 64 visible characters");
    for (std::size_t r = 0; r < config.routes.size(); ++r)
        for (std::size_t l = 0; l < config.routes[r].limits.size(); ++l)
            check_limit("route[" + std::to_string(r) + "].limit[" + std::to_string(l) + "]", config.routes[r].limits[l],
                        config.redis, findings);
}

} // namespace plimsoll::config
