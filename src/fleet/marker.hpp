// A recycle in flight, written down beside the incidents, so that a Plimsoll that was killed in the middle of one finds out
// at its next start what it left behind.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "fleet/context.hpp"

namespace plimsoll::fleet {

struct LeftOver {
    std::string incident, worker, stage; // evidence, successor, draining, ending
    unsigned generation = 1;
    int pid = 0, server = 0; // of the victim as its agent says, and of its parent
    double started_at = 0;   // unix seconds, as its agent says
    double marked_at = 0;    // unix seconds: when the recycle began
};

class Marker {
public:
    Marker(Context& context, std::string pool);
    void write(const LeftOver& what); // on the thread pool, in order; a full disk is logged, no more
    void erase();
    static std::optional<LeftOver> read(const Context& context, const std::string& pool);

private:
    struct Desk;
    std::shared_ptr<Desk> desk_;
};

} // namespace plimsoll::fleet
