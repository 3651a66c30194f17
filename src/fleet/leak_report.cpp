// What is told of a pool's leaks: one report for each thing that grows, of all workers that grow alike.
#include <algorithm>
#include <cmath>
#include <limits>

#include "fleet/leak_text.hpp"
#include "fleet/leak_watch.hpp"

namespace plimsoll::fleet {

namespace {

constexpr double large_cache = 0.5; // of the headroom, before a cache is worth a word

std::vector<std::string> workers_of(const std::vector<const LeakLife*>& lives) {
    std::vector<std::string> workers;
    for (const LeakLife* life : lives) workers.push_back(life->worker);
    std::ranges::sort(workers);
    workers.erase(std::ranges::unique(workers).begin(), workers.end());
    return workers;
}

} // namespace

// A cache is told of when it has taken much of what there is.
bool LeakWatch::is_worth_telling(Watched what, const LeakLife& life) const {
    const leak::Class kind = life.verdict(what).kind;
    if (kind == leak::Class::leaking) return true;
    if (what != Watched::memory) return false;
    if (kind != leak::Class::cache) return kind == leak::Class::fragmentation || kind == leak::Class::unsharing;
    const leak::Detector& memory = life.detectors[index(what)];
    return !memory.marks().empty() &&
           memory.marks().back().y - memory.floor() >= large_cache * std::max(life.limit - memory.floor(), 1.0);
}

LeakCase::Around LeakWatch::around(Watched what, const Lives& lives) const {
    LeakCase::Around found{.has_agent = false, .looked_into = pool_.settings().leak.policy != "observe"};
    for (const LeakLife* life : lives) {
        if (what == Watched::memory)
            for (const Watched other : {Watched::threads, Watched::children})
                if (found.beside.empty() && of(other).is_accused(*life)) found.beside = to_string(other);
        found.trimmed_in_vain = found.trimmed_in_vain || trim_.in_vain(*life);
        const WorkerPtr worker = pool_.find(life->worker);
        if (!worker) continue;
        for (const GenerationPtr& generation : {worker->current, worker->next})
            if (generation && generation->leak.get() == life && generation->agent) found.has_agent = true;
    }
    return found;
}

LeakReport LeakWatch::report_on(Watched what, leak::Class kind, const LeakView& view, const Lives& lives) const {
    LeakReport report;
    report.view = view;
    report.pool = pool_.settings().name;
    report.what = to_string(what);
    report.id = report.pool + "-" + report.what;
    if (what == Watched::memory && kind == leak::Class::leaking) report.routes = routes_.found();
    of(what).describe(report, kind, around(what, lives));
    if (what == Watched::memory) report.experiment = experiment();
    return report;
}

// All workers whose growth is of the kind, the one that reaches its limit first in front.
std::optional<LeakReport> LeakWatch::report_of(Watched what, leak::Class kind) const {
    Lives grown;
    const LeakLife* foremost = nullptr;
    double least = 0;
    for (const auto& life : lives_) {
        const leak::Verdict& verdict = life->verdict(what);
        if (verdict.kind != kind || !is_worth_telling(what, *life)) continue;
        grown.push_back(life.get());
        const double left = verdict.forecast ? verdict.forecast->requests : std::numeric_limits<double>::infinity();
        if (foremost && left >= least) continue;
        foremost = life.get();
        least = left;
    }
    if (!foremost) return std::nullopt;
    const leak::Verdict& verdict = foremost->verdict(what);
    LeakReport report = report_on(what, kind, fleet::view_of(verdict), grown);
    report.workers = workers_of(grown);
    if (kind == leak::Class::fragmentation) report.incidents = trim_.incidents(report.workers);
    if (accuses(verdict) && pool_.settings().leak.policy == "act" && verdict.forecast) {
        if (const auto trough = leak::promised_trough(outlook_of(what, *foremost)))
            report.planned_at = std::chrono::system_clock::now() +
                                std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(*trough));
    }
    report.verdict = verdict_text(report, pool_.settings().source.directory);
    return report;
}

// Between a recycle and the day that the next process is old enough to show it, the code leaks as it did.
std::optional<LeakReport> LeakWatch::report_of_open(Watched what) const {
    const auto seen = of(what).seen();
    if (!seen) return std::nullopt;
    Lives accused, all;
    for (const auto& life : lives_) {
        all.push_back(life.get());
        if (of(what).is_accused(*life)) accused.push_back(life.get());
    }
    LeakReport report = report_on(what, leak::Class::leaking, *seen, accused.empty() ? all : accused);
    report.workers = workers_of(accused);
    if (accused.empty()) report.closed_after = of(what).proof();
    report.verdict = verdict_text(report, pool_.settings().source.directory);
    return report;
}

// Of the worst that any worker does: who leaks makes the others' caches uninteresting.
std::optional<LeakReport> LeakWatch::report_of(Watched what) const {
    if (auto found = report_of(what, leak::Class::leaking)) return found;
    if (auto found = report_of_open(what)) return found;
    for (const leak::Class kind : {leak::Class::fragmentation, leak::Class::unsharing, leak::Class::cache})
        if (auto found = report_of(what, kind)) return found;
    return std::nullopt;
}

std::string LeakWatch::unjudged() const {
    std::size_t needed = 0; // a life is known up to its last mark
    while (leak::AgeCurve::age_of(needed) < leak::Thresholds{}.young) ++needed;
    const double age = leak::AgeCurve::age_of(needed);
    for (const WorkerPtr& worker : pool_.workers()) {
        const GenerationPtr& each = worker->current;
        const unsigned most = each && each->agent_of_server() ? each->agent->hello().max_requests.value_or(0) : 0;
        if (most == 0 || most >= age) continue;
        return pool_.settings().name + ": its server ends workers after " + std::to_string(most) +
               " requests (max_requests), and what grows is judged from " + std::to_string(std::llround(age)) +
               " on: leaks are not told from caches that fill. Set max_requests to 0 and let [pool.recycle] do it";
    }
    return {};
}

std::vector<LeakReport> LeakWatch::report() const {
    std::vector<LeakReport> reports;
    for (const Watched what : all_watched)
        if (auto found = report_of(what)) reports.push_back(std::move(*found));
    return reports;
}

} // namespace plimsoll::fleet
