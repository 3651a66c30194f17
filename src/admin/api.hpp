// The API without its sockets: which paths there are, what each answers. One table names them all; openapi.cpp describes them,
// and a test holds the two together.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "admin/admin.hpp"
#include "admin/message.hpp"
#include "admin/metrics.hpp"

namespace plimsoll::admin {

class Api {
public:
    Api(Backend backend, std::string version, std::function<void(Snapshot&)> own_numbers);

    Answer answer(const Request& request, bool trusted) const; // trusted: readiness tells its reasons
    static bool is_open(std::string_view target);              // may be asked without a token: health checks

    struct Route {
        std::string_view method, pattern;
        Answer (Api::*handler)(const Request& request, const std::vector<std::string>& names) const;
    };
    static std::span<const Route> routes();

private:
    using Names = std::vector<std::string>; // what stood in the braces of the pattern
    Answer index(const Request&, const Names&) const;
    Answer health(const Request&, const Names&) const;
    Answer readiness(const Request&, const Names&) const;
    Answer metrics(const Request&, const Names&) const;
    Answer status(const Request&, const Names&) const;
    Answer pools(const Request&, const Names&) const;
    Answer pool(const Request&, const Names&) const;
    Answer workers(const Request&, const Names&) const;
    Answer worker(const Request&, const Names&) const;
    Answer act(const Request&, const Names&) const;
    Answer leaks(const Request&, const Names&) const;
    Answer incidents(const Request&, const Names&) const;
    Answer incident(const Request&, const Names&) const;
    Answer incident_html(const Request&, const Names&) const;
    Answer incident_file(const Request&, const Names&) const;
    Answer running_config(const Request&, const Names&) const;
    Answer validate(const Request&, const Names&) const;
    Answer reload(const Request&, const Names&) const;
    Answer events(const Request&, const Names&) const;
    Answer openapi(const Request&, const Names&) const;

    Response readiness_of(const std::string& pool, bool tells_reasons) const;
    std::vector<fleet::PoolView> views() const;
    std::vector<std::string> not_ready(const std::vector<fleet::PoolView>& pools) const;

    Backend backend_;
    std::string version_;
    std::function<void(Snapshot&)> own_numbers_; // connections and events, which only the sockets' side knows
    std::chrono::system_clock::time_point started_at_ = std::chrono::system_clock::now();
};

std::string_view openapi_document();

} // namespace plimsoll::admin
