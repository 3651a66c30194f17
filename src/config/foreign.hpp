// What other programs call what we call otherwise, or do not have at all, and what to write instead.
#pragma once

#include <string_view>

namespace plimsoll::config {

struct Foreign {
    std::string_view section, word; // section: "" the top of the file, "*" anywhere
    std::string_view instead;       // a sentence
    std::string_view key = {};      // of the same section, that the word stands for: it is not missing as well
};

// `section` as a person writes it: "pool.source". Nullptr: nothing that we know.
const Foreign* foreign(std::string_view section, std::string_view word);

} // namespace plimsoll::config
