// Events for those who listen at /v1/events. Each subscriber has a queue of its own with a bound: one that reads too slowly is
// told how many events it missed, and nobody waits for it. Control thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

namespace plimsoll::admin {

class Subscriber {
public:
    Subscriber(std::size_t bound, std::function<void()> wake) : bound_(bound), wake_(std::move(wake)) {}
    std::optional<std::string> next(); // as it goes over the wire; nothing: wait for wake

private:
    friend class Events;
    std::size_t bound_;
    std::function<void()> wake_;
    std::deque<std::shared_ptr<const std::string>> queue_; // one text for all subscribers
    std::uint64_t missed_ = 0;
};

class Events {
public:
    Events(unsigned max_subscribers, std::size_t max_queued)
        : max_subscribers_(max_subscribers), max_queued_(max_queued) {}

    std::shared_ptr<Subscriber> subscribe(std::function<void()> wake); // null: there are too many
    void publish(std::string_view event, boost::json::object facts);   // "at" is added where it is not there
    std::uint64_t missed() const { return missed_; }

private:
    unsigned max_subscribers_;
    std::size_t max_queued_;
    std::vector<std::weak_ptr<Subscriber>> subscribers_; // one that is let go is gone
    std::uint64_t serial_ = 0, missed_ = 0;
};

} // namespace plimsoll::admin
