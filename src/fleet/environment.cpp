#include "fleet/environment.hpp"

#include <algorithm>
#include <cstdlib>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fleet/orphans.hpp"

namespace plimsoll::fleet {

bool mentions(const std::vector<std::string>& argv, const std::string& placeholder) {
    return std::ranges::any_of(
        argv, [&](const std::string& part) { return part.find("{" + placeholder + "}") != std::string::npos; });
}

std::vector<std::string> fill(std::vector<std::string> argv, const Placeholders& values) {
    for (std::string& part : argv) {
        for (const auto& [name, value] : values) {
            const std::string key = "{" + name + "}";
            for (std::size_t at = part.find(key); at != std::string::npos; at = part.find(key, at + value.size()))
                part.replace(at, key.size(), value);
        }
    }
    return argv;
}

namespace {

std::string python_path(const Context& context, const config::Source& source) {
    const char* inherited = std::getenv("PYTHONPATH");
    std::string rest = inherited ? inherited : "";
    for (const auto& [name, value] : source.environment)
        if (name == "PYTHONPATH") rest = value;
    return rest.empty() ? context.surroundings.agent_path : context.surroundings.agent_path + ":" + rest;
}

} // namespace

Command server_command(const Context& context, const config::Pool& pool, const std::string& name,
                       const std::string& listen, std::optional<unsigned> index, Placeholders values) {
    values.emplace_back("run_dir", context.surroundings.run_dir);
    values.emplace_back("pool", pool.name);
    if (index) values.emplace_back("index", std::to_string(*index));
    Command command;
    command.argv = fill(pool.source.command, values);
    command.directory = pool.source.directory;
    command.log_name = name;
    command.environment = pool.source.environment;
    auto& environment = command.environment;
    environment.emplace_back("PLIMSOLL_CONTROL", context.control_address);
    if (!context.token.empty()) environment.emplace_back("PLIMSOLL_TOKEN", context.token);
    environment.emplace_back("PLIMSOLL_POOL", pool.name);
    environment.emplace_back("PLIMSOLL_RUN_DIR", context.surroundings.run_dir);
    environment.emplace_back("PLIMSOLL_LISTEN", listen);
    environment.emplace_back(starter_variable, starter());
    if (index) environment.emplace_back("PLIMSOLL_INDEX", std::to_string(*index));
    if (!context.surroundings.agent_path.empty())
        environment.emplace_back("PYTHONPATH", python_path(context, pool.source));
    return command;
}

std::optional<std::uint16_t> free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::nullopt;
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof any;
    const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&any), length) == 0 &&
                       ::getsockname(fd, reinterpret_cast<sockaddr*>(&any), &length) == 0;
    ::close(fd);
    if (!bound) return std::nullopt;
    return ntohs(any.sin_port);
}

} // namespace plimsoll::fleet
