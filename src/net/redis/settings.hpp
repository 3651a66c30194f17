// Where Redis is and how it is spoken to, ready for use: made once for a configuration, shared by all reactors.
#pragma once

#include <memory>
#include <string>

#include "config/config.hpp"
#include "config/redis_url.hpp"

namespace boost::asio::ssl {
class context;
}

namespace plimsoll::net::redis {

struct Settings {
    config::Redis config;
    config::RedisUrl url;
    std::string user, password;                         // user: empty for the default one
    std::shared_ptr<boost::asio::ssl::context> secured; // with TLS: its certificates
    std::string problem; // why it can't be spoken to, such as a certificate that is not there
};

// Null: no Redis is configured.
std::shared_ptr<const Settings> settings_of(const config::Redis& config);

} // namespace plimsoll::net::redis
