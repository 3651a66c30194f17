// What `plimsoll run APP` makes of its few options: a whole configuration, from what the environment has.
#pragma once

#include <string>

#include "config/config.hpp"

namespace plimsoll {

struct RunChoice {
    std::string app;      // "module:attribute"
    unsigned workers = 0; // 0: one a core
    bool asgi = false;    // uvicorn instead of gunicorn
    std::string listen = "0.0.0.0:8080", admin = "127.0.0.1:9180";
};
struct RunConfig {
    config::Config config;
    std::string problem; // not empty: one line that says how to mend it; config is void then
};
// Looks for the server in $VIRTUAL_ENV/bin, then in PATH, then as a module of python3.
RunConfig run_config(const RunChoice& choice, const std::string& run_dir);

} // namespace plimsoll
