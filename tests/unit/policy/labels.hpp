// Two labels that requests are known by: those of one need little memory, those of the other much.
#pragma once

#include "plimsoll/policy/memory_costs.hpp"

namespace plimsoll {

inline constexpr CostKey light = 1, heavy = 2;

} // namespace plimsoll
