// Both sides of a handover to a new binary, of which successor.hpp has the means: whether this process may go, and when the
// next one may serve.
//
//   none --USR2--> asked --a successor serves--> relieved: the rest stops           told to stop meanwhile: it is ended, too
//     ^--it failed--'
//
//   succeeding --its workers answer, or its predecessor has ended--> alone: accepts
//        '-------not within 20 s: it gives up, its predecessor serves on
//
// Control thread only.
#pragma once

#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/config.hpp"
#include "successor.hpp"

namespace plimsoll {

class Handover {
public:
    struct Program {                                     // the rest of it
        std::function<bool()> ready;                     // every pool has a worker that answers
        std::function<void()> accept;                    // whoever comes is ours from now on
        std::function<void()> relieved;                  // somebody else serves: stop
        std::function<void(const std::string&)> give_up; // stop, for this reason
    };
    Handover(boost::asio::io_context& control, Program program)
        : control_(control), program_(std::move(program)), patience_(control) {}

    // Towards a successor. `why_not`: empty, or what forbids it.
    void begin(std::string why_not);
    bool in_progress() const { return in_progress_; }
    bool relieved() const { return relieved_; } // by a successor that serves
    void end_successor(const std::string& why); // where it does not serve yet

    // Towards a predecessor.
    bool succeeds() const { return succeeds_; }
    void relieve_predecessor(); // as soon as somebody serves in its place
    void end();                 // it is not waited for any more
    // One that still waits for us goes on serving: the files of the sockets are its own.
    static void leave_to_predecessor();

private:
    void ended(int pid, const std::string& why_not);
    void look(Instant deadline);

    boost::asio::io_context& control_;
    Program program_;
    Successor successor_;
    boost::asio::steady_timer patience_;
    bool in_progress_ = false, relieved_ = false;
    bool given_up_ = false; // what there was to wait for
    bool ends_it_ = false;  // the successor, before it serves
    // At first: it may end before we have started, and its sockets are to be closed all the same.
    const bool succeeds_ = has_predecessor();
};

// What would be lost with this process, though its sockets live on. Empty: nothing.
std::string why_not_hand_over(const config::Config& config);

} // namespace plimsoll
