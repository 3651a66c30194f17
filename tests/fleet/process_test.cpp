#include "fleet/process.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fleet/fd.hpp"
#include "fleet/process_tree.hpp"
#include "fleet/wait.hpp"
#include "sense/memory.hpp"
#include "tests/fleet/turn.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

// The pids of this thread's children, dead ones that nobody waited for too; other tests may have left some.
std::string children() {
    std::ifstream list("/proc/thread-self/children");
    return {std::istreambuf_iterator<char>(list), {}};
}

class ProcessTest : public testing::Test {
protected:
    ProcessTest() {
        char name[] = "/tmp/plimsoll-process-XXXXXX";
        directory = ::mkdtemp(name);
    }
    ~ProcessTest() override { std::filesystem::remove_all(directory); }

    std::shared_ptr<Child> start(std::vector<std::string> argv) {
        command.argv = std::move(argv);
        return Child::start(io, command, why_not);
    }
    std::shared_ptr<Child> shell(const std::string& script) {
        command.capture_output = true;
        auto child = start({"/bin/sh", "-c", script});
        EXPECT_TRUE(child) << why_not;
        return child;
    }
    bool ended(Process& process, Duration bound = 10s) { return result_of(io, process.ended(bound)); }
    std::string output_of(const std::string& script) {
        auto child = shell(script);
        EXPECT_TRUE(ended(*child));
        return child->output();
    }
    std::string file(const std::string& name, const std::string& content, mode_t mode) {
        const std::string path = directory + "/" + name;
        std::ofstream(path) << content;
        ::chmod(path.c_str(), mode);
        return path;
    }
    char state_of(int pid) {
        const auto stat = sense::Reader().stat(pid);
        return stat ? stat->state : '-';
    }
    static std::size_t open_descriptors() {
        std::size_t count = 0;
        for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
        return count;
    }

    asio::io_context io;
    std::string directory, why_not;
    Command command;
};

TEST_F(ProcessTest, an_exit_code_is_told) {
    auto child = shell("exit 3");
    EXPECT_FALSE(child->exit());
    ASSERT_TRUE(ended(*child));
    EXPECT_FALSE(child->running());
    ASSERT_TRUE(child->exit());
    EXPECT_EQ(child->exit()->code, 3);
    EXPECT_FALSE(child->exit()->signal);
    EXPECT_EQ(child->exit()->text(), "exit code 3");
    EXPECT_FALSE(child->send(SIGTERM, why_not));
    EXPECT_NE(why_not.find("has ended"), std::string::npos);
}

TEST_F(ProcessTest, when_it_began_is_known_of_one_that_we_did_not_start_too) {
    auto child = shell("sleep 10");
    ASSERT_TRUE(child);
    const auto age = std::chrono::system_clock::now() - started_at(*child);
    EXPECT_GE(age, -100ms); // the kernel counts in ticks
    EXPECT_LE(age, 5s);
    child->kill_group(SIGKILL);
    ended(*child);
    const auto self = Process::attach(io, ::getppid(), std::nullopt, why_not);
    ASSERT_TRUE(self) << why_not;
    EXPECT_LT(started_at(*self), started_at(*child));
}

TEST_F(ProcessTest, of_a_wrapper_all_that_runs_below_it_counts) {
    auto child = shell("sleep 30 < /dev/null & sleep 30 & wait");
    ASSERT_TRUE(child);
    const sense::Reader reader;
    const auto whole = [&] { return process_tree(child->pid()).size() == 3; };
    const Instant end = Clock::now() + 5s;
    while (!whole() && Clock::now() < end) std::this_thread::yield();
    ASSERT_TRUE(whole());
    const sense::Opened alone = reader.opened(child->pid()), all = opened_of_tree(reader, child->pid());
    EXPECT_EQ(all.threads, 3);
    EXPECT_EQ(all.children, 2);
    EXPECT_GT(all.descriptors.value_or(0), alone.descriptors.value_or(99));
    EXPECT_EQ(all.most_descriptors, alone.most_descriptors);
    child->kill_group(SIGKILL);
    ended(*child);
}

TEST_F(ProcessTest, the_signal_that_ended_it_is_told) {
    auto child = shell("kill -9 $$");
    ASSERT_TRUE(ended(*child));
    EXPECT_EQ(child->exit()->signal, 9);
    EXPECT_EQ(child->exit()->text(), "signal 9 (SIGKILL)");
    EXPECT_EQ(Exit{}.text(), "ended, cause unknown");
}

TEST_F(ProcessTest, several_may_wait_for_the_end_each_with_its_own_bound) {
    auto child = start({"sleep", "1000"});
    ASSERT_TRUE(child);
    int yes = 0, no = 0;
    const auto count = [&](std::exception_ptr, bool gone) { ++(gone ? yes : no); };
    asio::co_spawn(io, child->ended(10s), count);
    asio::co_spawn(io, child->ended(Duration::max()), count);
    asio::co_spawn(io, child->ended(5ms), count);
    ASSERT_TRUE(run_until(io, [&] { return no == 1; }));
    EXPECT_TRUE(child->running());
    EXPECT_TRUE(child->send(SIGTERM, why_not)) << why_not;
    ASSERT_TRUE(run_until(io, [&] { return yes == 2; }));
    EXPECT_TRUE(ended(*child, 0s));
}

TEST_F(ProcessTest, what_cannot_be_started_is_explained_in_one_line) {
    const std::string script = file("app", "#!/nowhere/python\n", 0755), plain = file("plain", "x", 0644),
                      text = file("text", "no program\n", 0755);
    const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
        {{}, "there is no command to start"},
        {{""}, "there is no command to start"},
        {{"plimsoll-no-such-thing", "x"},
         "plimsoll-no-such-thing: not found in PATH; install it or give its full path in the command"},
        {{"plain"}, plain + ": is not executable (chmod +x?)"},
        {{plain}, plain + ": is not executable (chmod +x?)"},
        {{"./plain"}, "./plain: is not executable (chmod +x?)"},
        {{script}, script + ": the interpreter in its first line does not exist (was its virtual environment moved?)"},
        {{text}, text + ": is no program; does its first line name an interpreter (#!)?"},
        {{"/nowhere/gunicorn"}, "/nowhere/gunicorn: No such file or directory"},
    };
    command.directory = directory;
    command.environment = {{"PATH", "relative::/nowhere:" + directory}};
    const std::string before = children();
    for (const auto& [argv, problem] : cases) {
        SCOPED_TRACE(problem);
        why_not.clear();
        EXPECT_FALSE(start(argv));
        EXPECT_EQ(why_not, problem);
    }
    command.directory = directory + "/missing";
    EXPECT_FALSE(start({"/bin/true"}));
    EXPECT_EQ(why_not, "cannot enter the directory " + command.directory + ": No such file or directory");
    EXPECT_EQ(children(), before) << "something is left of the attempts";
}

TEST_F(ProcessTest, its_surroundings_are_what_was_asked_for) {
    const Fd leaky(::open("/dev/null", O_RDONLY)); // not close-on-exec, as a library might leave it
    ASSERT_TRUE(leaky);
    command.directory = directory;
    command.environment = {{"PLIMSOLL_INDEX", "3"}, {"HOME", "/nowhere"}};
    EXPECT_EQ(output_of("pwd; echo $PLIMSOLL_INDEX $HOME; test -n \"$PATH\" && echo path"),
              directory + "\n3 /nowhere\npath\n");
    EXPECT_EQ(output_of("ls /proc/$$/fd; true"), "0\n1\n2\n");
    EXPECT_EQ(output_of("readlink /proc/$$/fd/0; read line || echo end"), "/dev/null\nend\n");
    EXPECT_EQ(output_of("cut -d' ' -f5 /proc/$$/stat | grep -qx $$ && echo leads"), "leads\n");
}

TEST_F(ProcessTest, what_is_said_to_us_alone_is_not_said_to_it) {
    for (const char* name : {"NOTIFY_SOCKET", "LISTEN_FDS", "PLIMSOLL_ADMIN_TOKEN"}) ::setenv(name, "ours", 1);
    command.environment = {{"LISTEN_FDS", "its own"}};
    const std::string said = output_of("echo -$NOTIFY_SOCKET-$LISTEN_FDS-$PLIMSOLL_ADMIN_TOKEN-");
    for (const char* name : {"NOTIFY_SOCKET", "LISTEN_FDS", "PLIMSOLL_ADMIN_TOKEN"}) ::unsetenv(name);
    EXPECT_EQ(said, "--its own--\n");
}

TEST_F(ProcessTest, signals_that_we_ignore_or_block_are_usual_in_it) {
    struct sigaction ignore {
    }, before{};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, &before);
    sigset_t blocked, mask;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &mask);
    // Signals 32 and up are the C library's own; a make that starts us leaves two of them ignored, and nobody can reset them.
    EXPECT_EQ(output_of("grep -cE 'Sig(Blk|Ign):.[0-9a-f]{8}[08]0{7}$' /proc/self/status"), "2\n");
    sigset_t now;
    ::pthread_sigmask(SIG_SETMASK, &mask, &now);
    EXPECT_TRUE(::sigismember(&now, SIGUSR1)); // and ours are as they were
    ::sigaction(SIGPIPE, &before, nullptr);
}

TEST_F(ProcessTest, a_child_does_not_outlive_us_even_if_we_are_killed) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t proxy = ::fork();
    if (proxy == 0) { // stands for a proxy
        asio::io_context own;
        auto child = Child::start(own, {.argv = {"sleep", "1000"}}, why_not);
        const int pid = child ? child->pid() : 0;
        (void)!::write(ends[1], &pid, sizeof pid);
        for (;;) ::pause();
    }
    int pid = 0;
    ASSERT_EQ(::read(ends[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
    const auto child = Process::attach(io, pid, proxy, why_not);
    ASSERT_TRUE(child) << why_not;
    ::kill(proxy, SIGKILL);
    ::waitpid(proxy, nullptr, 0);
    EXPECT_TRUE(ended(*child));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_F(ProcessTest, only_the_right_process_is_attached_to) {
    auto child = start({"sleep", "1000"});
    ASSERT_TRUE(child);
    EXPECT_FALSE(Process::attach(io, child->pid(), ::getppid(), why_not));
    EXPECT_EQ(why_not, "process " + std::to_string(child->pid()) + " is a child of process " +
                           std::to_string(::getpid()) + ", not of " + std::to_string(::getppid()));
    EXPECT_FALSE(Process::attach(io, 999'999'999, std::nullopt, why_not));
    EXPECT_EQ(why_not, "process 999999999 does not exist");
    EXPECT_FALSE(Process::attach(io, -1, std::nullopt, why_not));
    EXPECT_FALSE(Process::attach(io, 0, std::nullopt, why_not));

    const auto held = Process::attach(io, child->pid(), ::getpid(), why_not);
    ASSERT_TRUE(held) << why_not;
    EXPECT_EQ(held->start_time(), sense::Reader().stat(child->pid())->start_time);
    EXPECT_EQ(held->start_time(), child->start_time());
    EXPECT_TRUE(held->running());
    EXPECT_FALSE(held->exit());
    EXPECT_TRUE(held->send(SIGKILL, why_not));
    EXPECT_TRUE(ended(*held));
    EXPECT_TRUE(held->exit());
    EXPECT_EQ(held->exit()->text(), "ended, cause unknown"); // its parent's to know
    EXPECT_FALSE(held->send(SIGTERM, why_not));
    EXPECT_TRUE(ended(*child));
    EXPECT_EQ(child->exit()->signal, SIGKILL);
}

TEST_F(ProcessTest, a_zombie_is_not_attached_to) {
    const pid_t zombie = ::fork();
    if (zombie == 0) ::_exit(0);
    ASSERT_TRUE(run_until(io, [&] { return state_of(zombie) == 'Z'; }));
    EXPECT_FALSE(Process::attach(io, zombie, ::getpid(), why_not));
    EXPECT_EQ(why_not, "process " + std::to_string(zombie) + " has ended");
    ::waitpid(zombie, nullptr, 0);
}

TEST_F(ProcessTest, the_ladder_stops_at_the_first_rung_that_works) {
    auto child = start({"sleep", "1000"});
    ASSERT_TRUE(child);
    std::vector<std::string> rungs;
    const auto said = [&](const std::string& rung) { rungs.push_back(rung); };
    EXPECT_TRUE(result_of(io, end_by_ladder(child, 5s, said)));
    EXPECT_EQ(rungs, std::vector<std::string>{"TERM"});
    EXPECT_EQ(child->exit()->signal, SIGTERM);
    EXPECT_TRUE(result_of(io, end_by_ladder(child, 5s, said))); // nothing to do any more
    EXPECT_EQ(rungs.size(), 1U);
}

TEST_F(ProcessTest, who_ignores_term_and_abrt_is_killed) {
    auto child = shell("trap '' TERM ABRT; echo up; exec sleep 1000");
    ASSERT_TRUE(run_until(io, [&] { return child->output() == "up\n"; }));
    std::vector<std::string> rungs;
    EXPECT_TRUE(result_of(io, end_by_ladder(child, 50ms, [&](const std::string& rung) { rungs.push_back(rung); })));
    EXPECT_EQ(rungs, (std::vector<std::string>{"TERM", "ABRT", "KILL"}));
    EXPECT_EQ(child->exit()->signal, SIGKILL);
}

TEST_F(ProcessTest, a_stopped_process_is_woken_to_end_in_an_orderly_way) {
    auto child = shell("trap 'echo orderly; exit 0' TERM; echo up; while :; do sleep 0.01; done");
    ASSERT_TRUE(run_until(io, [&] { return child->output() == "up\n"; }));
    ASSERT_TRUE(child->send(SIGSTOP, why_not));
    ASSERT_TRUE(run_until(io, [&] { return state_of(child->pid()) == 'T'; }));
    std::vector<std::string> rungs;
    EXPECT_TRUE(result_of(io, end_by_ladder(child, 5s, [&](const std::string& rung) { rungs.push_back(rung); })));
    EXPECT_EQ(rungs, (std::vector<std::string>{"TERM", "CONT: it was stopped"}));
    EXPECT_EQ(child->output(), "up\norderly\n");
    EXPECT_EQ(child->exit()->code, 0);
}

TEST_F(ProcessTest, a_hundred_children_leave_no_descriptor_and_no_zombie) {
    { // whatever asio opens for itself is open from here on
        ASSERT_EQ(output_of("echo"), "\n");
    }
    io.restart();
    io.poll();
    const auto before = open_descriptors();
    for (int i = 0; i < 100; ++i) {
        if (i % 3 == 0) {
            EXPECT_EQ(output_of("echo " + std::to_string(i)), std::to_string(i) + "\n");
        } else if (i % 3 == 1) {
            EXPECT_FALSE(start({"/nowhere/gunicorn"}));
        } else {
            command.capture_output = false;
            command.log_name = "app-1";
            auto child = start({"sleep", "1000"});
            ASSERT_TRUE(child);
            child->kill_group(SIGKILL);
            child.reset(); // let go while it runs: it is reaped all the same
            command.log_name.clear();
        }
    }
    EXPECT_TRUE(run_until(io, [&] { return open_descriptors() == before; })) << open_descriptors() << " " << before;
    EXPECT_TRUE(run_until(io, [] {
        siginfo_t info{};
        return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD;
    }));
}

TEST_F(ProcessTest, an_ended_child_is_reaped_while_it_is_held) {
    auto child = shell("exit 0");
    ASSERT_TRUE(ended(*child));
    EXPECT_EQ(state_of(child->pid()), 'Z'); // its group can still be signalled
    EXPECT_TRUE(run_until(io, [&] { return state_of(child->pid()) == '-'; }));
    child->kill_group(SIGKILL); // does nothing: the number may be a stranger's
}

TEST_F(ProcessTest, output_is_whole_as_soon_as_the_end_is_known) {
    auto child = shell("echo last words");
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child->pid()), &info, WEXITED | WNOWAIT),
              0); // nothing was read meanwhile
    EXPECT_EQ(child->output(), "");
    EXPECT_TRUE(ended(*child, 0s));
    EXPECT_EQ(child->output(), "last words\n");
}

TEST_F(ProcessTest, captured_output_is_bounded_at_its_start) {
    command.max_output = 100_KiB;
    auto child = shell("head -c 1000000 /dev/zero | tr '\\0' a; echo end");
    ASSERT_TRUE(ended(*child));
    EXPECT_EQ(child->output(), std::string(100 << 10, 'a'));
    EXPECT_EQ(child->output_dropped(), 1'000'004U - (100 << 10));
}

TEST_F(ProcessTest, of_logged_output_the_last_words_are_kept) {
    command.log_name = "app-1";
    auto child =
        start({"/bin/sh", "-c", "head -c 100000 /dev/zero | tr '\\0' a; echo; echo ImportError: no app >&2; exit 3"});
    ASSERT_TRUE(child);
    ASSERT_TRUE(ended(*child));
    EXPECT_EQ(child->output().size(), 4096U);
    EXPECT_TRUE(child->output().ends_with("aaa\nImportError: no app\n"));
}

TEST_F(ProcessTest, a_grandchild_that_keeps_the_pipe_open_holds_nothing_up) {
    auto child = shell("sleep 1000 & echo $!");
    const auto before = Clock::now();
    ASSERT_TRUE(ended(*child));
    EXPECT_LT(Clock::now() - before, 5s);
    const int grandchild = std::stoi(child->output());
    const auto lives = [&] { return std::string("-Z").find(state_of(grandchild)) == std::string::npos; };
    EXPECT_TRUE(lives());
    child->kill_group(SIGKILL); // the leader has gone, and what it left behind is still reached
    EXPECT_TRUE(run_until(io, [&] { return !lives(); }));
}

} // namespace
} // namespace plimsoll::fleet
