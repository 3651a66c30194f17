// The limits that several proxies share: what Redis says of a request that nobody else refuses.
#include "net/reactor.hpp"
#include "net/redis/link.hpp"
#include "net/session.hpp"
#include "plimsoll/policy/shared_rate.hpp"

namespace plimsoll::net {

using io::Stream;
using io::until;

namespace {

std::vector<SharedSpend> spends_of(const LimitsUnderWay& under_way, const std::string& prefix) {
    std::vector<SharedSpend> spends;
    for (const auto& [limit, key, digest] : under_way.shared)
        spends.push_back({prefix + digest, limit->rate, limit->enforced});
    return spends;
}

} // namespace

io::Task<> Session::ask_redis(Exchange& x) {
    const auto under_way = std::move(x.to_ask);
    const config::Redis none;
    const auto& settings = snapshot_->redis_settings ? snapshot_->redis_settings->config : none;
    wakeup_.clear(io::Wakeup::told);
    redis::Question question(wakeup_);
    auto* const link = reactor_.redis_link(); // none: a newer configuration has none
    if (link) link->ask(question, shared_rate_arguments(spends_of(*under_way, settings.prefix)));
    if (link && !question.over()) {
        settle(x);
        while (!question.over() && !client_left(x) && !overdue())
            co_await until(wakeup_, client_, client_end(x), io::Wakeup::told);
        if (client_left(x))
            x.gone = !x.refusal;
        else if (overdue())
            x.refusal = {504, "deadline", "the request was not answered within its deadline"};
        if (x.gone || x.refusal) {
            x.permit = {};
            co_return;
        }
    }
    std::optional<std::vector<RateVerdict>> said;
    if (question.answered()) said = shared_rate_verdicts(question.numbers(), under_way->shared.size());
    const auto told = under_way->fields().size();
    const auto now = reactor_.loop.now;
    auto& limits = reactor_.limits();
    heed(x,
         said ? limits.conclude(now, *under_way, *said)
              : limits.conclude_without(now, *under_way, settings.on_failure, settings.proxies),
         told);
    if (x.refusal) x.page = nullptr;
    if (!x.open()) x.permit = {}; // nobody waits for the refusal to be read
}

} // namespace plimsoll::net
