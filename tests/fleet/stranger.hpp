// A server that somebody else started: the test. Ended with it.
#pragma once

#include <csignal>
#include <string>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {

class Stranger {
public:
    Stranger(const Stage& stage, const std::string& script, std::vector<std::string> arguments) {
        std::vector<std::string> command = {"env", "PLIMSOLL_CONTROL=" + stage.config.proxy.control.front(),
                                            "PLIMSOLL_POOL=app", "PLIMSOLL_RUN_DIR=" + stage.directory.string()};
        if (!stage.config.proxy.token.empty()) command.push_back("PLIMSOLL_TOKEN=" + stage.config.proxy.token);
        for (const std::string& part : Stage::python(script, std::move(arguments))) command.push_back(part);
        std::vector<char*> argv;
        for (std::string& part : command) argv.push_back(part.data());
        argv.push_back(nullptr);
        posix_spawnp(&pid_, "env", nullptr, nullptr, argv.data(), environ);
    }
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;
    ~Stranger() { end(SIGTERM); }
    void end(int signal) {
        if (pid_ <= 0) return;
        ::kill(pid_, signal);
        const Instant patience = Clock::now() + std::chrono::seconds{5};
        while (::waitpid(pid_, nullptr, WNOHANG) == 0) { // one may ignore it
            if (Clock::now() > patience) ::kill(pid_, SIGKILL);
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        pid_ = 0;
    }
    int pid() const { return pid_; }

private:
    pid_t pid_ = 0;
};

} // namespace plimsoll::fleet
