// The commands of one agent: one at a time, the others wait their turn, and nobody waits beyond its deadline.
//
//   call --> waiting --its turn, sent--> running --result--> done
//               '--------- deadline ---------'--> given up: what comes of it later is dropped
//
// A command that was given up still keeps the agent busy: the next one is sent when the late result comes, or when
// `patience` is over, since an agent may have lost it altogether.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "fleet/agent_messages.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

class AgentCommands : public std::enable_shared_from_this<AgentCommands> {
public:
    static constexpr Duration patience = std::chrono::seconds{2};
    static constexpr std::size_t max_waiting = 64;
    static constexpr std::size_t max_files = 64; // of one command

    using Send = std::function<std::string(const boost::json::object&)>; // says why it could not
    AgentCommands(asio::io_context& control, Bytes max_files_size, Send send);

    asio::awaitable<CommandResult> call(std::string name, boost::json::object args, Duration deadline);

    // What the agent says. A problem is a fault of the agent that ends the connection.
    std::string on_file(FilePart part);
    void on_result(Result result);
    void disconnect(); // all calls, now and later, end with "disconnected"

private:
    struct Call;
    static asio::awaitable<CommandResult> wait(std::shared_ptr<AgentCommands> self, std::shared_ptr<Call> call);
    void next();
    void give_up(const std::shared_ptr<Call>& call);
    static void finish(Call& call, bool ok, std::string error);

    asio::io_context& control_;
    const std::size_t max_files_size_;
    Send send_;
    std::deque<std::shared_ptr<Call>> waiting_;
    std::shared_ptr<Call> running_;
    std::uint64_t last_id_ = 0;
    std::uint64_t late_id_ = 0; // given up, its result still to come; 0: none
    asio::steady_timer late_;
    bool connected_ = true;
};

} // namespace plimsoll::fleet
