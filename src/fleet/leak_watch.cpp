#include "fleet/leak_watch.hpp"

#include <algorithm>

#include "fleet/leak_evidence.hpp"
#include "fleet/leak_file.hpp"
#include "fleet/leak_pairs.hpp"
#include "fleet/leak_text.hpp"
#include "fleet/recycler.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration save_interval = 1min, save_soon = 2s; // soon: what must not be lost, an incident that was opened
constexpr double limit_of_threads = 1000;                // no kernel limit helps an interpreter that has so many
constexpr double limit_of_children = 500;
constexpr double still_asked = 1.0 / 60; // requests a second: of whom nobody asks anything nothing new is known
constexpr Duration pause_of_all = 10s;
constexpr double of_one_label = 0.9; // of the requests: what the others are says nothing

} // namespace

LeakWatch::LeakWatch(Pool& pool)
    : pool_(pool), routes_(pool.context(), pool.net()), cases_{LeakCase(Watched::memory, pool.settings().name),
                                                               LeakCase(Watched::descriptors, pool.settings().name),
                                                               LeakCase(Watched::threads, pool.settings().name),
                                                               LeakCase(Watched::children, pool.settings().name)} {}
LeakWatch::~LeakWatch() = default;

void LeakWatch::start() {
    file_ = std::make_shared<File>(pool_.context(), pool_.settings().name);
    const LeakMemory known = file_->read(fingerprint());
    for (const Watched what : all_watched) of(what).resume(pool_.context().journal, known.cases[index(what)]);
    load_.learn(known.load);
    pool_.net().recall(known.needs);
}

void LeakWatch::save() {
    saved_ = Clock::now();
    changed_ = false;
    if (!file_) return;
    LeakMemory known;
    known.fingerprint = fingerprint();
    known.load = load_.rates();
    known.needs = pool_.net().known_needs();
    for (const Watched what : all_watched) {
        leak::History history = of(what).history;
        // Those that live are written as if they had ended: they will have, when this is read.
        for (const auto& life : lives_) {
            leak::AgeCurve curve = life->of(what).curve();
            curve.ended = true;
            if (!life->came_late && curve.end() >= leak::Thresholds{}.young) history.learn(curve);
        }
        known.cases[index(what)] = of(what).kept();
        saved_incidents_[index(what)] = known.cases[index(what)].incident;
        known.cases[index(what)].curves = history.curves();
    }
    file_->write(known);
}

void LeakWatch::tick(Instant now) {
    for (const WorkerPtr& worker : pool_.workers())
        for (const GenerationPtr& generation : {worker->current, worker->next}) {
            if (!generation || generation->gone() || !takes_requests(generation->state)) continue;
            if (!generation->leak) begin(worker, *generation);
            read(generation, now);
        }
    forget_ended();
    note_ended();
    for (LeakCase& each : cases_) each.go_on(pool_.context().journal);
    explain(now);
    note_load(now);
    for (const Watched what : all_watched) // opened, joined with an older one, closed
        changed_ |= of(what).open_incident() != saved_incidents_[index(what)];
    if (now - saved_ >= (changed_ ? save_soon : save_interval) && (changed_ || !lives_.empty())) save();
}

// Whose place another one has, too: somebody may still be busy with what is left of it.
void LeakWatch::note_ended() {
    for (const auto& life : lives_) life->over = true;
    for (const WorkerPtr& worker : pool_.workers())
        for (const GenerationPtr& generation : {worker->current, worker->next})
            if (generation && generation->leak && !generation->gone() && !generation->ending)
                generation->leak->over = false;
}

void LeakWatch::note_load(Instant now) {
    double rate = 0;
    for (const auto& life : lives_) rate += life->rate_now;
    if (load_noted_ != Instant{}) load_.note(second_of_day(), to_seconds(now - load_noted_), rate);
    load_noted_ = now;
}

void LeakWatch::begin(const WorkerPtr& worker, Generation& generation) {
    generation.leak = std::make_shared<LeakLife>(*worker, generation, created_);
    lives_.push_back(generation.leak);
}

void LeakWatch::read(const GenerationPtr& generation, Instant now) {
    LeakLife& life = *generation->leak;
    life.steered = routes_.steers();
    const auto memory = life.read(*generation, pool_.requests(*generation), now, pool_.settings().memory.stale_after);
    // What routes of other code left behind says nothing of those that have the same names now.
    if (releases_.is_another(life.release)) routes_.forget();
    if (memory && life.key != 0) routes_.read(life.key, life.requests, *memory);
    if (life.requests == 0) return;
    for (const Watched what : all_watched) judge(what, life, *generation);
    if (life.verdict(Watched::memory).kind == leak::Class::fragmentation) act_on_holes(generation, now);
}

void LeakWatch::sampled(const Generation& generation) {
    if (!generation.leak || generation.leak->key == 0 || generation.leak->over) return; // who drains tells still
    const std::uint64_t requests = pool_.requests(generation);
    const auto in_use = in_use_of(*generation.sample);
    if (in_use && requests > 0) routes_.sampled(generation.leak->key, requests, *in_use);
}

void LeakWatch::act_on_holes(const GenerationPtr& generation, Instant now) {
    const std::string& policy = pool_.settings().leak.policy;
    const leak::Detector& memory = generation->leak->of(Watched::memory);
    if (policy == "observe" || memory.marks().empty()) return;
    const double grown = memory.marks().back().y - memory.floor();
    trim_.look(pool_, generation->leak->worker, generation, grown, policy == "act", now);
}

// What they did is part of what is known now. Of who had served before we came it is not known how old
// he was: full caches would teach that nothing ever grows here.
void LeakWatch::forget_ended() {
    std::erase_if(lives_, [this](const std::shared_ptr<LeakLife>& life) {
        if (!life->over) return false;
        for (const Watched what : all_watched) {
            life->of(what).end();
            of(what).history.forget_living(life->of(what).curve().life);
            if (!life->came_late && life->of(what).curve().end() >= leak::Thresholds{}.young)
                of(what).history.learn(life->of(what).curve());
            of(what).ended(*life);
        }
        routes_.ended(life->key);
        changed_ = true;
        return true;
    });
}

std::optional<double> LeakWatch::limit_of(Watched what, const Generation& generation) const {
    if (what == Watched::descriptors) { // unlimited, or not known: when it ends nobody can say
        auto most = generation.open.opened.most_descriptors;
        if (!most && generation.sample) most = generation.sample->fds_limit;
        return most ? std::optional(static_cast<double>(*most)) : std::nullopt;
    }
    if (what == Watched::threads) return limit_of_threads;
    if (what == Watched::children) return limit_of_children;
    if (!generation.memory.limit) return std::nullopt;
    Bytes limit = *generation.memory.limit;
    if (const auto& hard = pool_.settings().recycle.hard_limit) limit = std::min(limit, hard->of(limit));
    return static_cast<double>(limit.count);
}

void LeakWatch::judge(Watched what, LeakLife& life, const Generation& generation) {
    const auto limit = limit_of(what, generation);
    if (!limit) return;
    if (what == Watched::memory) life.limit = *limit;
    LeakCase& found = of(what);
    const leak::Class before = life.verdict(what).kind;
    const std::size_t marks = life.of(what).curve().marks.size();
    const leak::Verdict& verdict = life.of(what).judge(*limit, life.rate, found.history);
    if (const leak::AgeCurve& curve = life.of(what).curve(); curve.marks.size() > marks && !life.came_late)
        found.history.learn(curve); // its siblings may ask
    if (verdict.kind != before) {
        const LeakView view = fleet::view_of(verdict);
        log::info("leak_class", {{"pool", pool_.settings().name},
                                 {"worker", life.worker},
                                 {"generation", life.generation},
                                 {"what", to_string(what)},
                                 {"class", view.kind},
                                 {"per_request", view.bytes_per_request},
                                 {"confidence", view.confidence}});
        pool_.context().journal.publish("leak", {{"pool", pool_.settings().name},
                                                 {"worker", life.worker},
                                                 {"what", to_string(what)},
                                                 {"class", view.kind},
                                                 {"bytes_per_request", view.bytes_per_request},
                                                 {"low", view.low},
                                                 {"high", view.high},
                                                 {"confidence", view.confidence}});
    }
    if (pool_.settings().leak.policy == "observe") return;
    if (accuses(verdict) && !found.is_accused(life)) {
        found.has_one_route(what == Watched::memory && has_one_route());
        found.accuse(pool_.context().journal, life,
                     what == Watched::memory ? routes_.found() : std::vector<RouteShare>{});
        changed_ = true;
        if (what != Watched::memory) ask_what_is_open(life);
        tell(what);
    } else if (verdict.kind != leak::Class::leaking && verdict.kind != leak::Class::unknown) {
        const auto how_often = [&](const std::string& route) { return asks(life, route); };
        const auto others_grow = [&] {
            return std::ranges::any_of(lives_, [&](const auto& each) {
                return each->verdict(what).kind == leak::Class::leaking && each->rate_now >= still_asked;
            });
        };
        if (!found.acquit(life, how_often, others_grow)) return;
        changed_ = true;
        if (what == Watched::memory) routes_.forget(); // the next leak has routes of its own
    }
}

bool LeakWatch::has_one_route() const {
    std::vector<double> asked;
    double all = 0;
    for (const auto& life : lives_) {
        const auto counts = pool_.net().route_counts().of(life->key).requests;
        asked.resize(std::max(asked.size(), counts.size()));
        for (std::size_t label = 0; label < counts.size(); ++label) asked[label] += static_cast<double>(counts[label]);
    }
    for (const double each : asked) all += each;
    return all > 0 && std::ranges::max(asked) >= of_one_label * all;
}

// Of "every route", and of one that is called otherwise by now, all that it served.
double LeakWatch::asked(const LeakLife& life, const std::string& route) const {
    const auto names = pool_.net().route_counts().names();
    const auto counts = pool_.net().route_counts().of(life.key).requests;
    const auto labels = labels_of(route);
    double count = 0;
    bool known = false;
    for (std::size_t label = 0; label < std::min(names.size(), counts.size()); ++label) {
        if (std::ranges::find(labels, names[label]) == labels.end()) continue;
        known = true;
        count += static_cast<double>(counts[label]);
    }
    return known ? count : static_cast<double>(life.requests);
}

// Every life is looked through only now and then: until it is, somebody may have asked.
LeakCase::Asks LeakWatch::asks(const LeakLife& life, const std::string& route) {
    LeakCase::Asks found{.here = asked(life, route), .anywhere = 1};
    const Instant now = Clock::now();
    if (found.here > 0 || now < all_asked_ + pause_of_all) return found;
    all_asked_ = now;
    found.anywhere = 0;
    for (const auto& each : lives_) { // of releases without names those that came no earlier than it are as new
        if (each->release != life.release || (life.release.empty() && each->began < life.began)) continue;
        found.anywhere += asked(*each, route);
        found.requests += static_cast<double>(each->requests);
    }
    return found;
}

// The routes by what every life of the pool tells; the line by a trace of one accused worker, again and again until it is
// known, as far as the budget of traces goes.
void LeakWatch::explain(Instant now) {
    const bool suspected = std::ranges::any_of(
        lives_, [](const auto& life) { return life->verdict(Watched::memory).kind == leak::Class::leaking; });
    LeakCase& memory = of(Watched::memory);
    if (suspected) put_agents();
    if (suspected)
        routes_.look(now);
    else if (!memory.incident())
        routes_.withdraw();
    if (routes_.news() && !routes_.found().empty()) {
        memory.has_one_route(has_one_route());
        memory.found_routes(pool_.context().journal, routes_.found());
        tell(Watched::memory);
    }
    trace(now); // before an experiment begins: a window wants the mix that the worker grew by
    const bool observed = std::ranges::any_of(pool_.workers(), [this](const WorkerPtr& worker) {
        return worker->in_capture || pool_.recycler().recycles(*worker);
    });
    const std::string news = routes_.experiment(now, suspected, observed, pool_.settings().leak);
    if (!news.empty()) tell_experiment(news);
}

void LeakWatch::trace(Instant now) {
    const LeakCase& memory = of(Watched::memory);
    if (!wants_lines() || memory.has_lines()) return;
    for (const auto& life : lives_)
        if (memory.is_accused(*life) && canary_.look(pool_, life->worker, memory.incident(), now)) return;
}

void LeakWatch::tell_experiment(const std::string& news) {
    log::info("leak_experiment", {{"pool", pool_.settings().name}, {"news", news}});
    pool_.context().journal.publish("experiment", {{"pool", pool_.settings().name}, {"news", news}});
    if (const auto& incident = of(Watched::memory).incident()) incident->note(news);
}

std::optional<ExperimentView> LeakWatch::experiment() const { return routes_.experiment_view(pool_.settings().leak); }

void LeakWatch::tell(Watched what) {
    const auto found = report_of(what);
    if (found && !found->workers.empty()) of(what).verdict(*found);
}

void LeakWatch::recycled(const Worker& worker, const std::string& incident) {
    if (!worker.current || !worker.current->leak) return;
    for (const Watched what : all_watched) of(what).recycled(*worker.current->leak, incident);
}

void LeakWatch::captured(const Generation& generation, Incident& incident) {
    if (!generation.leak) return;
    boost::json::value& growth = incident.details["growth"];
    if (!growth.is_array()) growth.emplace_array();
    record(growth.get_array(), growth_of(*generation.leak, Watched::memory));
    for (const Watched what : all_watched) {
        of(what).learn(pool_.context().journal, *generation.leak, incident.id(), incident.details);
        tell(what);
    }
}

void LeakWatch::opened(const Generation& generation, const boost::json::object& open) {
    if (!generation.leak) return;
    for (const Watched what : all_watched) {
        if (what == Watched::memory || !of(what).incident()) continue;
        of(what).learn(pool_.context().journal, *generation.leak, of(what).incident()->id(), open);
        tell(what);
    }
}

// An accused worker's class may be uncertain for a moment; what it grows by stands until it is acquitted.
std::optional<Growth> LeakWatch::growth(const Generation& generation) const {
    if (!generation.leak) return std::nullopt;
    const leak::Verdict& verdict = generation.leak->verdict(Watched::memory);
    const bool grows = verdict.kind == leak::Class::leaking || of(Watched::memory).is_accused(*generation.leak);
    if (!grows || verdict.low <= 0) return std::nullopt;
    return Growth{verdict.low, verdict.high, generation.leak->served()};
}

std::vector<std::uint64_t> LeakWatch::asked(const Generation& generation) const {
    return pool_.net().route_counts().of(generation.key).requests;
}

std::optional<Growth> LeakWatch::growth(const Generation& generation, const std::vector<std::uint64_t>& before,
                                        double requests) const {
    return growth_of_routes(routes_.found(), pool_.net().route_counts().names(), before, asked(generation), requests);
}

boost::json::object LeakWatch::asked_since(const Generation& generation, const std::vector<std::uint64_t>& before,
                                           double requests) const {
    return asked_in(pool_.net().route_counts().names(), before, asked(generation), requests);
}

bool LeakWatch::wants_lines() const {
    return pool_.settings().leak.policy != "observe" && of(Watched::memory).incident();
}

bool LeakWatch::suspects(const Generation& generation) { return generation.leak && generation.leak->suspected(); }

std::optional<LeakView> LeakWatch::view_of(const Generation& generation) {
    if (!generation.leak || generation.leak->of(Watched::memory).age() <= 0) return std::nullopt;
    return fleet::view_of(generation.leak->verdict(Watched::memory));
}

std::string LeakWatch::fingerprint() const {
    std::string text = pool_.settings().source.directory;
    for (const std::string& word : pool_.settings().source.command) text += " " + word;
    return text;
}

} // namespace plimsoll::fleet
