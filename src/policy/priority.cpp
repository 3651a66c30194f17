#include "plimsoll/policy/priority.hpp"

namespace plimsoll {

std::string_view to_string(Reason reason) {
    switch (reason) {
    case Reason::none: return "none";
    case Reason::rate: return "rate";
    case Reason::memory: return "memory";
    case Reason::breaker: return "breaker";
    case Reason::concurrency: return "concurrency";
    case Reason::queue_full: return "queue_full";
    case Reason::queue_timeout: return "queue_timeout";
    case Reason::deadline: return "deadline";
    case Reason::no_workers: return "no_workers";
    }
    return "unknown";
}

std::string_view to_string(Outcome outcome) {
    switch (outcome) {
    case Outcome::success: return "success";
    case Outcome::failure: return "failure";
    case Outcome::timeout: return "timeout";
    case Outcome::refused_upstream: return "refused_upstream";
    case Outcome::abandoned: return "abandoned";
    }
    return "unknown";
}

} // namespace plimsoll
