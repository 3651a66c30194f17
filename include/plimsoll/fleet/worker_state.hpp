// The life of one generation of a worker.
//
//   starting --announced--> warming --answered--> serving <--> suspect        takes requests: serving, suspect
//                                                    |            |
//                                     draining <-----'------------'            undrain leads back to serving
//                                        |
//                                    capturing --> ending --> gone             gone: its successor is `starting`
//                                                    '--> stuck --> gone       stuck: even SIGKILL did not end it
//   from anywhere: failed (it died by itself) --> gone
#pragma once

#include <cstdint>
#include <string_view>

namespace plimsoll {

enum class WorkerState : std::uint8_t {
    starting,
    warming,
    serving,
    suspect,
    draining,
    capturing,
    ending,
    stuck,
    failed,
    gone
};

std::string_view to_string(WorkerState state);
bool takes_requests(WorkerState state);
// The arrows of the diagram above. A state does not follow itself.
bool may_follow(WorkerState from, WorkerState to);

} // namespace plimsoll
