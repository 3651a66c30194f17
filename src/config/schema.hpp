// The one place that says which keys there are, which member each one sets, and the bounds of its value. Reading a
// file, listing what is in effect and comparing two configurations all walk through it, so that they cannot drift
// apart.
//
// A visitor has three verbs: v(key, member, rules) for a value, v.section(key, struct) for a table, v.list(key, vector)
// for an array of tables.
#pragma once

#include <initializer_list>
#include <limits>

#include "config/config.hpp"

namespace plimsoll::config {

struct Rules {
    std::int64_t min = 0; // counts, bytes, nanoseconds; of a share: percent
    std::int64_t max = std::numeric_limits<std::int64_t>::max();
    std::initializer_list<std::string_view> choices = {};
    bool single = false; // a list that may be written as one string
    bool live = true;    // a running proxy takes a change over
    bool secret = false; // never shown
};

constexpr std::int64_t in_ns(Duration duration) { return duration.count(); }
inline constexpr std::int64_t longest_timeout = in_ns(std::chrono::hours{24});
inline constexpr std::int64_t mebibyte = 1 << 20;

// A deadline of nothing would refuse everything.
constexpr Rules timeout(Duration min = milliseconds{10}) { return {.min = in_ns(min), .max = longest_timeout}; }

template <class Visitor>
void describe(Visitor& v, Proxy& proxy) {
    v("threads", proxy.threads, {.max = 1024, .live = false});
    v("control", proxy.control, {.single = true, .live = false});
    v("token", proxy.token, {.live = false, .secret = true});
    v("token_file", proxy.token_file, {.live = false});
    v("stop_delay", proxy.stop_delay, {.max = in_ns(std::chrono::minutes{10})});
    v("stop_timeout", proxy.stop_timeout, timeout(Duration::zero()));
    v("trusted_proxies", proxy.trusted_proxies, {.single = true});
    v("trusted_proxies_set", proxy.trusted_proxies_set, {.single = true});
    v("trusted_fields", proxy.trusted_fields, {.single = true});
    v("via", proxy.via);
    v("via_to_clients", proxy.via_to_clients);
    v("traceparent", proxy.traceparent, {.choices = {"add", "pass"}});
    v("trace_share", proxy.trace_share);
    v("server", proxy.server, {.choices = {"pass", "replace", "remove"}});
    v("max_connections", proxy.max_connections, {.min = 1, .max = 10'000'000});
    v("rate_keys", proxy.rate_keys, {.min = 1'000, .max = 100'000'000, .live = false});
    v("max_connections_per_client", proxy.max_connections_per_client, {.max = 10'000'000});
    v("deadline_header", proxy.deadline_header);
    v("priority_header", proxy.priority_header);
    v("buffer_memory", proxy.buffer_memory, {.min = 1 << 20});
    v("buffer_files", proxy.buffer_files, {.min = 1 << 20});
    v("body_memory", proxy.body_memory, {.min = 4 << 10});
    v("response_file", proxy.response_file);
}
template <class Visitor>
void describe(Visitor& v, Admin& admin) {
    v("listen", admin.listen, {.live = false});
    v("token", admin.token, {.live = false, .secret = true});
    v("token_file", admin.token_file, {.live = false});
}
template <class Visitor>
void describe(Visitor& v, Store& store) {
    v("path", store.path, {.live = false});
    v("max_size", store.max_size, {.min = mebibyte, .live = false});
    v("max_age", store.max_age, {.min = in_ns(std::chrono::minutes{1}), .live = false});
}
template <class Visitor>
void describe(Visitor& v, Log& log) {
    v("level", log.level);
    v("format", log.format, {.choices = {"text", "json"}});
    v("file", log.file);
    v("access", log.access);
    v("access_sample", log.access_sample);
    v("access_fields", log.access_fields);
    v("trace", log.trace);
    v("trace_size", log.trace_size, {.min = mebibyte});
}
template <class Visitor>
void describe(Visitor& v, Redis& redis) {
    v("url", redis.url, {.secret = true});
    v("password", redis.password, {.secret = true});
    v("password_file", redis.password_file);
    v("ca_file", redis.ca_file);
    v("cert_file", redis.cert_file);
    v("key_file", redis.key_file);
    v("timeout", redis.timeout, {.min = in_ns(milliseconds{1}), .max = in_ns(seconds{1})});
    v("on_failure", redis.on_failure);
    v("proxies", redis.proxies, {.min = 1, .max = 1'000});
    v("prefix", redis.prefix);
    v("max_in_flight", redis.max_in_flight, {.min = 1, .max = 1'000'000});
}
template <class Visitor>
void describe(Visitor& v, Listener& listener) {
    v("address", listener.address);
    v("socket_mode", listener.socket_mode);
    v("header_timeout", listener.header_timeout, timeout());
    v("idle_timeout", listener.idle_timeout, timeout());
    v("body_timeout", listener.body_timeout, timeout());
    v("write_timeout", listener.write_timeout, timeout());
    v("min_rate", listener.min_rate, {.max = 1 << 30});
    v("max_header", listener.max_header, {.min = 1 << 10, .max = Listener::largest_head});
    v("max_target", listener.max_target, {.min = 64, .max = Listener::largest_head});
    v("max_fields", listener.max_fields, {.min = 1, .max = Listener::most_fields});
    v("max_body", listener.max_body);
    v("health_path", listener.health_path);
    v("proxy_protocol", listener.proxy_protocol);
}
template <class Visitor>
void describe(Visitor& v, Limit& limit) {
    v("key", limit.key, {.single = true});
    v("name", limit.name);
    v("rate", limit.rate);
    v("burst", limit.burst, {.max = 1'000'000});
    v("cost", limit.cost, {.min = 1, .max = 1'000'000});
    v("inflight", limit.inflight, {.max = 1'000'000});
    v("shared", limit.shared);
    v("ipv6_prefix", limit.ipv6_prefix, {.min = 16, .max = 128});
    v("allow", limit.allow, {.single = true});
    v("mode", limit.mode);
}
template <class Visitor>
void describe(Visitor& v, Respond& respond) {
    v("status", respond.status, {.max = 599});
    v("body", respond.body);
    v("file", respond.file);
    v("content_type", respond.content_type);
}
template <class Visitor>
void describe(Visitor& v, Redirect& redirect) {
    v("to", redirect.to);
    v("status", redirect.status, {.min = 301, .max = 308});
}
template <class Visitor>
void describe(Visitor& v, Maintenance& maintenance) {
    v("enabled", maintenance.enabled);
    v("retry_after", maintenance.retry_after, timeout(seconds{1}));
    v("body", maintenance.body);
    v("file", maintenance.file);
    v("content_type", maintenance.content_type);
}
template <class Visitor>
void describe(Visitor& v, Route& route) {
    v("path", route.path);
    v("host", route.host);
    v("methods", route.methods, {.single = true});
    v("headers", route.headers, {.single = true});
    v("pool", route.pool);
    v("priority", route.priority);
    v("stream", route.stream);
    v("deadline", route.deadline, timeout());
    v("label", route.label);
    v("strip_prefix", route.strip_prefix);
    v("replace_prefix", route.replace_prefix);
    v("set_request_fields", route.set_request_fields);
    v("remove_request_fields", route.remove_request_fields, {.single = true});
    v("set_response_fields", route.set_response_fields);
    v("remove_response_fields", route.remove_response_fields, {.single = true});
    v("affinity", route.affinity);
    v("set_affinity_cookie", route.set_affinity_cookie);
    v.section("respond", route.respond);
    v.section("redirect", route.redirect);
    v.section("maintenance", route.maintenance);
    v.list("limit", route.limits);
}
template <class Visitor>
void describe(Visitor& v, Source& source) {
    v("kind", source.kind, {.live = false});
    v("command", source.command, {.live = false});
    v("directory", source.directory, {.live = false});
    v("environment", source.environment, {.live = false, .secret = true});
    v("workers", source.workers, {.max = 10'000, .live = false});
    v("addresses", source.addresses, {.single = true, .live = false});
    v("protocol", source.protocol, {.choices = {"http", "uwsgi"}, .live = false});
    v("slots", source.slots, {.max = 65'535, .live = false});
    v("listen", source.listen, {.choices = {"unix", "tcp"}, .live = false});
}
template <class Visitor>
void describe(Visitor& v, Memory& memory) {
    v("limit", memory.limit, {.min = mebibyte});
    v("interval", memory.interval, {.min = in_ns(milliseconds{50}), .max = in_ns(std::chrono::minutes{5})});
    v("stale_after", memory.stale_after, timeout());
    v("mode", memory.mode);
    v("load_line", memory.load_line, {.min = 1});
    v("stall_line", memory.stall_line, {.min = 1});
    v("cgroup_root", memory.cgroup_root, {.live = false});
}
template <class Visitor>
void describe(Visitor& v, Recycle& recycle) {
    v("soft_limit", recycle.soft_limit, {.min = 1});
    v("hard_limit", recycle.hard_limit, {.min = 1});
    v("futile_shedding", recycle.futile_shedding);
    v("min_serving", recycle.min_serving, {.max = 10'000});
    v("max_per_hour", recycle.max_per_hour, {.max = 100'000});
    v("ready_timeout", recycle.ready_timeout, timeout());
    v("drain_timeout", recycle.drain_timeout, timeout(Duration::zero()));
    v("capture_timeout", recycle.capture_timeout, timeout());
    v("end_timeout", recycle.end_timeout, timeout());
}
template <class Visitor>
void describe(Visitor& v, Capture& capture) {
    v("enabled", capture.enabled);
    v("trace", capture.trace);
    v("trace_requests", capture.trace_requests, {.min = 1, .max = 1'000'000});
    v("trace_time", capture.trace_time, timeout(milliseconds{100}));
    v("trace_frames", capture.trace_frames, {.min = 1, .max = 100});
    v("remote", capture.remote);
    v("command", capture.command);
    v("command_timeout", capture.command_timeout, timeout());
    v("max_size", capture.max_size, {.min = 64 << 10});
}
template <class Visitor>
void describe(Visitor& v, Leak& leak) {
    v("policy", leak.policy, {.choices = {"observe", "advise", "act"}});
    v("experiments", leak.experiments);
    v("experiment_budget", leak.experiment_budget, {.min = 1000, .max = 100'000'000});
    v("experiment_slowdown", leak.experiment_slowdown, {.min = 1});
}
template <class Visitor>
void describe(Visitor& v, Queue& queue) {
    v("size", queue.size, {.max = 1'000'000});
    v("timeout", queue.timeout, timeout(Duration::zero()));
    v("target", queue.target, timeout(milliseconds{1}));
    v("mode", queue.mode);
}
template <class Visitor>
void describe(Visitor& v, Adaptive& adaptive) {
    v("mode", adaptive.mode);
    v("min", adaptive.min, {.min = 1, .max = 65'535});
    v("initial", adaptive.initial, {.min = 1, .max = 65'535});
    v("max", adaptive.max, {.min = 1, .max = 65'535});
    v("streams", adaptive.streams, {.min = 0, .max = 1'000'000});
}
template <class Visitor>
void describe(Visitor& v, CircuitBreaker& breaker) {
    v("mode", breaker.mode);
    v("routes", breaker.routes);
    v("consecutive", breaker.consecutive, {.max = 1'000'000});
    v("share", breaker.share, {.min = 1});
    v("minimum", breaker.minimum, {.min = 1, .max = 1'000'000});
    v("window", breaker.window, timeout(milliseconds{100}));
    v("slow", breaker.slow, timeout(milliseconds{1}));
    v("rest", breaker.rest, timeout());
    v("longest_rest", breaker.longest_rest, timeout());
    v("floor", breaker.floor);
}
template <class Visitor>
void describe(Visitor& v, Retry& retry) {
    v("mode", retry.mode);
    v("share", retry.share);
    v("most_saved", retry.most_saved, {.max = 1'000'000});
    v("minimum", retry.minimum, {.max = 1'000'000});
}
template <class Visitor>
void describe(Visitor& v, Upstream& upstream) {
    v("connect_timeout", upstream.connect_timeout, timeout());
    v("response_timeout", upstream.response_timeout, timeout());
    v("read_timeout", upstream.read_timeout, timeout());
    v("idle_timeout", upstream.idle_timeout, timeout(Duration::zero()));
    v("deadline", upstream.deadline, timeout());
    v("upgrade_idle_timeout", upstream.upgrade_idle_timeout, timeout());
    v("upgrade_deadline", upstream.upgrade_deadline, {.min = in_ns(milliseconds{10})});
    v("finish_abandoned", upstream.finish_abandoned);
}
template <class Visitor>
void describe(Visitor& v, Health& health) {
    v("path", health.path);
    v("method", health.method, {.choices = {"GET", "HEAD"}});
    v("host", health.host);
    v("expect", health.expect, {.single = true});
    v("timeout", health.timeout, timeout());
    v("interval", health.interval, {.min = in_ns(milliseconds{50}), .max = in_ns(std::chrono::hours{1})});
    v("rise", health.rise, {.min = 1, .max = 1'000});
    v("fall", health.fall, {.min = 1, .max = 1'000});
    v("mode", health.mode);
    v("slow_start", health.slow_start, timeout(Duration::zero()));
}
template <class Visitor>
void describe(Visitor& v, Pool& pool) {
    v("name", pool.name);
    v.section("source", pool.source);
    v.section("memory", pool.memory);
    v.section("recycle", pool.recycle);
    v.section("capture", pool.capture);
    v.section("leak", pool.leak);
    v.section("queue", pool.queue);
    v.section("adaptive", pool.adaptive);
    v.section("breaker", pool.breaker);
    v.section("retry", pool.retry);
    v.section("upstream", pool.upstream);
    v.section("health", pool.health);
    v.section("maintenance", pool.maintenance);
}
template <class Visitor>
void describe(Visitor& v, Config& config) {
    v.section("proxy", config.proxy);
    v.section("admin", config.admin);
    v.section("store", config.store);
    v.section("log", config.log);
    v.section("redis", config.redis);
    v.list("listener", config.listeners);
    v.list("route", config.routes);
    v.list("pool", config.pools);
}

} // namespace plimsoll::config
