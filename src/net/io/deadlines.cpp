#include "net/io/deadlines.hpp"

#include <utility>

namespace plimsoll::net::io {

Source::~Source() { Deadlines::disarm(*this); }

DeadlineList& Deadlines::list_for(Duration span) {
    DeadlineList* empty = nullptr;
    for (auto& list : lists_) {
        if (list->span == span) return *list;
        if (!list->first) empty = list.get();
    }
    if (!empty) empty = lists_.emplace_back(std::make_unique<DeadlineList>()).get();
    empty->span = span;
    return *empty;
}

void Deadlines::arm(Source& source, Duration span, Instant now) {
    disarm(source);
    auto& list = source.last_list_ && source.last_list_->span == span ? *source.last_list_ : list_for(span);
    source.list_ = source.last_list_ = &list;
    source.at_ = now + span;
    source.before_ = list.last;
    source.after_ = nullptr;
    (list.last ? list.last->after_ : list.first) = &source;
    list.last = &source;
}

void Deadlines::arm_at(Source& source, Instant when) {
    disarm(source);
    source.by_time_ = times_.emplace(when, &source);
    source.at_times_of_ = this;
}

void Deadlines::disarm(Source& source) {
    if (auto* const owner = std::exchange(source.at_times_of_, nullptr)) owner->times_.erase(source.by_time_);
    auto* list = source.list_;
    if (!list) return;
    (source.before_ ? source.before_->after_ : list->first) = source.after_;
    (source.after_ ? source.after_->before_ : list->last) = source.before_;
    source.list_ = nullptr;
}

void Deadlines::expire(Instant now) {
    // By index: expired() may arm another source and so add a list.
    for (std::size_t i = 0; i < lists_.size(); ++i) {
        while (auto* source = lists_[i]->first) {
            if (source->at_ > now) break;
            disarm(*source);
            source->expired();
        }
    }
    while (!times_.empty() && times_.begin()->first <= now) {
        Source& source = *times_.begin()->second;
        disarm(source);
        source.expired();
    }
}

std::optional<Instant> Deadlines::next() const {
    std::optional<Instant> earliest;
    if (!times_.empty()) earliest = times_.begin()->first;
    for (const auto& list : lists_)
        if (list->first && (!earliest || list->first->at_ < *earliest)) earliest = list->first->at_;
    return earliest;
}

} // namespace plimsoll::net::io
