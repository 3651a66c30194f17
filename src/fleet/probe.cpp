#include "fleet/probe.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "fleet/deadline.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {
namespace {

using Endpoint = asio::generic::stream_protocol::endpoint;

constexpr std::size_t max_head = 64 << 10;
constexpr std::size_t max_path = 8 << 10;

std::string in_words(Duration time) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    if (ms % 1000 == 0) return std::to_string(ms / 1000) + " s";
    return std::to_string(ms) + " ms";
}

bool is_target(std::string_view path) {
    return path.starts_with('/') && path.size() <= max_path &&
           std::ranges::all_of(path, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

// The addresses of a name, or none and a problem. The resolver's thread cannot be interrupted, so it is not waited for
// beyond the bound: it ends when it ends, and finds nobody there.
asio::awaitable<std::vector<Endpoint>> resolve(net::Address address, Duration bound, std::string& problem) {
    sockaddr_storage storage{};
    socklen_t length = 0;
    std::vector<Endpoint> endpoints;
    if (net::to_sockaddr(address, storage, length)) {
        endpoints.emplace_back(&storage, length);
        co_return endpoints;
    }
    struct Lookup {
        explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), over(executor) {}
        asio::ip::tcp::resolver resolver;
        asio::steady_timer over;
        std::vector<Endpoint> found;
        boost::system::error_code ec;
    };
    const auto lookup = std::make_shared<Lookup>(co_await asio::this_coro::executor);
    lookup->over.expires_after(bound);
    lookup->resolver.async_resolve(address.host, std::to_string(address.port),
                                   [lookup](boost::system::error_code ec, const auto& results) {
                                       lookup->ec = ec;
                                       for (const auto& result : results) lookup->found.emplace_back(result.endpoint());
                                       lookup->over.cancel();
                                   });
    co_await lookup->over.async_wait(as_result); // over, or cancelled by the answer
    if (lookup->ec)
        problem = address.host + ": " + lookup->ec.message();
    else if (lookup->found.empty())
        problem = address.host + " was not resolved in " + in_words(bound);
    co_return std::move(lookup->found);
}

std::string connect_problem(const net::Address& address, boost::system::error_code ec, Duration bound) {
    if (ec == asio::error::timed_out) return "no connection in " + in_words(bound);
    if (ec == asio::error::connection_refused) return "connection refused";
    if (ec == boost::system::errc::no_such_file_or_directory) return address.path + " does not exist";
    return "cannot connect: " + ec.message();
}

// Connect, ask, and read until the status is known. The socket is closed by leaving, but for one whose answer is awaited still.
asio::awaitable<ProbeResult> ask(net::Address address, std::string request, Duration bound) {
    ProbeResult result;
    const Instant until = Clock::now() + bound;
    const auto endpoints = co_await resolve(address, bound, result.problem);
    if (endpoints.empty()) co_return result;
    const auto connection = std::make_shared<ProbeConnection>(co_await asio::this_coro::executor);
    ProbeConnection& socket = *connection;
    // A name may have an address that nobody listens on ("localhost" is two); each gets its share of the time.
    boost::system::error_code connect_ec = asio::error::timed_out;
    for (std::size_t i = 0; i < endpoints.size() && connect_ec; ++i) {
        const Deadline share(socket, (until - Clock::now()) / static_cast<int>(endpoints.size() - i));
        auto [ec] = co_await socket.async_connect(endpoints[i], as_result);
        connect_ec = share.expired() ? asio::error::timed_out : ec;
        if (connect_ec) socket = ProbeConnection(socket.get_executor());
    }
    if (connect_ec) {
        result.problem = connect_problem(address, connect_ec, bound);
        co_return result;
    }
    const Deadline deadline(socket, until - Clock::now(), AtDeadline::cancel);
    // An error of writing is not the end: who answers without reading closes its side, and the answer may be there. If
    // it is not, reading fails as well.
    const auto [write_ec, written] = co_await asio::async_write(socket, asio::buffer(request), as_result);
    std::string text;
    while (text.size() < max_head) {
        std::array<char, 4096> buffer;
        boost::system::error_code ec;
        if (!deadline.expired()) {
            auto [read_ec, size] = co_await socket.async_read_some(asio::buffer(buffer), as_result);
            text.append(buffer.data(), size);
            ec = read_ec;
        }
        const auto answer = read_probe_answer(text);
        if (answer.kind == ProbeAnswer::Kind::complete) {
            result.answered = true;
            result.status = answer.status;
            co_return result;
        }
        if (answer.kind == ProbeAnswer::Kind::no_http) {
            result.problem = "what it answered is not HTTP";
            co_return result;
        }
        if (deadline.expired()) {
            result.problem = (text.empty() ? "no answer in " : "no complete answer in ") + in_words(bound);
            if (text.empty() && written == request.size()) result.unheard = connection;
            co_return result;
        }
        if (ec) {
            result.problem =
                text.empty() ? "closed the connection without an answer" : "closed the connection within its answer";
            co_return result;
        }
    }
    result.problem = "its answer's head is longer than 64 KiB";
    co_return result;
}

} // namespace

asio::awaitable<ProbeResult> probe(net::Address address, net::Protocol protocol, Question question, Duration bound) {
    if (!is_target(question.path)) co_return ProbeResult{.problem = "'" + question.path + "' is no path to ask for"};
    const Instant begun = Clock::now();
    // A local, and no temporary within the co_await: GCC 12 destroys those of a conditional twice.
    std::string request = protocol == net::Protocol::uwsgi ? uwsgi_probe(question) : http_probe(question);
    auto result = co_await ask(std::move(address), std::move(request), bound);
    result.took = Clock::now() - begun;
    co_return result;
}

void leave_off(ProbeConnection& unheard) {
    boost::system::error_code ignored; // it is gone: heard() sees it
    unheard.shutdown(ProbeConnection::shutdown_send, ignored);
}

asio::awaitable<bool> heard(std::shared_ptr<ProbeConnection> unheard, Duration bound) {
    const Deadline deadline(*unheard, bound, AtDeadline::cancel);
    co_await unheard->async_wait(ProbeConnection::wait_read, as_result); // what it says, nobody asks any more
    co_return !deadline.expired() || !unheard->is_open();
}

} // namespace plimsoll::fleet
