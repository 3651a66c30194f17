// Who is whose child, by /proc. A command may be a wrapper or a little supervisor of its own: the worker that counts then
// lives below the process that was started.
#pragma once

#include <vector>

namespace plimsoll::fleet {

std::vector<int> children_of(int pid);
std::vector<int> process_tree(int pid);    // itself first; at most 64, deeper ones are left out
std::vector<int> lineage(int pid);         // itself first, then its parent, and so on; at most 16
bool descends_from(int pid, int ancestor); // itself counts

} // namespace plimsoll::fleet
