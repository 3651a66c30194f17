// What the poller and the timers hold on to: something that becomes ready, and something that may run out of time.
#pragma once

#include <cstdint>
#include <map>

#include "plimsoll/core/time.hpp"

namespace plimsoll::net::io {

class Source {
public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    virtual void ready(std::uint32_t events) = 0; // EPOLLIN and so on; must not destroy any other source
    virtual void expired() = 0;                   // its deadline passed; it is disarmed already

protected:
    ~Source(); // disarms

private:
    friend class Deadlines;
    Source* before_ = nullptr;
    Source* after_ = nullptr;
    struct DeadlineList* list_ = nullptr;      // null: not armed
    struct DeadlineList* last_list_ = nullptr; // it often has the same span again
    Instant at_{};
    class Deadlines* at_times_of_ = nullptr; // armed for a time, not for a span
    std::multimap<Instant, Source*>::iterator by_time_;
};

} // namespace plimsoll::net::io
