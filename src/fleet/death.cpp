#include "fleet/death.hpp"

#include <csignal>

namespace plimsoll::fleet {

Death explain_death(const std::string& worker, const std::string& process, const std::optional<Exit>& exit,
                    const std::optional<sense::Cgroup>& cgroup, std::optional<std::uint64_t> kills_now,
                    std::optional<Bytes> memory, unsigned in_flight) {
    Death death;
    // The kernel kills with SIGKILL; where the signal is not known the risen count speaks for itself.
    const bool unknown = !exit || (!exit->code && !exit->signal);
    const bool killed = unknown || exit->signal == SIGKILL;
    death.out_of_memory = killed && cgroup && cgroup->oom_kills && kills_now && *kills_now > *cgroup->oom_kills;
    death.verdict = worker + " (" + process + ") died: " + (exit ? exit->text() : "cause unknown");
    death.in_flight = in_flight;
    if (death.out_of_memory) {
        death.out_of_memory_kills = *kills_now;
        death.verdict += ", killed by the kernel because its cgroup was out of memory";
        if (cgroup->limit) death.verdict += " (limit " + to_string(*cgroup->limit) + ")";
    }
    if (memory) death.verdict += "; it last used " + to_string(*memory);
    death.verdict += in_flight == 0   ? "; no request was in flight"
                     : in_flight == 1 ? "; 1 request was in flight"
                                      : "; " + std::to_string(in_flight) + " requests were in flight";
    return death;
}

} // namespace plimsoll::fleet
