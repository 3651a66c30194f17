#include "program.hpp"

#include <csignal>
#include <cstdio>

#include "app.hpp"
#include "net/heirlooms.hpp"
#include "net/lent_sockets.hpp"
#include "run_config.hpp"
#include "run_directory.hpp"
#include "secrets.hpp"

namespace plimsoll {

namespace {

int fail(const std::string& problem, int code) {
    std::fprintf(stderr, "plimsoll: %s\n", problem.c_str());
    return code;
}

} // namespace

int serve(const cli::ServeOptions& options) {
    net::Heirlooms::of_this_process().inherit();
    net::LentSockets::of_this_process().inherit();
    std::signal(SIGPIPE, SIG_IGN); // a peer that hangs up is an error of one write, not of the program
    const config::Parsed parsed = load_with_tokens(options.config_file);
    if (!parsed.problems.empty()) {
        for (const auto& problem : parsed.problems) std::fprintf(stderr, "%s\n", config::to_string(problem).c_str());
        for (const auto& warning : parsed.warnings)
            std::fprintf(stderr, "%s (warning)\n", config::to_string(warning).c_str());
        return 2;
    }

    RunDirectory run_directory;
    std::string problem;
    if (!run_directory.make_beside(parsed.config.proxy.control, problem)) return fail(problem, 1);
    return App({.config = parsed.config, .config_file = options.config_file, .warnings = parsed.warnings},
               run_directory)
        .run();
}

int run(const cli::RunOptions& options) {
    std::signal(SIGPIPE, SIG_IGN);
    RunDirectory run_directory;
    std::string problem;
    if (!run_directory.make_temporary(problem)) return fail(problem, 1);
    const RunConfig made = run_config({.app = options.app,
                                       .workers = options.workers,
                                       .asgi = options.asgi,
                                       .listen = options.listen,
                                       .admin = options.admin},
                                      run_directory.path());
    if (!made.problem.empty()) return fail(made.problem, 1);
    return App({.config = made.config, .embedded = true}, run_directory).run();
}

} // namespace plimsoll
