// The gate's verdict on a request, and the wait in the pool's queue where it is neither yes nor no.
#include <algorithm>

#include "net/reactor.hpp"
#include "net/session.hpp"

namespace plimsoll::net {

using io::Stream;
using io::until;

Gate::Facts Session::facts_of(Exchange& x) {
    if (!x.asked && !x.draw) name_for_memory(x);
    Gate::Facts facts;
    facts.priority = x.priority;
    facts.deadline = x.deadline;
    facts.route = x.route->key;
    facts.label = x.label;
    facts.avoid = x.avoid;
    facts.affinity = x.affinity;
    facts.side = wanted_side(x);
    if (!x.draw) x.draw = reactor_.draw();
    facts.draw = *x.draw;
    return facts;
}

bool Session::turned_away(Exchange& x) { return x.route->target->pool->turns_away(reactor_.loop.now, facts_of(x)); }

bool Session::try_admit(Exchange& x) {
    auto& pool = *x.route->target->pool;
    const auto facts = facts_of(x);
    x.draw.reset();
    wakeup_.clear(io::Wakeup::granted);
    auto arrival = pool.arrive(reactor_.loop.now, facts, admission_, std::exchange(x.asked, true));
    x.ticket = arrival.ticket;
    if (arrival.permit)
        x.permit = std::move(arrival.permit);
    else if (!x.ticket)
        refuse_admission(x, arrival.reason, arrival.retry_after);
    return x.ticket == 0;
}

void Session::refuse_admission(Exchange& x, Reason reason, Duration retry_after) {
    x.retry_after = std::max(retry_after, Duration{std::chrono::seconds{1}});
    // The operator's bound is the gateway's timeout, whoever notices first that it has passed: the gate or our own clock.
    const auto& bound = x.route->rule.deadline ? x.route->rule.deadline : x.route->target->upstream.deadline;
    if (reason == Reason::deadline && bound && reactor_.loop.now >= x.began + *bound) {
        x.refusal = {504, "deadline", "no worker was free within the deadline of the request"};
        return;
    }
    const auto status = static_cast<unsigned short>(reason == Reason::rate ? 429 : 503);
    x.refusal = {status, to_string(reason), "the application cannot take this request now"};
}

io::Task<> Session::wait_for_slot(Exchange& x) {
    settle(x);
    const auto since = reactor_.loop.now;
    auto& queue = x.route->target->queue->slots[reactor_.index()];
    const auto granted = [this] { return (wakeup_.signals() & io::Wakeup::granted) != 0; };
    reactor_.waits_in_queue();
    while (!granted() && x.open() && !client_left(x) && !overdue())
        co_await until(wakeup_, client_, client_end(x), io::Wakeup::granted);
    if (!granted()) {
        if (client_left(x)) {
            x.gone = !x.refusal;
            if (x.gone) queue.left.add();
        } else if (x.open()) { // else there was no room for a body that has to wait
            x.refusal = {504, "deadline", "no worker was free within the deadline of the request"};
            x.retry_after = no_hint();
        }
        // Too late to leave: the news is on its way and holds a pointer to us.
        if (!x.route->target->pool->leave(reactor_.loop.now, x.ticket))
            while (!granted()) co_await until(wakeup_, client_, 0, io::Wakeup::granted).whatever_happens();
    }
    reactor_.waits_no_more();
    const auto waited = reactor_.loop.now - since;
    x.waited += waited;
    queue.waits[index(x.priority)].record(waited);
    auto permit = std::move(admission_.permit);
    if (!x.open()) co_return; // a permit that came too late goes back by itself
    if (permit)
        x.permit = std::move(permit);
    else
        refuse_admission(x, admission_.reason, admission_.retry_after);
}

} // namespace plimsoll::net
