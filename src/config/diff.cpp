#include <algorithm>

#include "config/listing.hpp"
#include "config/parse.hpp"

namespace plimsoll::config {
namespace {

const Group* find(const std::vector<Group>& groups, const std::string& name) {
    auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& group) { return group.name == name; });
    return found == groups.end() ? nullptr : &*found;
}

const Entry* find(const std::vector<Entry>& entries, const std::string& key) {
    auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.key == key; });
    return found == entries.end() ? nullptr : &*found;
}

std::string full_key(const Group& group, const std::string& key) {
    return group.name.empty() ? key : group.name + "." + key;
}

// Routes, listeners and pools come and go live.
bool is_route(const Group& group) { return group.name.starts_with("route."); }
bool comes_live(const Group& group) {
    return is_route(group) || group.name.starts_with("listener.") || group.name.starts_with("pool.");
}

Change changed(const Group& group, const Entry& before, const Entry& after) {
    bool both_hidden = before.shown == after.shown;
    return {full_key(group, after.key), before.shown, both_hidden ? "(hidden, another one)" : after.shown, after.live};
}

void compare(const Group& before, const Group& after, std::vector<Change>& changes) {
    for (const auto& entry : after.entries) {
        const auto* old = find(before.entries, entry.key);
        if (old == nullptr)
            changes.push_back({full_key(after, entry.key), "absent", entry.shown, entry.live});
        else if (old->value != entry.value)
            changes.push_back(changed(after, *old, entry));
    }
    for (const auto& entry : before.entries)
        if (find(after.entries, entry.key) == nullptr)
            changes.push_back({full_key(after, entry.key), entry.shown, "absent", entry.live});
}

// The first match wins, so the order of the routes that both have is a setting of its own.
std::string order_of_routes(const std::vector<Group>& groups, const std::vector<Group>& others) {
    std::string order;
    for (const auto& group : groups)
        if (is_route(group) && find(others, group.name) != nullptr)
            order += (order.empty() ? "" : ", ") + group.name.substr(group.name.find('.') + 1);
    return order;
}

} // namespace

std::string to_string(const Change& change) {
    return change.key + ": " + change.before + " -> " + change.after + (change.live ? "" : " (needs a restart)");
}

std::vector<Change> diff(const Config& before, const Config& after) {
    auto old_groups = listing(before), new_groups = listing(after);
    std::vector<Change> changes;
    for (const auto& group : new_groups) {
        const auto* old = find(old_groups, group.name);
        if (old != nullptr)
            compare(*old, group, changes);
        else
            changes.push_back({group.name, "absent", "present", comes_live(group)});
    }
    for (const auto& group : old_groups)
        if (find(new_groups, group.name) == nullptr)
            changes.push_back({group.name, "present", "absent", comes_live(group)});
    auto old_order = order_of_routes(old_groups, new_groups), new_order = order_of_routes(new_groups, old_groups);
    if (old_order != new_order) changes.push_back({"route order", old_order, new_order, true});
    return changes;
}

} // namespace plimsoll::config
