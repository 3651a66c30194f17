#include "fleet/leak_watch.hpp"

#include <algorithm>
#include <cmath>

#include "fleet/leak_file.hpp"
#include "fleet/leak_text.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr double long_run = 3600, short_run = 60; // seconds over which rates are averaged
constexpr Duration save_interval = 1min;
// A block of pymalloc has at most so many bytes. The most is assumed: memory is called fragmented only where even then the
// live bytes do not grow.
constexpr double largest_block = 512;
constexpr double most_threads = 1000;                        // no kernel limit helps an interpreter that has so many
constexpr double most_descriptors = 1024;                    // the usual soft limit: where accept() begins to fail
constexpr double least_descriptors = 64, least_threads = 16; // growth that matters
constexpr double trough = 0.6;                               // traffic below this part of the hour's is a trough
constexpr double trough_lead = 10;                           // how much earlier, in lead times, a trough is taken

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

leak::Thresholds thresholds_of(Watched what) {
    leak::Thresholds thresholds;
    if (what == Watched::descriptors) thresholds.least_growth = least_descriptors;
    if (what == Watched::threads) thresholds.least_growth = least_threads;
    return thresholds;
}

bool accused(const leak::Verdict& verdict) {
    return verdict.kind == leak::Class::leaking && verdict.confidence >= leak::Thresholds{}.sure;
}

LeakView view_of_verdict(const leak::Verdict& verdict) {
    LeakView view;
    view.kind = leak::to_string(verdict.kind);
    view.bytes_per_request = verdict.slope;
    view.low = verdict.low;
    view.high = verdict.high;
    view.confidence = verdict.confidence;
    view.slow = verdict.slow;
    if (verdict.forecast) {
        view.requests_to_limit = verdict.forecast->requests;
        view.requests_early = verdict.forecast->requests_early;
        view.seconds_to_limit = verdict.forecast->seconds;
        view.seconds_early = verdict.forecast->seconds_early;
    }
    return view;
}

std::string name_of(const LeakLife& life) { return life.worker + "/" + std::to_string(life.generation); }

boost::json::object json_of(Watched what, const LeakView& view) {
    return {{"what", to_string(what)}, {"class", view.kind}, {"bytes_per_request", view.bytes_per_request},
            {"low", view.low},         {"high", view.high},  {"confidence", view.confidence}};
}

} // namespace

std::string_view to_string(Watched what) {
    switch (what) {
    case Watched::memory: return "memory";
    case Watched::descriptors: return "descriptors";
    case Watched::threads: return "threads";
    }
    return "memory";
}

LeakLife::LeakLife(std::uint64_t life, const Generation& of)
    : detectors{leak::Detector(life, thresholds_of(Watched::memory)),
                leak::Detector(life, thresholds_of(Watched::descriptors)),
                leak::Detector(life, thresholds_of(Watched::threads))},
      generation(of.number), began(of.serving_since) {}

LeakWatch::LeakWatch(Pool& pool) : pool_(pool), routes_(pool.context(), pool.net()) {}
LeakWatch::~LeakWatch() = default;

void LeakWatch::start() {
    file_ = std::make_shared<File>(pool_.context(), pool_.settings().name);
    const LeakMemory known = file_->read(fingerprint());
    for (const Watched what : all_watched) {
        const LeakMemory::Entry& entry = known.entries[static_cast<std::size_t>(what)];
        Case& found = of(what);
        for (const leak::AgeCurve& curve : entry.curves) found.history.learn(curve);
        found.recycles = entry.recycles;
        found.accused_age = entry.accused_age;
        found.id = entry.incident;
        if (found.id.empty()) continue;
        found.incident = pool_.context().journal.resume(found.id, {pool_.settings().name, {}, "leak", {}, 1});
        found.incident->note("Plimsoll was started again; what was learned of this leak is still known");
    }
}

void LeakWatch::save() {
    saved_ = Clock::now();
    changed_ = false;
    if (!file_) return;
    LeakMemory known;
    known.fingerprint = fingerprint();
    for (const Watched what : all_watched) {
        const Case& found = of(what);
        LeakMemory::Entry& entry = known.entries[static_cast<std::size_t>(what)];
        leak::History history = found.history;
        // Those that live are written as if they had ended: they will have, when this is read.
        for (const auto& life : lives_) {
            leak::AgeCurve curve = life->of(what).curve();
            curve.ended = true;
            if (curve.end() >= leak::Thresholds{}.young) history.learn(curve);
        }
        entry.curves = history.curves();
        entry.incident = found.incident ? found.id : std::string{};
        entry.accused_age = found.accused_age;
        entry.recycles = found.recycles;
    }
    file_->write(known);
}

void LeakWatch::tick(Instant now) {
    for (const WorkerPtr& worker : pool_.workers())
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation || generation->gone() || !takes_requests(generation->state)) continue;
            if (!generation->leak) {
                const auto started =
                    std::chrono::duration_cast<std::chrono::microseconds>(generation->started_at.time_since_epoch());
                const std::uint64_t life = static_cast<std::uint64_t>(started.count()) + worker->place;
                generation->leak = std::make_shared<LeakLife>(life, *generation);
                generation->leak->worker = worker->id;
                generation->leak->key = generation->key;
                lives_.push_back(generation->leak);
            }
            read(*generation, *generation->leak, now);
        }
    // Whose generation let go of it has ended: it is part of what is known now.
    std::erase_if(lives_, [this](const std::shared_ptr<LeakLife>& life) {
        if (!life->over && life.use_count() > 1) return false;
        for (const Watched what : all_watched) {
            life->of(what).end();
            if (life->of(what).curve().end() >= leak::Thresholds{}.young)
                of(what).history.learn(life->of(what).curve());
            std::erase(of(what).accused, name_of(*life));
        }
        routes_.ended(life->key);
        changed_ = true;
        return true;
    });
    for (const WorkerPtr& worker : pool_.workers())
        for (const GenerationPtr& generation : {worker->current, worker->next})
            if (generation && generation->leak && (generation->gone() || generation->ending))
                generation->leak->over = true;
    if (std::ranges::any_of(
            lives_, [](const auto& life) { return life->of(Watched::memory).verdict().kind == leak::Class::leaking; }))
        routes_.look(now);
    if (routes_.news()) tell_routes();
    if ((changed_ || !lives_.empty()) && now - saved_ >= save_interval) save();
}

void LeakWatch::read(Generation& generation, LeakLife& life, Instant now) {
    const std::uint64_t requests = pool_.requests(generation);
    if (life.read != Instant{}) {
        const double dt = seconds(now - life.read);
        const double rate = dt > 0 ? static_cast<double>(requests - std::min(requests, life.requests)) / dt : 0;
        // At first the mean of what was seen, then one that forgets.
        const auto mix = [&](double& mean, double length) {
            const double share = 1 - std::exp(-dt / std::min(length, std::max(seconds(now - life.began), dt)));
            mean += (rate - mean) * share;
        };
        mix(life.rate, long_run);
        mix(life.rate_now, short_run);
    }
    life.read = now;
    life.requests = requests;
    if (requests == 0) return; // no address of its own, or nothing has come yet: growth has no measure

    const auto& sample = generation.sample;
    const bool fresh = sample && sample->taken != life.sampled;
    leak::Reading reading{.requests = static_cast<double>(requests), .seconds = seconds(now - life.began)};
    if (generation.memory.taken == now || (fresh && generation.pid <= 0)) {
        const auto used = generation.memory.used(now, pool_.settings().memory.stale_after);
        if (used) {
            reading.used = static_cast<double>(used->count);
            if (generation.memory.rollup)
                reading.private_pages = static_cast<double>(generation.memory.rollup->uss.count);
            if (fresh && sample->allocated_blocks && sample->malloc_in_use)
                reading.live = static_cast<double>(*sample->allocated_blocks) * largest_block +
                               static_cast<double>(sample->malloc_in_use->count);
            life.of(Watched::memory).observe(reading);
            if (life.key != 0) routes_.read(life.key, requests, reading.used);
        }
    }
    if (fresh) {
        life.sampled = sample->taken;
        reading.live = reading.private_pages = std::nullopt;
        const auto count = [&](Watched what, const std::optional<std::int64_t>& value) {
            if (!value) return;
            reading.used = static_cast<double>(*value);
            life.of(what).observe(reading);
        };
        count(Watched::descriptors, sample->fds);
        count(Watched::threads, sample->threads);
    }
    for (const Watched what : all_watched) judge(what, life, generation);
}

std::optional<double> LeakWatch::limit_of(Watched what, const Generation& generation) const {
    if (what == Watched::descriptors) return most_descriptors;
    if (what == Watched::threads) return most_threads;
    if (!generation.memory.limit) return std::nullopt;
    Bytes limit = *generation.memory.limit;
    if (const auto& hard = pool_.settings().recycle.hard_limit) limit = std::min(limit, hard->of(limit));
    return static_cast<double>(limit.count);
}

void LeakWatch::judge(Watched what, LeakLife& life, const Generation& generation) {
    const auto limit = limit_of(what, generation);
    if (!limit) return;
    Case& found = of(what);
    const leak::Verdict before = life.of(what).verdict();
    const leak::Verdict& verdict = life.of(what).judge(*limit, life.rate, found.history);
    if (verdict.kind != before.kind) {
        const LeakView view = view_of_verdict(verdict);
        log::info("leak_class", {{"pool", pool_.settings().name},
                                 {"worker", life.worker},
                                 {"generation", life.generation},
                                 {"what", to_string(what)},
                                 {"class", view.kind},
                                 {"per_request", view.bytes_per_request},
                                 {"confidence", view.confidence}});
        boost::json::object event = json_of(what, view);
        event["pool"] = pool_.settings().name;
        event["worker"] = life.worker;
        pool_.context().journal.publish("leak", std::move(event));
    }
    if (pool_.settings().leak.policy == "observe") return;
    const bool is_named = std::ranges::find(found.accused, name_of(life)) != found.accused.end();
    if (accused(verdict) && !is_named)
        accuse(what, found, life, verdict);
    else if (verdict.kind != leak::Class::leaking && verdict.kind != leak::Class::unknown)
        acquit(what, found, life, verdict);
}

void LeakWatch::accuse(Watched what, Case& found, const LeakLife& life, const leak::Verdict& verdict) {
    found.accused.push_back(name_of(life));
    changed_ = true;
    const LeakView view = view_of_verdict(verdict);
    const std::string text = sentence(what, {life.worker}, view);
    if (!found.incident) {
        found.incident =
            pool_.context().journal.open({pool_.settings().name, life.worker, "leak", text, life.generation});
        found.id = found.incident->id();
        found.recycles = 0;
        found.accused_age = static_cast<double>(life.requests);
    }
    found.incident->note("generation " + std::to_string(life.generation) + " of " + text + ", after " +
                         std::to_string(life.requests) + " requests");
    found.incident->verdict(text);
    found.incident->details["leak"] = json_of(what, view);
    found.incident->save_details();
    if (what == Watched::memory) tell_routes();
    if (what == Watched::memory) canary_.accused(pool_, life.worker, found.incident, Clock::now());
}

// Growth that ended closes the case; so does a process that got past the age of the accusation without growing.
void LeakWatch::acquit(Watched what, Case& found, const LeakLife& life, const leak::Verdict& verdict) {
    const bool was_named = std::erase(found.accused, name_of(life)) > 0;
    if (!found.incident) return;
    if (was_named)
        found.incident->note("generation " + std::to_string(life.generation) + " of " + life.worker +
                             " grows no more: " + std::string(leak::to_string(verdict.kind)));
    const bool older = static_cast<double>(life.requests) > found.accused_age * 1.5;
    if (!found.accused.empty() || !older || verdict.kind == leak::Class::warming) return;
    found.incident->verdict(life.worker + " does not leak " + std::string(to_string(what)) +
                            " any more: " + std::string(leak::to_string(verdict.kind)) + " after " +
                            std::to_string(life.requests) + " requests");
    found.incident->close();
    found.incident.reset();
    changed_ = true;
}

void LeakWatch::recycled(const Worker& worker, const std::string& incident) {
    for (const Watched what : all_watched) {
        Case& found = of(what);
        if (!found.incident || !worker.current) continue;
        const std::string name = worker.id + "/" + std::to_string(worker.current->number);
        if (std::ranges::find(found.accused, name) == found.accused.end()) continue;
        ++found.recycles;
        found.incident->note(worker.id + " is recycled: incident " + incident);
    }
}

bool LeakWatch::suspects(const Generation& generation) {
    return generation.leak && std::ranges::any_of(generation.leak->detectors, [](const leak::Detector& detector) {
               return detector.verdict().kind == leak::Class::leaking;
           });
}

std::optional<LeakView> LeakWatch::view_of(const Generation& generation) {
    if (!generation.leak) return std::nullopt;
    const leak::Verdict& verdict = generation.leak->of(Watched::memory).verdict();
    if (generation.leak->of(Watched::memory).age() <= 0) return std::nullopt;
    return view_of_verdict(verdict);
}

std::string LeakWatch::why_recycle(const Generation& generation, Instant) const {
    if (!generation.leak || pool_.settings().leak.policy != "act") return {};
    const config::Recycle& recycle = pool_.settings().recycle;
    const double lead = seconds(recycle.ready_timeout + recycle.drain_timeout + recycle.capture_timeout);
    LeakLife& life = *generation.leak;
    for (const Watched what : all_watched) {
        const leak::Verdict& verdict = life.of(what).verdict();
        if (!accused(verdict) || !verdict.forecast || !verdict.forecast->seconds_early) continue;
        const double early = *verdict.forecast->seconds_early;
        const bool quiet = life.rate_now < trough * life.rate;
        // A soft limit is the operator's own mark: what is on its way to it has the capacity of a trough or none.
        const bool marked = what == Watched::memory && recycle.soft_limit.has_value();
        if ((early > lead || marked) && !(quiet && early <= trough_lead * lead)) continue;
        const LeakView view = view_of_verdict(verdict);
        return "grows by " + slope_text(view, std::string(to_string(what))) + " and " + forecast_text(view) +
               (early > lead ? "; traffic is low now" : "");
    }
    return {};
}

void LeakWatch::tell_routes() {
    Case& found = of(Watched::memory);
    if (!found.incident || routes_.found().empty()) return;
    const auto before = found.incident->details.if_contains("routes");
    const auto& heaviest = routes_.found().front();
    const bool known = before != nullptr && !before->as_array().empty() &&
                       before->as_array().front().at("route").as_string() == heaviest.route;
    if (!known) found.incident->note(route_text(heaviest));
    found.incident->details["routes"] = json_of(routes_.found());
    found.incident->save_details();
    for (const LeakReport& each : report())
        if (each.what == to_string(Watched::memory)) found.incident->verdict(each.verdict);
}

std::string LeakWatch::sentence(Watched what, const std::vector<std::string>& workers, const LeakView& view) const {
    std::string names;
    for (const std::string& each : workers) names += (names.empty() ? "" : ", ") + each;
    std::string text = names + " leaks " + slope_text(view, std::string(to_string(what)));
    if (workers.size() > 1) text = names + " leak " + slope_text(view, std::string(to_string(what)));
    const bool leaking = view.kind == leak::to_string(leak::Class::leaking);
    if (what == Watched::memory && leaking && !routes_.found().empty())
        text = route_text(routes_.found().front()) + ": " + text;
    if (const std::string end = forecast_text(view); !end.empty()) text += "; it " + end;
    const unsigned recycles = of(what).recycles;
    if (recycles > 0) text += "; recycled " + std::to_string(recycles) + (recycles == 1 ? " time" : " times");
    return text;
}

// All workers whose growth is suspected, the one that reaches its limit first in front.
std::vector<LeakReport> LeakWatch::report() const {
    std::vector<LeakReport> found;
    for (const Watched what : all_watched) {
        LeakReport report;
        double first = -1;
        for (const auto& life : lives_) {
            const leak::Verdict& verdict = life->of(what).verdict();
            if (verdict.kind != leak::Class::leaking && verdict.kind != leak::Class::fragmentation) continue;
            report.workers.push_back(life->worker);
            const double left = verdict.forecast ? verdict.forecast->requests : 0;
            if (first >= 0 && left >= first) continue;
            first = left;
            report.view = view_of_verdict(verdict);
        }
        if (report.workers.empty()) continue;
        std::ranges::sort(report.workers);
        report.workers.erase(std::ranges::unique(report.workers).begin(), report.workers.end());
        report.pool = pool_.settings().name;
        report.what = to_string(what);
        report.id = report.pool + "-" + report.what;
        if (of(what).incident) report.incidents.push_back(of(what).id);
        report.advice = advice_text(report.view.kind, report.what);
        if (what == Watched::memory && report.view.kind == leak::to_string(leak::Class::leaking))
            report.routes = routes_.found();
        report.verdict = sentence(what, report.workers, report.view);
        found.push_back(std::move(report));
    }
    return found;
}

std::string LeakWatch::fingerprint() const {
    std::string text = pool_.settings().source.directory;
    for (const std::string& word : pool_.settings().source.command) text += " " + word;
    return text;
}

} // namespace plimsoll::fleet
