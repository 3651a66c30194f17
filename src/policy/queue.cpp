#include "plimsoll/policy/queue.hpp"

#include <algorithm>

namespace plimsoll {

Ticket Queue::add(Waiting waiting) {
    waiting.ticket = next_;
    next_ += step_;
    if (waiting.deadline != never) deadlines_.emplace(waiting.deadline, waiting.ticket);
    lines_[index(waiting.priority)].emplace(waiting.ticket, waiting);
    ++size_;
    return waiting.ticket;
}

std::optional<Queue::Waiting> Queue::remove(Ticket ticket) {
    for (auto& line : lines_) {
        const auto found = line.extract(ticket);
        if (found.empty()) continue;
        --size_;
        deadlines_.erase({found.mapped().deadline, ticket});
        return found.mapped();
    }
    return std::nullopt;
}

std::size_t Queue::ahead_of(Priority priority) const {
    std::size_t sum = 0;
    for (std::size_t each = 0; each <= index(priority); ++each) sum += lines_[each].size();
    return sum;
}

Instant Queue::oldest() const {
    Instant oldest = never;
    for (const auto& line : lines_)
        if (!line.empty()) oldest = std::min(oldest, line.begin()->second.arrived);
    return oldest;
}

const Queue::Waiting* Queue::newest(Priority priority) const {
    const auto& line = lines_[index(priority)];
    return line.empty() ? nullptr : &line.rbegin()->second;
}

} // namespace plimsoll
