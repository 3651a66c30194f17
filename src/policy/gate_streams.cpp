// The gate's streams: answers without an end in sight (event streams, upgraded connections) of workers that serve many at once.
//
// Such a worker's slots are learned from how long its requests take. A stream takes as long as its client likes and nearly
// nothing of the worker: counted among them, eight open ones would be a full worker for as long as they last, and the length of
// each would be learned as slowness. So it leaves as soon as it is known for what it is; a bound keeps their number.
#include "plimsoll/policy/adaptive_limit.hpp"
#include "plimsoll/policy/gate.hpp"

namespace plimsoll {

bool Gate::become_stream(Instant now, WorkerKey worker, const Departure& departure, Events& events) {
    Member* member = roster_.find(worker);
    if (!member || member->in_flight == 0) return false;
    if (!member->adaptive || member->streams >= settings_.most_streams) {
        judge_probe(now, *member, departure, events);
        return false;
    }
    ++member->streams;
    Departure begun = departure;
    begun.took = {};
    depart(now, worker, begun, events);
    return true;
}

void Gate::end_stream(WorkerKey worker) {
    Member* member = roster_.find(worker);
    if (!member || member->streams == 0) return;
    --member->streams;
    if (member->removed && member->empty()) erase(*member);
}

unsigned Gate::streams(WorkerKey worker) const {
    const Member* found = roster_.find(worker);
    return found ? found->streams : 0;
}

} // namespace plimsoll
