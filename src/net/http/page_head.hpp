// The head of an answer that needs no worker: a fixed page, a redirect, maintenance. The body follows as it is.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "net/http/head_writer.hpp"

namespace plimsoll::http {

struct PageHead {
    unsigned status = 200;
    std::string_view content_type; // told where there is a body
    std::uint64_t length = 0;      // of the body, for HEAD too
    std::string_view location;     // empty: none
    std::string_view reason;       // of a refusal: X-Plimsoll-Reason; empty: it is none
    unsigned retry_after_seconds = 0;
    const FieldEdits* edits = nullptr; // the route's
};
std::size_t write_page_head(const Answer& answer, const PageHead& how, std::span<char> out); // 0: it does not fit

} // namespace plimsoll::http
