// How many workers share what a memory limit allows.
//
//   /slice (600 MB)  - /slice/worker@1, /slice/worker@2 (100 MB)      under /slice live two, under /slice/worker@2 one
//
// A limit is shared by all who live in its cgroup or anywhere below it, whatever cgroups of their own they have there. A name
// that is no path (a host's) is shared by those that live right there.
#pragma once

#include <map>
#include <string>

namespace plimsoll {

class Sharers {
public:
    void clear();
    void add(const std::string& domain);
    unsigned of(const std::string& domain); // at least 1; walks through those below at the first question only

private:
    std::map<std::string, unsigned> living_, sums_;
};

} // namespace plimsoll
