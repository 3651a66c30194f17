// Settings that are legal and do nothing, or not what was hoped for. Warnings, of a configuration that is sound otherwise. A key
// that stands at its default was not meant to do anything: whoever starts from conf/plimsoll.toml is told nothing.
#include <algorithm>
#include <string>

#include "config/checks.hpp"
#include "config/place.hpp"
#include "config/values.hpp"

namespace plimsoll::config {
namespace {

template <class Section, class Value>
struct Key {
    const char* name;
    Value Section::*member;
};
template <class Section, class Value>
Key(const char*, Value Section::*) -> Key<Section, Value>;

// Told of each of the keys that stands in the file and says something else than its default.
template <class Section, class... Values>
void no_effect(const std::string& path, const Section& section, const std::string& why, Findings& findings,
               Key<Section, Values>... keys) {
    const Section standard;
    const auto tell = [&](const auto& key) {
        const auto where = path + '.' + key.name;
        if (section.*key.member != standard.*key.member && findings.stands(where))
            findings.warning(where, "has no effect: " + why);
    };
    (tell(keys), ...);
}

void effect_of_socket_mode(const std::string& path, const Listener& listener, const Proxy& proxy, Findings& findings) {
    if (!listener.address.starts_with("unix:"))
        return no_effect(path, listener, "only a unix socket is a file", findings,
                         Key{"socket_mode", &Listener::socket_mode});
    constexpr unsigned others_write = 0002;
    const bool everybody = (parse_file_mode(listener.socket_mode).value_or(0) & others_write) != 0;
    if (everybody && std::ranges::find(proxy.trusted_proxies, "unix") != proxy.trusted_proxies.end())
        findings.warning(path + (findings.stands(path + ".socket_mode") ? ".socket_mode" : ".address"),
                         "everybody on this host who gets into its directory may connect, and trusted_proxies believes "
                         "what they tell of the client: write socket_mode = \"0660\" and share a group");
}

void effect_of_max_body(const std::string& path, const Listener& listener, Findings& findings) {
    if (listener.max_body == Bytes{0} && findings.stands(path + ".max_body"))
        findings.warning(path + ".max_body",
                         "refuses every request with a body (413): 0 is no \"any size\" here. Write the "
                         "size that you allow, such as \"100GiB\"");
}

void effects_of_limit(const std::string& path, const Limit& section, Findings& findings) {
    if (section.rate.empty())
        no_effect(path, section, "it belongs to a rate, and there is none", findings, Key{"burst", &Limit::burst},
                  Key{"cost", &Limit::cost});
    if (std::ranges::find(section.key, "client") == section.key.end())
        no_effect(path, section, "the limit does not count by client", findings,
                  Key{"ipv6_prefix", &Limit::ipv6_prefix});
}

// IPv4 is a part of IPv6 where addresses are compared. Clients of a unix socket have none.
void effect_of_allow(const std::string& path, const Limit& section, const Config& config, Findings& findings) {
    const auto all = [](const std::string& network) {
        return network.ends_with("/0") && network.find(':') != std::string::npos;
    };
    const auto unix_socket = [](const Listener& listener) { return listener.address.starts_with("unix:"); };
    if (std::ranges::any_of(section.allow, all) && std::ranges::none_of(config.listeners, unix_socket))
        findings.warning(path + ".allow", "these are all addresses there are: nobody is limited");
}

void effects_of_route(const std::string& path, const Route& section, const Config& config, Findings& findings) {
    if (section.respond.status != 0 || !section.redirect.to.empty())
        no_effect(path, section, "the route answers itself, and no worker is asked", findings,
                  Key{"priority", &Route::priority}, Key{"stream", &Route::stream}, Key{"deadline", &Route::deadline},
                  Key{"affinity", &Route::affinity});
    for (std::size_t i = 0; i < section.limits.size(); ++i) {
        const auto limit = path + ".limit[" + std::to_string(i) + "]";
        effects_of_limit(limit, section.limits[i], findings);
        effect_of_allow(limit, section.limits[i], config, findings);
    }
}

void effects_of_memory(const std::string& path, const Memory& section, Findings& findings) {
    if (section.mode == Mode::off)
        no_effect(path, section, "with mode = \"off\" nobody is shed", findings, Key{"load_line", &Memory::load_line},
                  Key{"stall_line", &Memory::stall_line});
}

void effects_of_queue(const std::string& path, const Queue& section, Findings& findings) {
    if (section.size == 0)
        no_effect(path, section, "with size = 0 nobody waits: who finds no slot is refused", findings,
                  Key{"timeout", &Queue::timeout}, Key{"target", &Queue::target}, Key{"mode", &Queue::mode});
    else if (section.timeout == Duration::zero())
        no_effect(path, section, "with timeout = \"0s\" nobody waits so long", findings, Key{"target", &Queue::target});
}

void effects_of_capture(const std::string& path, const Capture& section, Findings& findings) {
    if (!section.enabled)
        no_effect(path, section, "with enabled = false nothing is captured", findings,
                  Key{"trace_requests", &Capture::trace_requests}, Key{"trace_time", &Capture::trace_time},
                  Key{"trace_frames", &Capture::trace_frames}, Key{"remote", &Capture::remote},
                  Key{"command", &Capture::command}, Key{"command_timeout", &Capture::command_timeout});
    else if (!section.trace)
        no_effect(path, section, "with trace = false no recycle is preceded by one", findings,
                  Key{"trace_requests", &Capture::trace_requests}, Key{"trace_time", &Capture::trace_time});
}

void effects_of_leak(const std::string& path, const Leak& section, Findings& findings) {
    if (!section.experiments || section.policy == "observe")
        no_effect(path, section,
                  section.experiments ? "with policy = \"observe\" there are no experiments"
                                      : "with experiments = false there are none",
                  findings, Key{"experiment_budget", &Leak::experiment_budget},
                  Key{"experiment_slowdown", &Leak::experiment_slowdown});
}

void effects_of_breaker(const std::string& path, const CircuitBreaker& section, Findings& findings) {
    if (section.mode == Mode::off && section.routes == Mode::off)
        no_effect(path, section, "mode and routes are \"off\"", findings,
                  Key{"consecutive", &CircuitBreaker::consecutive}, Key{"share", &CircuitBreaker::share},
                  Key{"minimum", &CircuitBreaker::minimum}, Key{"window", &CircuitBreaker::window},
                  Key{"slow", &CircuitBreaker::slow}, Key{"rest", &CircuitBreaker::rest},
                  Key{"longest_rest", &CircuitBreaker::longest_rest}, Key{"floor", &CircuitBreaker::floor});
}

void effects_of_health(const std::string& path, const Health& section, Findings& findings) {
    if (!section.interval)
        no_effect(path, section, "without an interval only new workers are asked", findings, Key{"rise", &Health::rise},
                  Key{"fall", &Health::fall}, Key{"mode", &Health::mode});
}

void effects_of_adaptive(const std::string& path, const Adaptive& section, unsigned slots, Findings& findings) {
    if (slots > 0)
        no_effect(path, section,
                  "source.slots = " + std::to_string(slots) +
                      " says what a worker takes at once: leave one of them out",
                  findings, Key{"mode", &Adaptive::mode}, Key{"min", &Adaptive::min},
                  Key{"initial", &Adaptive::initial}, Key{"max", &Adaptive::max}, Key{"streams", &Adaptive::streams});
    else if (section.mode == Mode::off)
        no_effect(path, section,
                  "with mode = \"off\" nothing is learned, and a worker that nobody tells the slots of has 64",
                  findings, Key{"min", &Adaptive::min}, Key{"initial", &Adaptive::initial}, Key{"max", &Adaptive::max},
                  Key{"streams", &Adaptive::streams});
}

void effects_of_retry(const std::string& path, const Retry& section, Findings& findings) {
    if (section.mode == Mode::off)
        no_effect(path, section, "with mode = \"off\" there is no budget, and every retry is sent", findings,
                  Key{"share", &Retry::share}, Key{"most_saved", &Retry::most_saved}, Key{"minimum", &Retry::minimum});
}

void effects_of_log(const Log& section, Findings& findings) {
    if (!section.access)
        no_effect("log", section, "there is no access log: write access = true", findings,
                  Key{"access_sample", &Log::access_sample}, Key{"access_fields", &Log::access_fields});
    if (section.trace.empty())
        no_effect("log", section, "there is no trace: write trace = \"FILE\"", findings,
                  Key{"trace_size", &Log::trace_size});
}

// Their memory is on other machines, and no agent of theirs has a way to us.
bool nobody_reads_memory(const Pool& pool, const Proxy& proxy) {
    const auto elsewhere = [](const std::string& address) {
        std::string why_not;
        const auto place = parse_place(address, why_not);
        return place && !place->unix_socket && !place->loopback();
    };
    return pool.source.kind == SourceKind::static_addresses && proxy.control.empty() &&
           std::ranges::all_of(pool.source.addresses, elsewhere);
}

void effects_of_pool(const std::string& path, const Pool& pool, const Proxy& proxy, Findings& findings) {
    effects_of_memory(path + ".memory", pool.memory, findings);
    effects_of_queue(path + ".queue", pool.queue, findings);
    effects_of_capture(path + ".capture", pool.capture, findings);
    effects_of_leak(path + ".leak", pool.leak, findings);
    effects_of_retry(path + ".retry", pool.retry, findings);
    effects_of_breaker(path + ".breaker", pool.breaker, findings);
    effects_of_health(path + ".health", pool.health, findings);
    effects_of_adaptive(path + ".adaptive", pool.adaptive, pool.source.slots, findings);
    if (pool.leak.policy != "act")
        no_effect(path + ".recycle", pool.recycle,
                  "with leak.policy = \"" + pool.leak.policy + "\" nobody is recycled for it", findings,
                  Key{"futile_shedding", &Recycle::futile_shedding});
    else if (pool.memory.mode != Mode::enforce)
        no_effect(path + ".recycle", pool.recycle,
                  "with memory.mode = \"" + std::string(to_string(pool.memory.mode)) +
                      "\" no request is refused for memory",
                  findings, Key{"futile_shedding", &Recycle::futile_shedding});
    if (!nobody_reads_memory(pool, proxy)) return;
    const std::string why = "nobody can read the memory of workers on other machines: let their agents dial in over "
                            "proxy.control = \"tcp:HOST:PORT\"";
    if (const auto mode = path + ".memory.mode"; pool.memory.mode == Mode::enforce && findings.stands(mode))
        findings.warning(mode, "has no effect: " + why);
    no_effect(path + ".memory", pool.memory, why, findings, Key{"limit", &Memory::limit});
    no_effect(path + ".recycle", pool.recycle, why, findings, Key{"soft_limit", &Recycle::soft_limit},
              Key{"hard_limit", &Recycle::hard_limit});
}

void effect_of_trace_share(const Proxy& section, Findings& findings) {
    if (section.traceparent == "pass")
        no_effect("proxy", section, "with traceparent = \"pass\" no trace begins here", findings,
                  Key{"trace_share", &Proxy::trace_share});
}

void effect_of_claims(const Proxy& section, Findings& findings) {
    if (section.trusted_proxies.empty())
        no_effect("proxy", section, "nobody is believed: name your proxies in trusted_proxies", findings,
                  Key{"trusted_proxies_set", &Proxy::trusted_proxies_set});
}

void effects_of_redis(const Config& config, Findings& findings) {
    if (config.redis.url.empty() || !findings.stands("redis.url")) return;
    const auto shares = [](const Limit& limit) { return limit.shared && limit.mode != Mode::off; };
    const auto any = [&](const Route& route) { return std::ranges::any_of(route.limits, shares); };
    if (std::ranges::none_of(config.routes, any))
        return findings.warning("redis.url",
                                "has no effect: no [[route.limit]] is counted there. Write shared = true at those "
                                "that all proxies count together, or leave [redis] out");
    // Who shares a limit has other proxies, most likely, and no default knows how many.
    if (config.redis.on_failure == OnFailure::local && !findings.stands("redis.proxies"))
        findings.warning("redis.proxies",
                         "is not written, so while Redis is away each proxy takes the whole rate of the shared limits "
                         "for its share: write how many proxies share them, or proxies = 1 if this one is alone");
}

// The longest that a request may take by a key that was written, beside the time that it gets when the proxy stops.
void effect_of_stop_timeout(const Config& config, Findings& findings) {
    const Duration stop = config.proxy.stop_timeout;
    if (stop == Duration::zero()) return; // nobody is waited for, and that was meant
    std::string longest;
    Duration takes = stop;
    const auto compare = [&](const std::string& key, std::optional<Duration> bound) {
        if (!bound || *bound <= takes || !findings.stands(key)) return;
        longest = key;
        takes = *bound;
    };
    for (std::size_t i = 0; i < config.routes.size(); ++i)
        compare("route[" + std::to_string(i) + "].deadline", config.routes[i].deadline);
    for (std::size_t i = 0; i < config.pools.size(); ++i) {
        const auto upstream = "pool[" + std::to_string(i) + "].upstream";
        const auto& settings = config.pools[i].upstream;
        compare(upstream + ".deadline", settings.deadline);
        if (!settings.deadline && settings.response_timeout != Upstream().response_timeout)
            compare(upstream + ".response_timeout", settings.response_timeout);
    }
    if (longest.empty()) return;
    const std::string key = findings.stands("proxy.stop_timeout") ? "proxy.stop_timeout" : longest;
    findings.warning(key,
                     "requests may take " + to_text(takes) +
                         (key == longest ? "" : " (line " + std::to_string(findings.position(longest).line) + ")") +
                         ", but get " + to_text(stop) +
                         " to finish when the proxy stops, and are cut then: make proxy.stop_timeout as long");
}

} // namespace

void check_effects(const Config& config, Findings& findings) {
    if (!findings.problems().empty()) return;
    effects_of_log(config.log, findings);
    effect_of_claims(config.proxy, findings);
    effect_of_trace_share(config.proxy, findings);
    effects_of_redis(config, findings);
    effect_of_stop_timeout(config, findings);
    for (std::size_t i = 0; i < config.listeners.size(); ++i) {
        const auto path = "listener[" + std::to_string(i) + "]";
        effect_of_socket_mode(path, config.listeners[i], config.proxy, findings);
        effect_of_max_body(path, config.listeners[i], findings);
    }
    for (std::size_t i = 0; i < config.routes.size(); ++i)
        effects_of_route("route[" + std::to_string(i) + "]", config.routes[i], config, findings);
    for (std::size_t i = 0; i < config.pools.size(); ++i)
        effects_of_pool("pool[" + std::to_string(i) + "]", config.pools[i], config.proxy, findings);
}

} // namespace plimsoll::config
