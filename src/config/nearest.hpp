// What was probably meant: the nearest of the known words by edit distance, or nothing where none is near.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace plimsoll::config {

// Insertions, deletions, substitutions and swaps of neighbours; case and '-' against '_' are no difference.
std::size_t edit_distance(std::string_view a, std::string_view b);

// Near means: it is what others call it ("high": critical); or at most a third of the word's letters differ; or one of the two
// begins with the other ("healthcheck": health).
std::string nearest(std::string_view word, std::span<const std::string> known);

} // namespace plimsoll::config
