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
#include <utility>

#include <sys/socket.h>

namespace plimsoll::net {

class Clients {
public:
    using Key = std::array<std::uint8_t, 8>;
    static std::optional<Key> key_of(const sockaddr_storage& peer);

    // One connection's hold on its place; given back when it is destroyed.
    class Place {
    public:
        Place() = default;
        Place(Clients& clients, const Key& key) : clients_(&clients), key_(key) {}
        Place(Place&& other) noexcept : clients_(std::exchange(other.clients_, nullptr)), key_(other.key_) {}
        Place& operator=(Place&&) = delete;
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
