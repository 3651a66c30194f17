#include "store/incident_store.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>

#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "store/age_clock.hpp"
#include "store/database.hpp"
#include "store/directory_lock.hpp"
#include "store/files.hpp"
#include "store/sweep.hpp"
#include "store/utf8.hpp"

namespace plimsoll::store {
namespace {

constexpr std::string_view was_left = "abandoned: Plimsoll ended while this was open";
constexpr std::size_t max_event = 4 << 10, max_timeline = 1000, kept_from_start = 200, max_details = 4 << 20;

std::uint64_t number_in(const std::string& id) {
    unsigned long long number = 0;
    return std::sscanf(id.c_str(), "i-%llu", &number) == 1 ? number : 0;
}

bool is_json_object(const std::string& text) {
    boost::system::error_code error;
    const auto value = boost::json::parse(text, error);
    return !error && value.is_object();
}

// How it began and what came last are worth more than what lies between.
void add_note(Incident& incident, std::string_view event) {
    auto& timeline = incident.timeline;
    if (timeline.size() >= max_timeline) {
        timeline[kept_from_start].event = "(more was noted here than is kept)";
        timeline.erase(timeline.begin() + kept_from_start + 1);
    }
    timeline.push_back({std::chrono::system_clock::now(), valid_utf8(event, max_event)});
}

} // namespace

struct IncidentStore::Impl {
    struct Live {
        Incident incident;
        bool written = false;     // as it is now
        bool in_database = false; // in some state
    };

    explicit Impl(Settings s) : settings(std::move(s)), files(settings.path + "/incidents") {}

    Settings settings;
    AgeClock age_clock{settings.clock_settles};
    Files files;
    DirectoryLock lock;
    mutable std::mutex mutex;           // of everything below
    std::unique_ptr<Database> database; // null: memory only
    std::map<std::string, Live> live;   // all open ones, and those that could not be written yet
    std::string problem;
    std::vector<std::string> warnings, abandoned;
    std::map<std::pair<std::string, std::string>, std::uint64_t> opened;
    std::uint64_t next_number = 0, next_unnumbered = 1, forgotten = 0; // next_number 0: the database was never seen
    std::chrono::steady_clock::time_point retry_at{}, sweep_at{};
    Bytes kept_size;

    std::string open_directory() {
        std::error_code error;
        if (std::filesystem::create_directories(settings.path, error)) ::chmod(settings.path.c_str(), 0700);
        if (error) return settings.path + ": " + error.message() + ": create it, or choose another [store] path";
        if (auto why = lock.take(settings.path); !why.empty()) return why;
        if (auto why = files.prepare(); !why.empty()) return why;
        std::string why;
        database = Database::open(settings.path + "/incidents.db", why, warnings);
        if (!database) return why;

        next_number = std::max(next_number, database->last_number() + 1);
        kept_size = {};
        for (const auto& kept :
             files.kept()) { // a directory may be known where its row is not: the database was damaged
            next_number = std::max(next_number, number_in(kept.id) + 1);
            kept_size = kept_size + kept.size;
        }
        return {};
    }

    // What a Plimsoll before us left open: nobody works on it any more.
    void abandon_orphans() {
        for (auto& incident : database->still_open()) {
            if (live.contains(incident.id)) continue;
            incident.state = "abandoned";
            incident.closed_at = std::chrono::system_clock::now();
            if (incident.capture_status == "running")
                incident.capture_status = files.list(incident.id).empty() ? "failed" : "partial";
            add_note(incident, std::string(was_left));
            abandoned.push_back(incident.id);
            const auto kept = live.insert_or_assign(abandoned.back(), Live{std::move(incident), false, true}).first;
            write(kept->second);
        }
        forget_written();
    }

    // Tries again what failed, now and then: space comes back, and the other Plimsoll ends.
    void heal() {
        if (database && problem.empty()) return;
        const auto now = std::chrono::steady_clock::now();
        if (now < retry_at) return;
        retry_at = now + settings.retry_pause;
        if (!database) {
            problem = open_directory();
            if (!problem.empty()) {
                database.reset();
                return;
            }
            abandon_orphans();
            sweep({});
        }
        database->checkpoint();
        problem.clear();
        for (auto& [id, one] : live) {
            if (!one.written) write(one);
            if (!problem.empty()) return;
        }
        forget_written();
    }

    void write(Live& one) {
        one.written = false;
        if (!database) return;
        if (const auto why = database->save(one.incident); !why.empty()) {
            problem = settings.path + "/incidents.db: " + why;
            retry_at = std::chrono::steady_clock::now() + settings.retry_pause;
            if (!database->damaged()) return;
            database.reset(); // the next attempt moves it aside, and all that is alive goes into the new one
            for (auto& [id, other] : live) other.written = other.in_database = false;
            return;
        }
        one.written = one.in_database = true;
    }

    // Closed and written: the database has it. Closed and not to be written: kept within the bound, the oldest go.
    void forget_written() {
        std::size_t unwritten = 0;
        for (auto it = live.begin(); it != live.end();) {
            const bool closed = it->second.incident.closed_at.has_value();
            if (closed && !it->second.written) ++unwritten;
            it = closed && it->second.written ? live.erase(it) : std::next(it);
        }
        while (unwritten > settings.max_unwritten) {
            auto oldest = live.end();
            for (auto it = live.begin(); it != live.end(); ++it)
                if (it->second.incident.closed_at &&
                    (oldest == live.end() || it->second.incident.opened_at < oldest->second.incident.opened_at))
                    oldest = it;
            live.erase(oldest);
            ++forgotten;
            --unwritten;
        }
    }

    std::optional<Incident> find(const std::string& id) const {
        if (const auto it = live.find(id); it != live.end()) return it->second.incident;
        return database && is_name(id) ? database->load(id) : std::nullopt;
    }

    template <class Change>
    void change(const std::string& id, Change apply) {
        const std::lock_guard guard(mutex);
        heal();
        auto it = live.find(id);
        if (it == live.end()) {
            auto closed = find(id);
            if (!closed) return;
            it = live.emplace(id, Live{std::move(*closed), true, true}).first;
        }
        apply(it->second.incident);
        write(it->second);
        forget_written();
    }

    std::string why_no_capture() {
        heal();
        if (!problem.empty()) return problem;
        const auto free = files.free_space();
        if (free && *free < settings.min_free)
            return "only " + to_string(*free) + " are free in " + settings.path + ", and " +
                   to_string(settings.min_free) + " are kept free: make space there";
        return {};
    }

    // Before a file is written: may it be?
    std::string why_no_file(const std::string& id, const std::string& name, Bytes size) {
        if (!is_name(name))
            return "\"" + name + "\" is no file name: letters, digits, '.', '-' and '_', not beginning with '.'";
        if (!find(id)) return id + ": no such incident";
        if (auto why = why_no_capture(); !why.empty()) return why;
        if (kept_size + size > settings.max_size) sweep(size);
        if (kept_size + size > settings.max_size)
            return "captures take " + to_string(kept_size) + " of [store] max_size " + to_string(settings.max_size);
        kept_size = kept_size + size;
        return {};
    }

    // The writing itself is done without the lock: a slow disk must not hold up the notes of others.
    std::string put(std::string (Files::*write_file)(const std::string&, const std::string&, std::string_view) const,
                    const std::string& id, const std::string& name, std::string_view content) {
        const Bytes size{static_cast<std::int64_t>(content.size())};
        {
            const std::lock_guard guard(mutex);
            if (auto why = why_no_file(id, name, size); !why.empty()) return why;
        }
        auto why = (files.*write_file)(id, name, content);
        if (!why.empty()) {
            const std::lock_guard guard(mutex);
            kept_size = kept_size - size;
        }
        return why;
    }

    void sweep(Bytes room) {
        if (!database) return;
        const auto now = std::chrono::steady_clock::now();
        sweep_at = now + settings.sweep_pause;
        const bool by_age = age_clock.believed(now, std::chrono::system_clock::now());
        kept_size = store::sweep(*database, files, settings, room, by_age,
                                 [&](const std::string& id) { return live.contains(id); });
    }
};

IncidentStore::IncidentStore(Settings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {
    const std::lock_guard guard(impl_->mutex);
    impl_->heal();
}
IncidentStore::~IncidentStore() = default;

std::string IncidentStore::problem() const {
    const std::lock_guard guard(impl_->mutex);
    return impl_->problem;
}

std::vector<std::string> IncidentStore::warnings() const {
    const std::lock_guard guard(impl_->mutex);
    return impl_->warnings;
}

std::vector<std::string> IncidentStore::abandoned() const {
    const std::lock_guard guard(impl_->mutex);
    return impl_->abandoned;
}

std::string IncidentStore::open(const std::string& pool, const std::string& worker, unsigned generation,
                                const std::string& trigger, const std::string& verdict) {
    const std::lock_guard guard(impl_->mutex);
    impl_->heal();
    Incident incident;
    incident.opened_at = std::chrono::system_clock::now();
    char id[64];
    if (impl_->next_number != 0)
        std::snprintf(id, sizeof id, "i-%06llu", static_cast<unsigned long long>(impl_->next_number++));
    else // the numbers that are taken are not known: an id that cannot be one of them
        std::snprintf(id, sizeof id, "m-%lld-%llu",
                      static_cast<long long>(std::chrono::system_clock::to_time_t(incident.opened_at)),
                      static_cast<unsigned long long>(impl_->next_unnumbered++));
    incident.id = id;
    incident.pool = pool;
    incident.worker = worker;
    incident.generation = generation;
    incident.state = "open";
    incident.trigger = trigger;
    incident.verdict = valid_utf8(verdict, max_event);
    incident.capture_status = "none";
    ++impl_->opened[{pool, trigger}];
    impl_->write(impl_->live[id] = {std::move(incident), false, false});
    return id;
}

void IncidentStore::note(const std::string& id, const std::string& event) {
    impl_->change(id, [&](Incident& incident) { add_note(incident, event); });
}

void IncidentStore::set_verdict(const std::string& id, const std::string& verdict) {
    impl_->change(id, [&](Incident& incident) { incident.verdict = valid_utf8(verdict, max_event); });
}

void IncidentStore::set_capture_status(const std::string& id, const std::string& status) {
    impl_->change(id, [&](Incident& incident) { incident.capture_status = status; });
}

void IncidentStore::set_details(const std::string& id, const std::string& json) {
    impl_->change(id, [&](Incident& incident) {
        if (json.size() > max_details)
            add_note(incident, "details left out: too large");
        else if (!is_json_object(json))
            add_note(incident, "details left out: no JSON object");
        else
            incident.details = json;
    });
}

void IncidentStore::close(const std::string& id, const std::string& state) {
    impl_->change(id, [&](Incident& incident) {
        if (incident.closed_at) return; // the first word counts
        incident.state = state;
        incident.closed_at = std::chrono::system_clock::now();
    });
    const std::lock_guard guard(impl_->mutex);
    if (std::chrono::steady_clock::now() >= impl_->sweep_at) impl_->sweep({});
}

std::optional<Incident> IncidentStore::reopen(const std::string& id) {
    std::optional<Incident> found;
    impl_->change(id, [&](Incident& incident) {
        // It was not given up after all: whoever goes on with it says so.
        if (incident.state == "abandoned" && !incident.timeline.empty() && incident.timeline.back().event == was_left)
            incident.timeline.pop_back();
        incident.state = "open";
        incident.closed_at.reset();
        found = incident;
    });
    return found;
}

std::string IncidentStore::add_file(const std::string& id, const std::string& name, std::string_view content) {
    return impl_->put(&Files::write, id, name, content);
}

std::string IncidentStore::append_file(const std::string& id, const std::string& name, std::string_view content) {
    return impl_->put(&Files::append, id, name, content);
}

std::optional<std::string> IncidentStore::read_file(const std::string& id, const std::string& name) const {
    {
        const std::lock_guard guard(impl_->mutex);
        if (!is_name(name) || !impl_->find(id)) return std::nullopt;
    }
    return impl_->files.read(id, name);
}

std::string IncidentStore::directory(const std::string& id) const {
    const std::lock_guard guard(impl_->mutex);
    if (!impl_->database || !impl_->find(id)) return {};
    return impl_->files.make_directory(id).empty() ? impl_->files.directory(id) : "";
}

std::string IncidentStore::why_no_capture() const {
    const std::lock_guard guard(impl_->mutex);
    return impl_->why_no_capture();
}

std::optional<Incident> IncidentStore::get(const std::string& id) const {
    std::optional<Incident> incident;
    {
        const std::lock_guard guard(impl_->mutex);
        incident = impl_->find(id);
    }
    if (incident) incident->files = impl_->files.list(id);
    return incident;
}

std::vector<Incident> IncidentStore::list(std::size_t limit, const std::string& pool) const {
    std::vector<Incident> incidents;
    {
        const std::lock_guard guard(impl_->mutex);
        if (impl_->database) incidents = impl_->database->newest(limit, pool);
        std::erase_if(incidents, [&](const Incident& incident) { return impl_->live.contains(incident.id); });
        for (const auto& [id, one] : impl_->live)
            if (pool.empty() || one.incident.pool == pool) incidents.push_back(one.incident);
    }
    std::sort(incidents.begin(), incidents.end(), [](const Incident& a, const Incident& b) {
        return a.opened_at != b.opened_at ? a.opened_at > b.opened_at : a.id > b.id;
    });
    if (incidents.size() > limit) incidents.resize(limit);
    for (auto& incident : incidents) {
        incident.timeline.clear();
        incident.files = impl_->files.list(incident.id);
    }
    return incidents;
}

void IncidentStore::sweep() {
    const std::lock_guard guard(impl_->mutex);
    impl_->heal();
    impl_->sweep({});
}

std::uint64_t IncidentStore::count() const {
    const std::lock_guard guard(impl_->mutex);
    const auto only_live =
        std::count_if(impl_->live.begin(), impl_->live.end(), [](const auto& one) { return !one.second.in_database; });
    return (impl_->database ? impl_->database->count() : 0) + static_cast<std::uint64_t>(only_live);
}

std::vector<IncidentStore::Opened> IncidentStore::opened() const {
    const std::lock_guard guard(impl_->mutex);
    std::vector<Opened> all;
    for (const auto& [key, count] : impl_->opened) all.push_back({key.first, key.second, count});
    return all;
}

std::uint64_t IncidentStore::forgotten() const {
    const std::lock_guard guard(impl_->mutex);
    return impl_->forgotten;
}

} // namespace plimsoll::store
