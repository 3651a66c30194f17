#include "plimsoll/leak/history.hpp"

#include <algorithm>
#include <cmath>

#include "plimsoll/core/median.hpp"

namespace plimsoll::leak {

namespace {

constexpr double older_by = 1.5;
constexpr double comparable_at = 0.25;  // of the age: what ended earlier has not seen what comes here
constexpr std::size_t most_marks = 128; // 2^38 requests

} // namespace

double AgeCurve::age_of(std::size_t k) { return 64 * std::exp2(static_cast<double>(k) / 4); }

bool AgeCurve::due(double age) const { return marks.size() < most_marks && age_of(marks.size()) <= age; }

void AgeCurve::tell(double age, Mark mark) {
    while (due(age)) marks.push_back(mark);
}

double AgeCurve::end() const { return marks.empty() ? 0 : age_of(marks.size() - 1); }

AgeCurve::Mark AgeCurve::at(double age) const {
    if (marks.empty()) return {};
    const auto k = static_cast<std::size_t>(4 * std::log2(std::max(age, 64.0) / 64));
    return marks[std::min(k, marks.size() - 1)];
}

std::optional<History::Precedent> History::precedent(double age, double least, std::uint64_t life,
                                                     const std::string& release) const {
    std::vector<const AgeCurve*> same, others;
    for (const auto* curves : {&curves_, &living_})
        for (const AgeCurve& curve : *curves) {
            const double comparable_from = curve.ended ? std::max(least, comparable_at * age) : older_by * age;
            if (curve.life == life || curve.end() < std::max(least, comparable_from)) continue;
            const bool alike = release.empty() || curve.release.empty() || curve.release == release;
            (alike ? same : others).push_back(&curve);
        }
    auto found = precedent_of(same.empty() ? others : same, age);
    if (found) found->others = same.empty();
    return found;
}

std::optional<History::Precedent> History::precedent_of(const std::vector<const AgeCurve*>& comparable,
                                                        double age) const {
    if (comparable.empty()) return std::nullopt;
    Precedent found;
    std::vector<double> then, later;
    for (const AgeCurve* curve : comparable) {
        then.push_back(curve->at(age).trend);
        later.push_back(curve->marks.back().trend);
        const auto most_grown = std::ranges::max_element(curve->marks, {}, &AgeCurve::Mark::growth);
        found.peak = std::max(found.peak, static_cast<double>(most_grown->growth));
        found.pace = std::max(found.pace, curve->pace);
        found.older = found.older || curve->end() >= older_by * age;
        found.accused = found.accused || (curve->ended && curve->accused);
    }
    found.curves = static_cast<unsigned>(then.size());
    found.then = median(std::move(then));
    found.later = median(std::move(later));
    return found;
}

void History::learn(const AgeCurve& curve) {
    if (curve.ended) forget_living(curve.life);
    std::vector<AgeCurve>& all = curve.ended ? curves_ : living_;
    const auto same = std::ranges::find(all, curve.life, &AgeCurve::life);
    if (same != all.end()) {
        *same = curve;
        return;
    }
    if (all.size() == (curve.ended ? most : most_living)) all.erase(all.begin());
    all.push_back(curve);
}

void History::forget_living(std::uint64_t life) {
    std::erase_if(living_, [life](const AgeCurve& each) { return each.life == life; });
}

} // namespace plimsoll::leak
