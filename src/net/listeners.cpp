#include "net/listeners.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/values.hpp"
#include "log/log.hpp"
#include "net/heirlooms.hpp"
#include "net/lent_sockets.hpp"

namespace plimsoll::net {
namespace {

unsigned mode_of(const config::Listener& listener) {
    return config::parse_file_mode(listener.socket_mode).value_or(0); // it was checked
}

// Of a socket that was here before. Nothing else that somebody may have put in its place: no link is followed.
bool set_mode(const std::string& file, unsigned mode) {
    const int fd = ::open(file.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return false;
    struct stat found {};
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    bool done = ::fstat(fd, &found) == 0;
    if (done && !S_ISSOCK(found.st_mode)) {
        errno = ENOTSOCK;
        done = false;
    }
    if (done && (found.st_mode & 0777) != mode) done = ::chmod(path.c_str(), mode) == 0;
    const int error = errno;
    ::close(fd);
    errno = error;
    return done;
}

} // namespace

std::string Listeners::open(const std::vector<config::Listener>& wanted, std::vector<Opened>& opened) {
    const auto give_up = [this](std::string problem) {
        for (auto& place : places_) // those that were to stay
            place.open |= std::ranges::any_of(place.sockets, [](const auto& socket) { return socket->is_open(); });
        return problem;
    };
    if (auto problem = taken_by_others(wanted); !problem.empty()) return give_up(std::move(problem));
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
        if (places[index].open) continue;
        Opened one;
        one.index = static_cast<unsigned>(index);
        if (auto problem = open(each, places[index], one); !problem.empty()) {
            for (const auto& other : fresh)
                for (const auto& socket : other.sockets)
                    if (socket) ::close(socket->fd());
            for (std::size_t i = 0; i < places.size(); ++i)
                if (!places[i].file.empty() && (i >= places_.size() || places_[i].file.empty()))
                    ::unlink(places[i].file.c_str());
            return give_up(std::move(problem));
        }
        fresh.push_back(std::move(one));
    }
    for (const auto& one : fresh) {
        if (LentSockets::of_this_process().find(settings[one.index].address) >= 0)
            continue; // they are handed down by themselves
        std::vector<int> sockets;
        for (const auto& socket : places[one.index].sockets) sockets.push_back(socket->fd());
        Heirlooms::of_this_process().keep("listener", settings[one.index].address, std::move(sockets));
    }
    settings_ = std::move(settings);
    places_ = std::move(places);
    // Of sockets that were here before: ours under another setting, and those of a predecessor.
    for (std::size_t i = 0; i < places_.size(); ++i)
        if (const auto& file = places_[i].file; !file.empty() && !set_mode(file, mode_of(settings_[i])))
            log::warn("socket_mode_not_set", {{"file", file}, {"error", std::strerror(errno)}});
    opened = std::move(fresh);
    return {};
}

// Of an address that has just gone some sockets may be open still, or all: those stay, and only what is missing is made.
std::string Listeners::open(const config::Listener& listener, Place& place, Opened& opened) const {
    for (auto& socket : place.sockets)
        if (!socket->stays()) socket = nullptr;
    std::size_t missing = static_cast<std::size_t>(std::ranges::count(place.sockets, nullptr));
    const bool some_stay = missing < place.sockets.size();
    if (!some_stay) {
        place.sockets.assign(reactors_, nullptr);
        missing = reactors_;
    }
    opened.sockets.assign(place.sockets.size(), nullptr);
    if (missing > 0) {
        std::string problem;
        auto listening = open_listening(some_stay ? place.address : listener.address, static_cast<unsigned>(missing),
                                        mode_of(listener), problem);
        if (!problem.empty()) return problem;
        opened.shared = listening.shared;
        place.address = listening.address;
        if (listening.shared && !listening.lent) place.file = listening.address.substr(listening.address.find(':') + 1);
        if (listening.sockets.size() > missing) { // a predecessor had more reactors
            place.sockets.resize(listening.sockets.size());
            opened.sockets.resize(listening.sockets.size());
        }
        auto next = listening.sockets.begin();
        for (std::size_t i = 0; i < place.sockets.size() && next != listening.sockets.end(); ++i)
            if (!place.sockets[i]) place.sockets[i] = opened.sockets[i] = std::make_shared<ListeningSocket>(*next++);
    }
    place.open = true;
    return {};
}

// All are asked for before the first is opened: "0.0.0.0:80" and "[::]:80" of one configuration would find each other.
std::string Listeners::taken_by_others(const std::vector<config::Listener>& wanted) const {
    const auto& lent = LentSockets::of_this_process();
    for (const auto& each : wanted) {
        if (is_ours(each.address) || lent.find(each.address) >= 0) continue;
        if (const auto other = lent.overlapping(each.address); !other.empty())
            return each.address + " is taken by " + other +
                   ", which the supervisor lends us: write that as the address, or let it "
                   "listen on this one (ListenStream=)";
        if (auto problem = why_taken(each.address); !problem.empty()) return problem;
    }
    return {};
}

// Or a part of it: "0.0.0.0:80" may make room for "127.0.0.1:80", and a predecessor's sockets are open as well.
bool Listeners::is_ours(const std::string& address) const {
    const auto asked = parse_address(address);
    const auto meets = [&](const std::string& other) {
        const auto ours = parse_address(other);
        return asked && ours && overlap(*asked, *ours);
    };
    return std::ranges::any_of(Heirlooms::of_this_process().inherited("listener"), meets) ||
           std::ranges::any_of(places_, [&](const Place& place) {
               return meets(place.address) && std::ranges::any_of(place.sockets, [](const auto& socket) {
                          return socket->is_open() || socket->leaves();
                      });
           });
}

std::vector<unsigned> Listeners::close_others(const std::vector<config::Listener>& wanted) {
    std::vector<unsigned> closed;
    for (std::size_t i = 0; i < places_.size(); ++i) {
        if (!places_[i].open) continue;
        if (std::ranges::find(wanted, settings_[i].address, &config::Listener::address) != wanted.end()) continue;
        close(i);
        closed.push_back(static_cast<unsigned>(i));
    }
    return closed;
}

void Listeners::close(std::size_t index) {
    auto& heirlooms = Heirlooms::of_this_process();
    auto& place = places_[index];
    heirlooms.forget("listener", settings_[index].address);
    for (const auto& socket : place.sockets) socket->leave();
    place.open = false;
    if (place.file.empty()) return;
    if (!heirlooms.passed_on()) ::unlink(place.file.c_str());
    place = {}; // nobody is on the way to a unix socket
}

void Listeners::leave_all() {
    for (std::size_t i = 0; i < places_.size(); ++i) {
        auto& file = places_[i].file;
        if (!file.empty() && !Heirlooms::of_this_process().passed_on()) ::unlink(file.c_str());
        file.clear();
        Heirlooms::of_this_process().forget("listener", settings_[i].address);
        for (const auto& socket : places_[i].sockets) socket->leave();
    }
}

std::vector<std::string> Listeners::addresses() const {
    std::vector<std::string> addresses;
    for (const auto& place : places_)
        if (place.open) addresses.push_back(place.address);
    return addresses;
}

} // namespace plimsoll::net
