#include "net/redis/wire.hpp"

#include <tuple>
#include <vector>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "net/address.hpp"

namespace plimsoll::net::redis {

namespace {

using Endpoints = std::vector<asio::generic::stream_protocol::endpoint>;

bool is_numeric(const std::string& host) {
    boost::system::error_code error;
    asio::ip::make_address(host, error);
    return !error;
}

} // namespace

Wire::Wire(asio::io_context& context, std::shared_ptr<const Settings> settings)
    : settings_(std::move(settings)), resolver_(context), socket_(context) {}

std::string Wire::problem_of(const boost::system::error_code& error) const {
    if (closed()) return why_closed_;
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated)
        return "the server closed the connection";
    return error.message();
}

void Wire::close(std::string why) {
    if (closed()) return;
    why_closed_ = why.empty() ? "closed" : std::move(why);
    resolver_.cancel();
    boost::system::error_code ignored; // closed is closed
    socket_.close(ignored);
}

asio::awaitable<std::string> Wire::connect() {
    const auto& url = settings_->url;
    Endpoints endpoints;
    if (url.host.empty()) {
        endpoints.emplace_back(asio::local::stream_protocol::endpoint(url.path));
    } else {
        const auto port = std::to_string(url.port);
        const auto [error, found] = co_await resolver_.async_resolve(url.host, port, as_result);
        if (error || closed()) co_return closed() ? why_closed_ : url.host + ": " + error.message();
        for (const auto& result : found) endpoints.emplace_back(result.endpoint());
    }
    boost::system::error_code last;
    for (const auto& endpoint : endpoints) {
        boost::system::error_code ignored; // a socket that can't be opened can't be connected either
        socket_.close(ignored);
        socket_.open(endpoint.protocol(), ignored);
        const auto [error] = co_await socket_.async_connect(endpoint, as_result);
        if (closed()) co_return why_closed_;
        if (!error && !url.host.empty()) socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
        if (!error) co_return std::string();
        last = error;
    }
    co_return problem_of(last);
}

asio::awaitable<std::string> Wire::secure() {
    const auto& host = settings_->url.host;
    secured_ = std::make_unique<asio::ssl::stream<Socket&>>(socket_, *settings_->secured);
    secured_->set_verify_callback(asio::ssl::host_name_verification(host));
    ::ERR_clear_error();
    if (!is_numeric(host) && SSL_set_tlsext_host_name(secured_->native_handle(), host.c_str()) != 1)
        co_return std::string("the host's name cannot be told in TLS");
    const auto [error] = co_await secured_->async_handshake(asio::ssl::stream_base::client, as_result);
    if (!error) co_return std::string();
    const auto verdict = SSL_get_verify_result(secured_->native_handle());
    if (!closed() && verdict != X509_V_OK)
        co_return std::string("its certificate: ") + ::X509_verify_cert_error_string(verdict);
    co_return "TLS: " + problem_of(error);
}

asio::awaitable<std::string> Wire::open() {
    if (!settings_->problem.empty()) co_return settings_->problem;
    auto problem = co_await connect();
    if (problem.empty() && settings_->secured) problem = co_await secure();
    co_return problem;
}

asio::awaitable<std::string> Wire::read(char* to, std::size_t room, std::size_t& count) {
    const auto buffer = asio::buffer(to, room);
    std::tuple<boost::system::error_code, std::size_t> result;
    if (secured_)
        result = co_await secured_->async_read_some(buffer, as_result);
    else
        result = co_await socket_.async_read_some(buffer, as_result);
    count = std::get<1>(result);
    const bool failed = std::get<0>(result) || closed();
    co_return failed ? problem_of(std::get<0>(result)) : std::string();
}

void Wire::write(std::string bytes, std::function<void(bool ok)> done) {
    writing_ = std::move(bytes);
    const auto written = [self = shared_from_this(), done = std::move(done)](
                             const boost::system::error_code& error, std::size_t) { done(!error && !self->closed()); };
    if (secured_)
        asio::async_write(*secured_, asio::buffer(writing_), written);
    else
        asio::async_write(socket_, asio::buffer(writing_), written);
}

} // namespace plimsoll::net::redis
