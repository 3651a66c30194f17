#include "net/listeners.hpp"

#include <algorithm>

#include <unistd.h>

#include "net/heirlooms.hpp"

namespace plimsoll::net {

std::string Listeners::open(const std::vector<config::Listener>& wanted, std::vector<Opened>& opened) {
    std::vector<Opened> fresh;
    auto settings = settings_;
    auto places = places_;
    for (const auto& each : wanted) {
        const auto known = std::ranges::find(settings, each.address, &config::Listener::address);
        const auto index = static_cast<std::size_t>(known - settings.begin());
        if (known == settings.end()) {
            settings.push_back(each);
            places.emplace_back();
        } else {
            *known = each;
        }
        if (!places[index].address.empty()) continue;
        std::string problem;
        auto listening = open_listening(each.address, reactors_, port_is_ours(each.address), problem);
        if (!problem.empty()) {
            for (const auto& one : fresh)
                for (const int fd : one.listening.sockets) ::close(fd);
            for (std::size_t i = 0; i < places.size(); ++i)
                if (!places[i].file.empty() && (i >= places_.size() || places_[i].file.empty()))
                    ::unlink(places[i].file.c_str());
            return problem;
        }
        places[index].address = listening.address;
        if (listening.shared) places[index].file = listening.address.substr(listening.address.find(':') + 1);
        fresh.push_back({static_cast<unsigned>(index), std::move(listening)});
    }
    for (const auto& one : fresh)
        Heirlooms::of_this_process().keep("listener", settings[one.index].address, one.listening.sockets);
    settings_ = std::move(settings);
    places_ = std::move(places);
    opened = std::move(fresh);
    return {};
}

// "0.0.0.0:80" may make room for "127.0.0.1:80": for a moment both are open.
bool Listeners::port_is_ours(const std::string& address) const {
    const auto asked = parse_address(address);
    return asked && asked->port != 0 && std::ranges::any_of(places_, [&](const Place& place) {
               const auto ours = parse_address(place.address);
               return ours && ours->family == Address::Family::tcp && ours->port == asked->port;
           });
}

std::vector<unsigned> Listeners::close_others(const std::vector<config::Listener>& wanted) {
    std::vector<unsigned> closed;
    for (std::size_t i = 0; i < places_.size(); ++i) {
        if (places_[i].address.empty()) continue;
        if (std::ranges::find(wanted, settings_[i].address, &config::Listener::address) != wanted.end()) continue;
        close(i);
        closed.push_back(static_cast<unsigned>(i));
    }
    return closed;
}

void Listeners::close(std::size_t index) {
    auto& heirlooms = Heirlooms::of_this_process();
    if (!places_[index].file.empty() && !heirlooms.passed_on()) ::unlink(places_[index].file.c_str());
    heirlooms.forget("listener", settings_[index].address);
    places_[index] = {};
}

void Listeners::unlink_files() {
    for (std::size_t i = 0; i < places_.size(); ++i) {
        auto& file = places_[i].file;
        if (!file.empty() && !Heirlooms::of_this_process().passed_on()) ::unlink(file.c_str());
        file.clear();
        Heirlooms::of_this_process().forget("listener", settings_[i].address);
    }
}

std::vector<std::string> Listeners::addresses() const {
    std::vector<std::string> addresses;
    for (const auto& place : places_)
        if (!place.address.empty()) addresses.push_back(place.address);
    return addresses;
}

} // namespace plimsoll::net
