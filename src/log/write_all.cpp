#include "log/write_all.hpp"

#include <cerrno>

#include <poll.h>
#include <unistd.h>

namespace plimsoll::log {

// Standard error may be a non-blocking pipe of somebody else's making: then it is waited for.
bool write_all(int file, std::string_view text) {
    while (!text.empty()) {
        auto count = ::write(file, text.data(), text.size());
        if (count >= 0) {
            text.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            pollfd waiting{file, POLLOUT, 0};
            if (::poll(&waiting, 1, 1000) <= 0) return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

} // namespace plimsoll::log
