#include "plimsoll/policy/running_labels.hpp"

#include <algorithm>
#include <utility>

namespace plimsoll {

RunningLabels::Entry* RunningLabels::find(CostKey label) {
    const auto found = std::ranges::find(entries_, label, &Entry::label);
    return found == entries_.end() ? nullptr : &*found;
}

RunningLabels::Entry& RunningLabels::begun(CostKey label, Bytes promised) {
    if (entries_.size() >= most && !find(label)) label = 0;
    Entry* entry = find(label);
    if (!entry) {
        entry = &entries_.emplace_back();
        entry->label = label;
    }
    ++entry->now;
    entry->promised = entry->promised + promised;
    promised_ = promised_ + promised;
    return *entry;
}

void RunningLabels::begin(CostKey label, Bytes promised) {
    Entry& entry = begun(label, promised);
    if (entry.first_runs) ++entry.first_ones;
}

void RunningLabels::begin_first(CostKey label, Bytes promised, Bytes kept) {
    Entry& entry = begun(label, promised);
    entry.first = entry.first_runs = true;
    ++entry.first_ones;
    entry.to_keep = kept;
}

RunningLabels::Given RunningLabels::end(CostKey label, Work work) {
    Entry* entry = find(label);
    if (!entry || entry->now == 0) entry = find(0); // it began as one of the rest
    if (!entry || entry->now == 0) return {};
    // Estimates move while requests run: each gives back an equal part, and the last one all that is left.
    const Bytes part{entry->promised.count / entry->now};
    if (work != Work::none) { // so many were there at once: as many as ever since the end before
        entry->at_once = std::max(entry->at_once, entry->now);
        if (reading_) entry->since_read = std::max(entry->since_read, entry->now);
    }
    --entry->now;
    const bool first = entry->first_ones > 0; // which of the label it was nobody knows
    if (first) --entry->first_ones;
    entry->first_runs = false;
    if (work == Work::whole) entry->ended = ended_ = true;
    entry->promised = entry->promised - part;
    promised_ = promised_ - part;
    if (work == Work::none) {
        if (entry->now == 0 && entry->at_once == 0) entries_.erase(entries_.begin() + (entry - entries_.data()));
        return {part, {}, false};
    }
    const Bytes kept = std::exchange(entry->to_keep, Bytes{});
    entry->kept = entry->kept + kept;
    return {part, kept, first};
}

Bytes RunningLabels::raise(CostKey label, Bytes need) {
    Entry* entry = find(label);
    if (!entry) return {};
    const Bytes more = std::max(Bytes{need.count * entry->now} - entry->promised, Bytes{});
    entry->promised = entry->promised + more;
    promised_ = promised_ + more;
    return more;
}

std::vector<Ran> RunningLabels::ran() const {
    std::vector<Ran> ran;
    ran.reserve(entries_.size());
    for (const Entry& each : entries_)
        ran.push_back({each.label, std::max(each.at_once, each.now), each.ended, each.first, each.again, each.kept});
    return ran;
}

void RunningLabels::about_to_read() {
    reading_ = true;
    for (Entry& each : entries_) each.since_read = 0;
}

void RunningLabels::next_reading() {
    std::erase_if(entries_, [](const Entry& each) { return each.now == 0 && each.since_read == 0; });
    for (Entry& each : entries_) {
        each.held = each.now == 0;
        each.at_once = std::exchange(each.since_read, 0);
        each.again = each.first && each.first_ones > 0;
        each.first = each.again;
        if (!each.first) each.kept = {};
        each.ended = false;
    }
    ended_ = reading_ = false;
}

} // namespace plimsoll
