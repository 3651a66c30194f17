#include "handover.hpp"

#include <utility>

#include <unistd.h>

#include "log/log.hpp"
#include "net/heirlooms.hpp"

namespace plimsoll {

namespace {

// A successor has so long to find its workers, and a little more to say so.
constexpr Duration takeover_bound = std::chrono::seconds{20}, handover_bound = std::chrono::seconds{30};
constexpr Duration look_interval = std::chrono::milliseconds{20};

} // namespace

std::string why_not_hand_over(const config::Config& config) {
    if (::getpid() == 1) return "it is process 1 of a container, which ends with it: start a new container instead";
    for (const config::Pool& pool : config.pools)
        if (pool.source.kind != config::SourceKind::static_addresses)
            return "the workers of pool " + pool.name + " belong to this process (kind \"" +
                   std::string(config::to_string(pool.source.kind)) +
                   "\") and would end with it: restart Plimsoll, or give them to a supervisor of their own and use "
                   "kind \"static\"";
    return {};
}

void Handover::begin(std::string why_not) {
    if (why_not.empty() && in_progress_) why_not = "a successor is starting already";
    if (why_not.empty())
        why_not = successor_.start(control_, handover_bound,
                                   [this](int pid, const std::string& failure) { ended(pid, failure); });
    if (!why_not.empty()) return log::error("handover_refused", {{"why", why_not}});
    in_progress_ = true;
    ends_it_ = false;
    log::info("handover_started", {});
}

void Handover::end_successor(const std::string& why) {
    ends_it_ = true;
    successor_.end(why);
}

void Handover::ended(int pid, const std::string& why_not) {
    in_progress_ = false;
    if (pid == 0)
        return log::error(
            "handover_failed",
            {{"why", why_not}, {"effect", ends_it_ ? "the successor was ended, too" : "this process serves on"}});
    log::info("handed_over", {{"to", pid}});
    net::Heirlooms::of_this_process().pass_on();
    notify_supervisor("MAINPID=" + std::to_string(pid));
    relieved_ = true;
    program_.relieved();
}

void Handover::relieve_predecessor() { look(Clock::now() + takeover_bound); }

void Handover::end() {
    given_up_ = true;
    patience_.cancel();
}

void Handover::look(Instant deadline) {
    if (given_up_) return;
    const bool alone = !has_predecessor(); // it has ended meanwhile: nobody is left who could serve on
    if (alone || program_.ready()) {
        net::Heirlooms::of_this_process().close_rest();
        program_.accept();
        return tell_predecessor();
    }
    if (Clock::now() >= deadline)
        return program_.give_up("not every pool had a worker that answers in time, so its predecessor serves on");
    patience_.expires_after(look_interval);
    patience_.async_wait([this, deadline](boost::system::error_code error) {
        if (!error) look(deadline);
    });
}

void Handover::leave_to_predecessor() {
    if (has_predecessor()) net::Heirlooms::of_this_process().pass_on();
}

} // namespace plimsoll
