// Big things that a request needs for a moment only: one set a reactor instead of one a connection. Like the scratch buffer
// they do not survive a co_await that really waits.
#pragma once

#include <array>
#include <string_view>

#include "net/http/head.hpp"
#include "net/http/head_writer.hpp"

namespace plimsoll::net {

struct Workspace {
    http::RequestHead request;
    http::ResponseHead response;
    http::FieldTable trailers;
    std::array<char, 80 << 10> out; // heads as they are sent, and small bodies after them
    http::DateText date{};

    std::string_view date_text() const { return {date.data(), date.size()}; }
};

} // namespace plimsoll::net
