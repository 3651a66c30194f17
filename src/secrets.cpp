#include "secrets.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace plimsoll {

namespace {

void read_token(const std::string& key, const std::string& path, std::string& token, config::Parsed& parsed,
                const std::string& file) {
    if (path.empty()) return;
    const auto told = [&](const std::string& message) {
        return config::Problem{file, 0, 0, key, path + ": " + message, ""};
    };
    std::ifstream in(path); // looked at a moment ago (config/check_files.cpp), but files change
    if (!in || !std::getline(in, token)) {
        parsed.problems.push_back(told(in.is_open() ? "is empty: write the secret into its first line"
                                                    : std::string("cannot be read: ") + std::strerror(errno)));
        return;
    }
    while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
    if (token.empty()) parsed.problems.push_back(told("its first line is empty: write it there"));
}

} // namespace

config::Parsed load_with_tokens(const std::string& path) {
    config::Parsed parsed = config::load(path);
    if (!parsed.problems.empty()) return parsed;
    read_token("proxy.token_file", parsed.config.proxy.token_file, parsed.config.proxy.token, parsed, path);
    read_token("admin.token_file", parsed.config.admin.token_file, parsed.config.admin.token, parsed, path);
    auto& redis = parsed.config.redis;
    read_token("redis.password_file", redis.password_file, redis.password, parsed, path);
    return parsed;
}

} // namespace plimsoll
