#include "fleet/source/server.hpp"

#include <csignal>

#include "fleet/environment.hpp"
#include "fleet/source/last_words.hpp"
#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

using namespace std::chrono_literals;

std::string why_it_ended(const std::string& program, const Child& child) {
    const auto exit = child.exit();
    const std::string name = program.substr(program.find_last_of('/') + 1);
    std::string text = name + " ended with " + (exit ? exit->text() : "unknown cause");
    const std::string words = last_words(child.output());
    if (!words.empty()) text += ": " + words;
    return text;
}

asio::awaitable<bool> end_child(std::shared_ptr<Child> child, Duration bound, Said said) {
    const Said in_words = [said](const std::string& rung) { said("told to end: SIG" + rung); };
    const bool ended = co_await end_by_ladder(child, bound, in_words);
    child->kill_group(SIGKILL); // workers of a supervisor that had to be killed must not outlive it
    co_return ended;
}

std::string Server::start() {
    const std::string why_not = start_once();
    if (why_not.empty())
        spawn(pool_.context().control, "server of " + pool_.settings().name,
              supervise(shared_from_this(), pool_.shared_from_this()));
    return why_not;
}

std::string Server::last_exception() const { return child_ ? fleet::last_exception(child_->output()) : std::string{}; }

std::string Server::start_once() {
    const config::Pool& settings = pool_.settings();
    Command command =
        server_command(pool_.context(), settings, settings.name, settings.source.listen, std::nullopt, {});
    command.environment.insert(command.environment.end(), more_.begin(), more_.end());
    std::string why_not;
    child_ = Child::start(pool_.context().control, command, why_not);
    if (!child_) return why_not;
    log::info("server_started", {{"pool", settings.name}, {"command", command.argv.front()}, {"pid", child_->pid()}});
    return {};
}

asio::awaitable<void> Server::supervise(std::shared_ptr<Server> self, std::shared_ptr<Pool> pool) {
    const auto stopping = [self] { return self->stopping_; };
    while (!self->stopping_) {
        const std::shared_ptr<Child> child = self->child_;
        const std::uint64_t before = pool->times_served();
        while (!co_await child->ended(std::chrono::hours{24})) {
        }
        if (self->stopping_) co_return;
        const bool had_served = pool->times_served() != before;
        self->tell_end(*child, had_served);
        child->kill_group(SIGTERM); // orphaned workers still hold the listener that the next one wants
        const Duration rest = self->backoff_.next(had_served);
        co_await until(stopping, rest);
        while (!self->stopping_) {
            const std::string why_not = self->start_once();
            if (why_not.empty()) break;
            pool->set_alert(why_not);
            co_await until(stopping, self->backoff_.next(false));
        }
    }
}

void Server::tell_end(const Child& child, bool had_served) {
    const std::string& program = pool_.settings().source.command.front();
    const std::string why = why_it_ended(program, child);
    log::error("server_ended", {{"pool", pool_.settings().name}, {"why", why}, {"had_served", had_served}});
    pool_.set_alert(why);
    if (!pool_.served_once()) {
        if (pool_.context().surroundings.start_failed)
            pool_.context().surroundings.start_failed(pool_.settings().name, why);
    } else if (had_served) {
        const auto incident =
            pool_.context().journal.open({pool_.settings().name, "", "death", why + "; it is started again", 1});
        incident->note(why);
        incident->close();
    }
}

asio::awaitable<void> Server::stop() {
    const auto self = shared_from_this();
    stopping_ = true;
    if (!child_) co_return;
    const Said said = [pool = pool_.settings().name](const std::string& rung) {
        log::info("server_ending", {{"pool", pool}, {"step", rung}});
    };
    co_await end_child(child_, pool_.settings().recycle.end_timeout, said);
}

} // namespace plimsoll::fleet
