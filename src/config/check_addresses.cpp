// Where we listen, all together: what serve could not open, and requests that would come back to us.
#include <string>
#include <vector>

#include "config/checks.hpp"
#include "config/place.hpp"

namespace plimsoll::config {
namespace {

// One of our own addresses.
struct Own {
    Place place;
    std::string key, text, who; // who: "[admin] listen", as a sentence names it
};

std::optional<Own> own(const std::string& key, const std::string& text, const std::string& who,
                       const Findings& findings) {
    std::string why_not;
    auto place = findings.sound(key) ? parse_place(text, why_not) : std::nullopt;
    if (!place) return {}; // told elsewhere
    return Own{*place, key, text, who};
}

bool refuse_name(const Own& address, Findings& findings) {
    if (!address.place.named()) return false;
    const auto colon = address.text.rfind(':');
    const auto prefix = std::string(address.text.starts_with("tcp:") ? "tcp:" : "");
    findings.problem(address.key,
                     "'" + address.text +
                         "': names are not looked up to listen: write the address as numbers, or 0.0.0.0 for all "
                         "interfaces",
                     address.place.host == "localhost" ? '"' + prefix + "127.0.0.1" + address.text.substr(colon) + '"'
                                                       : std::string());
    return true;
}

// One socket would take what is the other's. At port 0 each gets one of its own.
bool collide(const Own& one, const Own& other) {
    if (!one.place.unix_socket && one.place.port == 0) return false;
    return one.place.includes(other.place) || other.place.includes(one.place);
}

// A connection to `address` ends at `listener`: at another interface of ours, we cannot tell.
bool leads_to(const Place& address, const Place& listener) {
    if (address.canonical() == listener.canonical()) return true;
    const auto here = [](const Place& place) { return place.loopback() || place.canonical().starts_with("0.0.0.0:"); };
    return !address.unix_socket && listener.includes(address) && here(address);
}

// At the one of the two that was written.
void tell_taken(const Own& control, const Own& other, Findings& findings) {
    const bool at_control = findings.stands("proxy.control");
    const Own &told = at_control ? control : other, &first = at_control ? other : control;
    findings.problem(told.key, "'" + told.text + "' is already taken by " + first.who);
}

void check_controls(const Config& config, const std::vector<Own>& others, Findings& findings) {
    std::vector<Own> taken = others;
    for (std::size_t i = 0; i < config.proxy.control.size(); ++i) {
        const auto& text = config.proxy.control[i];
        if (!text.starts_with('/') && !text.starts_with("unix:") && !text.starts_with("tcp:")) continue;
        const auto control = own("proxy.control[" + std::to_string(i) + "]", text, "proxy.control", findings);
        if (!control || refuse_name(*control, findings)) continue;
        for (const Own& other : taken)
            if (findings.sound(control->key) && findings.sound(other.key) && collide(*control, other))
                tell_taken(*control, other, findings);
        taken.push_back(*control);
    }
}

void check_loops(const Config& config, const std::vector<Own>& listeners, Findings& findings) {
    for (std::size_t p = 0; p < config.pools.size(); ++p) {
        const Source& source = config.pools[p].source;
        const auto path = "pool[" + std::to_string(p) + "].source.addresses";
        if (source.kind != SourceKind::static_addresses || !findings.sound(path)) continue;
        for (std::size_t i = 0; i < source.addresses.size(); ++i) {
            const auto worker = own(path + "[" + std::to_string(i) + "]", source.addresses[i], {}, findings);
            for (const Own& listener : listeners)
                if (worker && findings.sound(worker->key) && leads_to(worker->place, listener.place))
                    findings.problem(worker->key, "'" + worker->text + "' leads back here, to " + listener.who +
                                                      ": each request would come round again");
        }
    }
}

} // namespace

void check_addresses(const Config& config, Findings& findings) {
    std::vector<Own> listeners, all;
    if (const auto admin = own("admin.listen", config.admin.listen, "[admin] listen", findings))
        if (admin->place.host == "localhost" || !refuse_name(*admin, findings)) all.push_back(*admin);
    for (std::size_t i = 0; i < config.listeners.size(); ++i) {
        const auto key = "listener[" + std::to_string(i) + "].address";
        const auto& text = config.listeners[i].address;
        const auto line = findings.position(key).line;
        const auto who = line == 0 ? "the listener " + text : "the listener on line " + std::to_string(line);
        const auto listener = own(key, text, who, findings);
        if (!listener || refuse_name(*listener, findings)) continue;
        if (listener->place.unix_socket || listener->place.port != 0) listeners.push_back(*listener);
    }
    all.insert(all.end(), listeners.begin(), listeners.end());
    check_controls(config, all, findings);
    check_loops(config, listeners, findings);
}

} // namespace plimsoll::config
