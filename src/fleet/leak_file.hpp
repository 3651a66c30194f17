// What a pool's detectors have learned, in STORE/leaks-POOL.json: the next life of the program knows a cache from a leak at
// once. Written on the thread pool, in order, whole or not at all; a file that is damaged, of another version or of another
// application says nothing.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "fleet/leak_watch.hpp"

namespace plimsoll::fleet {

struct LeakMemory {
    struct Entry { // of one watched thing
        std::vector<leak::AgeCurve> curves;
        std::string incident; // the open one
        double accused_age = 0;
        unsigned recycles = 0;
    };
    std::string fingerprint;
    std::array<Entry, all_watched.size()> entries;
};
std::string to_text(const LeakMemory& memory);
// Empty where the text is not such a file, or of another application.
LeakMemory leak_memory_of(const std::string& text, const std::string& fingerprint);

struct LeakWatch::File {
    File(const Context& context, const std::string& pool);
    LeakMemory read(const std::string& fingerprint) const; // blocking
    void write(const LeakMemory& memory);

private:
    struct Desk;
    std::shared_ptr<Desk> desk_;
};

} // namespace plimsoll::fleet
