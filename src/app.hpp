// The program: wires data plane, fleet, store and admin together, and carries them through start, reload and stop.
//
//   config -> store -> listeners -> fleet -> admin -> (signals, reloads)* -> listeners stop -> fleet stops -> admin
//   stops
//
// Listeners come before the fleet: a taken port is told at once, and no server was started for nothing. They stop
// before it: workers end only after the last request.
#pragma once

#include <memory>
#include <string>

#include "config/config.hpp"
#include "config/parse.hpp"

namespace plimsoll {

class RunDirectory;

class App {
public:
    struct Options {
        config::Config config;
        std::string config_file;                    // read again by a reload; empty: there is none
        std::vector<config::Problem> warnings = {}; // of the configuration: told as soon as there is a log
        // `plimsoll run`: print where it listens before anything else, and give up when the application does not start.
        bool embedded = false;
        std::string run_dir; // for sockets and the unpacked agent; empty: beside the control socket
    };
    App(Options options, const RunDirectory& run_directory);
    ~App();
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    // Until it is told to stop. Returns the exit code: 0 after a stop, 1 where it could not start (one line on standard
    // error says why and how to mend it).
    int run();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace plimsoll
