// The index in SQLite: one row an incident, each change one transaction.
//
// WAL with synchronous=NORMAL: a process that is killed at any point loses nothing that was committed, and a power cut
// can cost the last moments but never the database. FULL would buy those moments with an fsync for every line of a
// timeline, on the disk of a host that is in trouble already; and what it would tell about died with the host.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/incident_store.hpp"

struct sqlite3;

namespace plimsoll::store {

class Database {
public:
    // Null with the problem where it cannot be opened. A damaged file is moved aside with a warning, and a new one
    // begins; one of a newer Plimsoll is left alone.
    static std::unique_ptr<Database> open(const std::string& path, std::string& problem,
                                          std::vector<std::string>& warnings);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    std::string save(const Incident& incident); // inserts or replaces; empty, or why not
    bool damaged() const;                       // the last error was: the file is none of ours any more
    void checkpoint(); // gives the log's space back where it can: the first thing to try on a full disk
    std::optional<Incident> load(const std::string& id) const;
    std::vector<Incident> newest(std::size_t limit, const std::string& pool) const; // without timelines
    std::vector<Incident> still_open() const;
    std::string remove(const std::string& id);

    struct Row {
        std::string id;
        std::optional<WallTime> closed_at;
    };
    std::vector<Row> oldest_first() const;
    std::uint64_t count() const;
    std::uint64_t last_number() const; // of the ids "i-...", those of removed incidents too

private:
    class Statement;
    explicit Database(sqlite3* db) : db_(db) {}
    std::string prepare_schema();
    std::string run(const char* sql);
    int error_code() const;

    sqlite3* db_;
    bool damaged_ = false; // a check found it, where SQLite's own code says nothing
};

} // namespace plimsoll::store
