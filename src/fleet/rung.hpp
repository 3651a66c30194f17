// A step of a ladder of signals: each is sent where the one before it did not end the process in time.
#pragma once

namespace plimsoll::fleet {

struct Rung {
    int signal;
    const char* name;
};

} // namespace plimsoll::fleet
