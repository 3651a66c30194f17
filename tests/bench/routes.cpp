// Nanoseconds to find a route, by the number of routes and by what they match on. Not part of `all`:
//     ninja -C build/release bench_routes && build/release/bench_routes
// The lowest of many rounds is printed: other work on the machine only ever adds.
#include <chrono>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "net/route_index.hpp"

namespace {

using namespace plimsoll;
using namespace plimsoll::net;
using Clock = std::chrono::steady_clock;

struct Request {
    std::string host, path, tenant = {};
    std::string method = "GET", flag = "X-Flag";
};

// As many as a browser sends; to lay them out is part of what is measured.
void fill(http::FieldTable& fields, const std::string& tenant, const std::string& flag) {
    fields.clear();
    for (const char* name :
         {"Host", "Connection", "Cache-Control", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language",
          "Referer", "Cookie", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "X-Env"})
        fields.add(name, "prod", http::FieldName::other);
    fields.add("X-Tenant", tenant, http::FieldName::other);
    fields.add(flag, "1", http::FieldName::other);
}

double nanoseconds(const RouteIndex& index, const std::vector<Request>& requests) {
    constexpr int rounds = 20;
    double best = std::numeric_limits<double>::max();
    std::size_t found = 0;
    http::FieldTable fields;
    for (int round = 0; round < rounds; ++round) {
        const auto start = Clock::now();
        for (const auto& request : requests) {
            if (!request.tenant.empty()) fill(fields, request.tenant, request.flag);
            found += index.find({request.host, request.path, request.method, &fields}) != no_route;
        }
        const std::chrono::duration<double, std::nano> time = Clock::now() - start;
        best = std::min(best, time.count() / static_cast<double>(requests.size()));
    }
    if (found != rounds * requests.size()) std::puts("a request found no route");
    return best;
}

// Requests hit routes all over the list, in an order that no cache foresees.
template <class MakeRoute, class MakeRequest>
void measure(const char* name, MakeRoute make_route, MakeRequest make_request, std::size_t how_many = 10'000) {
    std::printf("%-44s", name);
    for (const std::size_t count : {10, 1'000, 10'000}) {
        std::vector<RouteRule> rules;
        std::vector<Request> requests;
        for (std::size_t i = 0; i < count; ++i) rules.emplace_back(make_route(std::to_string(i)));
        for (std::size_t i = 0; i < how_many; ++i) requests.push_back(make_request(std::to_string(i * 7919 % count)));
        std::printf("%10.0f ns", nanoseconds(RouteIndex(std::move(rules)), requests));
    }
    std::puts("");
}

config::Route route(std::string path, std::string host = "") {
    config::Route route;
    route.path = std::move(path);
    route.host = std::move(host);
    return route;
}

} // namespace

int main() {
    std::printf("%-44s%13s%13s%13s\n", "routes", "10", "1,000", "10,000");
    measure(
        "prefixes", [](const auto& n) { return route("/service-" + n + "/"); },
        [](const auto& n) {
            return Request{"api.example.org", "/service-" + n + "/items/42"};
        });
    measure(
        "exact paths", [](const auto& n) { return route("=/service/" + n + "/status"); },
        [](const auto& n) {
            return Request{"api.example.org", "/service/" + n + "/status"};
        });
    measure(
        "a host each", [](const auto& n) { return route("/", "tenant-" + n + ".example.org"); },
        [](const auto& n) {
            return Request{"Tenant-" + n + ".example.org", "/items/42"};
        });
    measure(
        "a wildcard host each", [](const auto& n) { return route("/", "*.tenant-" + n + ".example.org"); },
        [](const auto& n) {
            return Request{"www.tenant-" + n + ".example.org", "/items/42"};
        });
    measure(
        "regular expressions", [](const auto& n) { return route("~^/service-" + n + "/[0-9]+$"); },
        [](const auto& n) {
            return Request{"api.example.org", "/service-" + n + "/42"};
        });
    measure(
        "a header's value each",
        [](const auto& n) {
            config::Route by_header = route("/api/");
            by_header.headers = {"X-Env: prod", "X-Tenant: " + n};
            return by_header;
        },
        [](const auto& n) {
            return Request{"api.example.org", "/api/items/42", n};
        });
    const auto methods = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    const auto method = [&](const std::string& n) { return *(methods.begin() + std::stoi(n) % 5); };
    const auto fifth = [](const std::string& n) { return std::to_string(std::stoi(n) / 5); };
    measure(
        "five methods a path, a route each",
        [&](const auto& n) {
            config::Route by_method = route("=/service/" + fifth(n));
            by_method.methods = {method(n)};
            return by_method;
        },
        [&](const auto& n) {
            return Request{"api.example.org", "/service/" + fifth(n), {}, method(n)};
        });
    measure(
        "one path, a header's presence each",
        [](const auto& n) {
            config::Route by_flag = route("/api/");
            by_flag.headers = {"X-Flag-" + n};
            return by_flag;
        },
        [](const auto& n) {
            return Request{"api.example.org", "/api/items/42", "t", "GET", "X-Flag-" + n};
        });
    measure(
        "one expression, a header's value each",
        [](const auto& n) {
            config::Route by_header = route("~^/v[0-9]+/");
            by_header.headers = {"X-Tenant: " + n};
            return by_header;
        },
        [](const auto& n) {
            return Request{"api.example.org", "/v2/items/42", n};
        });
    measure(
        "expressions that all match one path",
        [](const auto& n) {
            config::Route by_header = route("~^/v[0-9]+/|^/x" + n + "$");
            by_header.headers = {"X-Tenant: " + n};
            return by_header;
        },
        [](const auto& n) {
            return Request{"api.example.org", "/v2/items/42", n};
        },
        200); // of a millisecond each
}
