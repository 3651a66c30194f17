// Accepts clients on one listening socket of one reactor.
//
// A silent client is left to the kernel for a second (TCP_DEFER_ACCEPT): a request costs one wakeup less, and a SYN flood none.
// Before such a socket closes, that is undone and those who were left there are waited for. Should its address be wanted again
// meanwhile it stays: another socket could not have the port yet, and this one has clients.
//
// TCP listeners are one socket a reactor (SO_REUSEPORT): the kernel spreads the clients. A unix socket is one that all
// reactors watch, each exclusively. When descriptors run out, accepting pauses instead of spinning.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.hpp"
#include "net/clients.hpp"
#include "net/io/source.hpp"
#include "net/listening_socket.hpp"

namespace plimsoll::net {

class Reactor;

// Opens `count` listening descriptors for one address. On failure: none, and `problem` is the line for the operator.
struct Listening {
    std::vector<int> sockets; // one a reactor
    bool shared = false;      // all the same socket
    bool lent = false;        // a supervisor's (lent_sockets.hpp)
    std::string address;      // as bound
};
// `socket_mode`: of a unix socket's file.
Listening open_listening(const std::string& address, unsigned count, unsigned socket_mode, std::string& problem);
// Sockets with SO_REUSEPORT share a port with any other process of the same user, silently. So ask first, without it, and before
// a socket of ours has the port. Empty: it is free, or no TCP address; else the line for the operator.
std::string why_taken(const std::string& address);

class Listener final : public io::Source {
public:
    Listener(Reactor& reactor, std::shared_ptr<ListeningSocket> socket, unsigned index, bool shared);
    ~Listener();
    void accept_pending(); // if there is any
    void pause_accepting(const char* why);
    // No more clients. Those who are connected, or about to be, are taken in first: closing would reset them. False: some are on
    // their way; then it leaves the reactor by itself, soon, unless its socket is to stay after all.
    bool leave();
    bool leave_at_once() { return socket_->closes(); } // they are somebody else's. False: it is to stay
    unsigned index() const { return index_; }

private:
    void ready(std::uint32_t events) override;
    void expired() override; // the pause is over
    void watch();
    bool go_on_leaving();
    void defer_accept(int seconds);
    void accept_all();
    void refuse(int fd, std::string_view answer);
    std::optional<Clients::Place> place_of(const struct sockaddr_storage& peer, const std::string& name);
    std::string peer_name(const struct sockaddr_storage& peer) const;

    Reactor& reactor_;
    const std::shared_ptr<ListeningSocket> socket_;
    const int fd_;
    const unsigned index_;
    const bool shared_;
    bool pending_ = false, watched_ = false;
    bool more_ = false;                // when accepting was last left off
    std::optional<Instant> leaves_at_; // at the latest
    std::optional<Instant> pause_told_;
    std::uint64_t pauses_ = 0; // since then
};

} // namespace plimsoll::net
