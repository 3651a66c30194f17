// The running configuration in the shape and notation of its file: {"pool": [{"name": "app", "memory": {"limit": "512MiB"}}]}.
#include "admin/json.hpp"

#include "config/schema.hpp"
#include "config/values.hpp"

namespace plimsoll::admin {
namespace {

namespace json = boost::json;

json::value shown(bool value) { return value; }
json::value shown(unsigned value) { return value; }
json::value shown(double value) { return value; }
json::value shown(const std::string& value) { return json::value(value); }
json::value shown(Duration value) { return json::value(config::to_text(value)); }
json::value shown(Bytes value) { return json::value(config::to_text(value)); }
json::value shown(const config::Level& value) { return json::value(config::to_text(value)); }
template <class Enum>
requires std::is_enum_v<Enum> json::value shown(Enum value) { return json::value(config::name_of(value)); }
json::value shown(const std::vector<std::string>& values) {
    json::array array;
    for (const auto& value : values) array.push_back(json::string(value));
    return array;
}
json::value shown(const std::vector<std::pair<std::string, std::string>>& values) {
    json::object object;
    for (const auto& [name, value] : values) object[name] = value;
    return object;
}
template <class T>
json::value shown(const std::optional<T>& value) {
    return value ? shown(*value) : json::value(nullptr);
}

// The names in an environment are worth showing, its values are not.
json::value hidden(const std::string& value) { return json::value(value.empty() ? "" : "(hidden)"); }
json::value hidden(const std::vector<std::pair<std::string, std::string>>& values) {
    json::object object;
    for (const auto& [name, value] : values) object[name] = "(hidden)";
    return object;
}
template <class T>
json::value hidden(const T&) {
    return json::value("(hidden)");
}

class Writer {
public:
    explicit Writer(json::object& object) : object_(object) {}
    template <class T>
    void operator()(std::string_view key, T& member, const config::Rules& rules = {}) {
        object_[key] = rules.secret ? hidden(member) : shown(member);
    }
    template <class Section>
    void section(std::string_view key, Section& section) {
        object_[key] = described(section);
    }
    template <class Element>
    void list(std::string_view key, std::vector<Element>& elements) {
        json::array array;
        for (auto& element : elements) array.push_back(described(element));
        object_[key] = std::move(array);
    }

private:
    template <class Part>
    static json::object described(Part& part) {
        json::object object;
        Writer writer(object);
        config::describe(writer, part);
        return object;
    }

    json::object& object_;
};

} // namespace

json::object to_json(const config::Config& config) {
    auto copy = config; // the schema's visitors may write
    json::object object;
    Writer writer(object);
    config::describe(writer, copy);
    return object;
}

} // namespace plimsoll::admin
