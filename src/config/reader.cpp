#include "config/reader.hpp"

#include <algorithm>

#include "config/foreign.hpp"
#include "config/listing.hpp"
#include "config/nearest.hpp"

namespace plimsoll::config {
namespace {

Position position_of(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }

std::string_view type_of(const toml::node& node) {
    switch (node.type()) {
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "a number";
    case toml::node_type::floating_point: return "a fraction";
    case toml::node_type::boolean: return "true or false";
    case toml::node_type::array: return "a list";
    case toml::node_type::table: return "a table";
    default: return "a date or time";
    }
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

std::string show_count(std::int64_t n) { return std::to_string(n); }
std::string show_bytes(std::int64_t n) { return to_text(Bytes{n}); }
std::string show_duration(std::int64_t n) { return to_text(Duration{n}); }
std::string show_percent(std::int64_t n) { return std::to_string(n) + "%"; }

// Settings of one thing: a key is looked for among its relatives alone. The program's own are relatives of each other.
std::string_view family_of(std::string_view section) {
    const auto first = section.substr(0, section.find('.'));
    return first == "pool" || first == "route" || first == "redis" ? first : "proxy";
}

// As it is written: "[[listener]]", "[pool.recycle]".
std::string in_brackets(const std::string& section) {
    const bool several = section == "listener" || section == "route" || section == "pool" || section == "route.limit";
    return (several ? "[[" : "[") + section + (several ? "]]" : "]");
}

// "[pool.recycle]" where a key of that name is at home, if it is at home in one section alone and that is a relative of the one
// that has it; empty: nowhere.
std::string home_of(std::string_view key, const std::string& section) {
    std::string home;
    for (const auto& path : all_keys()) {
        const auto dot = path.rfind('.');
        if (dot == std::string::npos || std::string_view(path).substr(dot + 1) != key) continue;
        if (!home.empty()) return {};
        home = path.substr(0, dot);
    }
    return home.empty() || (!section.empty() && family_of(home) != family_of(section)) ? std::string()
                                                                                       : in_brackets(home);
}

// "[pool.recycle]" for a section at the top of the file that is a part of a pool or a route.
std::string whole_name_of(const std::string& section) {
    std::string names;
    for (const std::string outer : {"pool", "route"}) {
        const auto name = outer + "." + section;
        if (std::ranges::any_of(all_keys(), [&](const auto& key) { return key.starts_with(name + "."); }))
            names += (names.empty() ? "" : " or ") + in_brackets(name);
    }
    return names;
}

// What others call the address that clients come to.
bool is_to_listen(std::string_view key) { return key == "listen" || key == "bind" || key == "port"; }

} // namespace

void ValueReader::wrong_type(std::string_view what) {
    findings.problem(path, "must be " + std::string(what) + ", not " + std::string(type_of(node)));
}

bool ValueReader::within(std::int64_t value, std::string (*show)(std::int64_t)) {
    if (value >= rules.min && value <= rules.max) return true;
    if (rules.max == Rules{}.max)
        findings.problem(path, "must be at least " + show(rules.min) + ", is " + show(value));
    else
        findings.problem(path, "must be from " + show(rules.min) + " to " + show(rules.max) + ", is " + show(value));
    return false;
}

std::optional<std::string> ValueReader::text(std::string_view what) {
    auto value = node.value_exact<std::string>();
    if (!value)
        wrong_type(what);
    else if (value->find('\0') != std::string::npos) {
        findings.problem(path, "must not contain a NUL character");
        return {};
    }
    return value;
}

std::optional<std::string> ValueReader::choice(const std::vector<std::string>& known) {
    auto word = text("one of " + joined(known));
    if (!word || std::find(known.begin(), known.end(), *word) != known.end()) return word;
    auto meant = nearest(*word, known);
    findings.problem(path, "'" + *word + "' is not one of " + joined(known), meant.empty() ? "" : '"' + meant + '"');
    return {};
}

void ValueReader::read(bool& member) {
    if (auto value = node.value_exact<bool>())
        member = *value;
    else
        wrong_type("true or false");
}

void ValueReader::read(unsigned& member) {
    auto value = node.value_exact<std::int64_t>();
    if (!value) return wrong_type("a whole number");
    Rules bounds = rules;
    bounds.max = std::min<std::int64_t>(bounds.max, std::numeric_limits<unsigned>::max());
    if (ValueReader{node, path, bounds, findings}.within(*value, show_count)) member = static_cast<unsigned>(*value);
}

void ValueReader::read(double& member) {
    std::optional<double> share;
    if (node.is_number())
        share = node.value<double>();
    else if (node.is_string())
        share = parse_share(*node.value<std::string>());
    else
        return wrong_type("a share such as 0.85 or \"85%\"");
    double least = static_cast<double>(rules.min) / 100;
    if (share && *share >= least && *share <= 1)
        member = *share;
    else
        findings.problem(path, "must be a share from " + show_percent(rules.min) + " to 100%, such as 0.85 or \"85%\"");
}

void ValueReader::read(std::string& member) {
    auto value = text("a string");
    if (!value) return;
    std::vector<std::string> known(rules.choices.begin(), rules.choices.end());
    if (!known.empty()) value = choice(known);
    if (value) member = *value;
}

void ValueReader::read(Duration& member) {
    if (auto number = node.value_exact<std::int64_t>()) {
        findings.problem(path, "needs a unit (ms, s, m, h, d)", '"' + std::to_string(*number) + "s\"");
        return;
    }
    auto value = text("a duration such as \"250ms\", \"30s\" or \"1h\"");
    if (!value) return;
    auto duration = parse_duration(*value);
    if (!duration)
        findings.problem(path, "'" + *value + "' is no duration: write a number and ms, s, m, h or d, such as \"30s\"");
    else if (within(duration->count(), show_duration))
        member = *duration;
}

void ValueReader::read(Bytes& member) {
    auto number = node.value_exact<std::int64_t>();
    if (!number) {
        auto value = text("a size such as \"512MiB\"");
        if (!value) return;
        auto bytes = parse_bytes(*value);
        if (!bytes) {
            findings.problem(path,
                             "'" + *value + "' is no size: write a number and a unit, such as \"512MiB\" or \"1GiB\"");
            return;
        }
        number = bytes->count;
    }
    if (within(*number, show_bytes)) member = Bytes{*number};
}

void ValueReader::read(Level& member) {
    constexpr auto right = "must be a size such as \"400MiB\" or a share of the limit such as \"80%\"";
    std::optional<Level> level;
    if (auto number = node.value_exact<std::int64_t>())
        level = Level{Bytes{*number}};
    else if (auto share = node.value_exact<double>())
        level = Level{*share};
    else if (node.is_string())
        level = parse_level(*node.value<std::string>());
    if (!level) return findings.problem(path, right);
    // The rule's bounds are a share's; an absolute level below a mebibyte is a slip of the unit.
    if (const auto* share = std::get_if<double>(&level->value)) {
        if (!(*share >= static_cast<double>(rules.min) / 100 && *share <= 1)) return findings.problem(path, right);
    } else if (std::get<Bytes>(level->value) < Bytes{mebibyte}) {
        return findings.problem(path, "must be at least 1MiB, or a share of the limit such as \"80%\"");
    }
    member = *level;
}

void ValueReader::read(std::vector<std::string>& member) {
    if (rules.single && node.is_string()) {
        if (auto value = text("a string")) member = {*value};
        return;
    }
    const auto* array = node.as_array();
    if (array == nullptr) return wrong_type("a list of strings: [\"...\", \"...\"]");
    std::vector<std::string> list;
    for (std::size_t i = 0; i < array->size(); ++i) {
        auto element_path = path + "[" + std::to_string(i) + "]";
        findings.locate(element_path, position_of((*array)[i].source()));
        if (auto value = ValueReader{(*array)[i], element_path, rules, findings}.text("a string"))
            list.push_back(*value);
    }
    if (list.size() == array->size()) member = std::move(list);
}

void ValueReader::read(Environment& member) {
    const auto* table = node.as_table();
    if (table == nullptr) return wrong_type("a table of strings: { NAME = \"value\" }");
    Environment variables;
    for (const auto& [key, value] : *table) {
        auto variable_path = path + "." + std::string(key.str());
        findings.locate(variable_path, position_of(value.source()));
        auto text = ValueReader{value, variable_path, rules, findings}.text("a string (\"1\", not 1)");
        if (key.str().empty() || key.str().find_first_of(std::string_view("=\0", 2)) != std::string_view::npos)
            findings.problem(variable_path, "a name must not be empty nor contain '='");
        else if (text)
            variables.emplace_back(std::string(key.str()), *text);
    }
    if (variables.size() == table->size()) member = std::move(variables);
}

const toml::node* Reader::take(std::string_view key) {
    known_.emplace_back(key);
    const auto* node = table_.get(key);
    if (node != nullptr) findings_.locate(inner(key), position_of(node->source()));
    return node;
}

const toml::table* Reader::the_table(const toml::node& node, const std::string& path) {
    if (const auto* table = node.as_table()) return table;
    if (node.is_array_of_tables())
        findings_.problem(path, "there is only one: write it with single brackets, [" + without_indices(path) + "]");
    else
        findings_.problem(path, "must be a table, not " + std::string(type_of(node)));
    return nullptr;
}

std::vector<const toml::table*> Reader::the_tables(const toml::node& node, const std::string& path) {
    std::vector<const toml::table*> tables;
    if (const auto* array = node.as_array()) {
        for (const auto& element : *array)
            if (const auto* table = element.as_table()) {
                findings_.locate(path + "[" + std::to_string(tables.size()) + "]", position_of(table->source()));
                tables.push_back(table);
            }
        if (tables.size() == array->size()) return tables;
    }
    tell_no_list(node, path);
    return {};
}

void Reader::tell_no_list(const toml::node& node, const std::string& path) {
    const auto name = without_indices(path);
    const auto* const table = node.as_table();
    const toml::table none;
    for (const auto& [key, value] : table == nullptr ? none : *table) {
        const bool several = value.is_array_of_tables();
        // A table that no header names begins where the first one inside it does.
        if (!(several || value.is_table()) || value.source().begin != node.source().begin) continue;
        const auto part = name + "." + std::string(key.str());
        return findings_.problem_at(position_of(value.source()), path,
                                    "a [[" + name + "]]" + (name == "pool" ? " (with a name)" : "") +
                                        " must stand before its " + (several ? "[[" + part + "]]" : "[" + part + "]"));
    }
    findings_.problem(path, "there may be several: write it with double brackets, [[" + name + "]]");
}

void Reader::tell_unknown(const std::string& name, const toml::node& value, Position position) {
    const auto section = without_indices(path_);
    const auto whole = section.empty() && value.is_table() ? whole_name_of(name) : std::string();
    if (!whole.empty())
        return findings_.problem_at(position, inner(name), "unknown key here: it is a part of another: write " + whole);
    if (const auto* other = foreign(section, name)) {
        findings_.problem_at(position, inner(name), "unknown key: " + std::string(other->instead));
        if (!other->key.empty()) findings_.doubt(inner(other->key));
        return;
    }
    const bool to_listen = is_to_listen(name) && (section.empty() || section == "proxy");
    const auto meant = to_listen ? std::string() : nearest(name, known_);
    const auto home = to_listen ? "[[listener]], as address" : meant.empty() ? home_of(name, section) : std::string();
    findings_.problem_at(position, inner(name),
                         home.empty() ? "unknown key" : "unknown key here: it belongs in " + home, meant);
    if (!meant.empty()) findings_.doubt(inner(meant));
}

void Reader::finish() {
    for (const auto& [key, value] : table_) {
        std::string name(key.str());
        if (std::find(known_.begin(), known_.end(), name) == known_.end())
            tell_unknown(name, value, position_of(key.source()));
    }
}

} // namespace plimsoll::config
