// What is left of a request when it is over: counters, and a line in the access log.
#include "config/values.hpp"
#include "net/clients.hpp"
#include "net/http/target.hpp"
#include "net/reactor.hpp"
#include "net/session.hpp"
#include "plimsoll/core/keyed_hash.hpp"

namespace plimsoll::net {

namespace {

constexpr std::string_view blank = " ";

// "GET /path HTTP/1.1": the target stands between the first two spaces of the head.
void read_request_line(std::string_view head, AccessEntry& entry) {
    const auto line = head.substr(0, head.find('\r'));
    const auto first = line.find(blank);
    if (first == line.npos) return;
    const auto second = std::min(line.find(blank, first + 1), line.size());
    entry.method = line.substr(0, first);
    entry.path = line.substr(first + 1, second - first - 1);
    entry.protocol = line.substr(std::min(second + 1, line.size()));
}

// What the application called it, else the route's own label.
std::string_view label_of(const Exchange& x) {
    if (!x.worker_route.empty()) return x.worker_route;
    return x.route ? std::string_view(x.route->label) : std::string_view{};
}

// By a limit: what another one would have done with it is worth a replay. The gate does not refuse for that.
bool refused_by_rate(const Exchange& x) {
    return x.refusal && x.refusal.reason == to_string(Reason::rate) && x.route->target;
}

} // namespace

void Session::account(Exchange& x) {
    x.retry.give_back();
    if (x.gone && x.head.empty()) return; // nobody asked for anything
    if (x.of_health) return;
    const auto pool = x.route && x.route->target ? x.route->target->name : std::string_view{};
    if (x.refusal) reactor_.counters.refused(pool, x.refusal.reason);
    if (x.gone) reactor_.counters.client_aborts.add();
    auto* series = x.series ? x.series : &snapshot_->unrouted();
    if (!x.worker_route.empty()) {
        series = &reactor_.labelled(pool, x.worker_route);
        teach_labels(x);
    }
    const auto took = reactor_.loop.now - x.began;
    if (x.experiment != Steering::Phase::none && x.complete && !x.refusal)
        x.route->target->pool->steering().record(x.experiment, took);
    series->slots[reactor_.index()].record(x.status, took, x.received(), x.answer_bytes);
    if (snapshot_->trace && (x.asked || refused_by_rate(x))) trace(x);
    const auto& format = snapshot_->access;
    if (format.on() && (format.sample() >= 1 || reactor_.draw() < format.sample())) log_access(x);
}

void Session::name_for_memory(Exchange& x) {
    auto& pool = *x.route->target->pool;
    if (!pool.learns_memory()) return;
    AccessEntry entry;
    read_request_line(x.head, entry);
    x.label = pool.cost_label(entry.method, entry.path);
}

void Session::teach_labels(Exchange& x) {
    LimitLabels *const limits = x.route->limit_labels, *const traced = x.route->target->traced.get();
    if (!limits && !traced) return;
    const auto& head = head_of(x);
    const auto path = routed_path(head);
    for (LimitLabels* const each : {limits, traced})
        if (each) each->learn(head.method_text, path, x.worker_route);
}

std::string_view Session::routed_path(const http::RequestHead& head) {
    return head.path == "*" ? std::string_view("/") : http::routing_path(head.path, reactor_.workspace.out);
}

void Session::count_route(const Exchange& x) {
    if (!x.permit || !x.route->target->pool->route_counts().on()) return;
    AccessEntry entry;
    read_request_line(x.head, entry);
    auto& pool = *x.route->target->pool;
    const auto label = pool.route_counts().count(x.permit.endpoint().key, entry.method, entry.path, x.worker_route);
    if (label && pool.steering().phase() != Steering::Phase::none)
        pool.steering().learn(entry.method, entry.path, *label);
}

Side Session::wanted_side(Exchange& x) {
    const auto& steering = x.route->target->pool->steering();
    x.experiment = steering.phase();
    if (x.experiment != Steering::Phase::varied || x.affinity) return Side::any; // a session's worker comes first
    AccessEntry entry;
    read_request_line(x.head, entry);
    return steering.side_of(entry.method, entry.path);
}

// Of the address as limits take it, and of nothing where there is none.
std::uint64_t Session::client_hash(Exchange& x) {
    const auto client =
        Clients::key_of(trusted_ && x.parsed_at > 0 ? client_of(head_of(x)).address : std::string_view(peer_));
    if (!client) return 0;
    return keyed_hash(*snapshot_->trace, {reinterpret_cast<const char*>(client->data()), client->size()});
}

// Who was refused heard no name from the application. What it has called others like him is his name too: a limit that is
// tried on them in the replay has to find him.
std::string Session::traced_name(Exchange& x) {
    if (x.parsed_at == 0) return x.worker_route;
    const auto& head = head_of(x);
    if (!x.worker_route.empty()) return LimitLabels::with_method(head.method_text, x.worker_route);
    return x.route->target->traced->named(head.method_text, routed_path(head));
}

void Session::trace(Exchange& x) {
    TraceEntry entry;
    const auto ago = reactor_.loop.now - x.began - x.body_took;
    entry.at = std::chrono::system_clock::now() - std::chrono::duration_cast<std::chrono::system_clock::duration>(ago);
    entry.pool = x.route->target->name;
    const std::string named = traced_name(x);
    entry.route = named.empty() ? std::string_view(x.route->label) : named;
    if (entry.route != x.route->label) entry.label = x.route->label;
    entry.client = client_hash(x);
    entry.priority = config::name_of(x.priority);
    if (x.deadline != never) entry.deadline = x.deadline - x.began - x.body_took;
    entry.wait = x.waited;
    if (x.attempts > 0) entry.service = x.held;
    // Now and not when it was let in: then nothing was known of the first of its kind, and who was refused was never let in.
    if (x.label != 0) entry.need = x.route->target->pool->expected_need(x.label);
    entry.received = x.received();
    entry.sent = x.answer_bytes;
    entry.status = x.status;
    if (x.refusal) entry.refused = x.refusal.reason;
    reactor_.trace_log.add(entry);
}

void Session::log_access(Exchange& x) {
    const auto& format = snapshot_->access;
    AccessEntry entry;
    read_request_line(x.head, entry);
    entry.client = peer_;
    entry.request_id = x.request_id;
    if ((format.needs_head() || trusted_) && x.parsed_at > 0) {
        const auto& head = head_of(x);
        entry.client = client_of(head).address;
        entry.host = head.host;
        entry.user_agent = head.fields.value("user-agent");
        entry.referer = head.fields.value("referer");
    }
    entry.status = x.status;
    entry.request_bytes = x.received();
    entry.response_bytes = x.answer_bytes;
    entry.head = x.head_took;
    entry.whole = x.head_took + (reactor_.loop.now - x.began);
    entry.body = x.body_took;
    entry.queue = x.waited;
    entry.connect = x.connect_took;
    entry.first_byte = x.first_byte_took;
    if (x.route && x.route->target) entry.pool = x.route->target->name;
    entry.worker = x.worker_name;
    entry.route = label_of(x);
    entry.priority = config::name_of(x.priority);
    entry.attempts = x.attempts;
    entry.reason = x.refusal ? std::string_view(x.refusal.reason)
                   : x.gone  ? "client_gone"
                   : x.abort ? "broken_off"
                             : "";
    reactor_.access_log.add(format, entry);
}

} // namespace plimsoll::net
