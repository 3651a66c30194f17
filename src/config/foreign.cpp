#include "config/foreign.hpp"

#include <algorithm>
#include <iterator>

namespace plimsoll::config {
namespace {

constexpr std::string_view no_tls = "Plimsoll speaks no TLS to clients: let a load balancer or a proxy in front of it "
                                    "(nginx, HAProxy, Caddy) end it, and name that one in [proxy] trusted_proxies";
constexpr std::string_view redis_tls = "write url = \"rediss://HOST:PORT\", and ca_file for an authority of your own";
constexpr std::string_view workers_of = "workers stand in a pool: [[pool]] with a name, and in its [pool.source] "
                                        "addresses = [\"127.0.0.1:8001\"]";
constexpr std::string_view listens = "where clients come to is a [[listener]] with an address";
constexpr std::string_view server_listens =
    "a worker says in its own `command` where it listens; those that run already stand in addresses = "
    "[\"127.0.0.1:8001\"]";
constexpr std::string_view recycles = "belongs into the server's own command (gunicorn --max-requests); Plimsoll "
                                      "recycles workers by their memory: [pool.recycle]";
constexpr std::string_view log_file = "write file in [log]";
constexpr std::string_view log_access = "write access = true in [log]";
constexpr std::string_view body_bound = "write max_body in [[listener]]";
constexpr std::string_view rest_bound = "write idle_timeout in [[listener]]";
constexpr std::string_view response_bound = "write response_timeout and read_timeout in [pool.upstream]";
constexpr std::string_view matches = "a [[route]] with a path (and a host) says which requests go to which pool";

// The first that fits counts.
constexpr Foreign words[] = {
    {"redis", "tls", redis_tls},
    {"redis", "ssl", redis_tls},
    {"redis", "cert", "write cert_file and key_file"},
    {"redis", "certificate", "write cert_file and key_file"},
    {"*", "tls", no_tls},
    {"*", "ssl", no_tls},
    {"*", "https", no_tls},
    {"*", "cert", no_tls},
    {"*", "certificate", no_tls},
    {"*", "ssl_certificate", no_tls},
    {"*", "ssl_certificate_key", no_tls},
    {"", "upstream", workers_of, "pool"},
    {"", "backend", workers_of, "pool"},
    {"", "server", "workers stand in a [[pool]], and where clients come to is a [[listener]] with an address", "pool"},
    {"", "frontend", listens, "listener"},
    {"", "http", "there is no such section: [[listener]], [[route]] and [[pool]] stand at the top of the file"},
    {"", "location", matches},
    {"", "server_name", matches},
    {"listener", "server_name", matches},
    {"listener", "location", matches},
    {"route", "server_name", "write host = \"app.example.org\"", "host"},
    {"route", "location", "write path = \"/...\"", "path"},
    {"route", "proxy_pass", "write pool = \"NAME\" of a [[pool]]", "pool"},
    {"pool.source", "servers", "write addresses = [\"127.0.0.1:8001\"]", "addresses"},
    {"route", "prefix", "each path is a prefix: write path = \"/api\", and strip_prefix to take it off on the way"},
    {"pool.health", "status", "write expect = \"200\"", "expect"},
    {"pool.upstream", "timeout", "write connect_timeout, response_timeout (to the head of the answer) or read_timeout"},
    {"pool.source", "bind", server_listens},
    {"pool.source", "port", server_listens},
    {"pool.source", "host", server_listens},
    {"pool.source", "threads",
     "the server's own `command` says how many threads a worker has; `slots` says how many "
     "requests it takes at once, where nobody else does"},
    {"pool", "servers", "write addresses in [pool.source]", "source"},
    {"*", "max_requests", recycles},
    {"*", "client_max_body_size", body_bound},
    {"*", "keepalive_timeout", rest_bound},
    {"*", "proxy_read_timeout", response_bound},
    {"*", "proxy_connect_timeout", "write connect_timeout in [pool.upstream]"},
    {"*", "error_log", log_file},
    {"*", "access_log", log_access},
    {"proxy", "workers", "[proxy] threads are Plimsoll's own; the workers of an application stand in [pool.source]"},
};

bool covers(std::string_view scope, std::string_view section) { return scope == "*" || scope == section; }

} // namespace

const Foreign* foreign(std::string_view section, std::string_view word) {
    const auto* const found = std::ranges::find_if(
        words, [&](const Foreign& each) { return each.word == word && covers(each.section, section); });
    return found == std::end(words) ? nullptr : found;
}

} // namespace plimsoll::config
