#include "fleet/remote_agent.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/fd.hpp"
#include "fleet/health_watch.hpp"
#include "fleet/probe.hpp"
#include "fleet/remote_python.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr Duration trigger_bound = 5s; // an interpreter starts in 30 ms; what it writes it writes in microseconds
constexpr Duration hello_bound = 3s;   // from then on: a busy worker runs the script between two bytecodes
constexpr Duration again_bound = 1s;   // it was told before
constexpr Duration wake_after = 250ms; // one that waits for a request runs no bytecode: so it gets one
constexpr Duration wake_bound = 2s;
constexpr unsigned most_tries = 2; // of what may pass, such as a process that cannot be forked
constexpr std::string_view script_begins = "attach.", script_ends = ".py";
constexpr const char* trigger = "import sys; sys.remote_exec(int(sys.argv[1]), sys.argv[2])";

std::string quoted(const std::string& text) { return boost::json::serialize(boost::json::value(text)); }

// Scripts of processes that are gone: an earlier life of ours may have left them.
void sweep(const std::string& directory) {
    std::error_code bad;
    for (std::filesystem::directory_iterator entry(directory, bad), end; !bad && entry != end; entry.increment(bad)) {
        const std::string name = entry->path().filename().string();
        if (!name.starts_with(script_begins) || !name.ends_with(script_ends)) continue;
        const std::string pid =
            name.substr(script_begins.size(), name.find('.', script_begins.size()) - script_begins.size());
        if (::access(("/proc/" + pid).c_str(), F_OK) != 0) ::unlink(entry->path().c_str());
    }
}

// It may have a token in it: for the worker's user alone. Empty: written; else why not.
std::string write_script(const std::string& path, const std::string& text, unsigned user) {
    sweep(std::filesystem::path(path).parent_path().string());
    ::unlink(path.c_str());
    const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return path + " cannot be written: " + std::strerror(errno);
    if (user != ::geteuid() && ::fchown(file.get(), user, static_cast<gid_t>(-1)) != 0)
        return "its user (uid " + std::to_string(user) + ") could not read our script: it is not ours to give away";
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return path + " cannot be written: " + std::strerror(errno);
    return {};
}

// What the interpreter said, as something an operator can do.
std::string explain(const Child& child) {
    const std::string& said = child.output();
    const auto has = [&said](const char* part) { return said.find(part) != std::string::npos; };
    if (has("Remote debugging is not enabled in the remote process"))
        return "remote debugging is disabled in it (PYTHON_DISABLE_REMOTE_DEBUG, -X disable-remote-debug, or its "
               "build)";
    if (has("Permission denied") || has("Operation not permitted"))
        return "the kernel does not let this user write to its memory (another user, or yama's ptrace_scope): it takes "
               "CAP_SYS_PTRACE";
    const auto end = said.find_last_not_of(" \n");
    const auto begin = end == std::string::npos ? end : said.rfind('\n', end);
    const std::string last = end == std::string::npos ? "" : said.substr(begin + 1, end - begin);
    return "its interpreter could not be told to run a script: " +
           (last.empty() ? child.exit().value_or(Exit{}).text() : last);
}

Command trigger_of(const RemotePython& python, const std::string& script) {
    Command command;
    command.argv = {python.program, "-I", "-S", "-c", trigger, std::to_string(python.pid), script};
    command.directory = "/";
    command.capture_output = true;
    // A program that its user may have changed runs as that user, not as us.
    if (python.user != ::geteuid() && !python.trusted) command.user.emplace(python.user, python.group);
    return command;
}

// The script stays until it has been read: by who runs it late, too.
asio::awaitable<void> keep_script(std::shared_ptr<Pool> pool, GenerationPtr generation, std::string path) {
    const auto over = [pool, generation] {
        return generation->agent != nullptr || generation->gone() || pool->stopping();
    };
    while (!co_await until(over, 1min)) {
    }
    ::unlink(path.c_str());
}

asio::awaitable<void> wake(std::shared_ptr<Pool> pool, net::Address address, net::Protocol protocol) {
    co_await probe(std::move(address), protocol, question_of(pool->settings().health), wake_bound);
}

// Of an address that several workers share any may take the request, so it is asked for as long as we wait.
void wake_some(const std::shared_ptr<Pool>& pool, const Generation& generation, bool again) {
    const auto address = generation.address ? generation.address : pool->source().public_address();
    if (!address || (again && generation.address)) return;
    spawn(pool->context().control, "wake for an agent", wake(pool, *address, generation.protocol));
}

asio::awaitable<bool> await_agent(std::shared_ptr<Pool> pool, GenerationPtr generation, Duration bound) {
    const auto come = [pool, generation] {
        return generation->agent_connected() || generation->gone() || pool->stopping();
    };
    const Instant begun = Clock::now();
    for (bool again = false; Clock::now() - begun < bound; again = true) {
        if (co_await until(come, wake_after)) break;
        wake_some(pool, *generation, again);
    }
    co_return generation->agent_connected();
}

std::string no_answer() {
    return "it was told to run a script, and has not done so in time: its main thread is in C code, or waits";
}

asio::awaitable<std::string> tell(std::shared_ptr<Pool> pool, GenerationPtr generation, bool census) {
    Context& context = pool->context();
    RemoteAttempt& attempt = generation->remote;
    auto look = [pid = generation->pid] { return find_remote_python(pid); };
    const RemotePython python = co_await offload(*context.threads, std::move(look));
    if (!python.why_not.empty()) {
        attempt.tries = most_tries;
        co_return python.why_not;
    }
    const std::string& run_dir = context.surroundings.run_dir;
    const std::string path =
        run_dir + "/" + std::string(script_begins) + std::to_string(python.pid) + std::string(script_ends);
    boost::json::object variables{{"PLIMSOLL_CONTROL", context.control_address},
                                  {"PLIMSOLL_POOL", pool->settings().name},
                                  {"PLIMSOLL_RUN_DIR", run_dir},
                                  {"PLIMSOLL_LISTEN", "none"}};
    if (!context.token.empty()) variables["PLIMSOLL_TOKEN"] = context.token;
    const std::string& agent_path = context.surroundings.agent_path;
    auto write = [path, text = attach_script(agent_path, variables, census), python, agent_path] {
        if (std::string why_not = write_script(path, text, python.user); !why_not.empty()) {
            ::unlink(path.c_str());
            return why_not;
        }
        for (const std::string& file : {path, agent_path + "/plimsoll_agent/__init__.py"})
            if (!may_read(file, python.user, python.group)) {
                ::unlink(path.c_str());
                return "its user (uid " + std::to_string(python.user) + ") cannot read " + file;
            }
        return std::string{};
    };
    std::string why_not = co_await offload(*context.threads, std::move(write));
    if (!why_not.empty()) co_return why_not;
    if (generation->gone()) co_return std::string("it has ended");
    attempt.pid = python.pid;
    const Command command = trigger_of(python, path);
    const auto child = Child::start(context.control, command, why_not);
    if (!child) {
        ::unlink(path.c_str());
        co_return why_not;
    }
    const bool ended = co_await child->ended(trigger_bound);
    if (!ended) {
        child->kill_group(SIGKILL);
        co_await child->ended(1s);
    }
    const auto exit = child->exit();
    if (!ended || !exit || exit->code != 0) {
        ::unlink(path.c_str());
        attempt.tries = most_tries; // the kernel and the interpreter will say the same again
        co_return ended ? explain(*child) : std::string("its interpreter did not start in time");
    }
    attempt.sent = true;
    spawn(context.control, "script of an agent", keep_script(pool, generation, path));
    const bool come = co_await await_agent(pool, generation, hello_bound);
    co_return come ? std::string{} : generation->gone() ? std::string("it has ended") : no_answer();
}

} // namespace

std::string attach_script(const std::string& agent_path, const boost::json::object& variables, bool census) {
    // Whatever namespace it runs in, it leaves nothing there. It runs in the main thread, which it holds up no longer than a
    // thread takes to start. The agent is imported from where it lies, whatever the worker's sys.path is.
    static constexpr std::string_view text = R"(# Run by Plimsoll in a worker that has no agent: sys.remote_exec.
def _plimsoll_attach(folder, variables, census):
    import sys
    import _thread

    def attach():
        try:
            if "plimsoll_agent" not in sys.modules:
                from importlib.util import module_from_spec, spec_from_file_location
                spec = spec_from_file_location("plimsoll_agent", folder + "/__init__.py", submodule_search_locations=[folder])
                module = sys.modules["plimsoll_agent"] = module_from_spec(spec)
                spec.loader.exec_module(module)
            from plimsoll_agent import remote
            remote.attach(variables, census)
        except BaseException as error:
            sys.stderr.write("plimsoll: no agent could be put into this process: %r\n" % (error,))

    monkey = sys.modules.get("gevent.monkey")
    start = monkey.get_original("_thread", "start_new_thread") if monkey else _thread.start_new_thread
    start(attach, ())


try:
    _plimsoll_attach()";
    return std::string(text) + quoted(agent_path + "/plimsoll_agent") + ", " + boost::json::serialize(variables) +
           ", " + (census ? "True" : "False") + ")\nfinally:\n    del _plimsoll_attach\n";
}

std::string why_no_remote_agent(const Pool& pool, const Generation& generation) {
    const config::Capture& settings = pool.settings().capture;
    if (!settings.enabled || !settings.remote) return "[pool.capture] remote is false";
    if (generation.agent) return "its agent is away";
    if (generation.pid <= 0) return "its process is not visible here";
    return generation.remote.tries >= most_tries ? generation.remote.why_not : std::string{};
}

asio::awaitable<std::string> attach_agent(std::shared_ptr<Pool> pool, GenerationPtr generation, bool census) {
    RemoteAttempt& attempt = generation->remote;
    const auto settled = [generation] { return !generation->remote.running || generation->gone(); };
    co_await until(settled, trigger_bound + hello_bound + 1s);
    if (generation->agent_connected()) co_return std::string{};
    if (attempt.sent) {
        const bool come = co_await await_agent(pool, generation, again_bound);
        co_return come ? std::string{} : attempt.why_not;
    }
    const Context& context = pool->context();
    if (std::string why_not = why_no_remote_agent(*pool, *generation); !why_not.empty()) co_return why_not;
    if (context.surroundings.agent_path.empty()) co_return std::string("the agent could not be unpacked");
    attempt.running = true;
    ++attempt.tries;
    std::string why_not;
    try {
        why_not = co_await tell(pool, generation, census);
    } catch (const std::exception& e) {
        why_not = e.what();
    }
    attempt.running = false;
    attempt.why_not = why_not;
    if (why_not.empty())
        log::info("agent_put_into_worker", {{"pool", pool->settings().name}, {"pid", attempt.pid}});
    else
        log::info("no_agent_put_into_worker",
                  {{"pool", pool->settings().name}, {"pid", generation->pid}, {"why", why_not}});
    co_return why_not;
}

} // namespace plimsoll::fleet
