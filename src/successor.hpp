// Handing over to a new binary (USR2): a process is started from the file that this program was started from, with the same
// arguments and our listening sockets. It says on a pipe that it serves; only then do we go. One that ends or takes too long
// before that changes nothing.
//
//   we                                   successor
//   start() -- fork, exec ------------>  adopts the sockets, starts, waits for its workers; accepts nobody
//   <--- a byte on the pipe -----------  accepts, tell_predecessor()
//   close our copies, finish, end        serves
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "plimsoll/core/time.hpp"

namespace plimsoll {

class Successor {
public:
    // Empty: started, and `done` hears once of how it went: its pid, or 0 and why not.
    using Done = std::function<void(int pid, const std::string& why_not)>;
    std::string start(boost::asio::io_context& control, Duration bound, Done done);
    void end(const std::string& why); // where it does not serve yet; `done` hears of it

private:
    std::function<void(const std::string& why)> give_up_;
};

// Of the new process: empty where nobody waits for it.
bool has_predecessor();  // that serves until we do
void tell_predecessor(); // that we serve

// To systemd, where it started us (Type=notify): which process it is to watch.
void notify_supervisor(const std::string& message); // "READY=1", "MAINPID=42"

} // namespace plimsoll
