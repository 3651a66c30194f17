// Paths on their way to a worker or into a redirect, where a route changes them.
//
// What is left of a path without its prefix is kept byte for byte, escapes and all, unless that would be unsafe: "//evil.example"
// (left of "/api//evil.example") is another host to a browser that an application redirects there, and ".." would climb out
// of the prefix again. Then the resolved path is taken, escaped anew; so it is when the prefix itself came escaped. Queries
// are never touched.
#pragma once

#include <string>
#include <string_view>

namespace plimsoll::http {

// The path with `put` in the place of `strip`, which counts at a segment's end only: "/api" of "/api" and "/api/x", not of
// "/apiary". `resolved` is its routing_path(). Empty: the path does not begin with `strip`, and goes on as it came.
std::string rewritten_path(std::string_view path, std::string_view resolved, std::string_view strip,
                           std::string_view put);

// A routing_path() as it is sent.
std::string escaped_path(std::string_view resolved);

} // namespace plimsoll::http
