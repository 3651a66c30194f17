#include "fleet/remote_python.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <sys/stat.h>
#include <unistd.h>

#include "fleet/process_tree.hpp"
#include "sense/memory.hpp"

namespace plimsoll::fleet {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t largest_maps = 8 << 20;

// "3.14" at the beginning, whatever follows that is no digit.
std::optional<PythonVersion> leading_version(std::string_view text) {
    PythonVersion version;
    const auto major = std::from_chars(text.data(), text.data() + text.size(), version.major);
    if (major.ec != std::errc{} || major.ptr == text.data() + text.size() || *major.ptr != '.') return std::nullopt;
    const auto minor = std::from_chars(major.ptr + 1, text.data() + text.size(), version.minor);
    if (minor.ec != std::errc{}) return std::nullopt;
    return version;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// The paths in a maps file, those of files only.
template <class Visit>
void each_file(std::string_view maps, Visit visit) {
    while (!maps.empty()) {
        const auto end = std::min(maps.find('\n'), maps.size());
        const std::string_view line = maps.substr(0, end);
        if (const auto at = line.find('/'); at != std::string_view::npos)
            if (!visit(line.substr(at))) return;
        maps.remove_prefix(std::min(end + 1, maps.size()));
    }
}

std::string of_proc(int pid, const char* name) { return "/proc/" + std::to_string(pid) + "/" + name; }

std::string link_of(int pid, const char* name) {
    std::error_code none;
    return fs::read_symlink(of_proc(pid, name), none).string();
}

std::string maps_of(int pid) {
    std::ifstream in(of_proc(pid, "maps"));
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (text.size() > largest_maps) text.resize(largest_maps);
    return text;
}

void read_user(RemotePython& python) {
    std::ifstream in(of_proc(python.pid, "status"));
    for (std::string line; std::getline(in, line);) {
        std::istringstream fields(line);
        std::string name;
        unsigned real = 0, effective = 0;
        if (!(fields >> name >> real >> effective)) continue;
        if (name == "Uid:") python.user = effective;
        if (name == "Gid:") python.group = effective;
    }
}

bool owned_by_root(const fs::path& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0 || found.st_uid != 0) return false;
    return (found.st_mode & S_IWOTH) == 0 && ((found.st_mode & S_IWGRP) == 0 || found.st_gid == 0);
}

// The program, what lies beside it, and the standard library, from which it loads code as it starts.
bool is_trusted(const fs::path& program, PythonVersion version) {
    const fs::path prefix = program.parent_path().parent_path();
    const fs::path library =
        prefix / "lib" / ("python" + std::to_string(version.major) + "." + std::to_string(version.minor));
    return owned_by_root(program) && owned_by_root(program.parent_path()) && owned_by_root(prefix) &&
           owned_by_root(library);
}

bool same_file(const std::string& a, const std::string& b) {
    struct stat one {
    }, other{};
    return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

// Of an embedded Python: PREFIX/lib/libpython3.14.so or PREFIX/lib/x86_64-linux-gnu/libpython3.14.so -> PREFIX/bin.
std::string beside_library(const std::string& library, PythonVersion version) {
    const std::string name = "python" + std::to_string(version.major) + "." + std::to_string(version.minor);
    fs::path folder = fs::path(library).parent_path();
    for (int up = 0; up < 2; ++up) {
        folder = folder.parent_path();
        const fs::path program = folder / "bin" / name;
        if (::access(program.c_str(), X_OK) == 0) return program.string();
    }
    return {};
}

std::string text_of(PythonVersion version) {
    return "Python " + std::to_string(version.major) + "." + std::to_string(version.minor);
}

std::string too_old(PythonVersion version) {
    return "its " + text_of(version) + " cannot be told to run a script, 3.14 and later can";
}

RemotePython look_at(int pid, bool& is_python) {
    RemotePython python;
    python.pid = pid;
    const std::string program = link_of(pid, "exe"), maps = maps_of(pid);
    is_python = false;
    if (program.empty() || maps.empty()) {
        python.why_not = "this user may not look at its process";
        return python;
    }
    const auto version = python_version(program, maps);
    if (!version) {
        python.why_not = base_name(program).starts_with("python") ? "it cannot be told which Python it runs"
                                                                  : std::string(base_name(program)) + " is no Python";
        return python;
    }
    is_python = true;
    if (*version < first_with_remote_exec) {
        python.why_not = too_old(*version);
        return python;
    }
    if (!same_file(of_proc(pid, "ns/mnt"), "/proc/self/ns/mnt")) {
        python.why_not = "it lives in another container, where it cannot read our files";
        return python;
    }
    read_user(python);
    python.program = python_version(program, {}) || base_name(program).starts_with("python")
                         ? program
                         : beside_library(mapped_file(maps, "libpython"), *version);
    if (python.program.empty() || (python.program == program && !same_file(of_proc(pid, "exe"), program))) {
        python.why_not = "the program of its " + text_of(*version) + " cannot be found";
        python.program.clear();
        return python;
    }
    python.trusted = is_trusted(python.program, *version);
    return python;
}

} // namespace

std::string mapped_file(std::string_view maps, std::string_view name_begins) {
    std::string found;
    each_file(maps, [&](std::string_view path) {
        if (base_name(path).starts_with(name_begins)) found = path;
        return found.empty();
    });
    return found;
}

std::optional<PythonVersion> python_version(std::string_view program, std::string_view maps) {
    constexpr std::string_view name = "python", library = "libpython", modules = "/python";
    if (base_name(program).starts_with(name))
        if (auto version = leading_version(base_name(program).substr(name.size()))) return version;
    std::optional<PythonVersion> found;
    each_file(maps, [&](std::string_view path) {
        if (base_name(path).starts_with(library)) found = leading_version(base_name(path).substr(library.size()));
        if (const auto at = path.find("/lib-dynload/"); !found && at != std::string_view::npos)
            if (const auto begins = path.rfind(modules, at - 1); begins != std::string_view::npos)
                found = leading_version(path.substr(begins + modules.size()));
        return !found;
    });
    return found;
}

std::string why_no_remote_python(int pid) {
    const auto version = python_version(link_of(pid, "exe"), {});
    return version && *version < first_with_remote_exec ? too_old(*version) : std::string{};
}

RemotePython find_remote_python(int pid) {
    const sense::Reader reader;
    std::optional<RemotePython> best;
    std::int64_t most = -1;
    RemotePython first;
    for (const int each : process_tree(pid)) {
        bool is_python = false;
        RemotePython found = look_at(each, is_python);
        const auto memory = reader.statm(each);
        if (each == pid) first = found;
        if (!is_python || !memory || memory->anon().count <= most) continue;
        most = memory->anon().count;
        best = std::move(found);
    }
    return best ? *best : first;
}

bool may_read(const std::string& path, unsigned user, unsigned group) {
    if (user == 0) return true;
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) return false;
    const auto allows = [&](mode_t of_user) {
        if (found.st_uid == user) return (found.st_mode & of_user) != 0;
        if (found.st_gid == group) return (found.st_mode & (of_user >> 3)) != 0;
        return (found.st_mode & (of_user >> 6)) != 0;
    };
    if (!allows(S_IRUSR)) return false;
    for (fs::path folder = fs::path(path).parent_path(); folder.has_relative_path(); folder = folder.parent_path())
        if (::stat(folder.c_str(), &found) != 0 || !allows(S_IXUSR)) return false;
    return true;
}

} // namespace plimsoll::fleet
