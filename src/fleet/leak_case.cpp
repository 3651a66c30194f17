#include "fleet/leak_case.hpp"

#include <algorithm>
#include <cmath>

#include "fleet/json_fields.hpp"
#include "fleet/leak_evidence.hpp"
#include "fleet/leak_text.hpp"

namespace plimsoll::fleet {

namespace json = boost::json;

namespace {

// Memory that the leak's route would have left behind, had it gone on: with less, its absence proves nothing.
constexpr double shows = 12 << 20;

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
    return incident_ && !incident_->details.contains("lines_of") && !claimed_lines(incident_->details).empty();
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
    json::object known;
    if (what_ == Watched::memory) known["routes"] = fleet::json_of(routes);
    go_on(journal);
    if (!incident_) open(journal, life, text, fingerprint_of(known));
    incident_->note("generation " + std::to_string(life.generation) + " of " + text + ", after " +
                    requests_text(static_cast<double>(life.requests)) + release_text(life.release));
    // Whether this is the line of what leaks now is to be seen: the release may have mended one leak and brought another.
    if (life.release != release_ && has_lines()) incident_->details["lines_of"] = release_;
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
    record_growth(life);
    if (what_ == Watched::memory) found_routes(journal, routes);
    incident_->save_details();
}

void LeakCase::open(Journal& journal, const LeakLife& life, const std::string& text, const leak::Fingerprint& seen) {
    leak::PastLeak past;
    if (docket_.reopen(seen, past) && take_up(journal, past)) return;
    incident_ = journal.open({pool_, life.worker, "leak", text, life.generation});
    told_.clear();
    is_new_ = true;
    recycles_ = 0;
    accused_age_ = static_cast<double>(life.requests);
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
    if (fresh->details.contains("lines")) incident_->details.erase("lines_of");
    if (fresh->details.contains("routes")) incident_->details.erase("routes_of");
    for (const auto& [key, value] : fresh->details) incident_->details[key] = value;
    if (!found.empty() && is_news(known_routes, found)) incident_->note(routes_text(found));
    for (const std::string& news : news_of(told_, incident_->details, to_string(what_))) incident_->note(news);
    told_ = incident_->details;
    incident_->save_details();
    fresh->verdict("the same leak as incident " + past.incident + ": its story goes on there");
    fresh->close();
}

bool LeakCase::would_have_shown(const Asked& asked) const {
    const auto routes = routes_in(incident_->details);
    if (what_ != Watched::memory || routes.empty()) return true;
    return asked(routes.front().route) * routes.front().low >= shows;
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
    const double clean = requests - (itself ? static_cast<double>(last_accused_requests_) : 0);
    const bool older = (itself || life.began >= accused_at_) && clean > proof();
    if (!accused_.empty() || !older || verdict.kind == leak::Class::warming) return false;
    if (others_grow() || !would_have_shown(asked)) return false;
    record_growth(life);
    const std::string proof = process_text(life) + " served " + requests_text(clean) + " without that growth";
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
    if (found.empty()) return;
    if (found.contains("lines")) incident_->details.erase("lines_of");
    for (auto& [key, value] : found) incident_->details[key] = std::move(value);
    const std::string where = from == incident_->id() ? "" : "incident " + from + " found: ";
    for (const std::string& news : news_of(told_, incident_->details, to_string(what_))) incident_->note(where + news);
    told_ = incident_->details;
    incident_->save_details();
    join_the_past(journal);
}

void LeakCase::found_routes(Journal& journal, const std::vector<RouteShare>& routes) {
    if (!incident_ || routes.empty()) return;
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
    for (const char* key :
         {"lines_of", "lines", "kept_by", "types", "retainers", "traces", "window", "collected_windows"})
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
    leak::AdviceFacts facts = advice_facts(incident_ ? incident_->details : json::object{}, kind, to_string(what_));
    facts.beside = around.beside;
    facts.has_agent = around.has_agent;
    facts.trimmed_in_vain = around.trimmed_in_vain;
    report.advice = leak::advice(facts);
    if (!incident_ || kind != leak::Class::leaking) return;
    report.incidents.push_back(incident_->id());
    if (report.routes.empty() && !incident_->details.contains("routes_of"))
        report.routes = routes_in(incident_->details);
    report.lines = claimed_lines(incident_->details);
    report.mostly = mostly_in(incident_->details, to_string(what_));
    report.kept_by = word(incident_->details, "kept_by");
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
