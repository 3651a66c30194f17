#include "cli/check.hpp"

#include <ostream>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/parse.hpp"

namespace plimsoll::cli {
namespace {

boost::json::array list_of(const std::vector<config::Problem>& problems) {
    boost::json::array list;
    for (const auto& problem : problems)
        list.push_back(boost::json::object{{"file", problem.file},
                                           {"line", problem.line},
                                           {"column", problem.column},
                                           {"key", problem.key},
                                           {"message", problem.message},
                                           {"suggestion", problem.suggestion}});
    return list;
}

std::string counted(std::size_t count, const std::string& what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string summary(const config::Config& config) {
    std::string text;
    for (const auto& listener : config.listeners) text += "  listener  " + listener.address + "\n";
    for (const auto& pool : config.pools) {
        std::size_t routes = 0;
        for (const auto& route : config.routes) routes += route.pool == pool.name ? 1 : 0;
        text += "  pool      " + pool.name + " (" + std::string(config::to_string(pool.source.kind)) + "), " +
                counted(routes, "route") + "\n";
    }
    return text;
}

} // namespace

int check(const std::string& file, bool json, std::ostream& out, std::ostream& err) {
    auto parsed = config::load(file);
    bool good = parsed.problems.empty();
    if (json) {
        boost::json::object answer{{"file", file},
                                   {"ok", good},
                                   {"problems", list_of(parsed.problems)},
                                   {"warnings", list_of(parsed.warnings)}};
        if (good) {
            answer["listeners"] = parsed.config.listeners.size();
            answer["routes"] = parsed.config.routes.size();
            answer["pools"] = parsed.config.pools.size();
        }
        out << boost::json::serialize(answer) << "\n";
        return good ? 0 : 2;
    }
    for (const auto& problem : parsed.problems) err << to_string(problem) << "\n";
    for (const auto& warning : parsed.warnings) err << to_string(warning) << " (warning)\n";
    if (good) out << file << ": ok\n" << summary(parsed.config);
    return good ? 0 : 2;
}

} // namespace plimsoll::cli
