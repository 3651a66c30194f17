#include "net/http/forwarded.hpp"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>

#include "net/http/chars.hpp"

namespace plimsoll::http {
namespace {

constexpr unsigned address_bits = 128;
constexpr unsigned mapped_bits = 96; // of ::ffff:0:0/96, which IPv4 addresses stand in

bool matches(const IpAddress& address, const IpAddress& network, unsigned bits) {
    const std::size_t whole = bits / 8;
    if (std::memcmp(address.bytes.data(), network.bytes.data(), whole) != 0) return false;
    const unsigned rest = bits % 8;
    return rest == 0 || (address.bytes[whole] ^ network.bytes[whole]) >> (8 - rest) == 0;
}

// The address alone of "address", "address:port" and "[address]:port".
std::string_view without_port(std::string_view text) {
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) return {};
        const std::string_view rest = text.substr(close + 1);
        const bool port =
            rest.empty() || (rest.size() > 1 && rest.front() == ':' && all_are(digit_char, rest.substr(1)));
        return port ? text.substr(1, close - 1) : std::string_view{};
    }
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) return text;
    const std::string_view port = text.substr(colon + 1);
    return !port.empty() && all_are(digit_char, port) ? text.substr(0, colon) : std::string_view{};
}

// And the port behind it; 0: none.
std::uint16_t told_port(std::string_view text) {
    const std::string_view address = without_port(text);
    if (address.size() == text.size()) return 0; // an IPv6 address ends in what could be taken for one
    const auto port = parse_decimal(text.substr(text.rfind(':') + 1));
    return port && *port <= 65535 ? static_cast<std::uint16_t>(*port) : std::uint16_t{0};
}

std::optional<IpAddress> parse_bare_ip(std::string_view text) {
    char terminated[INET6_ADDRSTRLEN];
    if (text.empty() || text.size() >= sizeof terminated) return {};
    terminated[text.copy(terminated, text.size())] = '\0';
    IpAddress address;
    if (inet_pton(AF_INET6, terminated, address.bytes.data()) == 1) return address;
    address.bytes[10] = address.bytes[11] = 0xff;
    if (inet_pton(AF_INET, terminated, address.bytes.data() + 12) == 1) return address;
    return {};
}

} // namespace

std::optional<IpAddress> parse_ip(std::string_view text) { return parse_bare_ip(without_port(text)); }

bool TrustedProxies::parse(const std::vector<std::string>& list, std::string& problem) {
    TrustedProxies parsed;
    for (const std::string& entry : list) {
        if (entry == "unix") {
            parsed.unix_ = true;
            continue;
        }
        const std::size_t slash = entry.find('/');
        const std::string address_text = entry.substr(0, slash);
        const auto address = parse_bare_ip(address_text);
        if (!address) {
            problem = '"' + entry +
                      "\" is no address or network: write \"10.0.0.1\", \"10.0.0.0/8\", \"fd00::/8\" or \"unix\"";
            return false;
        }
        const unsigned offset = address_text.find(':') == std::string::npos ? mapped_bits : 0;
        const unsigned most = address_bits - offset;
        const auto prefix =
            slash == std::string::npos ? most : parse_decimal(std::string_view(entry).substr(slash + 1));
        if (!prefix || *prefix > most) {
            problem =
                '"' + entry + "\" has no valid prefix length: write 0 to " + std::to_string(most) + " after the slash";
            return false;
        }
        parsed.networks_.push_back({*address, static_cast<unsigned>(*prefix) + offset});
    }
    *this = std::move(parsed);
    return true;
}

bool TrustedProxies::trusts(std::string_view peer) const {
    if (peer.empty()) return unix_;
    if (networks_.empty()) return false;
    const auto address = parse_ip(peer);
    if (!address) return false;
    return std::any_of(networks_.begin(), networks_.end(),
                       [&](const Network& network) { return matches(*address, network.address, network.bits); });
}

Client TrustedProxies::client(const Client& peer, const FieldTable& fields) const {
    Client client = peer;
    if (empty() || !trusts(peer.address)) return client;
    for (std::size_t i = fields.size(); i-- > 0;) {
        if (fields[i].id != FieldName::x_forwarded_for) continue;
        std::string_view list = fields[i].value;
        while (!list.empty()) {
            const std::size_t comma = list.rfind(',');
            std::string_view hop = comma == std::string_view::npos ? list : list.substr(comma + 1);
            list = comma == std::string_view::npos ? std::string_view{} : list.substr(0, comma);
            if (std::string_view member; next_member(hop, member)) {
                if (!parse_ip(member)) return client; // "unknown" or worse: nobody further left can be believed
                client = {without_port(member), told_port(member)};
                if (!trusts(client.address)) return client;
            }
        }
    }
    return client;
}

} // namespace plimsoll::http
