#include "config/page.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace plimsoll::config {
namespace {

// Characters of a URI reference (RFC 3986), and nothing that ends a field or quotes one.
bool is_uri_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return c > ' ' && c < 0x7f &&
               std::string_view("\"<>\\^`{|}").find(static_cast<char>(c)) == std::string_view::npos;
    });
}

std::string why_unsafe(const std::vector<TargetPiece>& pieces) {
    using Kind = TargetPiece::Kind;
    const auto& first = pieces.front();
    if (first.kind == Kind::path) return {};
    const std::string_view text = first.text;
    const bool absolute = text.starts_with("https://") || text.starts_with("http://");
    if (first.kind != Kind::text || (!absolute && !text.starts_with('/')))
        return "must begin with https://, http://, / or {path}";
    if (text.starts_with("//") || (text == "/" && pieces.size() > 1 && pieces[1].kind == Kind::path))
        return "would begin with two slashes, which browsers take for another host: {path} has its own";
    if (absolute && text.ends_with("//") && (pieces.size() == 1 || pieces[1].kind != Kind::host))
        return "names no host";
    return {};
}

} // namespace

std::string page_text(const std::string& body, const std::string& file, std::string& problem) {
    if (file.empty()) return body;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "rbe"), std::fclose);
    std::string text;
    char buffer[1 << 16];
    while (stream && text.size() <= largest_page) {
        const auto count = std::fread(buffer, 1, sizeof buffer, stream.get());
        if (count == 0) break;
        text.append(buffer, count);
    }
    if (!stream || std::ferror(stream.get()) != 0)
        problem = "cannot be read: " + std::string(std::strerror(errno));
    else if (text.size() > largest_page)
        problem = "is larger than 1 MiB: serve it from elsewhere";
    return problem.empty() ? text : std::string();
}

std::vector<TargetPiece> parse_redirect(std::string_view to, std::string& problem) {
    using Kind = TargetPiece::Kind;
    std::vector<TargetPiece> pieces;
    while (!to.empty()) {
        const auto brace = to.find('{');
        if (brace != 0) {
            const auto text = to.substr(0, brace);
            if (!is_uri_text(text)) problem = "holds characters that no URL may hold: escape them as %XX";
            pieces.push_back({Kind::text, std::string(text)});
            to.remove_prefix(text.size());
            continue;
        }
        const auto end = to.find('}');
        const auto name = to.substr(1, end == to.npos ? end : end - 1);
        const auto kind = name == "host"    ? Kind::host
                          : name == "path"  ? Kind::path
                          : name == "query" ? Kind::query
                                            : Kind::text;
        if (end == to.npos || kind == Kind::text) {
            problem = "only {host}, {path} and {query} can be filled in, not {" + std::string(name) + "}";
            return {};
        }
        pieces.push_back({kind, {}});
        to.remove_prefix(end + 1);
    }
    if (problem.empty() && !pieces.empty()) problem = why_unsafe(pieces);
    return problem.empty() ? pieces : std::vector<TargetPiece>{};
}

} // namespace plimsoll::config
