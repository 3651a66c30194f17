#include "run_directory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "embedded.hpp"
#include "log/log.hpp"

namespace plimsoll {

namespace fs = std::filesystem;

namespace {

// A directory that activates the agent (sitecustomize.py) with the package beside it. Written whole, then renamed: a
// server of an earlier Plimsoll may be importing from it at this moment.
std::string unpack_agent(const fs::path& run_dir) {
    std::error_code error;
    const fs::path target = run_dir / "plimsoll-agent";
    const fs::path fresh = target.string() + "." + std::to_string(getpid()), old = fresh.string() + ".old";
    for (const EmbeddedFile& file : embedded::agent()) {
        std::string_view path = file.path;
        if (path.starts_with("bootstrap/")) path.remove_prefix(std::string_view("bootstrap/").size());
        const fs::path to = fresh / path;
        fs::create_directories(to.parent_path(), error);
        std::ofstream out(to, std::ios::binary);
        out << file.content;
        if (!out.flush()) {
            fs::remove_all(fresh, error);
            return {};
        }
    }
    fs::rename(target, old, error); // fails where there is none yet
    fs::rename(fresh, target, error);
    if (error) return {};
    fs::remove_all(old, error);
    return fs::absolute(target).string();
}

} // namespace

bool RunDirectory::make_beside(const std::vector<std::string>& control_addresses, std::string& problem) {
    const auto socket = std::ranges::find_if(control_addresses, [](const auto& a) { return !a.starts_with("tcp:"); });
    if (socket == control_addresses.end()) return make_temporary(problem);
    const fs::path path = socket->starts_with("unix:") ? socket->substr(5) : *socket;
    std::error_code error;
    path_ = fs::absolute(path, error).parent_path().string();
    const bool made = fs::create_directories(path_, error);
    return fill(made, problem);
}

bool RunDirectory::make_temporary(std::string& problem) {
    std::string pattern = (fs::temp_directory_path() / "plimsoll-XXXXXX").string();
    temporary_ = mkdtemp(pattern.data()) != nullptr;
    path_ = pattern;
    return fill(temporary_, problem);
}

bool RunDirectory::fill(bool ours, std::string& problem) {
    if (access(path_.c_str(), W_OK) != 0) {
        problem = path_ + " cannot be written (" + std::strerror(errno) +
                  "): make it for this user, or set proxy.control to a socket in a directory of yours";
        return false;
    }
    std::error_code error;
    if (ours) fs::permissions(path_, fs::perms(0755), error);
    agent_path_ = unpack_agent(path_);
    if (agent_path_.empty()) log::warn("agent_not_unpacked", {{"directory", path_}});
    spare_from_cleaning();
    return true;
}

// systemd-tmpfiles deletes what has not been touched for ten days below /tmp, the agent's files among it; but nothing below a
// directory that somebody has locked. Shared: several proxies may use one.
void RunDirectory::spare_from_cleaning() {
    lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ >= 0) ::flock(lock_, LOCK_SH | LOCK_NB);
}

RunDirectory::~RunDirectory() {
    if (lock_ >= 0) ::close(lock_);
    if (!temporary_ || path_.empty()) return;
    std::error_code error;
    fs::remove_all(path_, error);
}

} // namespace plimsoll
