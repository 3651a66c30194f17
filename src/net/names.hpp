// Addresses of workers that are given by name ("app:8000" in a Compose network). The system's resolver is asked off this
// thread; its answer is used for a few seconds and then asked for again, while the old one still serves. So a container
// that came back with another address is found without a restart. An answer with other addresses than the last one had has
// another number: resting connections are asked then whether the name still leads where they go, or a steady load would never
// leave the old place.
//
// A name's addresses take turns (IPv4 and IPv6 alike). One that nobody listens at is left out for a few seconds, and twice as long
// each time that it is tried in vain: where packets vanish a try costs a connect timeout. So half-dead names cost a retry now and
// then instead of one a request.
//
// The system's resolver answers one question after the other: one for a dead name may take half a minute, and those behind it as
// long. So an answer that was usable when it was asked for anew is usable until the new one is here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <sys/socket.h>

#include "net/address.hpp"
#include "plimsoll/core/time.hpp"

namespace boost::asio {
class io_context;
}

namespace plimsoll::net {

class Names {
public:
    enum class Answer : std::uint8_t { found, pending, unknown };

    struct Place {
        sockaddr_storage storage;
        socklen_t length;
    };
    // Asks for host and port, and is told later, on this thread: places, or why there are none.
    using Told = std::function<void(std::vector<Place> places, const std::string& why_not, Instant now)>;
    using Ask = std::function<void(const std::string& host, std::uint16_t port, Told told)>;

    explicit Names(boost::asio::io_context& context); // asks the system's resolver
    explicit Names(Ask ask);
    ~Names();

    // Never blocks. `pending`: ask again in a few milliseconds. Several addresses take turns.
    Answer find(const Address& address, sockaddr_storage& to, socklen_t& length, Instant now);

    // The number of the answer in force; 0 before there was one. To be asked for with every request: so a change is seen.
    std::uint32_t answer(const Address& address, Instant now);
    // Whether a connection to `place`, found right by answer `number`, is as good as a new one: the place is still there, and
    // none came since, which would never get its share of a steady load.
    bool still_right(const Address& address, std::uint32_t number, const sockaddr_storage& place,
                     socklen_t length) const;

    void leave_out(const Address& address, const sockaddr_storage& dead, Instant now);
    void reached(const Address& address, const sockaddr_storage& place); // it is no worse than others now

    static constexpr Duration fresh = std::chrono::seconds{5};  // then it is looked up again
    static constexpr Duration usable = std::chrono::minutes{1}; // unasked; and if asking fails, from then on
    static constexpr Duration retry = std::chrono::seconds{1};  // after a failure
    static constexpr Duration least_rest = fresh,
                              longest_rest = std::chrono::minutes{1}; // of an address that is left out
    static constexpr std::size_t most_names = 1024;

private:
    struct LeftOut { // now, or before it was tried again
        Place place;
        Duration rest;
        Instant until;
    };
    struct Entry {
        std::vector<Place> places;
        std::vector<LeftOut> left_out;          // of the last answer
        std::vector<std::string> answered_with; // sorted: resolvers shuffle
        std::uint32_t number = 0, grown = 0; // grown: of the last answer that held a place which the one before did not
        std::size_t turn = 0;
        Instant answered{}, asked{}, failed{}; // failed: the first time since it was answered
        bool asking = false;
    };
    struct Hash {
        std::size_t operator()(const Address& address) const {
            return std::hash<std::string>{}(address.host) ^ address.port;
        }
    };
    static bool known(const Entry& entry, Instant now);
    Entry& look(const Address& address, Instant now);
    void ask(const Address& address);
    static void take_over(Entry& entry, std::vector<Place> places, Instant now);

    struct Resolver;
    std::unique_ptr<Resolver> resolver_; // the system's
    Ask ask_;
    std::unordered_map<Address, Entry, Hash> entries_;
};

} // namespace plimsoll::net
