// What a child prints: lines for the log, and a bounded memory of it, so that an import error can be shown to whoever
// waits for the server.
//
// Reading goes on while the child's owner holds it, also after the child has ended: a grandchild may still print, and
// must not be stopped by a full pipe. Nobody waits for the end of the pipe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "fleet/fd.hpp"
#include "fleet/wait.hpp"
#include "plimsoll/core/bytes.hpp"

namespace plimsoll::fleet {

class Output : public std::enable_shared_from_this<Output> {
public:
    enum class Keep : std::uint8_t { first, last }; // which part, where there is more than the bound
    static constexpr std::size_t max_line = 2048;   // of the log; what is longer is cut

    // Lines are logged under this name; none where it is empty.
    Output(asio::io_context& control, Fd pipe, std::string log_name, Keep keep, Bytes bound);
    void start();
    void catch_up(); // takes what is in the pipe now, without waiting
    void close();
    const std::string& kept() const { return kept_; }
    std::uint64_t dropped() const { return dropped_; } // bytes that were read and not kept

private:
    static asio::awaitable<void> read(std::shared_ptr<Output> self);
    bool take_available();
    void take(std::string_view chunk);
    void take_lines(std::string_view chunk);
    void end_line();

    asio::io_context& control_;
    asio::posix::stream_descriptor pipe_;
    const std::string log_name_;
    const Keep keep_;
    const std::size_t bound_;
    std::string kept_, line_;
    std::uint64_t dropped_ = 0;
};

} // namespace plimsoll::fleet
