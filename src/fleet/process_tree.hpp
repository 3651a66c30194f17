// Who is whose child, by /proc. A command may be a wrapper or a little supervisor of its own: the worker that counts then
// lives below the process that was started.
#pragma once

#include <optional>
#include <vector>

#include "sense/memory.hpp"

namespace plimsoll::fleet {

std::vector<int> children_of(int pid);
std::vector<int> process_tree(int pid);    // itself first; at most 64, deeper ones are left out
std::vector<int> lineage(int pid);         // itself first, then its parent, and so on; at most 16
bool descends_from(int pid, int ancestor); // itself counts

// Of all of them together. Of memory: what is resident; an address space, and a limit of it, each has its own.
std::optional<sense::Statm> statm_of_tree(const sense::Reader& reader, int pid);
// How many descriptors one of them may have is the first one's; children are all but the first.
sense::Opened opened_of_tree(const sense::Reader& reader, int pid);

} // namespace plimsoll::fleet
