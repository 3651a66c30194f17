#include "net/names.hpp"

#include <algorithm>
#include <cstring>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "log/log.hpp"

namespace plimsoll::net {

namespace asio = boost::asio;

struct Names::Resolver {
    asio::ip::tcp::resolver resolver;

    void ask(const std::string& host, std::uint16_t port, Told told) {
        resolver.async_resolve(host, std::to_string(port),
                               [told = std::move(told)](const boost::system::error_code& error,
                                                        const asio::ip::tcp::resolver::results_type& results) {
                                   if (error == asio::error::operation_aborted) return; // we are being destroyed
                                   std::vector<Place> places;
                                   if (!error)
                                       for (const auto& result : results) places.push_back(place_of(result.endpoint()));
                                   told(std::move(places), error.message());
                               });
    }
    static Place place_of(const asio::ip::tcp::endpoint& endpoint) {
        Place place{{}, static_cast<socklen_t>(endpoint.size())};
        std::memcpy(&place.storage, endpoint.data(), endpoint.size());
        return place;
    }
};

Names::Names(Ask ask) : ask_(std::move(ask)) {}

Names::Names(asio::io_context& context) : resolver_(new Resolver{asio::ip::tcp::resolver(context)}) {
    ask_ = [this](const std::string& host, std::uint16_t port, Told told) {
        resolver_->ask(host, port, std::move(told));
    };
}

Names::~Names() = default;

bool Names::known(const Entry& entry, Instant now) {
    if (entry.places.empty()) return false;
    return now - entry.answered < usable || (entry.failed != Instant{} && now - entry.failed < usable);
}

Names::Entry& Names::look(const Address& address, Instant now) {
    if (entries_.size() >= most_names && !entries_.contains(address))
        std::erase_if(entries_, [](const auto& each) { return !each.second.asking; });
    auto& entry = entries_[address];
    const bool due = !known(entry, now) || now - entry.answered >= fresh;
    if (due && !entry.asking && (entry.asked == Instant{} || now - entry.asked >= retry)) {
        if (now - entry.asked >= 2 * usable) entry.failed = {}; // long ago, and nobody asked since
        entry.asked = now;
        ask(address);
    }
    return entry;
}

std::uint32_t Names::answer(const Address& address, Instant now) { return look(address, now).number; }

Names::Answer Names::find(const Address& address, sockaddr_storage& to, socklen_t& length, Instant now) {
    auto& entry = look(address, now);
    if (!known(entry, now)) return entry.asking ? Answer::pending : Answer::unknown;
    const auto& place = entry.places[entry.turn++ % entry.places.size()];
    to = place.storage;
    length = place.length;
    return Answer::found;
}

bool Names::still_right(const Address& address, std::uint32_t number, const sockaddr_storage& place,
                        socklen_t length) const {
    const auto found = entries_.find(address);
    if (found == entries_.end() || number < found->second.grown) return false;
    const std::string wanted(reinterpret_cast<const char*>(&place), length);
    return std::ranges::binary_search(found->second.answered_with, wanted);
}

void Names::leave_out(const Address& address, const sockaddr_storage& dead) {
    const auto found = entries_.find(address);
    if (found == entries_.end() || found->second.places.size() < 2) return; // the last one may come back to life
    std::erase_if(found->second.places,
                  [&](const Place& place) { return std::memcmp(&place.storage, &dead, place.length) == 0; });
}

void Names::take_over(Entry& entry, std::vector<Place> places) {
    std::vector<std::string> with;
    for (const Place& place : places) with.emplace_back(reinterpret_cast<const char*>(&place.storage), place.length);
    std::ranges::sort(with);
    if (with != entry.answered_with) ++entry.number;
    if (!std::ranges::includes(entry.answered_with, with)) entry.grown = entry.number;
    entry.answered_with = std::move(with);
    entry.places = std::move(places);
    entry.answered = entry.asked;
    entry.failed = {};
}

void Names::ask(const Address& address) {
    entries_[address].asking = true;
    ask_(address.host, address.port, [this, address](std::vector<Place> places, const std::string& why_not) {
        auto& entry = entries_[address];
        entry.asking = false;
        if (!places.empty()) return take_over(entry, std::move(places));
        if (entry.failed == Instant{}) entry.failed = entry.asked;
        log::warn("worker_name_unresolved", {{"address", to_string(address)}, {"error", why_not}});
    });
}

} // namespace plimsoll::net
