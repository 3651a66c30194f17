#include "net/redis/settings.hpp"

#include <boost/asio/ssl/context.hpp>

namespace plimsoll::net::redis {

namespace {

namespace ssl = boost::asio::ssl;

// Loads what is named; the first file that does not do is the problem.
std::shared_ptr<ssl::context> secured(const config::Redis& config, std::string& problem) {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    const auto load = [&](const std::string& file, const boost::system::error_code& error) {
        if (error && problem.empty()) problem = file + ": " + error.message();
    };
    boost::system::error_code error;
    context->set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error);
    context->set_verify_mode(ssl::verify_peer, error);
    if (config.ca_file.empty())
        context->set_default_verify_paths(error);
    else
        context->load_verify_file(config.ca_file, error);
    load(config.ca_file, error);
    if (!config.cert_file.empty()) {
        context->use_certificate_chain_file(config.cert_file, error);
        load(config.cert_file, error);
        context->use_private_key_file(config.key_file, ssl::context::pem, error);
        load(config.key_file, error);
    }
    return context;
}

} // namespace

std::shared_ptr<const Settings> settings_of(const config::Redis& config) {
    if (config.url.empty()) return nullptr;
    auto settings = std::make_shared<Settings>();
    settings->config = config;
    const auto url = config::parse_redis_url(config.url, settings->problem);
    if (!url) return settings; // the configuration's check comes first
    settings->url = *url;
    settings->user = url->user;
    settings->password = url->password.empty() ? config.password : url->password;
    if (url->tls) settings->secured = secured(config, settings->problem);
    return settings;
}

} // namespace plimsoll::net::redis
