// When the recycle of an accused worker is due: what is known of it, put before plimsoll/leak/recycle_time.hpp.
#include <algorithm>

#include "fleet/leak_text.hpp"
#include "fleet/leak_watch.hpp"
#include "fleet/recycler.hpp"

namespace plimsoll::fleet {

namespace {

constexpr double quiet = 0.6; // of the hour's traffic: below it is a chance

} // namespace

double LeakWatch::second_of_day() {
    const auto now = std::chrono::system_clock::now();
    return std::chrono::duration<double>(now - std::chrono::floor<std::chrono::days>(now)).count();
}

// Where those who come are refused for their memory.
std::optional<leak::LoadLineAhead> LeakWatch::load_line_of(Watched what, const LeakLife& life) const {
    const config::Memory& memory = pool_.settings().memory;
    const WorkerPtr worker = pool_.find(life.worker);
    if (what != Watched::memory || memory.mode != Mode::enforce || !worker) return std::nullopt;
    for (const GenerationPtr& each : {worker->current, worker->next}) {
        if (!each || each->leak.get() != &life || !each->memory.limit) continue;
        const leak::Verdict& verdict = life.verdict(what);
        leak::LoadLineAhead ahead{.line = memory.load_line * static_cast<double>(each->memory.limit->count),
                                  .limit = life.limit,
                                  .floor = life.detectors[index(what)].floor(),
                                  .room = verdict.forecast ? verdict.forecast->room : life.limit,
                                  .growth = std::max(verdict.slope, verdict.high) * life.rate};
        ahead.reached = each->memory.pressure(life.last_read, memory.stale_after).value_or(0) >= memory.load_line;
        return ahead;
    }
    return std::nullopt;
}

// What a recycle of one of the pool's workers is given, in seconds.
double LeakWatch::lead(double bound) const {
    const auto accused = [](const WorkerPtr& worker) {
        const auto& face = worker->face();
        return face && face->leak &&
               std::ranges::any_of(all_watched, [&](Watched what) { return accuses(face->leak->verdict(what)); });
    };
    const auto waiting = std::ranges::count_if(pool_.workers(), accused);
    const auto longest = pool_.recycler().longest();
    return leak::lead_of(bound, longest ? std::optional(to_seconds(*longest)) : std::nullopt,
                         static_cast<unsigned>(waiting));
}

leak::RecycleOutlook LeakWatch::outlook_of(Watched what, const LeakLife& life) const {
    const config::Recycle& recycle = pool_.settings().recycle;
    leak::RecycleOutlook outlook;
    outlook.lived = to_seconds(life.last_read - life.began);
    outlook.early = life.verdict(what).forecast->seconds_early.value_or(0);
    outlook.bound = to_seconds(recycle.ready_timeout + recycle.drain_timeout + recycle.capture_timeout);
    outlook.lead = lead(outlook.bound);
    outlook.quiet = life.rate_now < quiet * life.rate;
    const WorkerPtr worker = pool_.find(life.worker);
    const bool gave_up = worker && worker->not_improved; // the soft limit is behind it: the next one is hard
    outlook.has_soft_limit = what == Watched::memory && recycle.soft_limit.has_value() && !gave_up;
    if (const auto ahead = load_line_of(what, life)) outlook = leak::sooner(outlook, *ahead);
    outlook.trough = load_.plan(second_of_day(), outlook.early - outlook.lead);
    return outlook;
}

std::string LeakWatch::why_recycle(const Generation& generation, Instant) const {
    if (!generation.leak || pool_.settings().leak.policy != "act") return {};
    const LeakLife& life = *generation.leak;
    for (const Watched what : all_watched) {
        const leak::Verdict& verdict = life.verdict(what);
        const bool holes = verdict.kind == leak::Class::fragmentation && trim_.in_vain(life);
        if (!(accuses(verdict) || holes) || !verdict.forecast || !verdict.forecast->seconds_early) continue;
        const leak::RecycleOutlook outlook = outlook_of(what, life);
        const leak::RecycleTime time = leak::recycle_time(outlook);
        if (time == leak::RecycleTime::later) continue;
        const LeakView view = fleet::view_of(verdict);
        return "grows by " + slope_text(view, std::string(to_string(what))) + " and " + forecast_text(view) +
               (outlook.refused                                    ? "; it is at the load line"
                : outlook.early < *verdict.forecast->seconds_early ? "; it may be at the load line before"
                                                                   : "") +
               (holes ? "; malloc_trim gave little back" : "") +
               (time == leak::RecycleTime::while_quiet ? "; traffic is low now"
                : time == leak::RecycleTime::in_trough ? "; traffic is at its lowest of the day"
                                                       : "");
    }
    return {};
}

} // namespace plimsoll::fleet
