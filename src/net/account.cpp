// What is left of a request when it is over: counters, and a line in the access log.
#include "log/log.hpp"
#include "net/reactor.hpp"
#include "net/session.hpp"

namespace plimsoll::net {

void Session::account(Exchange& x) {
    if (x.retrying) reactor_.budget(*x.route->target->pool).give();
    if (x.gone && x.head.empty()) return; // nobody asked for anything
    const auto pool = x.route && x.route->target ? x.route->target->name : std::string_view{};
    if (x.refusal) reactor_.counters.refused(pool, x.refusal.reason);
    if (x.gone) reactor_.counters.client_aborts.add();
    auto* series = x.series ? x.series : &snapshot_->unrouted();
    if (!x.worker_route.empty()) series = &reactor_.labelled(pool, x.worker_route);
    const auto took = reactor_.loop.now - x.began;
    series->slots[reactor_.index()].record(x.status, took, x.upload.received(), x.answer_bytes);
    if (snapshot_->access_log) log_access(x, took);
}

void Session::log_access(const Exchange& x, Duration took) const {
    const auto draw = reactor_.draw();
    if (draw >= snapshot_->access_sample) return;
    // "GET /path HTTP/1.1": the target stands between the first two spaces of the head.
    const std::string_view line = std::string_view(x.head).substr(0, x.head.find('\r'));
    const auto first = line.find(' ');
    const auto second = line.find(' ', first + 1);
    const auto seconds = [](Duration span) { return std::chrono::duration<double>(span).count(); };
    const auto pool = x.route && x.route->target ? x.route->target->name : std::string_view{};
    const std::string_view label = !x.worker_route.empty() ? std::string_view(x.worker_route)
                                   : x.route               ? std::string_view(x.route->label)
                                                           : std::string_view{};
    log::access("request",
                {{"client", peer_},
                 {"method", line.substr(0, first)},
                 {"path", first == line.npos ? std::string_view{} : line.substr(first + 1, second - first - 1)},
                 {"status", x.status},
                 {"request_bytes", x.upload.received()},
                 {"response_bytes", x.answer_bytes},
                 {"seconds", seconds(took)},
                 {"queue_seconds", seconds(x.waited)},
                 {"pool", pool},
                 {"worker", x.worker_name},
                 {"route", label},
                 {"attempts", x.attempts},
                 {"reason", x.refusal ? x.refusal.reason
                            : x.gone  ? "client_gone"
                            : x.abort ? "broken_off"
                                      : ""},
                 {"request_id", x.identity.request_id()}});
}

} // namespace plimsoll::net
