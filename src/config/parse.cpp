#include "config/parse.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>

#include "config/checks.hpp"
#include "config/reader.hpp"
#include "config/syntax.hpp"

namespace plimsoll::config {
namespace {

// Ten thousand routes take about one megabyte.
constexpr std::size_t largest_file = 16 << 20;

// What a short file leaves to us: a listener, and a route to the only pool.
void complete(Config& config, const Findings& findings) {
    if (config.listeners.empty() && findings.sound("listener")) config.listeners.emplace_back();
    if (config.pools.size() != 1) return;
    if (config.routes.empty() && findings.sound("route")) config.routes.emplace_back();
    for (std::size_t i = 0; i < config.routes.size(); ++i)
        if (!findings.stands("route[" + std::to_string(i) + "].pool"))
            config.routes[i].pool = config.pools.front().name;
}

void read(std::string_view text, std::string_view file, bool here, Config& config, Findings& findings) {
    toml::table table = toml::parse(text, file);
    Reader reader(table, "", findings);
    describe(reader, config);
    reader.finish();
    complete(config, findings);
    check_addresses(config, findings);
    check_program(config, findings);
    check_redis(config, findings);
    check_routes(config, findings);
    check_pools(config, findings);
    if (here) check_files(config, findings);
    check_effects(config, findings);
}

Parsed unreadable(const std::string& path, const std::string& why) {
    Parsed parsed;
    parsed.problems.push_back({.file = path, .key = {}, .message = why, .suggestion = {}});
    return parsed;
}

} // namespace

Parsed parse(std::string_view text, std::string_view file_name, bool here) {
    Parsed parsed;
    Findings findings(file_name);
    try {
        read(text, file_name, here, parsed.config, findings);
    } catch (const toml::parse_error& error) {
        const auto begin = error.source().begin;
        auto told = explained(text, {{begin.line, begin.column}, std::string(error.description())});
        findings.problem_at(told.position, "", std::move(told.message));
    } catch (const std::exception& error) {
        findings.problem("", std::string("cannot be read: ") + error.what());
    }
    parsed.problems = findings.problems();
    parsed.warnings = findings.warnings();
    return parsed;
}

Parsed load(const std::string& path) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
    if (!file) return unreadable(path, std::string("cannot be opened: ") + std::strerror(errno));
    std::string text;
    char buffer[1 << 16];
    while (auto count = std::fread(buffer, 1, sizeof buffer, file.get())) {
        text.append(buffer, count);
        if (text.size() > largest_file) return unreadable(path, "is larger than 16 MiB: this is no configuration");
    }
    if (std::ferror(file.get()) != 0) return unreadable(path, std::string("cannot be read: ") + std::strerror(errno));
    return parse(text, path, true);
}

} // namespace plimsoll::config
