// The commands that talk to a running proxy. Each prints to `out` and returns 0; whatever prevents that is thrown as a Failure
// and told by main() in one place.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>

#include "cli/admin_client.hpp"
#include "cli/show.hpp"

namespace plimsoll::cli {

struct Failure {
    int code = 1;
    std::string text;                // what went wrong, in one line; or a configuration's problems, one a line
    bool is_problems = false;        // each of those lines begins with its own place
    std::optional<std::string> json; // what --json prints: unset: made of the text; empty: nothing more
};

struct Context {
    AdminClient client;
    bool json = false;
    Style style;
    std::ostream& out;
    std::chrono::milliseconds poll{250}; // of --wait
    std::chrono::milliseconds patience = std::chrono::minutes{30};
};

int status(Context& context);
int workers(Context& context, const std::string& pool); // empty: of all pools
int reload(Context& context);
int leaks(Context& context);
int incidents(Context& context, std::size_t most);
int incident(Context& context, const std::string& id);
int incident_html(Context& context, const std::string& id, const std::string& output); // output "-": printed
int incident_file(Context& context, const std::string& id, const std::string& name, const std::string& output);

// drain, undrain, recycle, capture or trace. worker: "app-1" or "app/app-1". wait: until its incident is closed.
int act(Context& context, const std::string& action, const std::string& worker, bool wait);

} // namespace plimsoll::cli
