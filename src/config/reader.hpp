// A TOML table into a struct, by the schema: types, bounds and unknown keys, every problem with its place.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "config/findings.hpp"
#include "config/schema.hpp"
#include "config/values.hpp"

namespace plimsoll::config {

using Environment = std::vector<std::pair<std::string, std::string>>;

// One value. On a problem the member keeps its default and the findings tell.
struct ValueReader {
    const toml::node& node;
    const std::string& path;
    const Rules& rules;
    Findings& findings;

    void read(bool& member);
    void read(unsigned& member);
    void read(double& member); // a share
    void read(std::string& member);
    void read(Duration& member);
    void read(Bytes& member);
    void read(Level& member);
    void read(std::vector<std::string>& member);
    void read(Environment& member);
    template <class T>
    void read(std::optional<T>& member) {
        T value{};
        read(value);
        if (findings.sound(path)) member = value;
    }
    template <class Enum>
    requires std::is_enum_v<Enum>
    void read(Enum& member) {
        std::vector<std::string> known;
        for (const auto& [name, value] : names(member)) known.emplace_back(name);
        if (auto word = choice(known))
            for (const auto& [name, value] : names(member))
                if (name == *word) member = value;
    }

private:
    std::optional<std::string> text(std::string_view what);
    std::optional<std::string> choice(const std::vector<std::string>& known);
    void wrong_type(std::string_view what);
    bool within(std::int64_t value, std::string (*show)(std::int64_t));
};

class Reader {
public:
    Reader(const toml::table& table, std::string path, Findings& findings)
        : table_(table), path_(std::move(path)), findings_(findings) {}

    template <class T>
    void operator()(std::string_view key, T& member, const Rules& rules = {}) {
        if (const auto* node = take(key)) {
            auto path = inner(key);
            ValueReader{*node, path, rules, findings_}.read(member);
        }
    }
    template <class Section>
    void section(std::string_view key, Section& section) {
        const auto* node = take(key);
        if (node == nullptr) return;
        if (const auto* table = the_table(*node, inner(key))) into(*table, inner(key), section);
    }
    template <class Element>
    void list(std::string_view key, std::vector<Element>& elements) {
        const auto* node = take(key);
        if (node == nullptr) return;
        auto tables = the_tables(*node, inner(key));
        for (std::size_t i = 0; i < tables.size(); ++i)
            into(*tables[i], inner(key) + "[" + std::to_string(i) + "]", elements.emplace_back());
    }
    // Whatever the schema did not take is unknown.
    void finish();

private:
    void tell_no_list(const toml::node& node, const std::string& path);
    void tell_unknown(const std::string& name, const toml::node& value, Position position);
    const toml::node* take(std::string_view key);
    std::string inner(std::string_view key) const {
        return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
    }
    const toml::table* the_table(const toml::node& node, const std::string& path);
    std::vector<const toml::table*> the_tables(const toml::node& node, const std::string& path);
    template <class Section>
    void into(const toml::table& table, const std::string& path, Section& section) {
        Reader reader(table, path, findings_);
        describe(reader, section);
        reader.finish();
    }

    const toml::table& table_;
    std::string path_;
    Findings& findings_;
    std::vector<std::string> known_;
};

} // namespace plimsoll::config
