// Pictures of an incident as SVG that stands in its page: no script, no font, no file from elsewhere.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/array.hpp>

namespace plimsoll::admin {

// Low-water marks by requests served, a line for each life: [{worker, generation, limit, what, marks: [[requests, amount], ...]}].
// The last life is in front. Empty where there is nothing to draw.
std::string growth_chart(const boost::json::array& lives);

// Folded stacks ("outer;inner 4096", a line each) from the outermost frame down; what is narrower than a letter is left out.
// Empty where there is none.
std::string flame_graph(std::string_view folded);

} // namespace plimsoll::admin
