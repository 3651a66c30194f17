#include "admin/events.hpp"

#include <boost/json/serialize.hpp>

#include "admin/json.hpp"

namespace plimsoll::admin {

std::optional<std::string> Subscriber::next() {
    if (missed_ != 0) {
        auto text = "event: missed\ndata: {\"count\":" + std::to_string(missed_) + "}\n\n";
        missed_ = 0;
        return text;
    }
    if (queue_.empty()) return std::nullopt;
    const auto text = queue_.front();
    queue_.pop_front();
    return *text;
}

std::shared_ptr<Subscriber> Events::subscribe(std::function<void()> wake) {
    std::erase_if(subscribers_, [](const auto& subscriber) { return subscriber.expired(); });
    if (subscribers_.size() >= max_subscribers_) return nullptr;
    auto subscriber = std::make_shared<Subscriber>(max_queued_, std::move(wake));
    subscribers_.push_back(subscriber);
    return subscriber;
}

void Events::publish(std::string_view event, boost::json::object facts) {
    ++serial_;
    if (subscribers_.empty()) return;
    if (!facts.contains("at")) facts["at"] = to_rfc3339(std::chrono::system_clock::now());
    const auto text =
        std::make_shared<const std::string>("id: " + std::to_string(serial_) + "\nevent: " + std::string(event) +
                                            "\ndata: " + boost::json::serialize(facts) + "\n\n");
    for (const auto& weak : subscribers_) {
        const auto subscriber = weak.lock();
        if (!subscriber) continue;
        if (subscriber->queue_.size() >= subscriber->bound_) { // the oldest goes: what is now counts more
            subscriber->queue_.pop_front();
            ++subscriber->missed_;
            ++missed_;
        }
        subscriber->queue_.push_back(text);
        subscriber->wake_();
    }
}

} // namespace plimsoll::admin
