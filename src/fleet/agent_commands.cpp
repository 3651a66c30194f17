#include "fleet/agent_commands.hpp"

#include <algorithm>

namespace plimsoll::fleet {
namespace {

void note(std::string& error, const std::string& more) {
    if (!error.empty()) error += "; ";
    error += more;
}

} // namespace

struct AgentCommands::Call {
    Call(asio::io_context& control, Instant when, std::string what, boost::json::object with)
        : deadline(when), name(std::move(what)), args(std::move(with)), over(control, when) {}

    Instant deadline;
    std::string name;
    boost::json::object args;
    std::uint64_t id = 0;    // 0: not sent yet
    asio::steady_timer over; // the deadline; cancelled when it is done
    bool done = false;
    CommandResult result;
    std::vector<std::string> unfinished; // files whose last part has not come
    std::size_t files_size = 0;
    bool cut = false;
};

AgentCommands::AgentCommands(asio::io_context& control, Bytes max_files_size, Send send)
    : control_(control), max_files_size_(static_cast<std::size_t>(max_files_size.count)), send_(std::move(send)),
      late_(control) {}

asio::awaitable<CommandResult> AgentCommands::call(std::string name, boost::json::object args, Duration deadline) {
    // Not a coroutine itself: the deadline counts from here, not from the first await.
    return wait(shared_from_this(),
                std::make_shared<Call>(control_, Clock::now() + deadline, std::move(name), std::move(args)));
}

asio::awaitable<CommandResult> AgentCommands::wait(std::shared_ptr<AgentCommands> self, std::shared_ptr<Call> call) {
    if (!self->connected_) {
        finish(*call, false, "disconnected");
    } else if (self->waiting_.size() >= max_waiting) {
        finish(*call, false, "too many commands wait for this agent");
    } else {
        self->waiting_.push_back(call);
        self->next();
    }
    if (!call->done) {
        auto [ec] = co_await call->over.async_wait(as_result); // the deadline, or done, or we are cancelled
        if (!call->done) {
            self->give_up(call);
            finish(*call, false, ec ? "cancelled" : "deadline");
        }
    }
    co_return std::move(call->result);
}

// Sends the first in the queue, if the agent is free.
void AgentCommands::next() {
    while (!running_ && late_id_ == 0 && !waiting_.empty()) {
        auto call = std::move(waiting_.front());
        waiting_.pop_front();
        const std::chrono::duration<double> left = call->deadline - Clock::now();
        if (left.count() <= 0) continue; // its own timer is about to say so
        call->id = ++last_id_;
        running_ = call;
        auto problem = send_({{"type", "command"},
                              {"id", call->id},
                              {"name", call->name},
                              {"deadline", left.count()},
                              {"args", std::move(call->args)}});
        if (!problem.empty()) {
            running_.reset();
            finish(*call, false, std::move(problem));
        }
    }
}

void AgentCommands::give_up(const std::shared_ptr<Call>& call) {
    std::erase(waiting_, call);
    if (running_ != call) return;
    running_.reset();
    late_id_ = call->id;
    late_.expires_after(patience);
    late_.async_wait([weak = weak_from_this(), id = call->id](boost::system::error_code) {
        const auto self = weak.lock();
        if (!self || self->late_id_ != id) return;
        self->late_id_ = 0;
        self->next();
    });
}

std::string AgentCommands::on_file(FilePart part) {
    if (!running_ || running_->id != part.id) return {}; // of a command that was given up
    Call& call = *running_;
    auto& files = call.result.files;
    auto file = std::ranges::find(files, part.name, &AgentFile::name);
    const auto unfinished = std::ranges::find(call.unfinished, part.name);
    if (file == files.end()) {
        if (files.size() >= max_files) {
            call.cut = true;
            return {};
        }
        file = files.insert(files.end(), AgentFile{part.name, {}});
        if (!part.last) call.unfinished.push_back(part.name);
    } else if (unfinished == call.unfinished.end()) {
        return "more of file " + part.name + " after its last part";
    } else if (part.last) {
        call.unfinished.erase(unfinished);
    }
    const std::size_t fits = std::min(part.content.size(), max_files_size_ - call.files_size);
    call.cut = call.cut || fits < part.content.size();
    call.files_size += fits;
    file->content.append(part.content, 0, fits);
    return {};
}

void AgentCommands::on_result(Result result) {
    if (late_id_ != 0 && result.id == late_id_) {
        late_id_ = 0;
        late_.cancel();
        return next();
    }
    if (!running_ || running_->id != result.id) return;
    const auto call = std::move(running_);
    running_.reset();
    call->result.data = std::move(result.data);
    if (call->cut)
        note(result.error, "evidence cut at " + to_string(Bytes{static_cast<std::int64_t>(max_files_size_)}));
    for (const auto& name : call->unfinished) note(result.error, name + " is incomplete");
    finish(*call, result.ok, std::move(result.error));
    next();
}

void AgentCommands::disconnect() {
    connected_ = false;
    late_.cancel();
    late_id_ = 0;
    if (running_) finish(*running_, false, "disconnected");
    running_.reset();
    for (const auto& call : std::exchange(waiting_, {})) finish(*call, false, "disconnected");
}

void AgentCommands::finish(Call& call, bool ok, std::string error) {
    call.done = true;
    call.result.ok = ok;
    call.result.error = std::move(error);
    call.over.cancel();
}

} // namespace plimsoll::fleet
