// What agents say, from JSON to plain values: docs/agent-protocol.md, "Agent to proxy". Pure: no sockets, no clock.
//
// Unknown keys are ignored and null means absent. A known key of the wrong type, or out of its range, is a fault of the
// agent: the message is refused with a problem that names the key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "fleet/agent_server.hpp"

namespace plimsoll::fleet {

struct FilePart {
    std::uint64_t id = 0; // of the command that it is evidence of
    std::string name;     // [A-Za-z0-9._-], no leading dot: safe as a file's name
    std::string content;
    bool last = false;
};
struct Result {
    std::uint64_t id = 0;
    bool ok = false;
    std::string error;
    boost::json::object data;
};

// Each returns the problem, or nothing.
std::string read_object(std::string_view text, boost::json::object& object);
std::string read_hello(const boost::json::object& object, Hello& hello, std::string& token, std::int64_t& version);
std::string read_ready(const boost::json::object& object, std::string& release);
std::string read_sample(const boost::json::object& object, Sample& sample);
std::string read_exited(const boost::json::object& object, Exited& exited, std::string& token);
std::string read_file(const boost::json::object& object, FilePart& part);
std::string read_result(boost::json::object&& object, Result& result);
std::string_view type_of(const boost::json::object& object); // empty where there is none

bool is_file_name(std::string_view name);

} // namespace plimsoll::fleet
