// The addresses that the server listens on, as they come and go with the configuration.
//
// A session knows its listener's settings by an index, so no place is ever removed: one that is closed keeps its settings for
// the clients that it still has, and an address that comes back gets its old place again, and its sockets as far as they
// are not closed yet (listener.hpp). There are as many places as the configurations of this process's life had different
// addresses.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "net/listener.hpp"

namespace plimsoll::net {

class Listeners {
public:
    explicit Listeners(unsigned reactors) : reactors_(reactors) {}

    using Socket = std::shared_ptr<ListeningSocket>;
    struct Opened {
        unsigned index = 0;
        bool shared = false;         // all the same socket
        std::vector<Socket> sockets; // one a reactor; null: that one accepts there already
    };
    // Opens what `wanted` has and we have not, and takes over its settings. Empty: done. Else it is the line for the operator,
    // and nothing has changed once close_others() was told what was wanted before.
    std::string open(const std::vector<config::Listener>& wanted, std::vector<Opened>& opened);
    // Those that `wanted` does not have: their sockets are to be closed.
    std::vector<unsigned> close_others(const std::vector<config::Listener>& wanted);
    void leave_all(); // nobody shall find the way to us any more

    const std::vector<config::Listener>& settings() const { return settings_; } // by index
    std::vector<std::string> addresses() const;                                 // as bound, of those that are open

private:
    struct Place {
        bool open = false;
        std::string address;         // as bound
        std::string file;            // of a unix socket
        std::vector<Socket> sockets; // of one that is not open: they may be about to close
    };
    std::string open(const config::Listener& listener, Place& place, Opened& opened) const;
    std::string taken_by_others(const std::vector<config::Listener>& wanted) const;
    bool is_ours(const std::string& address) const;
    void close(std::size_t index);

    const unsigned reactors_;
    std::vector<config::Listener> settings_;
    std::vector<Place> places_;
};

} // namespace plimsoll::net
