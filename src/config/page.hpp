// Pages that routes answer with: their text, and where a redirect leads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace plimsoll::config {

inline constexpr std::size_t largest_page = 1 << 20;

// The body, or the content of the file where one is named. On a problem: empty, and `problem` says what it is.
std::string page_text(const std::string& body, const std::string& file, std::string& problem);

// "https://{host}{path}{query}" in pieces. {host} is the request's without port; {path} begins with a slash, and never with two
// (browsers take "//evil.example" for another host); {query} begins with its '?' or is empty.
struct TargetPiece {
    enum class Kind : std::uint8_t { text, host, path, query } kind = Kind::text;
    std::string text;
};
std::vector<TargetPiece> parse_redirect(std::string_view to, std::string& problem);

} // namespace plimsoll::config
