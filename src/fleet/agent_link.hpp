// One control connection as frames: a 4-byte big-endian length and that many bytes of JSON (docs/agent-protocol.md).
//
// Reading is the session's business, one frame at a time. Writing never waits: a frame goes into a bounded queue, and a
// peer that does not take it in time is hung up on, so that one stuck agent costs a little memory for a little while.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include "fleet/deadline.hpp"
#include "fleet/peer.hpp"
#include "fleet/wait.hpp"

namespace plimsoll::fleet {

inline constexpr std::size_t max_frame = 1 << 20;
inline constexpr std::size_t max_first_frame = 16 << 10; // of somebody who has not said yet who it is

struct Frame {
    std::string text;
    std::string problem; // why there is none; empty and closed: the peer hung up
    bool closed = false;
};

class AgentLink : public std::enable_shared_from_this<AgentLink> {
public:
    using Socket = asio::generic::stream_protocol::socket;

    AgentLink(asio::io_context& control, Socket socket, Duration write_timeout);
    const Peer& peer() const { return peer_; }
    Socket& socket() { return socket_; }

    asio::awaitable<Frame> read(std::size_t longest);
    // Empty: queued. Else why not: "disconnected", or it is longer than a frame may be.
    std::string write(const boost::json::object& message);
    // Says a last word and waits, within the bound, until the peer has had the chance to read it.
    static asio::awaitable<void> part(std::shared_ptr<AgentLink> self, boost::json::object message, Duration bound);
    void close();
    bool open() const { return socket_.is_open(); }
    // Closed because the peer did not read. True before either side of the link has been told that it is closed.
    bool too_slow() const { return too_slow_ || (writing_ && writing_->expired()); }

private:
    static asio::awaitable<void> flush(std::shared_ptr<AgentLink> self);

    asio::io_context& control_;
    Socket socket_;
    const Duration write_timeout_; // for one frame, until the peer has taken it
    Peer peer_;
    std::deque<std::string> queue_;
    std::size_t queued_bytes_ = 0;
    bool flushing_ = false;
    std::optional<Deadline<Socket>> writing_;
    bool too_slow_ = false;
};

} // namespace plimsoll::fleet
