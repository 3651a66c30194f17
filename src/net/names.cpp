#include "net/names.hpp"

#include <cstring>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "log/log.hpp"

namespace plimsoll::net {

namespace asio = boost::asio;

struct Names::Resolver {
    asio::ip::tcp::resolver resolver;
};

Names::Names(asio::io_context& context) : resolver_(new Resolver{asio::ip::tcp::resolver(context)}) {}

Names::~Names() = default;

Names::Answer Names::find(const Address& address, sockaddr_storage& to, socklen_t& length, Instant now) {
    const auto key = to_string(address);
    if (entries_.size() >= most_names && !entries_.contains(key))
        std::erase_if(entries_, [](const auto& each) { return !each.second.asking; });
    auto& entry = entries_[key];
    const bool known = !entry.addresses.empty() && now - entry.answered < usable;
    const bool due = !known || now - entry.answered >= fresh;
    if (due && !entry.asking && (entry.asked == Instant{} || now - entry.asked >= retry)) {
        entry.asked = now;
        ask(key, address);
    }
    if (!known) return entry.asking ? Answer::pending : Answer::unknown;
    const auto& [storage, size] = entry.addresses[entry.turn++ % entry.addresses.size()];
    to = storage;
    length = size;
    return Answer::found;
}

void Names::ask(const std::string& key, const Address& address) {
    entries_[key].asking = true;
    resolver_->resolver.async_resolve(
        address.host, std::to_string(address.port),
        [this, key](const boost::system::error_code& error, const asio::ip::tcp::resolver::results_type& results) {
            if (error == asio::error::operation_aborted) return; // we are being destroyed
            auto& entry = entries_[key];
            entry.asking = false;
            if (error || results.empty()) {
                log::warn("worker_name_unresolved", {{"address", key}, {"error", error.message()}});
                return;
            }
            entry.answered = Clock::now();
            entry.addresses.clear();
            for (const auto& result : results) {
                const auto endpoint = result.endpoint();
                sockaddr_storage storage{};
                std::memcpy(&storage, endpoint.data(), endpoint.size());
                entry.addresses.emplace_back(storage, static_cast<socklen_t>(endpoint.size()));
            }
        });
}

} // namespace plimsoll::net
