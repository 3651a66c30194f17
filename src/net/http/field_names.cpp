#include "net/http/field_names.hpp"

#include <array>
#include <cstdint>
#include <cstring>

#include "net/http/chars.hpp"

namespace plimsoll::http {
namespace {

struct Known {
    std::string_view name; // lower case: letters, digits and '-'
    FieldName id;
};
constexpr Known known[] = {
    {"host", FieldName::host},
    {"content-length", FieldName::content_length},
    {"transfer-encoding", FieldName::transfer_encoding},
    {"connection", FieldName::connection},
    {"keep-alive", FieldName::keep_alive},
    {"proxy-connection", FieldName::proxy_connection},
    {"te", FieldName::te},
    {"trailer", FieldName::trailer},
    {"upgrade", FieldName::upgrade},
    {"http2-settings", FieldName::http2_settings},
    {"proxy-authenticate", FieldName::proxy_authenticate},
    {"proxy-authorization", FieldName::proxy_authorization},
    {"proxy-authentication-info", FieldName::proxy_authentication_info},
    {"expect", FieldName::expect},
    {"max-forwards", FieldName::max_forwards},
    {"forwarded", FieldName::forwarded},
    {"via", FieldName::via},
    {"date", FieldName::date},
    {"server", FieldName::server},
    {"accept", FieldName::accept},
    {"content-type", FieldName::content_type},
    {"content-encoding", FieldName::content_encoding},
    {"content-range", FieldName::content_range},
    {"authorization", FieldName::authorization},
    {"cache-control", FieldName::cache_control},
    {"cookie", FieldName::cookie},
    {"set-cookie", FieldName::set_cookie},
    {"pragma", FieldName::pragma},
    {"range", FieldName::range},
    {"x-forwarded-for", FieldName::x_forwarded_for},
    {"x-forwarded-proto", FieldName::x_forwarded_proto},
    {"x-forwarded-host", FieldName::x_forwarded_host},
    {"x-forwarded-prefix", FieldName::x_forwarded_prefix},
    {"x-request-id", FieldName::x_request_id},
    {"x-plimsoll-route", FieldName::plimsoll_route},
    {"x-accel-buffering", FieldName::x_accel_buffering},
    {"x-real-ip", FieldName::claims_of_a_proxy},
    {"x-scheme", FieldName::claims_of_a_proxy},
    {"x-url-scheme", FieldName::claims_of_a_proxy},
    {"x-client-ip", FieldName::claims_of_a_proxy},
    {"x-cluster-client-ip", FieldName::claims_of_a_proxy},
    {"x-original-forwarded-for", FieldName::claims_of_a_proxy},
    {"x-original-host", FieldName::claims_of_a_proxy},
    {"x-original-url", FieldName::claims_of_a_proxy},
    {"x-rewrite-url", FieldName::claims_of_a_proxy},
    {"x-script-name", FieldName::claims_of_a_proxy},
    {"x-originating-ip", FieldName::claims_of_a_proxy},
    {"x-client-cert", FieldName::claims_of_a_proxy},
    {"x-client-verify", FieldName::claims_of_a_proxy},
    {"ssl-client-cert", FieldName::claims_of_a_proxy},
    {"ssl-client-verify", FieldName::claims_of_a_proxy},
    {"ssl-client-s-dn", FieldName::claims_of_a_proxy},
    {"x-authenticated-user", FieldName::claims_of_a_proxy},
    {"x-envoy-external-address", FieldName::claims_of_a_proxy},
    {"x-forwarded", FieldName::claims_of_a_proxy},
    {"traceparent", FieldName::traceparent},
    {"tracestate", FieldName::tracestate},
    {"proxy", FieldName::ambiguous},
    {"front-end-https", FieldName::claims_of_a_proxy},
    {"true-client-ip", FieldName::claims_of_a_proxy},
    {"client-ip", FieldName::claims_of_a_proxy},
    {"cf-connecting-ip", FieldName::claims_of_a_proxy},
    {"fastly-client-ip", FieldName::claims_of_a_proxy},
    {"forwarded-for", FieldName::claims_of_a_proxy},
    {"remote-user", FieldName::claims_of_a_proxy},
    {"remote-groups", FieldName::claims_of_a_proxy},
    {"remote-name", FieldName::claims_of_a_proxy},
    {"remote-email", FieldName::claims_of_a_proxy},
    {"client-cert", FieldName::claims_of_a_proxy}, // RFC 9440
    {"client-cert-chain", FieldName::claims_of_a_proxy},
    {"cf-connecting-ipv6", FieldName::claims_of_a_proxy},
    {"fly-client-ip", FieldName::claims_of_a_proxy},
    {"x-azure-clientip", FieldName::claims_of_a_proxy},
    {"x-azure-socketip", FieldName::claims_of_a_proxy},
    {"x-appengine-user-ip", FieldName::claims_of_a_proxy},
    {"wl-proxy-client-ip", FieldName::claims_of_a_proxy},
    {"proxy-client-ip", FieldName::claims_of_a_proxy},
    {"x-proxyuser-ip", FieldName::claims_of_a_proxy},
    {"x-host", FieldName::claims_of_a_proxy},
    {"x-https", FieldName::claims_of_a_proxy},
    {"x-ssl", FieldName::claims_of_a_proxy},
    {"x-arr-ssl", FieldName::claims_of_a_proxy},
    {"x-arr-clientcert", FieldName::claims_of_a_proxy},
    {"cloudfront-forwarded-proto", FieldName::claims_of_a_proxy},
    {"cloudfront-viewer-address", FieldName::claims_of_a_proxy},
    {"x-goog-authenticated-user-email", FieldName::claims_of_a_proxy},
    {"x-goog-authenticated-user-id", FieldName::claims_of_a_proxy},
    {"x-goog-iap-jwt-assertion", FieldName::claims_of_a_proxy},
    {"x-amzn-oidc-identity", FieldName::claims_of_a_proxy},
    {"x-amzn-oidc-data", FieldName::claims_of_a_proxy},
    {"x-amzn-oidc-accesstoken", FieldName::claims_of_a_proxy},
    {"x-ms-client-principal", FieldName::claims_of_a_proxy},
    {"x-ms-client-principal-id", FieldName::claims_of_a_proxy},
    {"x-ms-client-principal-name", FieldName::claims_of_a_proxy},
    {"script-name", FieldName::claims_of_a_proxy},
};

constexpr std::size_t slots = 256, most_steps = 4;

constexpr std::size_t hash(std::string_view name) { // not empty
    const auto at = [name](std::size_t i) {
        return static_cast<std::size_t>(static_cast<unsigned char>(name[i]) | 0x20);
    };
    return (name.size() * 49 + at(0) * 5 + at(name.size() / 2) * 17 + at(name.size() - 1) * 8) % slots;
}

struct Table {
    std::array<std::uint8_t, slots + most_steps> at{}; // 1 + place in `known`; 0: empty
    std::size_t longest = 0;
};
constexpr Table make_table() {
    Table table;
    for (std::size_t i = 0; i < std::size(known); ++i) {
        std::size_t slot = hash(known[i].name), steps = 0;
        while (table.at[slot] != 0) ++slot, ++steps;
        table.at[slot] = static_cast<std::uint8_t>(i + 1);
        table.longest = steps > table.longest ? steps : table.longest;
    }
    return table;
}
constexpr Table table = make_table();
static_assert(table.longest < most_steps && std::size(known) < 255);

template <class Word>
bool same(const char* token, const char* lower_case) {
    Word a, b, bits;
    std::memcpy(&a, token, sizeof a);
    std::memcpy(&b, lower_case, sizeof b);
    std::memset(&bits, 0x20, sizeof bits);
    return static_cast<Word>(a | bits) == static_cast<Word>(b | bits);
}

// Both of `size`, at least two: no name that is known is shorter. The last word may overlap the one before it.
bool same_name(const char* token, const char* lower_case, std::size_t size) {
    if (size >= 8) {
        for (std::size_t i = 0; i + 8 < size; i += 8)
            if (!same<std::uint64_t>(token + i, lower_case + i)) return false;
        return same<std::uint64_t>(token + size - 8, lower_case + size - 8);
    }
    if (size >= 4)
        return same<std::uint32_t>(token, lower_case) && same<std::uint32_t>(token + size - 4, lower_case + size - 4);
    return same<std::uint16_t>(token, lower_case) && same<std::uint16_t>(token + size - 2, lower_case + size - 2);
}

bool starts_with(std::string_view name, std::string_view prefix) {
    return name.size() >= prefix.size() && same_name(name.data(), prefix.data(), prefix.size());
}

// Not inlined: the registers that it needs would be saved for every name.
[[gnu::noinline]] FieldName by_prefix(std::string_view name) {
    if (starts_with(name, "x-forwarded-") || starts_with(name, "x-ssl-") || starts_with(name, "x-remote-") ||
        starts_with(name, "x-auth-request-"))
        return FieldName::claims_of_a_proxy;
    if (starts_with(name, "x-plimsoll-")) return FieldName::plimsoll;
    return FieldName::other;
}

} // namespace

FieldName field_name_with_dashes(std::string_view token) {
    for (std::size_t slot = hash(token); table.at[slot] != 0; ++slot) {
        const Known& each = known[table.at[slot] - 1U];
        if (each.name.size() == token.size() && same_name(token.data(), each.name.data(), token.size())) return each.id;
    }
    return starts_with(token, "x-") ? by_prefix(token) : FieldName::other;
}

FieldName field_name(std::string_view token) {
    return token.find('_') == token.npos ? field_name_with_dashes(token) : FieldName::ambiguous;
}

} // namespace plimsoll::http
