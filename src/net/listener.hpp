// Accepts clients on one listening socket of one reactor.
//
// A silent client is left to the kernel for a second (TCP_DEFER_ACCEPT): a request costs one wakeup less, and a SYN flood none.
// Before such a socket closes, that is undone and those who were left there are waited for.
//
// TCP listeners are one socket a reactor (SO_REUSEPORT): the kernel spreads the clients. A unix socket is one that all
// reactors watch, each exclusively. When descriptors run out, accepting pauses instead of spinning.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.hpp"
#include "net/clients.hpp"
#include "net/io/source.hpp"

namespace plimsoll::net {

class Reactor;

// Opens `count` listening descriptors for one address. On failure: none, and `problem` is the line for the operator.
struct Listening {
    std::vector<int> sockets; // one a reactor
    bool shared = false;      // all the same socket
    std::string address;      // as bound
};
// `port_is_ours`: another listener of this process may have the port, for a moment.
Listening open_listening(const std::string& address, unsigned count, bool port_is_ours, std::string& problem);

class Listener final : public io::Source {
public:
    Listener(Reactor& reactor, int fd, unsigned index, bool shared);
    ~Listener();
    void accept_pending(); // if there is any
    // No more clients. Those who are connected, or about to be, are taken in first: closing would reset them. False: some are on
    // their way; then it leaves the reactor by itself, soon.
    bool leave();
    unsigned index() const { return index_; }

private:
    void ready(std::uint32_t events) override;
    void expired() override; // the pause is over
    void watch();
    void accept_all();
    void refuse(int fd, std::string_view answer);
    std::optional<Clients::Place> place_of(const struct sockaddr_storage& peer, const std::string& name);
    std::string peer_name(const struct sockaddr_storage& peer) const;

    Reactor& reactor_;
    const int fd_;
    const unsigned index_;
    const bool shared_;
    bool pending_ = false;
    bool more_ = false;                // when accepting was last left off
    std::optional<Instant> leaves_at_; // at the latest
};

} // namespace plimsoll::net
