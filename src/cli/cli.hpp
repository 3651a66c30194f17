// The command line. `serve` and `run` are the proxy itself and come from the program; `check` and `replay` read files; every other
// command talks to a running proxy through its admin API.
//
//   exit code 0  done
//             1  refused or failed; one line on standard error says why
//             2  bad usage or bad configuration: every problem, with its place and what was probably meant
//             3  no proxy answers
#pragma once

#include <functional>
#include <string>

namespace plimsoll::cli {

struct ServeOptions {
    std::string config_file;
};
struct RunOptions {
    std::string app;      // "module:attribute"
    unsigned workers = 0; // 0: one a core
    bool asgi = false;
    std::string listen = "0.0.0.0:8080", admin = "127.0.0.1:9180";
};
struct Program {
    std::function<int(const ServeOptions&)> serve;
    std::function<int(const RunOptions&)> run;
};

int main(int argc, char** argv, Program program); // returns the exit code; throws nothing

} // namespace plimsoll::cli
