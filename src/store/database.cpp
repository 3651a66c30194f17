#include "store/database.hpp"

#include <cstdio>
#include <ctime>

#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <sqlite3.h>

namespace plimsoll::store {
namespace {

namespace json = boost::json;

constexpr int schema_version = 1;
constexpr auto schema =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE incidents (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, pool TEXT NOT NULL,"
    " worker TEXT NOT NULL, generation INTEGER NOT NULL, opened_at INTEGER NOT NULL, closed_at INTEGER,"
    " state TEXT NOT NULL, trigger TEXT NOT NULL, verdict TEXT NOT NULL, capture_status TEXT NOT NULL,"
    " details TEXT NOT NULL, timeline TEXT NOT NULL);"
    "CREATE INDEX incidents_by_time ON incidents (opened_at);"
    "CREATE INDEX incidents_by_pool ON incidents (pool, opened_at);"
    "PRAGMA user_version = 1;"
    "COMMIT;";
constexpr auto columns =
    "id, pool, worker, generation, opened_at, closed_at, state, trigger, verdict, capture_status, details";

bool is_damage(int code) { return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB; }

std::int64_t to_ms(WallTime at) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}
WallTime from_ms(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

std::string timeline_text(const std::vector<TimelineEntry>& timeline) {
    json::array entries;
    for (const auto& entry : timeline) entries.push_back(json::array{to_ms(entry.at), entry.event});
    return json::serialize(entries);
}

std::vector<TimelineEntry> timeline_of(std::string_view text) {
    std::vector<TimelineEntry> timeline;
    boost::system::error_code error;
    const auto entries = json::parse({text.data(), text.size()}, error);
    if (error || !entries.is_array()) return timeline;
    for (const auto& entry : entries.get_array()) {
        const auto* pair = entry.if_array();
        if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_int64() || !(*pair)[1].is_string()) continue;
        timeline.push_back({from_ms((*pair)[0].get_int64()), std::string((*pair)[1].get_string())});
    }
    return timeline;
}

std::optional<std::uint64_t> number_of(const std::string& id) {
    unsigned long long number = 0;
    char rest = 0;
    if (std::sscanf(id.c_str(), "i-%llu%c", &number, &rest) != 1) return std::nullopt;
    return number;
}

std::string stamp() {
    const auto now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
    return text;
}

std::string move_aside(const std::string& path) {
    std::string aside = path + ".damaged-" + stamp();
    for (const auto suffix : {"", "-wal", "-shm"})
        if (std::rename((path + suffix).c_str(), (aside + suffix).c_str()) != 0 && *suffix == '\0') return {};
    return aside;
}

} // namespace

// A prepared statement: bound left to right, stepped, finalised when it goes out of scope.
class Database::Statement {
public:
    Statement(sqlite3* db, const std::string& sql) : db_(db) {
        sqlite3_prepare_v2(db, sql.c_str(), -1, &statement_, nullptr);
    }
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(const std::string& text) {
        sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
        return *this;
    }
    Statement& bind(std::int64_t number) {
        sqlite3_bind_int64(statement_, ++bound_, number);
        return *this;
    }
    Statement& bind_null() {
        sqlite3_bind_null(statement_, ++bound_);
        return *this;
    }
    bool row() { return statement_ != nullptr && (code_ = sqlite3_step(statement_)) == SQLITE_ROW; }
    std::string finish() { // empty, or why not
        while (row()) {
        }
        return code_ == SQLITE_DONE ? "" : sqlite3_errmsg(db_);
    }
    int code() const { return code_; }
    bool null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
    std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
    std::string text(int column) const {
        const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
        return data == nullptr ? std::string()
                               : std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
    }
    Incident incident() const { // of `columns`
        Incident incident;
        incident.id = text(0);
        incident.pool = text(1);
        incident.worker = text(2);
        incident.generation = static_cast<unsigned>(number(3));
        incident.opened_at = from_ms(number(4));
        if (!null(5)) incident.closed_at = from_ms(number(5));
        incident.state = text(6);
        incident.trigger = text(7);
        incident.verdict = text(8);
        incident.capture_status = text(9);
        incident.details = text(10);
        return incident;
    }

private:
    sqlite3* db_;
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0, code_ = SQLITE_ERROR;
};

Database::~Database() { sqlite3_close(db_); }

std::string Database::run(const char* sql) {
    return sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? "" : sqlite3_errmsg(db_);
}

std::unique_ptr<Database> Database::open(const std::string& path, std::string& problem,
                                         std::vector<std::string>& warnings) {
    for (const bool first : {true, false}) {
        // Made here, because SQLite would make it readable by all; its -wal and -shm take the mode of the database.
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0) ::close(fd);
        sqlite3* handle = nullptr;
        sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
        std::unique_ptr<Database> database(new Database(handle));
        problem = database->prepare_schema();
        if (problem.empty()) return database;

        problem = path + ": " + problem;
        if (!first || !is_damage(database->error_code())) break;
        database.reset();
        const auto aside = move_aside(path);
        if (aside.empty()) break;
        warnings.push_back(problem + ": moved to " + aside + ", and a new one begins");
    }
    return nullptr;
}

std::string Database::prepare_schema() {
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, 2000);
    if (auto problem = run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 100;");
        !problem.empty())
        return problem;
    std::int64_t version = 0;
    {
        Statement check(db_, "PRAGMA quick_check(1)");
        if (!check.row()) return sqlite3_errmsg(db_);
        if (const auto found = check.text(0); found != "ok") {
            damaged_ = true;
            return "damaged: " + found;
        }
        Statement asked(db_, "PRAGMA user_version");
        if (!asked.row()) return sqlite3_errmsg(db_);
        version = asked.number(0);
    }
    if (version > schema_version)
        return "its schema is version " + std::to_string(version) + " and this Plimsoll knows " +
               std::to_string(schema_version) + ": start the newer Plimsoll, or choose another [store] path";
    if (version == schema_version) return {};
    auto problem = run(schema);
    if (!problem.empty() && sqlite3_get_autocommit(db_) == 0) run("ROLLBACK");
    return problem;
}

void Database::checkpoint() { run("PRAGMA wal_checkpoint(TRUNCATE)"); }

int Database::error_code() const { return damaged_ ? SQLITE_CORRUPT : sqlite3_errcode(db_); }
bool Database::damaged() const { return is_damage(error_code()); }

std::string Database::save(const Incident& incident) {
    const auto number = number_of(incident.id);
    const auto timeline = timeline_text(incident.timeline);
    Statement upsert(
        db_, "INSERT INTO incidents (seq, timeline, " + std::string(columns) +
                 ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                 " ON CONFLICT (id) DO UPDATE SET timeline = excluded.timeline, closed_at = excluded.closed_at,"
                 " state = excluded.state, verdict = excluded.verdict, capture_status = excluded.capture_status,"
                 " details = excluded.details");
    number ? upsert.bind(static_cast<std::int64_t>(*number)) : upsert.bind_null();
    upsert.bind(timeline).bind(incident.id).bind(incident.pool).bind(incident.worker);
    upsert.bind(static_cast<std::int64_t>(incident.generation)).bind(to_ms(incident.opened_at));
    incident.closed_at ? upsert.bind(to_ms(*incident.closed_at)) : upsert.bind_null();
    upsert.bind(incident.state)
        .bind(incident.trigger)
        .bind(incident.verdict)
        .bind(incident.capture_status)
        .bind(incident.details);
    return upsert.finish();
}

std::optional<Incident> Database::load(const std::string& id) const {
    Statement select(db_, "SELECT " + std::string(columns) + ", timeline FROM incidents WHERE id = ?");
    if (!select.bind(id).row()) return std::nullopt;
    auto incident = select.incident();
    incident.timeline = timeline_of(select.text(11));
    return incident;
}

std::vector<Incident> Database::newest(std::size_t limit, const std::string& pool) const {
    Statement select(db_, "SELECT " + std::string(columns) + " FROM incidents" +
                              (pool.empty() ? "" : " WHERE pool = ?") + " ORDER BY opened_at DESC, seq DESC LIMIT ?");
    if (!pool.empty()) select.bind(pool);
    select.bind(static_cast<std::int64_t>(limit));
    std::vector<Incident> incidents;
    while (select.row()) incidents.push_back(select.incident());
    return incidents;
}

std::vector<Incident> Database::still_open() const {
    Statement select(db_,
                     "SELECT " + std::string(columns) + ", timeline FROM incidents WHERE state = 'open' ORDER BY seq");
    std::vector<Incident> incidents;
    while (select.row()) {
        incidents.push_back(select.incident());
        incidents.back().timeline = timeline_of(select.text(11));
    }
    return incidents;
}

std::string Database::remove(const std::string& id) {
    return Statement(db_, "DELETE FROM incidents WHERE id = ?").bind(id).finish();
}

std::vector<Database::Row> Database::oldest_first() const {
    Statement select(db_, "SELECT id, closed_at FROM incidents ORDER BY opened_at, seq");
    std::vector<Row> rows;
    while (select.row()) {
        rows.push_back({select.text(0), {}});
        if (!select.null(1)) rows.back().closed_at = from_ms(select.number(1));
    }
    return rows;
}

std::uint64_t Database::count() const {
    Statement select(db_, "SELECT count(*) FROM incidents");
    return select.row() ? static_cast<std::uint64_t>(select.number(0)) : 0;
}

std::uint64_t Database::last_number() const {
    Statement select(db_, "SELECT seq FROM sqlite_sequence WHERE name = 'incidents'");
    return select.row() ? static_cast<std::uint64_t>(select.number(0)) : 0;
}

} // namespace plimsoll::store
