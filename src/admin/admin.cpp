// The sockets' side: accepts, reads, asks access and the API, writes. This is the one file here that knows Beast; a request a
// second needs no data path of its own.
#include "admin/admin.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "admin/access.hpp"
#include "admin/api.hpp"
#include "admin/events.hpp"
#include "admin/listen.hpp"
#include "log/log.hpp"
#include "net/heirlooms.hpp"

namespace plimsoll::admin {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol; // TCP and unix sockets alike
using Executor = asio::io_context::executor_type;
using Stream = beast::basic_stream<Protocol, Executor>;
using Message = http::response<http::string_body>;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t max_head = 16 << 10;

void log_exception(std::exception_ptr exception) {
    if (!exception) return;
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& error) {
        log::error("admin_session_failed", {{"error", error.what()}});
    }
}

Request to_request(http::request<http::string_body>&& message) {
    Request request;
    const auto field = [&](std::string_view name) {
        return std::string(message[beast::string_view(name.data(), name.size())]);
    };
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.host = field("Host");
    request.origin = field("Origin");
    request.fetch_site = field("Sec-Fetch-Site");
    request.authorization = field("Authorization");
    request.token = field("X-Plimsoll-Token");
    request.body = std::move(message.body());
    return request;
}

Message to_message(Response&& response, unsigned version, bool keep_alive, bool head_only) {
    Message message;
    message.version(version);
    message.result(static_cast<unsigned>(response.status));
    message.set(http::field::content_type, response.type);
    message.set(http::field::cache_control, "no-store");
    message.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : response.fields) message.set(name, value);
    message.keep_alive(keep_alive);
    if (response.events) return message; // its length is not known, it ends with the connection
    message.content_length(response.body.size());
    if (!head_only) message.body() = std::move(response.body);
    return message;
}

// What a client that sent no proper request is told; nothing where there is nobody left to tell.
std::optional<std::pair<int, std::string_view>> refusal_of(error_code error) {
    if (error == http::error::body_limit) return {{413, "the body is too large: at most 1 MiB"}};
    if (error == http::error::header_limit) return {{431, "the head is too large"}};
    if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
    static const auto& of_http = make_error_code(http::error::end_of_stream).category();
    if (error.category() == of_http) return {{400, "this is no HTTP request"}};
    return std::nullopt;
}

asio::awaitable<Response> run(Slow work) { co_return work(); }

} // namespace

struct Admin::Impl : std::enable_shared_from_this<Admin::Impl> {
    Impl(asio::io_context& control, asio::thread_pool& slow_pool, Settings s, Backend backend)
        : context(control), slow(slow_pool), settings(std::move(s)), acceptor(control),
          events(settings.max_subscribers, settings.max_queued_events),
          api(std::move(backend), settings.version, [this](Snapshot& snapshot) {
              snapshot.admin_connections = streams.size();
              snapshot.events_missed = events.missed();
          }) {}

    asio::io_context& context;
    asio::thread_pool& slow;
    Settings settings;
    asio::basic_socket_acceptor<Protocol, Executor> acceptor;
    net::Address address;
    Access access;
    Events events;
    Api api;
    std::set<Stream*> streams;     // open now; the sessions own them
    std::int64_t answers_size = 0; // of bodies on their way
    bool stopped = false;

    // Registered as long as somebody holds it, so that stop() can hang up on it.
    struct Connection {
        Connection(std::shared_ptr<Impl> its_admin, Stream::socket_type&& socket)
            : admin(std::move(its_admin)), stream(std::move(socket)) {
            admin->streams.insert(&stream);
        }
        ~Connection() { admin->streams.erase(&stream); }
        Connection(const Connection&) = delete;
        Connection& operator=(const Connection&) = delete;

        std::shared_ptr<Impl> admin;
        Stream stream;
        beast::flat_buffer buffer{max_head + (64 << 10)};
    };
    using ConnectionPtr = std::shared_ptr<Connection>;

    static asio::awaitable<void> accept(std::shared_ptr<Impl> self);
    static asio::awaitable<void> session(std::shared_ptr<Impl> self, ConnectionPtr connection);
    static asio::awaitable<error_code> read(ConnectionPtr connection, http::request_parser<http::string_body>& parser);
    static asio::awaitable<Response> answer(std::shared_ptr<Impl> self, Request request);
    static asio::awaitable<bool> send(ConnectionPtr connection, Message message);
    static asio::awaitable<void> say_goodbye(ConnectionPtr connection);
    static asio::awaitable<void> serve_events(ConnectionPtr connection, std::shared_ptr<Subscriber> subscriber,
                                              std::shared_ptr<asio::steady_timer> timer);
    static asio::awaitable<void> watch(ConnectionPtr connection, std::shared_ptr<asio::steady_timer> timer);
};

asio::awaitable<void> Admin::Impl::accept(std::shared_ptr<Impl> self) {
    asio::steady_timer pause(self->context);
    bool told = false;
    while (!self->stopped) {
        auto [error, socket] = co_await self->acceptor.async_accept(as_result);
        if (self->stopped) co_return;
        if (error) { // mostly: no descriptors left. Others may give some back
            if (!std::exchange(told, true)) log::warn("admin_accept_failed", {{"error", error.message()}});
            pause.expires_after(std::chrono::milliseconds{100});
            co_await pause.async_wait(as_result);
            continue;
        }
        told = false;
        if (self->streams.size() >= self->settings.max_connections) {
            static constexpr std::string_view busy =
                "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                "Connection: close\r\n\r\n";
            error_code ignored;
            socket.non_blocking(true, ignored);
            socket.send(asio::buffer(busy), 0, ignored);
            continue;
        }
        asio::co_spawn(self->context, session(self, std::make_shared<Connection>(self, std::move(socket))),
                       log_exception);
    }
}

asio::awaitable<void> Admin::Impl::session(std::shared_ptr<Impl> self, ConnectionPtr connection) {
    bool keep_alive = true;
    while (keep_alive && !self->stopped) {
        http::request_parser<http::string_body> parser;
        const auto error = co_await read(connection, parser);
        if (self->stopped) co_return;
        if (error) {
            if (const auto refusal = refusal_of(error)) {
                co_await send(connection, to_message(error_answer(refusal->first, refusal->second), 11, false, false));
                co_await say_goodbye(connection);
            }
            co_return;
        }
        const auto version = parser.get().version();
        const bool head_only = parser.get().method() == http::verb::head;
        keep_alive = parser.keep_alive();
        auto response = co_await answer(self, to_request(parser.release()));
        if (self->stopped) co_return;

        if (response.events && !head_only) {
            auto timer = std::make_shared<asio::steady_timer>(self->context);
            if (auto subscriber = self->events.subscribe([timer] { timer->cancel(); })) {
                if (co_await send(connection, to_message(std::move(response), version, false, true)))
                    co_await serve_events(connection, std::move(subscriber), std::move(timer));
                co_return;
            }
            response = error_answer(503, "there are too many subscribers of events: close one");
        }
        const auto size = static_cast<std::int64_t>(response.body.size());
        if (self->answers_size + size > self->settings.max_answers.count) {
            response = error_answer(503, "too much evidence is on its way to other clients");
            response.fields.emplace_back("Retry-After", "1");
        }
        const auto held = static_cast<std::int64_t>(response.body.size());
        self->answers_size += held;
        const bool sent = co_await send(connection, to_message(std::move(response), version, keep_alive, head_only));
        self->answers_size -= held;
        if (!sent) co_return;
    }
    co_await say_goodbye(connection);
}

// A deadline for each phase: a client may rest between requests, but not within one.
asio::awaitable<error_code> Admin::Impl::read(ConnectionPtr connection,
                                              http::request_parser<http::string_body>& parser) {
    const auto& settings = connection->admin->settings;
    auto& stream = connection->stream;
    auto& buffer = connection->buffer;
    parser.header_limit(max_head);
    parser.body_limit(static_cast<std::uint64_t>(settings.max_body.count));
    if (buffer.size() == 0) {
        stream.expires_after(settings.idle_timeout);
        const auto [error, count] = co_await stream.async_read_some(buffer.prepare(4096), as_result);
        if (error) co_return error;
        buffer.commit(count);
    }
    stream.expires_after(settings.request_timeout);
    const auto [head_error, head_size] = co_await http::async_read_header(stream, buffer, parser, as_result);
    if (head_error) co_return head_error;
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        const auto [error, count] = co_await asio::async_write(stream, asio::buffer(go_on), as_result);
        if (error) co_return error;
    }
    const auto [body_error, body_size] = co_await http::async_read(stream, buffer, parser, as_result);
    co_return body_error;
}

asio::awaitable<Response> Admin::Impl::answer(std::shared_ptr<Impl> self, Request request) {
    Response response;
    try {
        if (auto refusal = refuse(self->access, request, Api::is_open(request.target))) {
            response = std::move(*refusal);
        } else {
            auto answer = self->api.answer(request, has_token(self->access, request));
            if (auto* slow = std::get_if<Slow>(&answer))
                response =
                    co_await asio::co_spawn(self->slow.get_executor(), run(std::move(*slow)), asio::use_awaitable);
            else
                response = std::move(std::get<Response>(answer));
        }
    } catch (const std::exception& error) {
        log::error("admin_request_failed", {{"target", request.target}, {"error", error.what()}});
        response = error_answer(500, error.what());
    }
    if (request.method != "GET" && request.method != "HEAD")
        log::info("admin_request",
                  {{"method", request.method}, {"target", request.target}, {"status", response.status}});
    co_return response;
}

asio::awaitable<bool> Admin::Impl::send(ConnectionPtr connection, Message message) {
    connection->stream.expires_after(connection->admin->settings.write_timeout);
    if (message.body().empty() && !message.has_content_length()) { // the head of a stream of events
        http::response_serializer<http::string_body> head(message);
        const auto [error, count] = co_await http::async_write_header(connection->stream, head, as_result);
        co_return !error;
    }
    const auto [error, count] = co_await http::async_write(connection->stream, message, as_result);
    co_return !error;
}

// Closing with bytes unread would reset the connection, and the answer with it: the client gets a moment to read it.
asio::awaitable<void> Admin::Impl::say_goodbye(ConnectionPtr connection) {
    auto& stream = connection->stream;
    error_code ignored;
    stream.socket().shutdown(asio::socket_base::shutdown_send, ignored);
    stream.expires_after(std::chrono::seconds{1});
    char drained[4096];
    for (std::size_t budget = 8 << 20; budget > 0;) {
        const auto [error, count] = co_await stream.async_read_some(asio::buffer(drained), as_result);
        if (error) break;
        budget -= std::min(budget, count);
    }
    stream.close();
}

asio::awaitable<void> Admin::Impl::serve_events(ConnectionPtr connection, std::shared_ptr<Subscriber> subscriber,
                                                std::shared_ptr<asio::steady_timer> timer) {
    auto& stream = connection->stream;
    const auto& settings = connection->admin->settings;
    asio::co_spawn(connection->admin->context, watch(connection, timer), log_exception);
    std::string text = ": connected\n\n";
    while (stream.socket().is_open()) {
        while (auto event = subscriber->next()) text += *event;
        if (text.empty()) {
            timer->expires_after(settings.event_pause);
            const auto [woken] = co_await timer->async_wait(as_result);
            if (!woken) text = ": quiet\n\n"; // nothing came: keeps the way open, and finds out whether it is
            continue;
        }
        stream.expires_after(settings.write_timeout);
        const auto [error, count] = co_await asio::async_write(stream, asio::buffer(text), as_result);
        if (error) break;
        text.clear();
    }
    stream.close();
}

// Reads what a subscriber says, which is nothing, to notice at once when it leaves.
asio::awaitable<void> Admin::Impl::watch(ConnectionPtr connection, std::shared_ptr<asio::steady_timer> timer) {
    char ignored[256];
    for (;;) {
        const auto [error, count] =
            co_await connection->stream.socket().async_read_some(asio::buffer(ignored), as_result);
        if (error) break;
    }
    connection->stream.close();
    timer->cancel();
}

Admin::Admin(asio::io_context& control, asio::thread_pool& slow, Settings settings, Backend backend)
    : impl_(std::make_shared<Impl>(control, slow, std::move(settings), std::move(backend))) {}

Admin::~Admin() { stop(); }

std::string Admin::start() {
    auto listening = listen_at(impl_->settings.listen, !impl_->settings.token.empty());
    if (listening.fd < 0) return listening.problem;
    impl_->address = listening.address;
    const bool is_unix = listening.address.family == net::Address::Family::unix_socket;
    const bool is_v6 = listening.address.host.find(':') != std::string::npos;
    impl_->access = {is_unix, listening.address.host, impl_->settings.token};
    error_code error;
    impl_->acceptor.assign(Protocol(is_unix ? AF_UNIX : is_v6 ? AF_INET6 : AF_INET, 0), listening.fd, error);
    if (error) {
        ::close(listening.fd);
        return impl_->settings.listen + ": " + error.message();
    }
    return {};
}

void Admin::accept() { asio::co_spawn(impl_->context, Impl::accept(impl_), log_exception); }

std::string Admin::address() const { return net::to_string(impl_->address); }

void Admin::stop() {
    if (std::exchange(impl_->stopped, true)) return;
    error_code ignored;
    if (impl_->acceptor.is_open() && !net::Heirlooms::of_this_process().passed_on() &&
        impl_->address.family == net::Address::Family::unix_socket)
        ::unlink(impl_->address.path.c_str());
    impl_->acceptor.close(ignored);
    for (auto* stream : impl_->streams) stream->close();
}

void Admin::publish(std::string_view event, boost::json::object facts) {
    impl_->events.publish(event, std::move(facts));
}

} // namespace plimsoll::admin
