// Which Python runs in a process, by what /proc tells of it: nothing is executed to find out. From 3.14 on it can be told to
// run a script (PEP 768), by an interpreter of the very same build: usually its own program, or the one beside the
// libpython that a server has loaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plimsoll::fleet {

struct PythonVersion {
    int major = 0, minor = 0;
    auto operator<=>(const PythonVersion&) const = default;
};
inline constexpr PythonVersion first_with_remote_exec{3, 14};

// By the program's name ("/usr/bin/python3.14t"), else by what it has mapped: libpython3.14.so.1.0, or a module below
// .../python3.14/lib-dynload/. Nothing: no Python, or nobody can tell which.
std::optional<PythonVersion> python_version(std::string_view program, std::string_view maps);
// The file of a mapping whose name begins like this; empty: none.
std::string mapped_file(std::string_view maps, std::string_view name_begins);

struct RemotePython {
    int pid = 0;
    std::string program;          // that runs scripts in it
    std::string why_not;          // empty: it can be done
    unsigned user = 0, group = 0; // effective, of the process
    bool trusted = false;         // nobody but root could have changed the program
};
// Of a worker's process and what it started: of several Pythons the one with the most memory of its own. May block.
RemotePython find_remote_python(int pid);

// The same by the name of its program alone, which does not block: empty where that does not say no.
std::string why_no_remote_python(int pid);

// Whether a process of that user may read the file, folders on the way included. By the mode bits alone.
bool may_read(const std::string& path, unsigned user, unsigned group);

} // namespace plimsoll::fleet
