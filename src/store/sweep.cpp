#include "store/sweep.hpp"

#include <map>
#include <set>

namespace plimsoll::store {

Bytes sweep(Database& database, const Files& files, const IncidentStore::Settings& settings, Bytes room, bool by_age,
            const std::function<bool(const std::string& id)>& busy) {
    const auto now = std::chrono::system_clock::now();
    const auto rows = database.oldest_first();
    const auto too_old = [&](auto since) { return by_age && now - since > settings.max_age; };
    const auto may_go = [&](const Database::Row& row) { return row.closed_at && !busy(row.id); };

    // The row goes first: a crash in between leaves a directory without a row, which goes by its own age below.
    std::set<std::string> known;
    auto count = rows.size();
    for (const auto& row : rows) {
        const bool due = may_go(row) && (too_old(*row.closed_at) || count > settings.max_incidents);
        if (due && database.remove(row.id).empty()) {
            files.remove(row.id);
            --count;
        } else {
            known.insert(row.id);
        }
    }

    Bytes total;
    std::map<std::string, Bytes> sizes;
    for (const auto& kept : files.kept()) {
        if (!known.contains(kept.id) && !busy(kept.id) && too_old(kept.changed))
            files.remove(kept.id);
        else
            total = total + (sizes[kept.id] = kept.size);
    }
    for (const auto& row : rows) {
        if (total + room <= settings.max_size) break;
        const auto size = sizes.find(row.id);
        if (size == sizes.end() || !known.contains(row.id) || !may_go(row)) continue;
        auto incident = database.load(row.id);
        if (!incident) continue;
        incident->capture_status = "removed";
        incident->timeline.push_back({now, "evidence of " + to_string(size->second) + " removed: [store] max_size is " +
                                               to_string(settings.max_size)});
        if (!database.save(*incident).empty()) continue;
        files.remove(row.id);
        total = total - size->second;
    }
    return total;
}

} // namespace plimsoll::store
