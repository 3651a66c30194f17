#include "fleet/leak_case.hpp"

#include <algorithm>
#include <cmath>

#include "fleet/json_fields.hpp"
#include "fleet/leak_evidence.hpp"
#include "fleet/leak_pairs.hpp"
#include "fleet/leak_text.hpp"

namespace plimsoll::fleet {

namespace json = boost::json;

namespace {

// Memory that the leak's route would have left behind, had it gone on: with less, its absence proves nothing.
constexpr double shows = 12 << 20;
constexpr double surely_asked =
    10; // times that a route should have been asked, of which none came: chance makes it none in e^10
constexpr Duration a_day = std::chrono::hours{24};
constexpr double old_enough = 1; // times the age at which the leak shows
constexpr std::size_t most_clean = 256;

std::string process_text(const LeakLife& life) {
    return "generation " + std::to_string(life.generation) + " of " + life.worker;
}

std::string requests_text(double requests) { return std::to_string(std::llround(requests)) + " requests"; }

std::string release_text(const std::string& release) { return release.empty() ? "" : " (release " + release + ")"; }

// Every look may draw a group anew, of labels that come together or of routes whose order is not sure: only another one in front is
// news, or that the order is sure by now.
bool is_news(const std::vector<RouteShare>& before, const std::vector<RouteShare>& now) {
    if (before.empty() || order_is_open(before) != order_is_open(now)) return true;
    const auto labels = labels_of(now.front().route);
    const auto same = [&](const RouteShare& each) {
        const auto others = labels_of(each.route);
        return std::ranges::find_first_of(others, labels) != others.end();
    };
    const auto known = std::ranges::find_if(before, same);
    return known == before.end() || (known != before.begin() && known->heaviest == leak::Heaviest::no);
}

json::object json_of(Watched what, const LeakView& view) {
    return {{"what", to_string(what)}, {"class", view.kind}, {"bytes_per_request", view.bytes_per_request},
            {"low", view.low},         {"high", view.high},  {"confidence", view.confidence}};
}

} // namespace

bool LeakCase::is_accused(const LeakLife& life) const {
    return std::ranges::find(accused_, life.name()) != accused_.end();
}

std::optional<LeakView> LeakCase::seen() const {
    const auto* leak = incident_ ? incident_->details.if_contains("leak") : nullptr;
    if (leak == nullptr || !leak->is_object()) return std::nullopt;
    const json::object& told = leak->get_object();
    LeakView view;
    view.kind = word(told, "class");
    view.bytes_per_request = number(told, "bytes_per_request");
    view.low = number(told, "low");
    view.high = number(told, "high");
    view.confidence = number(told, "confidence");
    return view;
}

double LeakCase::proof() const { return accused_age_ * leak::Releases::enough; }

bool LeakCase::has_lines() const {
    return incident_ && !incident_->details.contains("lines_of") &&
           lines_explain(routes_in(incident_->details), incident_->details);
}

leak::Fingerprint LeakCase::mark() const {
    return incident_ ? fingerprint_of(incident_->details) : leak::Fingerprint{};
}

void LeakCase::accuse(Journal& journal, const LeakLife& life, const std::vector<RouteShare>& routes) {
    const LeakView view = view_of(life.verdict(what_));
    const std::string text = growth_text({life.worker}, view, std::string(to_string(what_)));
    releases_.leaked(life.release, static_cast<double>(life.requests));
    accused_.push_back(life.name());
    accused_at_ = life.last_read;
    last_accused_ = life.name();
    last_accused_requests_ = life.requests;
    last_accusation_ = {pool_, life.worker, "leak", text, life.generation};
    json::object known;
    if (what_ == Watched::memory) known["routes"] = fleet::json_of(routes);
    if (one_route_) known["one_route"] = true;
    go_on(journal);
    if (!incident_) open(journal, fingerprint_of(known));
    incident_->note("generation " + std::to_string(life.generation) + " of " + text + ", after " +
                    requests_text(static_cast<double>(life.requests)) + release_text(life.release));
    // Whether this is the line of what leaks now is to be seen: the release may have mended one leak and brought another.
    if (life.release != release_ && !incident_->details.contains("lines_of") &&
        !claimed_lines(incident_->details).empty())
        incident_->details["lines_of"] = release_;
    if (life.release != release_ && incident_->details.contains("routes")) incident_->details["routes_of"] = release_;
    release_ = life.release;
    if (const auto origin = releases_.origin(life.release)) {
        if (!incident_->details.contains("release"))
            incident_->note("it came with release " + origin->since.name + ": " + origin->before.name + " served " +
                            requests_text(origin->before.clean) + " in one process without it");
        incident_->details["release"] = {
            {"since", origin->since.name}, {"before", origin->before.name}, {"before_requests", origin->before.clean}};
    }
    incident_->details["leak"] = json_of(what_, view);
    clean_.clear();
    // The first one may have been slow to show it, or was watched while nobody knew what to look for.
    const auto age = static_cast<double>(life.requests);
    if (!life.came_late && age > 0) accused_age_ = accused_age_ > 0 ? std::min(accused_age_, age) : age;
    record_growth(life);
    if (what_ == Watched::memory) found_routes(journal, routes);
    incident_->save_details();
}

void LeakCase::open(Journal& journal, const leak::Fingerprint& seen) {
    leak::PastLeak past;
    if (docket_.reopen(seen, past) && take_up(journal, past)) return;
    open_new(journal);
}

void LeakCase::open_new(Journal& journal) {
    incident_ = journal.open(last_accusation_);
    told_.clear();
    is_new_ = true;
    recycles_ = 0;
    accused_age_ = static_cast<double>(last_accused_requests_);
}

// False: the incident was swept, and nothing is left to go on with.
bool LeakCase::take_up(Journal& journal, const leak::PastLeak& past) {
    auto incident = journal.reopen(past.incident);
    if (!incident) return false;
    incident_ = std::move(incident);
    told_ = incident_->details;
    is_new_ = false;
    recycles_ = past.recycles;
    accused_age_ = past.accused_age;
    // It was mended, or gone, when that was closed: what leaks now may be another one of the same route.
    if (!claimed_lines(incident_->details).empty()) {
        incident_->details["lines_of"] = past.release;
        incident_->details["lines_withheld"] = true;
    }
    incident_->note("it is back" + (past.release.empty() ? "" : ", last seen in release " + past.release));
    return true;
}

// What was opened as new may be an old one, now that more is known of it.
void LeakCase::join_the_past(Journal& journal) {
    if (!is_new_) return;
    leak::PastLeak past;
    if (!docket_.reopen(mark(), past)) return;
    const std::shared_ptr<Incident> fresh = incident_;
    const unsigned recycles = recycles_;
    if (!take_up(journal, past)) return;
    recycles_ += recycles;
    incident_->note("incident " + fresh->id() + " turned out to be this leak");
    const auto known_routes = routes_in(incident_->details), found = routes_in(fresh->details);
    // What it found is of the release that leaks now.
    if (fresh->details.contains("lines")) trust_lines();
    if (fresh->details.contains("routes")) incident_->details.erase("routes_of");
    for (const auto& [key, value] : fresh->details) incident_->details[key] = value;
    if (!found.empty() && is_news(known_routes, found)) incident_->note(routes_text(found));
    for (const std::string& news : news_of(told_, incident_->details, to_string(what_))) incident_->note(news);
    told_ = incident_->details;
    incident_->save_details();
    fresh->verdict("the same leak as incident " + past.incident + ": its story goes on there");
    fresh->close();
}

// By what it was asked when it leaked it would have been asked by now: whoever mended the leak took the route away, or renamed it.
bool LeakCase::is_gone(const LeakLife& life, const RouteShare& route, const Asks& asked) const {
    if (asked.anywhere > 0 || route.bytes_per_request <= 0) return false;
    // A nightly job asks nothing all day.
    if (life.release.empty() || life.release == release_ || life.last_read - accused_at_ < a_day) return false;
    const auto grew = seen();
    return grew && asked.requests * grew->bytes_per_request * route.share / route.bytes_per_request >= surely_asked;
}

// Takes note of one that does not grow, in the place of what was noted of it before.
LeakCase::Clean LeakCase::note_clean(const LeakLife& life, double requests, const Asked& asked) {
    const auto routes = routes_in(incident_->details);
    Clean clean{life.name(), requests, shows}; // of an unknown route any time will do
    if (what_ == Watched::memory && !routes.empty()) {
        const Asks asks = asked(routes.front().route);
        clean.would_have_left = is_gone(life, routes.front(), asks) ? shows : asks.here * low_of(routes.front());
    }
    std::erase_if(clean_, [&](const Clean& each) { return each.life == clean.life; });
    if (clean_.size() == most_clean) clean_.erase(clean_.begin());
    clean_.push_back(clean);
    return clean;
}

// What one process has shown, or, where none lives for long enough, all of them since the last accusation together: each as old as
// it has to be for the leak to show. Empty: it is not enough.
std::string LeakCase::proof_by(const LeakLife& life, const Clean& clean) const {
    if (clean.requests > proof() && clean.would_have_left >= shows)
        return process_text(life) + " served " + requests_text(clean.requests) + " without that growth";
    double requests = 0, would_have_left = 0;
    for (const Clean& each : clean_) {
        requests += each.requests;
        would_have_left += each.would_have_left;
    }
    if (clean_.size() < 2 || requests <= proof() || would_have_left < shows) return {};
    return std::to_string(clean_.size()) + " processes served " + requests_text(requests) + " without that growth";
}

bool LeakCase::acquit(const LeakLife& life, const Asked& asked, const std::function<bool()>& others_grow) {
    const leak::Verdict& verdict = life.verdict(what_);
    const std::string kind(leak::to_string(verdict.kind));
    const auto requests = static_cast<double>(life.requests);
    if (verdict.kind != leak::Class::warming) releases_.clean(life.release, requests);
    const bool was_named = std::erase(accused_, life.name()) > 0;
    if (was_named) releases_.acquitted(life.release);
    if (!incident_) return false;
    if (was_named) incident_->note(process_text(life) + " grows no more: " + kind);
    const bool itself = life.name() == last_accused_ && life.began < accused_at_; // names are given again
    if (!(itself || life.began >= accused_at_) || verdict.kind == leak::Class::warming) return false;
    const double since = requests - (itself ? static_cast<double>(last_accused_requests_) : 0);
    if (since < old_enough * accused_age_) return false; // so young it would not have shown
    const Clean clean = note_clean(life, since, asked);
    const std::string proof = accused_.empty() ? proof_by(life, clean) : "";
    if (proof.empty() || others_grow()) return false;
    record_growth(life);
    if (!release_.empty() && life.release != release_ && releases_.mended(life.release, accused_age_))
        close("mended in release " + life.release + ": " + proof + "; release " + release_ + " leaked");
    else
        close(life.worker + " does not leak " + std::string(to_string(what_)) + " any more: " + kind + ", " + proof +
              (release_.empty() || life.release != release_ ? "" : ", though the release is the same"));
    return true;
}

void LeakCase::close(const std::string& sentence) {
    docket_.close({incident_->id(), mark(), release_, recycles_, accused_age_});
    incident_->note(sentence);
    incident_->verdict(sentence);
    incident_->close();
    incident_.reset();
    clean_.clear();
}

void LeakCase::ended(const LeakLife& life) {
    if (incident_ && is_accused(life)) {
        record_growth(life);
        incident_->save_details();
    }
    std::erase(accused_, life.name());
}

void LeakCase::recycled(const LeakLife& life, const std::string& incident) {
    if (!incident_ || !is_accused(life)) return;
    ++recycles_;
    incident_->note(life.worker + " is recycled: incident " + incident);
}

void LeakCase::learn(Journal& journal, const LeakLife& life, const std::string& from, const json::object& details) {
    if (!incident_ || !is_accused(life)) return;
    const leak::Verdict& verdict = life.verdict(what_);
    json::object found = evidence_of(details, {verdict.low, verdict.high, life.served()});
    // Of descriptors, threads and children only what is open tells anything.
    if (what_ != Watched::memory) {
        json::object open;
        if (const auto* value = found.if_contains("open")) open["open"] = *value;
        found = std::move(open);
    }
    keep_better_lines(found);
    if (found.empty()) return;
    const std::string known = incident_->id();
    if (is_another(found)) part(journal, found, first_line_text(claimed_lines(found), {}));
    if (found.contains("lines")) trust_lines();
    for (auto& [key, value] : found) incident_->details[key] = std::move(value);
    const std::string where = from == incident_->id() || from == known ? "" : "incident " + from + " found: ";
    for (const std::string& news : news_of(told_, incident_->details, to_string(what_))) incident_->note(where + news);
    told_ = incident_->details;
    incident_->save_details();
    join_the_past(journal);
}

// Its lines are of what leaks now.
void LeakCase::trust_lines() {
    incident_->details.erase("lines_of");
    incident_->details.erase("lines_withheld");
}

// What was known is of another release, and what is found now has nothing in common with it. Within a release a route may have been
// wrong; and where the routes are the same, a window shows one line today and another one tomorrow.
bool LeakCase::is_another(const json::object& found) const {
    const json::object& known = incident_->details;
    const bool routes_are_old = known.contains("routes_of");
    if (found.contains("routes") && routes_are_old) {
        leak::Fingerprint all; // however little of the growth they are
        for (const RouteShare& each : routes_in(found))
            for (std::string& label : labels_of(each.route))
                if (label != every_route && label != other_routes) all.routes.push_back(std::move(label));
        return leak::match({.routes = mark().routes}, all) == leak::Match::different;
    }
    if (!found.contains("lines") || !known.contains("lines_of") || (!routes_are_old && !mark().routes.empty()))
        return false;
    const leak::Fingerprint before{.lines = fingerprint_of(told_).lines};
    return leak::match(before, {.lines = fingerprint_of(found).lines}) == leak::Match::different;
}

// The story of what an earlier release leaked ends here, and that of another leak begins or goes on.
void LeakCase::part(Journal& journal, const json::object& found, const std::string& what_leaks) {
    const std::shared_ptr<Incident> before = incident_;
    const json::value seen = before->details["leak"];
    const std::string routes_of = word(before->details, "routes_of");
    // A trace of this very incident has put what it found in the place of what was known.
    for (const char* key : {"lines", "asked", "kept_by", "types", "retainers"}) {
        before->details.erase(key);
        if (const auto* known = told_.if_contains(key)) before->details[key] = *known;
    }
    const std::string release = routes_of.empty() ? word(before->details, "lines_of") : routes_of;
    leak::PastLeak ended{before->id(), mark(), release, recycles_, accused_age_}, back;
    if (!docket_.reopen(fingerprint_of(found), back) || !take_up(journal, back)) open_new(journal);
    docket_.close(std::move(ended));
    clean_.clear(); // they prove nothing of this one
    incident_->details["leak"] = seen;
    const std::string sentence =
        "not seen in release " + release_ + ": what leaks there is " + what_leaks + ", incident " + incident_->id();
    before->note(sentence);
    before->verdict(sentence);
    before->save_details();
    before->close();
}

// A window in which the heaviest route was not asked, or not enough, takes nothing away from what an earlier one found.
void LeakCase::keep_better_lines(json::object& found) const {
    json::object& details = incident_->details;
    if (details.contains("lines_of") || claimed_lines(told_).empty()) return;
    const auto routes = routes_in(details);
    if (found.contains("lines") && (lines_explain(routes, found) || !lines_explain(routes, told_))) return;
    for (const char* key : {"lines", "asked"}) {
        found.erase(key);
        details.erase(key);
        if (const auto* known = told_.if_contains(key)) details[key] = *known;
    }
}

void LeakCase::found_routes(Journal& journal, const std::vector<RouteShare>& routes) {
    if (!incident_ || routes.empty()) return;
    const json::object found{{"routes", fleet::json_of(routes)}};
    // Of whom nobody was accused since Plimsoll began no story can begin: the next accusation tells.
    if (!one_route_ && last_accused_requests_ > 0 && is_another(found)) part(journal, found, routes.front().route);
    if (one_route_)
        incident_->details["one_route"] = true;
    else
        incident_->details.erase("one_route");
    if (is_news(routes_in(incident_->details), routes)) incident_->note(routes_text(routes));
    const leak::Fingerprint known{.routes = mark().routes};
    incident_->details["routes"] = fleet::json_of(routes);
    incident_->details.erase("routes_of");
    if (leak::match(known, {.routes = mark().routes}) == leak::Match::different) drop_what_another_release_had();
    incident_->save_details();
    join_the_past(journal);
}

// Another route leaks in another release: its lines and who keeps what they allocated are of what was there before.
void LeakCase::drop_what_another_release_had() {
    const std::string release = word(incident_->details, "lines_of");
    if (release.empty()) return;
    for (const char* key : {"lines_of", "lines_withheld", "lines", "asked", "kept_by", "types", "retainers", "traces",
                            "window", "collected_windows"})
        incident_->details.erase(key);
    told_ = incident_->details;
    incident_->note("that is another leak: the lines that were found in release " + release + " are no longer told");
}

// The low-water marks of the last few lives that were accused, for the picture that goes with the story.
void LeakCase::record_growth(const LeakLife& life) {
    json::value& kept = incident_->details["growth"];
    if (!kept.is_array()) kept.emplace_array();
    record(kept.get_array(), growth_of(life, what_));
}

void LeakCase::verdict(const LeakReport& report) {
    if (!incident_) return;
    incident_->verdict(report.verdict);
    if (report.advice == word(incident_->details, "advice")) return;
    incident_->details["advice"] = report.advice;
    incident_->save_details();
}

void LeakCase::describe(LeakReport& report, leak::Class kind, const Around& around) const {
    if (kind == leak::Class::leaking) report.recycles = recycles_;
    json::object known = incident_ ? incident_->details : json::object{};
    if (known.contains("lines_withheld"))
        for (const char* key : {"lines", "kept_by"}) known.erase(key);
    leak::AdviceFacts facts = advice_facts(known, kind, to_string(what_));
    facts.beside = around.beside;
    facts.has_agent = around.has_agent;
    facts.trimmed_in_vain = around.trimmed_in_vain;
    facts.looked_into = around.looked_into;
    facts.has_incident = incident_ != nullptr;
    report.advice = leak::advice(facts);
    if (!incident_ || kind != leak::Class::leaking) return;
    report.incidents.push_back(incident_->id());
    if (report.routes.empty() && !incident_->details.contains("routes_of"))
        report.routes = routes_in(incident_->details);
    report.lines = claimed_lines(known);
    pair(report.lines, report.routes, known);
    report.mostly = mostly_in(known, to_string(what_));
    report.kept_by = word(known, "kept_by");
    if (const auto* release = incident_->details.if_contains("release"); release != nullptr && release->is_object()) {
        report.since_release = word(release->get_object(), "since");
        report.release_before = word(release->get_object(), "before");
    }
}

const std::string& LeakCase::open_incident() const { return incident_ ? incident_->id() : left_open_; }

LeakCase::Kept LeakCase::kept() const {
    return {history.curves(), open_incident(), is_new_,       accused_age_,
            recycles_,        release_,        docket_.all(), releases_.all()};
}

void LeakCase::resume(Journal& journal, const Kept& known) {
    for (const leak::AgeCurve& curve : known.curves) history.learn(curve);
    for (const leak::PastLeak& past : known.past) docket_.close(past);
    for (const leak::ReleaseRecord& record : known.releases) releases_.learn(record);
    recycles_ = known.recycles;
    accused_age_ = known.accused_age;
    release_ = known.release;
    left_open_ = known.incident;
    is_new_ = known.is_new;
    go_on(journal);
}

void LeakCase::go_on(Journal& journal) {
    if (left_open_.empty()) return;
    const bool would_be_there = journal.on_disk();
    if (!incident_) {
        incident_ = journal.reopen(left_open_);
        if (!incident_ && !would_be_there) return;
        if (incident_) {
            told_ = incident_->details;
            incident_->note("Plimsoll was started again; what was learned of this leak is still known");
        }
    }
    left_open_.clear(); // gone on with, swept, or overtaken by a new one
}

} // namespace plimsoll::fleet
