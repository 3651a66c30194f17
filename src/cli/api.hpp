// The admin API's answers as JSON, its refusals as Failures.
#pragma once

#include <string>

#include <boost/json/value.hpp>

#include "cli/commands.hpp"

namespace plimsoll::cli {

Answer ask(const Context& context, std::string_view method, const std::string& target); // any status
boost::json::value get(const Context& context, const std::string& target);
boost::json::value post(const Context& context, const std::string& target);

// Why an answer is no success, as one line: its reason, and when to try again.
Failure refusal(const Context& context, const Answer& answer);
// The problems of a configuration that was refused, as lines; empty: there are none in this answer.
std::string problems_of(const boost::json::value& answer);

} // namespace plimsoll::cli
