// The files and directories that a configuration names, and that serve reads, writes or starts: looked at on the machine where it is to serve, so that what it
// would stumble over is told before.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/checks.hpp"
#include "config/find_program.hpp"
#include "config/place.hpp"

namespace plimsoll::config {
namespace {

constexpr std::size_t largest_looked_at = 1 << 20;

struct Content {
    std::string text;
    bool known = false; // a pipe is not read: what was read of it would be missing when it counts
    bool others_may_read = false;
};

// Nothing: a problem was told.
std::optional<Content> content_of(const std::string& key, const std::string& file, Findings& findings) {
    const auto refuse = [&](const std::string& why) {
        findings.problem(key, "'" + file + "' " + why);
        return std::nullopt;
    };
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const int error = errno;
    if (fd < 0 && (error == ENOENT || error == ENOTDIR)) {
        const bool relative = !file.starts_with('/');
        return refuse("is not there: write it, or correct the path" +
                      std::string(relative ? ", which begins where Plimsoll is started" : ""));
    }
    if (fd < 0 && error == EACCES)
        return refuse("cannot be read by the user who asks (" + std::to_string(geteuid()) +
                      "): the one that Plimsoll runs as must be allowed to");
    if (fd < 0) return refuse(std::string("cannot be read: ") + std::strerror(error));
    Content content;
    struct stat facts {};
    ::fstat(fd, &facts);
    content.others_may_read = (facts.st_mode & 0044) != 0;
    content.known = S_ISREG(facts.st_mode);
    char buffer[1 << 14];
    ssize_t count = 0;
    while (content.known && content.text.size() < largest_looked_at && (count = ::read(fd, buffer, sizeof buffer)) > 0)
        content.text.append(buffer, static_cast<std::size_t>(count));
    ::close(fd);
    if (S_ISDIR(facts.st_mode)) return refuse("is a directory: name a file in it");
    return content;
}

void check_secret(const std::string& key, const std::string& file, Findings& findings) {
    if (file.empty() || !findings.sound(key)) return;
    const auto content = content_of(key, file, findings);
    if (!content) return;
    const auto first = std::string_view(content->text).substr(0, content->text.find('\n'));
    if (content->known && first.find_first_not_of("\r ") == first.npos)
        findings.problem(key, "'" + file + "' has nothing in its first line: write the secret there");
    else if (content->known && content->others_may_read)
        findings.warning(key, "other users can read '" + file + "': chmod 600 " + file);
}

// As far as it can be told without reading certificates; what is in them is found by who uses them (net/redis/settings.hpp).
void check_pem(const std::string& key, const std::string& file, bool private_key, Findings& findings) {
    if (file.empty() || !findings.sound(key)) return;
    const auto content = content_of(key, file, findings);
    if (!content || !content->known) return;
    const std::string_view text = content->text;
    const auto holds = [&](std::string_view end_of_line) {
        for (auto at = text.find("-----BEGIN "); at != text.npos; at = text.find("-----BEGIN ", at + 1)) {
            const auto line = text.substr(at, text.find('\n', at) - at);
            if (line.find(end_of_line) != line.npos) return true;
        }
        return false;
    };
    const std::string_view kind = private_key ? "pkey" : "x509";
    if (!holds(private_key ? "PRIVATE KEY-----" : "CERTIFICATE-----"))
        findings.problem(key, "'" + file + "' holds no " + (private_key ? "private key" : "certificate") +
                                  " in PEM: where it is DER, openssl " + std::string(kind) + " -inform DER -in " +
                                  file + " writes it as PEM");
    else if (private_key && (holds("ENCRYPTED PRIVATE KEY-----") || text.find("Proc-Type: 4,ENCRYPTED") != text.npos))
        findings.problem(key, "'" + file +
                                  "' is encrypted, and nobody is there to type its passphrase: openssl pkey -in " +
                                  file + " writes it without one");
}

namespace fs = std::filesystem;

bool is_a_directory(const fs::path& path) {
    std::error_code error;
    return fs::is_directory(path.empty() ? "." : path, error);
}

// What cannot be looked at may well be there for whoever serves.
bool is_no_directory(const fs::path& path) {
    std::error_code error;
    const auto status = fs::status(path.empty() ? "." : path, error);
    return status.type() == fs::file_type::not_found || (!error && status.type() != fs::file_type::directory);
}

// Serve makes the store, the directory of its control socket, and those around them, before it opens anything else.
bool is_made_by_serve(const fs::path& directory, const Config& config) {
    for (auto made = fs::path(config.store.path); made != made.root_path() && !made.empty(); made = made.parent_path())
        if (made == directory) return true;
    for (const auto& address : config.proxy.control) {
        std::string why_not;
        const auto place = parse_place(address, why_not);
        if (!place || !place->unix_socket) continue;
        for (auto made = fs::path(place->path).parent_path(); made != made.root_path(); made = made.parent_path())
            if (made == directory) return true;
        return false; // that of the first one; the others are opened later
    }
    return false;
}

void check_written(const std::string& key, const std::string& file, const Config& config, Findings& findings) {
    if (file.empty() || !findings.sound(key)) return;
    const auto directory = fs::path(file).parent_path();
    if (is_no_directory(directory) && !is_made_by_serve(directory, config))
        findings.problem(key, "the directory " + directory.string() + " is not there: make it, or correct the path");
    else if (is_a_directory(file))
        findings.problem(key, "'" + file + "' is a directory: name a file in it");
}

void check_socket(const std::string& key, const std::string& address, const Config& config, Findings& findings) {
    if (!findings.sound(key)) return;
    std::string why_not;
    const auto place = parse_place(address, why_not);
    if (!place || !place->unix_socket) return;
    const auto directory = fs::path(place->path).parent_path();
    if (is_no_directory(directory) && !is_made_by_serve(directory, config))
        findings.problem(key, "the directory of the socket, " + directory.string() +
                                  ", is not there: make it, or correct the path");
}

std::string path_for(const Source& source) {
    for (const auto& [name, value] : source.environment)
        if (name == "PATH") return value;
    const char* ours = std::getenv("PATH");
    return ours == nullptr ? std::string(usual_path) : ours;
}

void check_start(const std::string& path, const Source& source, Findings& findings) {
    if (source.kind == SourceKind::static_addresses || source.command.empty() || !findings.sound(path)) return;
    if (is_no_directory(source.directory))
        return findings.problem(
            path + ".directory",
            "'" + source.directory + "' is no directory: make it, or correct the path" +
                (source.directory.starts_with('/') ? "" : ", which begins where Plimsoll is started"));
    const auto& program = source.command.front();
    std::string why_not;
    const auto file = find_program(program, path_for(source), why_not);
    std::error_code error;
    if (!why_not.empty())
        findings.problem(path + ".command", why_not);
    else if (!fs::exists(fs::path(source.directory) / file, error) && !error && program.find('{') == std::string::npos)
        findings.problem(path + ".command",
                         program + ": is not there: install it, or correct the path" +
                             (program.starts_with('/') ? "" : ", which begins at pool.source.directory"));
}

} // namespace

void check_files(const Config& config, Findings& findings) {
    check_secret("proxy.token_file", config.proxy.token_file, findings);
    check_secret("admin.token_file", config.admin.token_file, findings);
    const Redis& redis = config.redis;
    check_secret("redis.password_file", redis.password_file, findings);
    check_pem("redis.ca_file", redis.ca_file, false, findings);
    check_pem("redis.cert_file", redis.cert_file, false, findings);
    check_pem("redis.key_file", redis.key_file, true, findings);
    check_written("log.file", config.log.file, config, findings);
    check_written("log.trace", config.log.trace, config, findings);
    check_socket("admin.listen", config.admin.listen, config, findings);
    for (std::size_t i = 0; i < config.listeners.size(); ++i)
        check_socket("listener[" + std::to_string(i) + "].address", config.listeners[i].address, config, findings);
    for (std::size_t i = 0; i < config.pools.size(); ++i)
        check_start("pool[" + std::to_string(i) + "].source", config.pools[i].source, findings);
}

} // namespace plimsoll::config
