// What /proc tells of a process that nobody can ask: its mappings by name, its descriptors and children by kind, its
// threads by name. No names of open files: those can tell of persons.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

namespace plimsoll::fleet {

struct Mapping { // all mappings of one name: a file, "[heap]", "anonymous"
    std::string name;
    std::int64_t count = 0, size = 0, rss = 0, anon = 0, swap = 0; // bytes
};
// /proc/PID/smaps, the largest first by what is resident and not of a file.
std::vector<Mapping> read_smaps(std::istream& smaps);
// /proc/PID/net/tcp and the like: inode -> "tcp close-wait", "udp", "unix".
void read_sockets(std::istream& table, std::string_view protocol,
                  std::vector<std::pair<std::uint64_t, std::string>>& into);

// Empty: the process is gone, or not ours to see. May block, for some 20 ms for each GiB.
boost::json::object process_evidence(int pid, const std::string& proc = "/proc");

} // namespace plimsoll::fleet
