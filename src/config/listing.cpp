#include "config/listing.hpp"

#include <map>

#include "config/schema.hpp"
#include "config/values.hpp"

namespace plimsoll::config {
namespace {

// Names every key; of an array of tables it looks at one element.
class Namer {
public:
    Namer(std::string prefix, std::vector<std::string>& keys) : prefix_(std::move(prefix)), keys_(keys) {}
    template <class T>
    void operator()(std::string_view key, T&, const Rules& = {}) {
        keys_.push_back(prefix_ + std::string(key));
    }
    template <class Section>
    void section(std::string_view key, Section& section) {
        Namer inner(prefix_ + std::string(key) + ".", keys_);
        describe(inner, section);
    }
    template <class Element>
    void list(std::string_view key, std::vector<Element>&) {
        Element element;
        section(key, element);
    }

private:
    std::string prefix_;
    std::vector<std::string>& keys_;
};

std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(unsigned value) { return std::to_string(value); }
std::string text_of(double value) { return to_text(value); }
std::string text_of(const std::string& value) { return '"' + value + '"'; }
std::string text_of(Duration value) { return to_text(value); }
std::string text_of(Bytes value) { return to_text(value); }
std::string text_of(const Level& value) { return to_text(value); }
template <class Enum>
requires std::is_enum_v<Enum> std::string text_of(Enum value) { return std::string(name_of(value)); }
std::string text_of(const std::vector<std::string>& values) {
    std::string text;
    for (const auto& value : values) text += (text.empty() ? "" : ", ") + text_of(value);
    return "[" + text + "]";
}
std::string text_of(const std::vector<std::pair<std::string, std::string>>& values) {
    std::string text;
    for (const auto& [name, value] : values) text += (text.empty() ? "" : ", ") + name + " = " + text_of(value);
    return "{" + text + "}";
}
template <class T>
std::string text_of(const std::optional<T>& value) {
    return value ? text_of(*value) : "unset";
}

bool is_empty(const std::string& value) { return value.empty(); }
bool is_empty(const std::vector<std::pair<std::string, std::string>>& values) { return values.empty(); }
template <class T>
bool is_empty(const T&) {
    return false;
}

class Lister {
public:
    Lister(std::string prefix, std::vector<Entry>& entries) : prefix_(std::move(prefix)), entries_(entries) {}
    template <class T>
    void operator()(std::string_view key, T& member, const Rules& rules = {}) {
        bool hidden = rules.secret && !is_empty(member);
        auto text = text_of(member);
        entries_.push_back({prefix_ + std::string(key), text, hidden ? "(hidden)" : text, rules.live});
    }
    template <class Section>
    void section(std::string_view key, Section& section) {
        Lister inner(prefix_ + std::string(key) + ".", entries_);
        describe(inner, section);
    }
    template <class Element>
    void list(std::string_view key, std::vector<Element>& elements) {
        for (std::size_t i = 0; i < elements.size(); ++i)
            section(std::string(key) + "[" + std::to_string(i) + "]", elements[i]);
    }

private:
    std::string prefix_;
    std::vector<Entry>& entries_;
};

template <class Part>
Group group_of(std::string name, Part& part) {
    Group group{std::move(name), {}};
    Lister lister("", group.entries);
    describe(lister, part);
    return group;
}

// What a route is known by, as a person would say it: "GET,HEAD api.example.org/users [X-Beta]".
std::string name_of_route(const Route& route) {
    std::string methods;
    for (const auto& method : route.methods) methods += (methods.empty() ? "" : ",") + method;
    std::string headers;
    for (const auto& header : route.headers) headers += (headers.empty() ? " [" : ", ") + header;
    return (methods.empty() ? "" : methods + " ") + route.host + route.path + (headers.empty() ? "" : headers + "]");
}

} // namespace

const std::vector<std::string>& all_keys() {
    static const std::vector<std::string> keys = [] {
        std::vector<std::string> found;
        Config config;
        Namer namer("", found);
        describe(namer, config);
        return found;
    }();
    return keys;
}

std::vector<Group> listing(const Config& config) {
    Config parts = config;
    Config sections = config;
    sections.listeners.clear();
    sections.routes.clear();
    sections.pools.clear();
    std::vector<Group> groups = {group_of("", sections)};
    for (auto& listener : parts.listeners) groups.push_back(group_of("listener." + listener.address, listener));
    std::map<std::string, unsigned> seen;
    for (auto& route : parts.routes) {
        auto name = name_of_route(route);
        if (auto count = ++seen[name]; count > 1) name += "#" + std::to_string(count);
        groups.push_back(group_of("route." + name, route));
    }
    for (auto& pool : parts.pools) groups.push_back(group_of("pool." + pool.name, pool));
    return groups;
}

} // namespace plimsoll::config
