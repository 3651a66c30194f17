#include "net/limits.hpp"

#include <algorithm>
#include <array>

#include <openssl/sha.h>

#include "config/values.hpp"
#include "log/log.hpp"
#include "net/http/cookies.hpp"
#include "net/http/target.hpp"
#include "net/random_key.hpp"
#include "net/server.hpp"
#include "plimsoll/policy/shared_rate.hpp"

namespace plimsoll::net {

namespace {

using Part = RouteLimit::Part;

constexpr http::Refusal too_often{429, "rate", "this client sends more requests than it may"};
constexpr http::Refusal too_many_at_once{429, "inflight", "this client has as many requests under way as it may"};
constexpr http::Refusal not_known{503, "limit_unknown", "how much this client has used up cannot be looked up now"};

std::pair<Part, std::string> part_of(const std::string& key) {
    const auto colon = key.find(':');
    const auto kind = key.substr(0, colon);
    if (kind == "client") return {Part::client, {}};
    if (kind == "path") return {Part::path, {}};
    if (kind == "label") return {Part::label, {}};
    const auto part = kind == "header" ? Part::header : kind == "cookie" ? Part::cookie : Part::query;
    return {part, key.substr(colon + 1)};
}

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const auto& part : parts) text += (text.empty() ? "" : "+") + part;
    return text;
}

// As a decoder of forms reads it: "a+b" and "a%20b" are one value to the application.
std::string form_decoded(std::string_view text) {
    std::string decoded(text);
    std::ranges::replace(decoded, '+', ' '); // before the escapes: %2B is a plus
    decoded.resize(http::decode_escapes(decoded, decoded.data()));
    return decoded;
}

// Of fields, cookies and parameters: who names two has none of his own.
std::string_view only_value(const http::FieldTable& fields, std::string_view name) {
    const auto* only = fields.find(name);
    if (!only) return {};
    const auto again = [&](const http::Field& field) { return &field != only && http::iequals(field.name, name); };
    return std::any_of(only, fields.end(), again) ? std::string_view{} : only->value;
}

// Which of several counts differs from application to application, and a client must not choose what it is counted by.
std::string only_cookie(const http::FieldTable& fields, std::string_view name) {
    const auto found = http::cookies_named(fields, name);
    return found.size() == 1 ? http::cookie_value(found.front()).value_or(std::string()) : std::string();
}

std::string only_parameter(std::string_view query, std::string_view name) {
    std::optional<std::string_view> only;
    while (!query.empty()) {
        const auto end = query.find('&');
        const auto pair = query.substr(0, end);
        query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
        const auto sign = pair.find('=');
        if (sign == std::string_view::npos) continue;
        if (form_decoded(pair.substr(0, sign)) != name) continue; // "k%65y" is "key" to the application
        if (only) return {};
        only = pair.substr(sign + 1);
    }
    return form_decoded(only.value_or(std::string_view{}));
}

// IPv4 whole, IPv6 cut to its network; what is no address (a unix socket's peer) as it is.
std::string client_key(std::string_view client, unsigned ipv6_prefix) {
    auto address = http::parse_ip(client);
    if (!address) return std::string(client);
    auto& bytes = address->bytes;
    const bool ipv4 = std::all_of(bytes.begin(), bytes.begin() + 10, [](auto byte) { return byte == 0; }) &&
                      bytes[10] == 0xff && bytes[11] == 0xff;
    for (unsigned bit = ipv4 ? 128 : ipv6_prefix; bit < 128; ++bit)
        bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80U >> bit % 8));
    return {bytes.begin(), bytes.end()};
}

// Calls `add` with each value that the limit counts by.
template <class Add>
void each_value(const RouteLimit& limit, const LimitedRequest& request, Add add) {
    for (const auto& [part, name] : limit.parts) {
        switch (part) {
        case Part::client: add(client_key(request.client, limit.ipv6_prefix)); break;
        case Part::path: add(request.path); break;
        case Part::label: add(request.label); break;
        case Part::header: add(only_value(request.fields, name)); break;
        case Part::cookie: add(only_cookie(request.fields, name)); break;
        case Part::query: add(only_parameter(request.query.substr(request.query.empty() ? 0 : 1), name)); break;
        }
    }
}

// The same in all proxies, so no key is drawn for it: 128 of SHA-256's bits, with which nobody makes two values meet. It keeps
// no secret: who may read Redis may try all addresses.
std::string shared_digest(const RouteLimit& limit, const LimitedRequest& request) {
    std::string text = limit.scope;
    each_value(limit, request, [&text](std::string_view value) {
        text += '\n' + std::to_string(value.size()) + ':'; // no two lists of values make one text
        text += value;
    });
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    std::string hex;
    for (const unsigned char byte : std::span(digest).first<16>())
        hex += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    return hex;
}

} // namespace

std::string LimitsUnderWay::fields() const {
    if (told.empty()) return {};
    std::string policies, states;
    for (const auto& [limit, rate, verdict] : told) {
        const std::string name = (policies.empty() ? "\"" : ", \"") + limit->name + '"';
        const auto quota = quota_of(rate, verdict);
        policies += name + ";q=" + std::to_string(quota.requests) + ";w=" + std::to_string(quota.seconds);
        states += name + ";r=" + std::to_string(quota.remaining) + ";t=" + std::to_string(quota.reset);
    }
    return "RateLimit-Policy: " + policies + "\r\nRateLimit: " + states + "\r\n";
}

bool RouteLimit::counts_by(Part wanted) const {
    return std::any_of(parts.begin(), parts.end(), [wanted](const auto& part) { return part.first == wanted; });
}

void LimitHold::give_back() {
    for (const auto key : std::exchange(keys_, {})) limits_->leave(key);
}

Limits::Limits() : seed_(random_key()) {}
Limits::~Limits() = default;

std::vector<RouteLimit> Limits::compile(const config::Route& route, const std::string& label, std::size_t keys) {
    std::vector<RouteLimit> compiled;
    std::map<std::string, unsigned> seen;
    std::string methods;
    for (const auto& method : route.methods) methods += method + ' ';
    std::string headers; // routes may differ in nothing else
    for (const auto& header : route.headers) headers += '\n' + header;
    for (const auto& limit : route.limits) {
        const auto what = joined(limit.key);
        const auto ordinal = ++seen[what]; // "client" twice, a rate each: they count apart
        if (limit.mode == config::Mode::off) continue;
        RouteLimit made;
        made.name = limit.name;
        if (limit.name.empty()) made.name = ordinal == 1 ? what : what + '#' + std::to_string(ordinal);
        // What clients have used up outlives a change of the rate, so the rate is no part of the identity.
        made.scope = limit.name.empty()
                         ? methods + route.host + route.path + headers + '\n' + what + '\n' + std::to_string(ordinal)
                         : '\n' + limit.name;
        made.identity = keyed_hash(seed_, made.scope);
        for (const auto& key : limit.key) made.parts.push_back(part_of(key));
        if (const auto rate = config::parse_rate(limit.rate)) {
            made.rated = true;
            made.rate = RateRule::per_second(rate->per_second, limit.burst, limit.cost);
            made.shared = limit.shared;
        }
        made.inflight = limit.inflight;
        made.ipv6_prefix = limit.ipv6_prefix;
        made.enforced = limit.mode == config::Mode::enforce;
        std::string problem;
        if (!made.allow.parse(limit.allow, problem)) log::error("limit_allow_invalid", {{"error", problem}});
        const std::lock_guard lock(mutex_);
        auto& counters = counters_[route.pool + '\n' + label + '\n' + made.name];
        if (!counters) {
            counters = std::make_unique<LimitCounters>();
            counters->pool = route.pool;
            counters->route = label;
            counters->limit = made.name;
        }
        counters->terms = limit;
        made.counters = counters.get();
        compiled.push_back(std::move(made));
    }
    while (!compiled.empty() && stripes_.size() < stripes) stripes_.push_back(std::make_unique<Stripe>(keys / stripes));
    return compiled;
}

void Limits::withdraw() {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, each] : counters_) each->terms.reset();
}

LimitLabels& Limits::labels_of(const std::string& pool) {
    const std::lock_guard lock(mutex_);
    return labels_[pool];
}

std::uint64_t Limits::key_of(const RouteLimit& limit, const LimitedRequest& request) const {
    auto key = limit.identity;
    each_value(limit, request, [&](std::string_view text) { key = keyed_hash({seed_.low ^ key, seed_.high}, text); });
    return key;
}

bool Limits::enter(const RouteLimit& limit, std::uint64_t key, LimitHold& hold) {
    Stripe& stripe = stripe_of(key);
    {
        const std::lock_guard lock(stripe.mutex);
        if (!stripe.inflight.enter(key, limit.inflight)) return false;
    }
    hold.limits_ = this;
    hold.keys_.push_back(key);
    return true;
}

void Limits::leave(std::uint64_t key) {
    Stripe& stripe = stripe_of(key);
    const std::lock_guard lock(stripe.mutex);
    stripe.inflight.leave(key);
}

RateVerdict Limits::spend(Instant now, std::uint64_t key, const RateRule& rule) {
    Stripe& stripe = stripe_of(key);
    const std::lock_guard lock(stripe.mutex);
    return stripe.rates.spend(now, key, rule);
}

void Limits::take_back(LimitsUnderWay& under_way) {
    for (const auto& [key, rule] : under_way.passed) {
        Stripe& stripe = stripe_of(key);
        const std::lock_guard lock(stripe.mutex);
        stripe.rates.give_back(key, rule);
    }
    under_way.passed.clear();
    for (auto& [limit, rate, verdict] : under_way.told)
        if (verdict.allowed) verdict = given_back(rate, verdict);
}

bool Limits::apply(const RouteLimit& limit, const http::Refusal& refusal, Duration retry_after,
                   LimitsUnderWay& under_way, LimitVerdict& verdict) {
    if (!refusal) {
        limit.counters->passed.fetch_add(1, std::memory_order_relaxed);
    } else if (!limit.enforced) {
        limit.counters->shadow.fetch_add(1, std::memory_order_relaxed);
        verdict.shadow.push_back(refusal.reason);
    } else {
        limit.counters->refused.fetch_add(1, std::memory_order_relaxed);
        verdict.refusal = refusal;
        verdict.retry_after = retry_after;
        // A field may be a customer's with a thousand machines, and all clients without a cookie are one.
        verdict.of_many = !limit.counts_by(Part::client);
        take_back(under_way);
        return false;
    }
    return true;
}

LimitVerdict Limits::judge(Instant now, const std::vector<RouteLimit>& limits, const LimitedRequest& request,
                           LimitHold& hold, LimitsUnderWay& under_way) {
    LimitVerdict verdict;
    for (const auto& limit : limits) {
        if (!limit.allow.empty() && limit.allow.trusts(request.client)) continue;
        const auto key = key_of(limit, request);
        http::Refusal refusal;
        Duration retry_after{};
        if (limit.rated && !limit.shared) {
            const auto rate = spend(now, key, limit.rate);
            if (limit.enforced) under_way.told.push_back({&limit, limit.rate, rate});
            if (rate.allowed)
                under_way.passed.push_back({key, limit.rate});
            else
                refusal = too_often, retry_after = rate.retry_after;
        }
        if (!refusal && limit.inflight > 0 && !enter(limit, key, hold)) refusal = too_many_at_once;
        if (!refusal && limit.shared) {
            under_way.shared.push_back({&limit, key, shared_digest(limit, request)});
            continue;
        }
        if (!apply(limit, refusal, retry_after, under_way, verdict)) {
            under_way.shared.clear();
            break;
        }
    }
    verdict.fields = under_way.fields();
    return verdict;
}

LimitVerdict Limits::conclude(Instant now, LimitsUnderWay& under_way, std::span<const RateVerdict> said) {
    LimitVerdict verdict;
    for (std::size_t i = 0; i < said.size(); ++i) {
        const auto& [limit, key, digest] = under_way.shared[i];
        Stripe& stripe = stripe_of(key);
        {
            const std::lock_guard lock(stripe.mutex);
            stripe.rates.note(now, key, said[i].whole_after);
        }
        if (limit->enforced) under_way.told.push_back({limit, limit->rate, said[i]});
        // If a later one refuses, Redis counted nothing at any of them.
        if (said[i].allowed) under_way.passed.push_back({key, limit->rate});
        const auto refusal = said[i].allowed ? http::Refusal{} : too_often;
        if (!apply(*limit, refusal, said[i].retry_after, under_way, verdict)) break;
    }
    verdict.fields = under_way.fields();
    return verdict;
}

LimitVerdict Limits::conclude_without(Instant now, LimitsUnderWay& under_way, config::OnFailure how, unsigned proxies) {
    LimitVerdict verdict;
    for (const auto& [limit, key, digest] : under_way.shared) {
        http::Refusal refusal;
        Duration retry_after{};
        if (how == config::OnFailure::closed) refusal = not_known; // until when, nobody knows
        if (how == config::OnFailure::local) {
            const auto share = local_share(limit->rate, proxies);
            const auto rate = spend(now, key, share);
            if (limit->enforced) under_way.told.push_back({limit, share, rate});
            if (rate.allowed)
                under_way.passed.push_back({key, share});
            else
                refusal = too_often, retry_after = rate.retry_after;
        }
        if (!apply(*limit, refusal, retry_after, under_way, verdict)) break;
    }
    verdict.fields = under_way.fields();
    return verdict;
}

void Limits::add_to(ServerStats& stats) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, each] : counters_)
        stats.limits.push_back({each->pool, each->route, each->limit, each->passed.load(), each->refused.load(),
                                each->shadow.load(), each->terms});
    for (const auto& stripe : stripes_) {
        const std::lock_guard stripe_lock(stripe->mutex);
        stats.rate_keys_forgotten += stripe->rates.forgotten();
    }
}

} // namespace plimsoll::net
