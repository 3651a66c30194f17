// Incidents in SQLite (WAL) with their files beside it: DIR/incidents.db and DIR/incidents/ID/NAME, files 0600.
// Survives a crash at any point: what was in flight is closed as abandoned, with the reason, at the next open.
//
// Open incidents live in memory and are written through, each change one transaction; what could not be written (no
// space, no directory, another Plimsoll there) stays in memory, bounded, and is written when that has passed. Files are
// whole or absent, and a directory's listing is the only list of them, so that an operator's own files count too.
//
// Blocking calls: the fleet runs them on its small thread pool; all members are safe to call from several threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plimsoll/core/bytes.hpp"

namespace plimsoll::store {

using WallTime = std::chrono::system_clock::time_point;

struct TimelineEntry {
    WallTime at{};
    std::string event; // "drained in 41 ms", one line for a human
};
struct FileEntry {
    std::string name;
    Bytes size;
};
struct Incident {
    std::string id; // "i-000042"; "m-1764022547-1" where the store was out of reach
    std::string pool, worker;
    unsigned generation = 1;
    WallTime opened_at{};
    std::optional<WallTime> closed_at;
    std::string state;          // open, closed, abandoned
    std::string trigger;        // soft_limit, hard_limit, futile_shedding, operator, leak, death, capture
    std::string verdict;        // one sentence for a human
    std::string capture_status; // none, running, done, partial, failed, refused, removed (by age or size)
    std::string details = "{}"; // JSON: routes, lines, types, retainers, recycle{...}
    std::vector<TimelineEntry> timeline;
    std::vector<FileEntry> files;
};

class IncidentStore {
public:
    struct Settings {
        std::string path;
        Bytes max_size = {1LL << 30}; // all captures; the oldest closed ones go first
        std::chrono::seconds max_age = std::chrono::hours{24 * 30};
        std::chrono::seconds clock_settles = std::chrono::hours{1}; // before it, none goes by age (age_clock.hpp)
        std::size_t max_incidents = 10'000; // a worker that dies every second must not fill the disk
        Bytes min_free = {64 << 20};        // less space on the disk: captures are refused
        std::size_t max_unwritten = 1'000;  // closed incidents kept in memory while they cannot be written
        std::chrono::milliseconds retry_pause = std::chrono::seconds{5}; // between attempts to write again
        std::chrono::seconds sweep_pause =
            std::chrono::hours{1}; // it sweeps by itself when opened and when something closes
    };
    // A directory that cannot be made or written, or a database that cannot be opened: the store works in memory only
    // and problem() says why. Serving never depends on it.
    explicit IncidentStore(Settings settings);
    ~IncidentStore();
    std::string problem() const;                // why it works in memory only, now; empty: it does not
    std::vector<std::string> warnings() const;  // what the last open had to mend: a damaged database moved aside
    std::vector<std::string> abandoned() const; // ids closed as abandoned by this open

    std::string open(const std::string& pool, const std::string& worker, unsigned generation,
                     const std::string& trigger, const std::string& verdict);
    void note(const std::string& id, const std::string& event);
    void set_verdict(const std::string& id, const std::string& verdict);
    void set_capture_status(const std::string& id, const std::string& status);
    void set_details(const std::string& id, const std::string& json);
    void close(const std::string& id, const std::string& state = "closed");
    // Its story goes on: it is open again, as it was. Nothing where it is not known any more.
    std::optional<Incident> reopen(const std::string& id);

    // Empty: written. Else the reason: no space, over its bound, a bad name.
    std::string add_file(const std::string& id, const std::string& name, std::string_view content);
    std::string append_file(const std::string& id, const std::string& name, std::string_view content);
    std::optional<std::string> read_file(const std::string& id, const std::string& name) const;
    std::string directory(const std::string& id) const; // where an operator's own command may write; made on demand
    std::string why_no_capture() const;                 // empty: there is space

    std::optional<Incident> get(const std::string& id) const;
    std::vector<Incident> list(std::size_t limit,
                               const std::string& pool = {}) const; // newest first, without timelines
    void sweep(); // applies the bounds; never touches an open incident
    std::uint64_t count() const;

    struct Opened {
        std::string pool, trigger;
        std::uint64_t count = 0;
    };
    std::vector<Opened> opened() const; // by this process, for metrics
    std::uint64_t forgotten() const;    // incidents lost because they could not be written in time

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace plimsoll::store
