#include "fleet/launch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/find_program.hpp"
#include "fleet/fd.hpp"
#include "net/io/descriptors.hpp"

extern char** environ;

namespace plimsoll::fleet {
namespace {

enum class Step : int { directory, descriptors, user, exec };
struct Failure {
    Step step;
    int error;
};

// All that the child needs, made before the fork: after it, in a program with threads, not even malloc is safe.
struct Prepared {
    std::vector<std::string> environment;
    std::vector<char*> argv, envp;
    std::string file, directory;
    int input = -1, output = -1, failure = -1;
    rlimit files{}; // ours is raised; a program that select()s must not see numbers beyond 1,024
    pid_t parent = 0;
    std::optional<std::pair<unsigned, unsigned>> user;
};

// What systemd said to us: a server that is told of it, too, would speak for this unit (gunicorn says READY and STOPPING). And the
// operator's token: who has it commands all workers.
constexpr auto ours_alone =
    std::to_array<std::string_view>({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS",
                                     "LISTEN_FDNAMES", "PLIMSOLL_ADMIN_TOKEN"});

std::vector<std::string> merged_environment(const Command& command) {
    std::vector<std::string> merged;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const auto key = text.substr(0, text.find('='));
        const bool replaced =
            std::ranges::any_of(command.environment, [&](const auto& pair) { return pair.first == key; });
        if (!replaced && std::ranges::find(ours_alone, key) == ours_alone.end()) merged.emplace_back(text);
    }
    for (const auto& [key, value] : command.environment) merged.push_back(key + "=" + value);
    return merged;
}

std::string_view path_of(const std::vector<std::string>& environment) {
    for (const std::string_view entry : environment)
        if (entry.starts_with("PATH=")) return entry.substr(5);
    return config::usual_path;
}

// Out of the way of 0, 1 and 2, where a parent without standard descriptors might have got it.
Fd above_standard(int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

void close_all_on_exec() {
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
    if (::syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
    constexpr int enough = 65'536; // a kernel or a sandbox without close_range
    const long open_max = ::sysconf(_SC_OPEN_MAX);
    for (int fd = 3; fd < enough && fd < open_max; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

[[noreturn]] void fail(const Prepared& prepared, Step step) {
    const Failure failure{step, errno};
    (void)!::write(prepared.failure, &failure, sizeof failure); // nobody to tell if that fails
    ::_exit(127);
}

// In the child. Async-signal-safe calls only.
[[noreturn]] void become(const Prepared& prepared) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != prepared.parent) ::_exit(127); // it died before the wish was made
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &usual, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setrlimit(RLIMIT_NOFILE, &prepared.files); // lowering the soft limit is always allowed
    if (::dup2(prepared.input, 0) < 0) fail(prepared, Step::descriptors);
    if (prepared.output >= 0 && (::dup2(prepared.output, 1) < 0 || ::dup2(prepared.output, 2) < 0))
        fail(prepared, Step::descriptors);
    if (::chdir(prepared.directory.c_str()) != 0) fail(prepared, Step::directory);
    if (prepared.user &&
        (::setgroups(0, nullptr) != 0 || ::setgid(prepared.user->second) != 0 || ::setuid(prepared.user->first) != 0))
        fail(prepared, Step::user);
    close_all_on_exec(); // the way to report a failure included
    ::execve(prepared.file.c_str(), prepared.argv.data(), prepared.envp.data());
    fail(prepared, Step::exec);
}

std::string explain(const Failure& failure, const Prepared& prepared) {
    const std::string reason = std::strerror(failure.error);
    switch (failure.step) {
    case Step::directory: return "cannot enter the directory " + prepared.directory + ": " + reason;
    case Step::descriptors: return "cannot set up standard output: " + reason;
    case Step::user: return "cannot become uid " + std::to_string(prepared.user->first) + ": " + reason;
    case Step::exec: break;
    }
    const std::string& file = prepared.file;
    struct stat found {};
    const bool there =
        ::stat(file.starts_with('/') ? file.c_str() : (prepared.directory + "/" + file).c_str(), &found) == 0;
    if (failure.error == ENOENT && there)
        return file + ": the interpreter in its first line does not exist (was its virtual environment moved?)";
    if (failure.error == ENOEXEC) return file + ": is no program; does its first line name an interpreter (#!)?";
    if (failure.error == EACCES && there && S_ISREG(found.st_mode)) return file + ": is not executable (chmod +x?)";
    return file + ": " + reason;
}

} // namespace

int launch(const Command& command, int output, std::string& why_not) {
    if (command.argv.empty() || command.argv[0].empty()) {
        why_not = "there is no command to start";
        return 0;
    }
    Prepared prepared;
    prepared.environment = merged_environment(command);
    prepared.file = config::find_program(command.argv[0], path_of(prepared.environment), why_not);
    if (prepared.file.empty()) return 0;
    prepared.directory = command.directory.empty() ? "." : command.directory;
    for (const auto& argument : command.argv) prepared.argv.push_back(const_cast<char*>(argument.c_str()));
    for (const auto& entry : prepared.environment) prepared.envp.push_back(const_cast<char*>(entry.c_str()));
    prepared.argv.push_back(nullptr);
    prepared.envp.push_back(nullptr);
    prepared.parent = ::getpid();
    prepared.user = command.user;
    prepared.files = net::io::inherited_descriptor_limit();

    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        why_not = "cannot start " + command.argv[0] + ": " + std::strerror(errno);
        return 0;
    }
    Fd failure_in(ends[0]), failure_out(ends[1]);
    Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    Fd failure = above_standard(failure_out.get());
    const Fd input = above_standard(null.get());
    const Fd both = output >= 0 ? above_standard(output) : Fd();
    failure_out.reset();
    null.reset();
    if (!input || !failure || (output >= 0 && !both)) {
        why_not = "cannot start " + command.argv[0] + ": " + std::strerror(errno);
        return 0;
    }
    prepared.input = input.get();
    prepared.output = both.get();
    prepared.failure = failure.get();

    // No handler of ours may run in the child before it has reset them.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = ::fork();
    const int error = errno;
    if (pid == 0) become(prepared);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) {
        why_not = "cannot start " + command.argv[0] + ": " + std::strerror(error);
        return 0;
    }
    ::setpgid(pid, pid); // whoever of the two comes first
    failure.reset();     // so that the end of the child's copy can be read

    Failure told{};
    ssize_t size = 0;
    do size = ::read(failure_in.get(), &told, sizeof told);
    while (size < 0 && errno == EINTR);
    if (size != static_cast<ssize_t>(sizeof told)) return pid; // closed by exec
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    why_not = explain(told, prepared);
    return 0;
}

} // namespace plimsoll::fleet
