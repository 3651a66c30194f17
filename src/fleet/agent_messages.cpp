#include "fleet/agent_messages.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fleet/base64.hpp"

namespace plimsoll::fleet {
namespace {

namespace json = boost::json;

constexpr std::size_t longest_name = 100; // what an agent cuts a release's name to, too

// Takes keys out of an object and keeps the first problem.
class Keys {
public:
    explicit Keys(const json::object& object) : object_(object) {}
    const std::string& problem() const { return problem_; }

    template <class Integer>
    void take(std::string_view key, std::optional<Integer>& into, std::int64_t least = 0) {
        const json::value* value = find(key);
        if (value == nullptr) return;
        const auto number = integer(*value);
        constexpr auto most = std::numeric_limits<Integer>::max();
        if (!number || *number < least || std::cmp_greater(*number, most))
            return complain(key, "a whole number in range");
        into = static_cast<Integer>(*number);
    }
    template <class Integer>
    requires std::is_integral_v<Integer>
    void take(std::string_view key, Integer& into, std::int64_t least = 0) {
        std::optional<Integer> number;
        take(key, number, least);
        into = number.value_or(into);
    }
    void take(std::string_view key, std::optional<Bytes>& into) {
        std::optional<std::int64_t> count;
        take(key, count);
        if (count) into = Bytes{*count};
    }
    void take(std::string_view key, std::optional<double>& into) {
        const json::value* value = find(key);
        if (value == nullptr) return;
        boost::system::error_code ec;
        const auto number = value->is_number() ? value->to_number<double>(ec) : -1.0;
        if (ec || !std::isfinite(number) || number < 0) return complain(key, "a number, not negative");
        into = number;
    }
    void take(std::string_view key, std::string& into) {
        const json::value* value = find(key);
        if (value == nullptr) return;
        if (!value->is_string()) return complain(key, "a text");
        into = std::string_view(value->get_string());
    }
    // A name that is shown to people, and kept: no longer than a name is.
    void take_name(std::string_view key, std::string& into) {
        take(key, into);
        if (into.size() > longest_name) into.resize(longest_name);
    }
    void take(std::string_view key, bool& into) {
        const json::value* value = find(key);
        if (value == nullptr) return;
        if (!value->is_bool()) return complain(key, "true or false");
        into = value->get_bool();
    }
    void need(std::string_view key) {
        if (find(key) == nullptr) complain(key, "there");
    }
    void complain(std::string_view key, std::string_view wanted) {
        if (problem_.empty()) problem_.append("'").append(key).append("' is not ").append(wanted);
    }

private:
    const json::value* find(std::string_view key) const {
        const json::value* value = object_.if_contains(key);
        return value == nullptr || value->is_null() ? nullptr : value;
    }
    static std::optional<std::int64_t> integer(const json::value& value) {
        if (value.is_int64()) return value.get_int64();
        return std::nullopt; // a uint64 that fits no int64 is in no range of ours
    }

    const json::object& object_;
    std::string problem_;
};

} // namespace

std::string read_object(std::string_view text, json::object& object) {
    boost::system::error_code ec;
    json::value value = json::parse(text, ec); // also refuses what is no UTF-8, and nesting over 32
    if (ec) return "no JSON: " + ec.message();
    if (!value.is_object()) return "no JSON object";
    object = std::move(value.get_object());
    return {};
}

std::string_view type_of(const json::object& object) {
    const json::value* type = object.if_contains("type");
    return type != nullptr && type->is_string() ? std::string_view(type->get_string()) : std::string_view{};
}

std::string read_hello(const json::object& object, Hello& hello, std::string& token, std::int64_t& version) {
    Keys keys(object);
    keys.need("v");
    keys.need("pid");
    keys.take("v", version);
    keys.take("token", token);
    keys.take("pool", hello.pool);
    keys.take("index", hello.index);
    keys.take("pid", hello.pid, 1);
    keys.take("ppid", hello.ppid);
    keys.take("pid_namespace", hello.pid_namespace);
    keys.take("cgroup_namespace", hello.cgroup_namespace);
    keys.take("host", hello.host);
    keys.take("stacks", hello.stacks);
    keys.take("stacks_signal", hello.stacks_signal);
    keys.take("server", hello.server);
    keys.take("server_version", hello.server_version);
    keys.take("worker_class", hello.worker_class);
    keys.take("threads", hello.threads);
    keys.take("keep_alive", hello.keep_alive);
    keys.take("address", hello.address);
    keys.take("age", hello.age);
    keys.take("max_requests", hello.max_requests);
    keys.take("python", hello.python);
    keys.take("agent", hello.agent);
    keys.take("started_at", hello.started_at);
    keys.take("memory_limit", hello.memory_limit);
    keys.take("ready", hello.ready);
    keys.take("remote", hello.remote);
    keys.take_name("release", hello.release);
    return keys.problem();
}

std::string read_ready(const json::object& object, std::string& release) {
    Keys keys(object);
    keys.take_name("release", release);
    return keys.problem();
}

std::string read_sample(const json::object& object, Sample& sample) {
    Keys keys(object);
    keys.take("rss", sample.rss);
    keys.take("anon", sample.anon);
    keys.take("cgroup_usage", sample.cgroup_usage);
    keys.take("cgroup_working_set", sample.cgroup_working_set);
    keys.take("cgroup_limit", sample.cgroup_limit);
    keys.take("peak", sample.peak);
    keys.take("allocated_blocks", sample.allocated_blocks);
    keys.take("malloc_in_use", sample.malloc_in_use);
    keys.take("malloc_free", sample.malloc_free);
    keys.take("threads", sample.threads);
    keys.take("fds", sample.fds);
    keys.take("fds_limit", sample.fds_limit);
    keys.take("children", sample.children);
    return keys.problem();
}

std::string read_exited(const json::object& object, Exited& exited, std::string& token) {
    Keys keys(object);
    keys.need("pid");
    keys.take("pid", exited.pid, 1);
    keys.take("status", exited.status, std::numeric_limits<int>::min());
    keys.take("host", exited.host);
    keys.take("pid_namespace", exited.pid_namespace);
    keys.take("pool", exited.pool);
    keys.take("token", token);
    keys.take("boot_failed", exited.boot_failed);
    return keys.problem();
}

std::string read_file(const json::object& object, FilePart& part) {
    Keys keys(object);
    std::string data;
    keys.need("id");
    keys.take("id", part.id);
    keys.take("name", part.name);
    keys.take("data", data);
    keys.take("last", part.last);
    if (!is_file_name(part.name)) keys.complain("name", "a plain file name");
    auto content = decode_base64(data);
    if (!content) keys.complain("data", "base64");
    if (!keys.problem().empty()) return keys.problem();
    part.content = std::move(*content);
    return {};
}

std::string read_result(json::object&& object, Result& result) {
    Keys keys(object);
    keys.need("id");
    keys.take("id", result.id);
    keys.take("ok", result.ok);
    keys.take("error", result.error);
    json::value* data = object.if_contains("data");
    if (data != nullptr && !data->is_null() && !data->is_object()) keys.complain("data", "an object");
    if (!keys.problem().empty()) return keys.problem();
    if (data != nullptr && data->is_object()) result.data = std::move(data->get_object());
    return {};
}

bool is_file_name(std::string_view name) {
    constexpr std::size_t longest = 100;
    return !name.empty() && name.size() <= longest && name.front() != '.' && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
}

} // namespace plimsoll::fleet
