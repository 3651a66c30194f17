// A request and its answer as the API sees them: plain values, no sockets. Only admin.cpp knows Beast.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <boost/json/object.hpp>

namespace plimsoll::admin {

struct Request {
    std::string method, target; // target as received: "/v1/incidents?limit=10"
    std::string body;
    std::string host, origin, fetch_site, authorization, token; // fields that decide who may
};

struct Response {
    int status = 200;
    std::string type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;
    bool events = false; // the connection becomes a stream of events
};

// What has to wait for a lock or a disk is finished on the slow pool: the function touches nothing of the control thread's.
using Slow = std::function<Response()>;
using Answer = std::variant<Response, Slow>;

Response json_answer(int status, const boost::json::object& document);
Response error_answer(int status, std::string_view error); // {"error": ...}, one line that says how to mend it

// The path of a target, split and with its percent-encoding undone. False where that is not possible.
bool split_path(std::string_view target, std::vector<std::string>& segments);
// The value of `name` in the query, decoded; empty where it is absent.
std::string query_value(std::string_view target, std::string_view name);

} // namespace plimsoll::admin
