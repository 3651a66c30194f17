#include "net/heirlooms.hpp"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace plimsoll::net {

Heirlooms& Heirlooms::of_this_process() {
    static Heirlooms heirlooms;
    return heirlooms;
}

void Heirlooms::keep(std::string_view kind, std::string_view address, std::vector<int> sockets) {
    kept_.push_back({std::string(kind), std::string(address), std::move(sockets)});
}

void Heirlooms::forget(std::string_view kind, std::string_view address) { remove(kept_, kind, address); }

std::vector<int> Heirlooms::take(std::string_view kind, std::string_view address) {
    return remove(inherited_, kind, address);
}

std::vector<int> Heirlooms::remove(std::vector<Heirloom>& from, std::string_view kind, std::string_view address) {
    const auto found =
        std::ranges::find_if(from, [&](const auto& each) { return each.kind == kind && each.address == address; });
    if (found == from.end()) return {};
    auto sockets = std::move(found->sockets);
    from.erase(found);
    return sockets;
}

std::vector<std::string> Heirlooms::inherited(std::string_view kind) const {
    std::vector<std::string> addresses;
    for (const auto& each : inherited_)
        if (each.kind == kind) addresses.push_back(each.address);
    return addresses;
}

// A line for each: kind, address, descriptors.
std::string Heirlooms::text() const {
    std::ostringstream out;
    for (const auto& each : kept_) {
        out << each.kind << ' ' << each.address;
        for (const int fd : each.sockets) out << ' ' << fd;
        out << '\n';
    }
    return out.str();
}

std::vector<int> Heirlooms::all() const {
    std::vector<int> fds;
    for (const auto& each : kept_) fds.insert(fds.end(), each.sockets.begin(), each.sockets.end());
    return fds;
}

int Heirlooms::inherited_one(std::string_view kind, std::string_view address) {
    const auto sockets = of_this_process().take(kind, address);
    return sockets.empty() ? -1 : sockets.front();
}

bool Heirlooms::adopt(int fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) return false;
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    return true;
}

void Heirlooms::inherit() {
    const char* text = std::getenv(variable);
    if (!text) return;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        Heirloom heirloom;
        words >> heirloom.kind >> heirloom.address;
        for (int fd = -1; words >> fd;)
            if (adopt(fd)) heirloom.sockets.push_back(fd);
        if (!heirloom.sockets.empty()) inherited_.push_back(std::move(heirloom));
    }
    ::unsetenv(variable);
}

void Heirlooms::close_rest() {
    for (const auto& each : std::exchange(inherited_, {}))
        for (const int fd : each.sockets) ::close(fd);
}

} // namespace plimsoll::net
