#include "successor.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/heirlooms.hpp"
#include "net/lent_sockets.hpp"

extern char** environ;

namespace plimsoll {

namespace asio = boost::asio;

namespace {

constexpr const char* pipe_variable = "PLIMSOLL_PREDECESSOR";

// Where this program was started from, before anybody replaced that file.
std::string path_of_program() {
    char path[4096];
    const auto size = ::readlink("/proc/self/exe", path, sizeof path);
    return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string();
}
const std::string program = path_of_program();

// Likewise the pipe: taken out of the environment, so that no worker gets it.
int pipe_to_predecessor() {
    const char* text = std::getenv(pipe_variable);
    const int fd = text ? std::atoi(text) : -1;
    ::unsetenv(pipe_variable);
    if (fd < 3 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return -1;
    return fd;
}
int predecessor = pipe_to_predecessor();

std::vector<std::string> arguments() {
    std::vector<std::string> words;
    std::ifstream in("/proc/self/cmdline", std::ios::binary);
    for (std::string word; std::getline(in, word, '\0');) words.push_back(word);
    return words;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

// The pid, or 0. The child has our standard descriptors, `keep`, and nothing else: all others close on exec.
int spawn(const std::vector<int>& keep, std::vector<std::string> more, std::string& why_not) {
    auto words = arguments();
    std::vector<std::string> environment;
    for (char** entry = environ; *entry; ++entry) environment.emplace_back(*entry);
    environment.insert(environment.end(), more.begin(), more.end());
    const auto argv = pointers(words), envp = pointers(environment);

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    for (const int fd : keep) ::posix_spawn_file_actions_adddup2(&actions, fd, fd); // onto itself: survives exec
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), envp.data());
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (error == 0) return pid;
    why_not = program + ": " + std::strerror(error);
    return 0;
}

struct Waiting : std::enable_shared_from_this<Waiting> {
    Waiting(asio::io_context& control, int pipe, int child, Successor::Done then)
        : end(control, pipe), timer(control), pid(child), done(std::move(then)) {}

    void begin(Duration bound) {
        timer.expires_after(bound);
        timer.async_wait([self = shared_from_this()](boost::system::error_code error) {
            if (!error) self->give_up("it did not serve in time, and was ended");
        });
        end.async_read_some(asio::buffer(&byte, 1),
                            [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                                if (!error)
                                    self->finish(self->pid, {});
                                else
                                    self->give_up("it ended before it served; its own lines in the log say why");
                            });
    }
    void give_up(const std::string& why) {
        if (!done) return;
        ::kill(pid, SIGKILL); // a direct child that was not waited for: the number is still its own
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        finish(0, why);
    }
    void finish(int who, const std::string& why) {
        if (!done) return;
        boost::system::error_code ignored;
        timer.cancel();
        end.close(ignored);
        std::exchange(done, nullptr)(who, why);
    }

    asio::posix::stream_descriptor end;
    asio::steady_timer timer;
    char byte = 0;
    const int pid;
    Successor::Done done;
};

} // namespace

std::string Successor::start(asio::io_context& control, Duration bound, Done done) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return std::string("no pipe could be made: ") + std::strerror(errno);
    const auto& heirlooms = net::Heirlooms::of_this_process();
    auto keep = heirlooms.all();
    const auto& lent = net::LentSockets::of_this_process();
    std::ranges::copy(lent.all(), std::back_inserter(keep));
    keep.push_back(ends[1]);
    std::string why_not;
    const int pid = spawn(keep,
                          {std::string(net::Heirlooms::variable) + "=" + heirlooms.text(),
                           std::string(net::LentSockets::variable) + "=" + lent.text(),
                           std::string(pipe_variable) + "=" + std::to_string(ends[1])},
                          why_not);
    ::close(ends[1]);
    if (pid == 0) {
        ::close(ends[0]);
        return why_not;
    }
    const auto waiting = std::make_shared<Waiting>(control, ends[0], pid, std::move(done));
    waiting->begin(bound);
    give_up_ = [one = std::weak_ptr(waiting)](const std::string& why) {
        if (const auto still = one.lock()) still->give_up(why);
    };
    return {};
}

void Successor::end(const std::string& why) {
    if (give_up_) give_up_(why);
}

bool has_predecessor() {
    if (predecessor < 0) return false;
    pollfd pipe{predecessor, 0, 0}; // its end goes with it
    return ::poll(&pipe, 1, 0) <= 0 || (pipe.revents & POLLERR) == 0;
}

void tell_predecessor() {
    if (predecessor < 0) return;
    (void)!::write(predecessor, "s", 1); // if it is gone already, so much the better
    ::close(std::exchange(predecessor, -1));
}

void notify_supervisor(const std::string& message) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un to{};
    if (!path || !*path || std::strlen(path) >= sizeof to.sun_path) return;
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path, std::strlen(path));
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    (void)!::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), length);
    ::close(fd);
}

} // namespace plimsoll
