// Listening sockets that a process hands down to the one that replaces it, so that not one connection in their queues is lost:
// the same sockets live on, and both processes may accept from them while one comes and the other goes.
//
//   predecessor                                            successor
//   keep() each socket as it is opened
//   text() into the successor's environment  -- exec -->   inherit(), first of all
//                                                          take() instead of opening; close_rest() when all is open
//   passed_on(): files of unix sockets are no longer ours to unlink
//
// One for a process, since descriptors are a process's. Control thread only, but for passed_on().
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

namespace plimsoll::net {

class Heirlooms {
public:
    static Heirlooms& of_this_process();
    static constexpr const char* variable = "PLIMSOLL_HEIRLOOMS"; // never inherited by workers: inherit() removes it

    // `kind` and `address` as the configuration has them name what it is: "listener", "0.0.0.0:8080".
    void keep(std::string_view kind, std::string_view address, std::vector<int> sockets);
    void forget(std::string_view kind, std::string_view address); // they are about to be closed
    std::vector<int> take(std::string_view kind, std::string_view address);

    std::vector<std::string> inherited(std::string_view kind) const; // addresses that were not taken yet

    static int inherited_one(std::string_view kind, std::string_view address); // -1: there is none

    // By a number that somebody else wrote: false, and nothing is done to it, where no socket listens there. No child gets it.
    static bool adopt(int fd);

    void inherit();
    void close_rest(); // what the configuration has no use for any more
    std::string text() const;
    std::vector<int> all() const;

    void pass_on() { passed_on_ = true; }
    bool passed_on() const { return passed_on_; }

private:
    struct Heirloom {
        std::string kind, address;
        std::vector<int> sockets;
    };
    static std::vector<int> remove(std::vector<Heirloom>& from, std::string_view kind, std::string_view address);

    std::vector<Heirloom> kept_, inherited_;
    std::atomic<bool> passed_on_ = false; // read by reactors, too
};

} // namespace plimsoll::net
