// The least configuration that is complete.
#pragma once

#include <string>

namespace plimsoll::config {

inline const std::string least =
    "[[pool]]\nname = \"app\"\n[pool.source]\nkind = \"static\"\naddresses = [\"127.0.0.1:8001\"]\n";

} // namespace plimsoll::config
