#include "fleet/death.hpp"

#include <csignal>

namespace plimsoll::fleet {

Death explain_death(const std::string& worker, const std::string& process, const std::optional<Exit>& exit,
                    const std::optional<sense::Cgroup>& before, const std::optional<sense::Cgroup>& after,
                    std::optional<Bytes> memory, unsigned in_flight) {
    Death death;
    const bool killed = !exit || !exit->code; // a process that exited with a code was not killed by the kernel
    const bool same_group = before && after && before->path == after->path;
    death.out_of_memory = killed && (!exit || !exit->signal || *exit->signal == SIGKILL) && same_group &&
                          before->oom_kills && after->oom_kills && *after->oom_kills > *before->oom_kills;
    const std::string cause = exit ? exit->text() : "cause unknown";
    death.verdict = worker + " (" + process + ") died: " + cause;
    if (death.out_of_memory) {
        death.verdict += ", killed by the kernel because its cgroup was out of memory";
        if (after->limit) death.verdict += " (limit " + to_string(*after->limit) + ")";
    }
    if (memory) death.verdict += "; it last used " + to_string(*memory);
    death.verdict += in_flight == 0   ? "; no request was in flight"
                     : in_flight == 1 ? "; 1 request was in flight"
                                      : "; " + std::to_string(in_flight) + " requests were in flight";
    return death;
}

} // namespace plimsoll::fleet
