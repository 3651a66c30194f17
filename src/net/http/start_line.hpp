// Start lines, scanned byte by byte from the left: the first byte that cannot stand where it stands decides. So an
// error is told as soon as it can be, and the same one however the bytes were cut.
#pragma once

#include <cstddef>
#include <string_view>

#include "net/http/head.hpp"

namespace plimsoll::http {

struct StartLine {
    Parsed::State state = Parsed::State::need_more;
    std::size_t size = 0; // complete: with its CR LF
    Refusal refusal;      // error
};

// Sets method, method_text, minor, target.
StartLine scan_request_line(std::string_view bytes, std::size_t max_target, RequestHead& head);
// Sets minor, status, reason.
StartLine scan_status_line(std::string_view bytes, ResponseHead& head);

} // namespace plimsoll::http
