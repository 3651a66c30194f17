// What a pool's detectors have learned, in STORE/leaks-POOL.json, and what its requests need: the next life of the program knows
// a cache from a leak, and a heavy route from a light one, at once. Written on the thread pool, in order, whole or not at all; a
// file that is damaged, of another version or of another application says nothing.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "fleet/leak_watch.hpp"

namespace plimsoll::fleet {

struct LeakMemory {
    std::string fingerprint;
    std::array<LeakCase::Kept, all_watched.size()> cases;
    leak::DayLoad::Rates load = leak::DayLoad{}.rates();
    std::vector<net::Pool::Need> needs; // of labels that are known
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
