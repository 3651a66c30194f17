// Who the client is where a load balancer tells it by the PROXY protocol.
#include "net/http/proxy_protocol.hpp"
#include "net/reactor.hpp"
#include "net/session.hpp"

namespace plimsoll::net {

using io::Stream;
using io::until;

// False: the connection is to be closed. Only trusted proxies may tell; on a listener that demands the header nobody else
// is served, and nothing is answered: who sends something else speaks another protocol.
io::Task<bool> Session::read_proxy_header() {
    using Header = http::ProxyHeader;
    std::string bytes;
    Header header;
    header.state = trusted_ ? Header::State::need_more : Header::State::error;
    client_.expect_within(listener().header_timeout);
    while (header.state == Header::State::need_more) {
        if (!client_.is(Stream::readable)) co_await until(wakeup_, client_, Stream::readable | Stream::late);
        if (cut_short()) co_return false;
        if (client_.is(Stream::late)) break;
        char* scratch = reactor_.loop.scratch();
        const auto io = client_.read(scratch, http::longest_proxy_v2);
        if (io.kind == io::Io::blocked) continue;
        if (io.kind != io::Io::done) {
            if (bytes.empty()) co_return false; // a load balancer that only looks whether somebody listens
            break;
        }
        bytes.append(scratch, io.bytes);
        header = http::parse_proxy_header(bytes);
    }
    client_.no_deadline();
    if (header.state != Header::State::complete) {
        reactor_.counters.refused({}, "proxy_protocol");
        co_return false;
    }
    held_.assign(std::string_view(bytes).substr(header.size));
    if (header.source == Header::Source::client) {
        peer_ = std::move(header.address);
        peer_port_ = header.port;
    }
    unknown_client_ = header.source == Header::Source::untold;
    trusted_ = !unknown_client_ && snapshot_->trusted().trusts(peer_);
    if (header.source != Header::Source::client || find_place()) co_return true;
    reactor_.counters.connections_refused.add();
    reactor_.counters.refused({}, "max_connections_per_client");
    // A few bytes on a new connection fit, and who is too many is owed no more than one attempt.
    const auto told = client_.write(Clients::refusal);
    if (told.kind == io::Io::done) co_await linger();
    co_return false;
}

// The balancer's own connections are not bounded, so the one whom it announces is counted instead.
bool Session::find_place() {
    const unsigned most = snapshot_->max_connections_per_client;
    const auto key = most > 0 && !trusted_ ? Clients::key_of(peer_) : std::nullopt;
    if (!key) return true;
    auto place = reactor_.clients().enter(*key, most);
    if (!place) return false;
    place_ = std::move(*place);
    return true;
}

} // namespace plimsoll::net
