#include "fleet/source/public_address.hpp"

#include <string_view>

namespace plimsoll::fleet {

namespace {

// The value of an option in any of its spellings: "-b X", "--bind X", "--bind=X"; the last one counts.
std::optional<std::string> option(const std::vector<std::string>& argv, std::string_view brief,
                                  std::string_view whole) {
    std::optional<std::string> value;
    for (std::size_t i = 1; i < argv.size(); ++i) {
        const std::string& part = argv[i];
        if ((part == brief || part == whole) && i + 1 < argv.size()) value = argv[i + 1];
        if (part.starts_with(std::string(whole) + "=")) value = part.substr(whole.size() + 1);
    }
    return value;
}

// A server that listens everywhere is reached on the loopback.
std::optional<net::Address> reachable(std::optional<net::Address> address) {
    if (address && address->family == net::Address::Family::tcp &&
        (address->host.empty() || address->host == "0.0.0.0"))
        address->host = "127.0.0.1";
    return address;
}

} // namespace

std::optional<net::Address> public_address(const std::vector<std::string>& argv) {
    if (const auto bind = option(argv, "-b", "--bind")) return reachable(net::parse_address(*bind));
    if (const auto path = option(argv, "", "--uds")) return net::parse_address("unix:" + *path);
    const auto port = option(argv, "", "--port");
    if (port) return reachable(net::parse_address(option(argv, "", "--host").value_or("127.0.0.1") + ":" + *port));
    return std::nullopt;
}

} // namespace plimsoll::fleet
