#include "config/find_program.hpp"

#include <algorithm>

#include <sys/stat.h>
#include <unistd.h>

namespace plimsoll::config {

std::string find_program(const std::string& name, std::string_view path, std::string& why_not) {
    if (name.find('/') != std::string::npos) return name; // exec says what is wrong with it
    std::string not_executable;
    while (!path.empty()) {
        const auto end = std::min(path.find(':'), path.size());
        std::string file(path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
        if (!file.starts_with('/')) continue; // "here" is another directory for the child than for us
        file += "/" + name;
        struct stat found {};
        if (::stat(file.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) continue;
        if (::access(file.c_str(), X_OK) == 0) return file;
        not_executable = file;
    }
    why_not = not_executable.empty() ? name + ": not found in PATH; install it or give its full path in the command"
                                     : not_executable + ": is not executable (chmod +x?)";
    return {};
}

} // namespace plimsoll::config
