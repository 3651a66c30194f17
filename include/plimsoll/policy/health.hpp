// Whether a worker that takes requests should go on taking them, by what it answers when it is asked how it feels.
//
//   healthy --`fall` checks in a row failed--> ailing --`rise` in a row passed--> healthy
//
// Three things can be seen of a worker besides a check that passed, and they are no proof of the same:
//   refused     it answered, and not as expected: the application itself says that it is not well
//   unanswered  no answer in time, no connection: it may be gone, or only busy
//   served      nobody asked, since it had no slot free, but a request of a client was answered meanwhile
// `served` takes back what silence had proved: a row of unanswered checks ends, and a worker that went for its silence
// rises by it. It never contradicts an application that says it is not well. A check that was skipped with nothing served
// proves nothing and is not told here: a worker whose only slot is held by a long request is busy, not ill.
//
// Who is ailing is out of service only while enough others are left: the gate decides (gate.hpp), since it sees them.
#pragma once

#include <cstdint>
#include <string_view>

namespace plimsoll {

class Health {
public:
    enum class Seen : std::uint8_t { passed, refused, unanswered, served };
    struct Settings {
        unsigned rise = 2, fall = 3; // at least 1
        friend bool operator==(const Settings&, const Settings&) = default;
    };

    // True: it fell or rose by this.
    bool record(const Settings& settings, Seen seen) {
        const bool counts = seen != Seen::served || last_failure_ != Seen::refused;
        if (!counts) return false;
        const bool good = seen == Seen::passed || seen == Seen::served;
        if (!good) last_failure_ = seen;
        if (good == healthy_) {
            row_ = 0;
            if (good) last_failure_ = Seen::passed;
            return false;
        }
        if (++row_ < (healthy_ ? settings.fall : settings.rise)) return false;
        healthy_ = !healthy_;
        row_ = 0;
        if (healthy_) last_failure_ = Seen::passed;
        return true;
    }
    bool healthy() const { return healthy_; }
    unsigned row() const { return row_; } // checks in a row that speak against what it is taken for

private:
    bool healthy_ = true;
    unsigned row_ = 0;
    Seen last_failure_ = Seen::passed; // since it was well; passed: none
};

} // namespace plimsoll
