// Where the sockets lie that Plimsoll and its workers share, and the agent unpacked for the servers that it starts.
#pragma once

#include <string>
#include <vector>

namespace plimsoll {

class RunDirectory {
public:
    RunDirectory() = default;
    ~RunDirectory(); // takes a temporary one away
    RunDirectory(const RunDirectory&) = delete;
    RunDirectory& operator=(const RunDirectory&) = delete;

    // Made where they are not there yet, 0755: workers may run as other users. False: `problem` says in one line what
    // is wrong and how to mend it.
    bool make_beside(const std::vector<std::string>& control_addresses, std::string& problem);
    bool make_temporary(std::string& problem);

    const std::string& path() const { return path_; }
    const std::string& agent_path() const { return agent_path_; } // for PYTHONPATH; empty: it could not be unpacked

private:
    bool fill(bool ours, std::string& problem);
    void spare_from_cleaning();

    std::string path_, agent_path_;
    bool temporary_ = false;
    int lock_ = -1;
};

} // namespace plimsoll
