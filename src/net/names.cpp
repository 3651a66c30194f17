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
                                   told(std::move(places), error.message(), Clock::now());
                               });
    }
    static Place place_of(const asio::ip::tcp::endpoint& endpoint) {
        Place place{{}, static_cast<socklen_t>(endpoint.size())};
        std::memcpy(&place.storage, endpoint.data(), endpoint.size());
        return place;
    }
};

namespace {

bool is_at(const Names::Place& place, const sockaddr_storage& storage) {
    return std::memcmp(&place.storage, &storage, place.length) == 0;
}

} // namespace

Names::Names(Ask ask) : ask_(std::move(ask)) {}

Names::Names(asio::io_context& context) : resolver_(new Resolver{asio::ip::tcp::resolver(context)}) {
    ask_ = [this](const std::string& host, std::uint16_t port, Told told) {
        resolver_->ask(host, port, std::move(told));
    };
}

Names::~Names() = default;

bool Names::known(const Entry& entry, Instant now) {
    if (entry.places.empty()) return false;
    if (entry.asking && entry.asked - entry.answered < usable) return true;
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

void Names::leave_out(const Address& address, const sockaddr_storage& dead, Instant now) {
    const auto found = entries_.find(address);
    if (found == entries_.end()) return;
    auto& places = found->second.places;
    auto& left_out = found->second.left_out;
    const auto place = std::ranges::find_if(places, [&](const Place& each) { return is_at(each, dead); });
    if (place == places.end()) return; // others have told before
    if (places.size() < 2) {           // the last one may come back to life, but then the others may have done so, too
        for (auto& each : left_out) each.until = now;
        return;
    }
    auto known = std::ranges::find_if(left_out, [&](const LeftOut& each) { return is_at(each.place, dead); });
    if (known == left_out.end())
        known = left_out.insert(left_out.end(), {*place, least_rest, {}});
    else
        known->rest = std::min(2 * known->rest, longest_rest);
    known->until = now + known->rest;
    places.erase(place);
}

void Names::reached(const Address& address, const sockaddr_storage& place) {
    const auto found = entries_.find(address);
    if (found == entries_.end()) return;
    std::erase_if(found->second.left_out, [&](const LeftOut& each) { return is_at(each.place, place); });
}

void Names::take_over(Entry& entry, std::vector<Place> places, Instant now) {
    std::vector<std::string> with;
    for (const Place& place : places) with.emplace_back(reinterpret_cast<const char*>(&place.storage), place.length);
    std::ranges::sort(with);
    if (with != entry.answered_with) ++entry.number;
    if (!std::ranges::includes(entry.answered_with, with)) entry.grown = entry.number;
    entry.answered_with = std::move(with);
    std::erase_if(entry.left_out, [&](const LeftOut& each) {
        return std::ranges::none_of(places, [&](const Place& place) { return is_at(each.place, place.storage); });
    });
    const auto rests = [&](const Place& place) {
        return std::ranges::any_of(
            entry.left_out, [&](const LeftOut& each) { return each.until > now && is_at(each.place, place.storage); });
    };
    if (!std::ranges::all_of(places, rests)) std::erase_if(places, rests);
    entry.places = std::move(places);
    entry.answered = now;
    entry.failed = {};
}

void Names::ask(const Address& address) {
    entries_[address].asking = true;
    ask_(address.host, address.port,
         [this, address](std::vector<Place> places, const std::string& why_not, Instant now) {
             auto& entry = entries_[address];
             entry.asking = false;
             if (!places.empty()) return take_over(entry, std::move(places), now);
             if (entry.failed == Instant{}) entry.failed = now;
             log::warn("worker_name_unresolved", {{"address", to_string(address)}, {"error", why_not}});
         });
}

} // namespace plimsoll::net
