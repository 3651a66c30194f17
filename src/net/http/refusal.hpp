// Why a message was not accepted, as a value: the status for the client, the stable word for metrics, logs and the
// X-Plimsoll-Reason field, and one sentence for the human who reads the answer.
//
// All text is static, so a refusal is copied freely and never allocates. Status 502 stands for "the worker's answer was
// broken".
#pragma once

#include <string_view>

namespace plimsoll::http {

struct Refusal {
    unsigned short status = 0; // 0: none
    std::string_view reason;   // "bad_target": snake_case, never changed once released
    std::string_view detail;   // "the request target holds bytes that no URI may hold"
    explicit operator bool() const { return status != 0; }
};

// What both the parser of fields and the reader of a head may find.
inline constexpr Refusal bad_length = {400, "content_length",
                                       "Content-Length must be one number that fits into 63 bits"};
inline constexpr Refusal bad_framing = {400, "framing",
                                        "Content-Length and Transfer-Encoding must not be given both or repeated"};

std::string_view standard_reason(unsigned status); // "Not Found"; empty for an unknown status

} // namespace plimsoll::http
