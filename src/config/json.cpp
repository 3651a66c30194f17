// The running configuration as JSON in the shape of the file: the same sections, keys and words, so that what the API
// shows can be compared with what was written. Text alone: a JSON library would be a dependency for sixty lines.
#include <charconv>

#include "config/parse.hpp"
#include "config/schema.hpp"
#include "config/values.hpp"

namespace plimsoll::config {
namespace {

std::string quoted(std::string_view text) {
    constexpr std::string_view hex = "0123456789abcdef";
    std::string json = "\"";
    for (unsigned char c : text) {
        if (c == '"' || c == '\\') json += '\\';
        if (c < 0x20) {
            json += "\\u00";
            json += hex[c >> 4];
            json += hex[c & 15];
        } else
            json += static_cast<char>(c);
    }
    return json + '"';
}

std::string json_of(bool value) { return value ? "true" : "false"; }
std::string json_of(unsigned value) { return std::to_string(value); }
std::string json_of(double value) {
    char text[32];
    auto [end, error] = std::to_chars(text, text + sizeof text, value);
    return error == std::errc{} ? std::string(text, end) : "null";
}
std::string json_of(const std::string& value) { return quoted(value); }
std::string json_of(Duration value) { return quoted(to_text(value)); }
std::string json_of(Bytes value) { return quoted(to_text(value)); }
std::string json_of(const Level& value) { return quoted(to_text(value)); }
template <class Enum>
requires std::is_enum_v<Enum> std::string json_of(Enum value) { return quoted(name_of(value)); }
std::string json_of(const std::vector<std::string>& values) {
    std::string json;
    for (const auto& value : values) json += (json.empty() ? "" : ",") + quoted(value);
    return "[" + json + "]";
}
template <class T>
std::string json_of(const std::optional<T>& value) {
    return value ? json_of(*value) : "null";
}

// A secret shows only whether it is set; the names of an environment are none.
std::string hidden(const std::string& value) { return value.empty() ? "\"\"" : "\"(hidden)\""; }
std::string hidden(const std::vector<std::pair<std::string, std::string>>& values) {
    std::string json;
    for (const auto& [name, value] : values) json += (json.empty() ? "" : ",") + quoted(name) + ":\"(hidden)\"";
    return "{" + json + "}";
}
template <class T>
std::string hidden(const T&) {
    return "null";
}
std::string json_of(const std::vector<std::pair<std::string, std::string>>& values) { return hidden(values); }

class Writer {
public:
    template <class T>
    void operator()(std::string_view key, T& member, const Rules& rules = {}) {
        put(key, rules.secret ? hidden(member) : json_of(member));
    }
    template <class Section>
    void section(std::string_view key, Section& section) {
        put(key, object(section));
    }
    template <class Element>
    void list(std::string_view key, std::vector<Element>& elements) {
        std::string json;
        for (auto& element : elements) json += (json.empty() ? "" : ",") + object(element);
        put(key, "[" + json + "]");
    }
    template <class Section>
    static std::string object(Section& section) {
        Writer inner;
        describe(inner, section);
        return "{" + inner.json_ + "}";
    }

private:
    void put(std::string_view key, const std::string& value) {
        json_ += (json_.empty() ? "" : ",") + quoted(key) + ":" + value;
    }
    std::string json_;
};

} // namespace

std::string to_json(const Config& config) {
    Config copy = config; // the schema hands out members to write to
    return Writer::object(copy);
}

} // namespace plimsoll::config
