// What a probe sends and how it reads the answer. Pure bytes; no sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plimsoll::fleet {

struct Question {
    std::string path = "/", method = "GET", host = "localhost";
};
std::string http_probe(const Question& question);
std::string uwsgi_probe(const Question& question); // the same request as a uwsgi packet; it is answered in HTTP

// The status of the final response in it (heads of 1xx before it are passed over), once its head is whole.
struct ProbeAnswer {
    enum class Kind : std::uint8_t { incomplete, complete, no_http } kind = Kind::incomplete;
    int status = 0;
};
ProbeAnswer read_probe_answer(std::string_view text);

} // namespace plimsoll::fleet
