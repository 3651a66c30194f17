#include "fleet/stacks_file.hpp"

#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/fd.hpp"
#include "fleet/source/ending.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t largest_stacks = 1 << 20;
constexpr Duration abort_deadline = 3s;

struct Place {
    std::string path; // empty: there is none
    // By the worker, who is not to have us read anything else: its name is given, and it is a file of its own.
    bool told = false;
};

Place place_of(const Context& context, const Generation& generation) {
    const std::string& ours = context.surroundings.run_dir;
    const int pid =
        generation.agent ? generation.agent_pid() : generation.pid; // it may have ended before its agent spoke
    if (pid <= 0) return {};
    const std::string name = "/stacks." + std::to_string(pid) + ".txt";
    const std::string told = generation.agent ? generation.agent->hello().stacks : std::string{};
    if (generation.pid > 0 && told.starts_with('/') && told.ends_with(name) && told != ours + name) return {told, true};
    return {ours.empty() ? std::string{} : ours + name};
}

std::string read_and_remove(const Place& place) {
    const Fd file(::open(place.path.c_str(), O_RDONLY | O_CLOEXEC | (place.told ? O_NOFOLLOW | O_NONBLOCK : 0)));
    struct stat about {};
    if (file.get() < 0 || ::fstat(file.get(), &about) != 0) return {};
    if (place.told && (!S_ISREG(about.st_mode) || about.st_nlink != 1)) return {};
    std::string text(largest_stacks, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
        if (got <= 0) break;
        size += static_cast<std::size_t>(got);
    }
    text.resize(size);
    ::unlink(place.path.c_str());
    return text;
}

} // namespace

asio::awaitable<std::string> take_stacks(Context& context, GenerationPtr generation) {
    if (!generation->stacks.empty()) co_return std::exchange(generation->stacks, {});
    const Place place = place_of(context, *generation);
    if (place.path.empty()) co_return std::string{};
    auto take = [place] { return read_and_remove(place); };
    co_return co_await offload(*context.threads, std::move(take));
}

asio::awaitable<bool> abort_by_sibling(std::shared_ptr<Pool> pool, GenerationPtr generation) {
    if (!generation->agent || generation->agent->hello().stacks.empty()) co_return false;
    const Place place = place_of(pool->context(), *generation);
    if (!place.path.empty() && ::access(place.path.c_str(), F_OK) == 0) co_return false; // it will be read from there
    const auto agent = agent_beside(*pool, *generation);
    if (!agent || agent == generation->agent) co_return false;
    boost::json::object args{{"pid", generation->agent_pid()}};
    CommandResult result = co_await agent->command("stacks", std::move(args), abort_deadline);
    if (!result.ok || result.files.empty()) co_return false;
    generation->stacks = std::move(result.files.front().content);
    co_return true;
}

} // namespace plimsoll::fleet
