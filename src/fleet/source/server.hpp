// A server of several workers that we start and supervise: gunicorn's arbiter, uvicorn's supervisor. When it ends it is
// started again, with growing pauses while it does not get as far as serving.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "fleet/pool.hpp"
#include "fleet/source/backoff.hpp"

namespace plimsoll::fleet {

class Server : public std::enable_shared_from_this<Server> {
public:
    using Environment = std::vector<std::pair<std::string, std::string>>;
    explicit Server(Pool& pool, Environment more = {}) : pool_(pool), more_(std::move(more)) {}
    std::string start(); // empty, or why it cannot be started at all
    boost::asio::awaitable<void> stop();
    bool runs() const { return child_ && child_->running(); }
    std::string last_exception() const; // in its output, as far as that comes to us; empty: none
    int pid() const { return child_ ? child_->pid() : 0; }

private:
    std::string start_once();
    static boost::asio::awaitable<void> supervise(std::shared_ptr<Server> self, std::shared_ptr<Pool> pool);
    void tell_end(const Child& child, bool had_served);

    Pool& pool_;
    Environment more_; // than what every server is told
    std::shared_ptr<Child> child_;
    Backoff backoff_;
    bool stopping_ = false;
};

// Ends a child and whatever it left behind in its process group. True: it is gone.
boost::asio::awaitable<bool> end_child(std::shared_ptr<Child> child, Duration bound, Said said);

// "gunicorn ended with exit code 3: ModuleNotFoundError: No module named 'app'"
std::string why_it_ended(const std::string& program, const Child& child);

} // namespace plimsoll::fleet
