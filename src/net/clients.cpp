#include "net/clients.hpp"

#include <algorithm>
#include <cstring>

#include <netinet/in.h>

#include "net/http/forwarded.hpp"

namespace plimsoll::net {

std::optional<Clients::Key> Clients::key_of(const sockaddr_storage& peer) {
    Key key{};
    if (peer.ss_family == AF_INET) {
        std::memcpy(key.data() + 4, &reinterpret_cast<const sockaddr_in&>(peer).sin_addr, 4);
        return key;
    }
    if (peer.ss_family != AF_INET6) return std::nullopt;
    const auto& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address))
        std::memcpy(key.data() + 4, &address.s6_addr[12], 4);
    else
        std::memcpy(key.data(), &address, key.size());
    return key;
}

std::optional<Clients::Key> Clients::key_of(std::string_view text) {
    const auto address = http::parse_ip(text);
    if (!address) return std::nullopt;
    const auto& bytes = address->bytes;
    constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    Key key{};
    if (std::equal(mapped.begin(), mapped.end(), bytes.begin()))
        std::copy_n(bytes.begin() + mapped.size(), 4, key.begin() + 4);
    else
        std::copy_n(bytes.begin(), key.size(), key.begin());
    return key;
}

std::optional<Clients::Place> Clients::enter(const Key& key, unsigned most) {
    const std::lock_guard lock(mutex_);
    auto& open = open_[key];
    if (open >= most) return std::nullopt;
    ++open;
    return Place(*this, key);
}

void Clients::leave(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(key);
    if (--found->second == 0) open_.erase(found);
}

} // namespace plimsoll::net
