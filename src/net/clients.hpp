// How many connections each client has open, over all reactors. Asked only where `max_connections_per_client` is set: then
// a lock at the beginning and the end of a connection, never in between.
//
// The table holds addresses with an open connection and no others, so max_connections bounds it. An IPv6 client is its /64:
// whoever has one address of it has all of them. Unix sockets have no client to count.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <sys/socket.h>

namespace plimsoll::net {

class Clients {
public:
    using Key = std::array<std::uint8_t, 8>;
    static std::optional<Key> key_of(const sockaddr_storage& peer);
    static std::optional<Key> key_of(std::string_view address); // as text: what the PROXY protocol announced

    // Whoever has too many gets this without a look at what he asks for.
    static constexpr std::string_view refusal =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n"
        "X-Plimsoll-Reason: max_connections_per_client\r\n\r\n";

    // One connection's hold on its place; given back when it is destroyed.
    class Place {
    public:
        Place() = default;
        Place(Clients& clients, const Key& key) : clients_(&clients), key_(key) {}
        Place(Place&& other) noexcept : clients_(std::exchange(other.clients_, nullptr)), key_(other.key_) {}
        Place& operator=(Place&& other) noexcept {
            std::swap(clients_, other.clients_);
            std::swap(key_, other.key_);
            return *this;
        }
        ~Place() {
            if (clients_) clients_->leave(key_);
        }

    private:
        Clients* clients_ = nullptr;
        Key key_{};
    };
    std::optional<Place> enter(const Key& key, unsigned most); // nothing: it has that many

private:
    void leave(const Key& key);

    std::mutex mutex_;
    std::map<Key, unsigned> open_;
};

} // namespace plimsoll::net
