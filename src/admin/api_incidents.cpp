// The part of the API that tells of incidents: lists, stories, pages, evidence. All of it is read from the store, off the control thread.
#include <charconv>

#include "admin/api.hpp"
#include "admin/incident_page.hpp"
#include "admin/json.hpp"

namespace plimsoll::admin {
namespace {

namespace json = boost::json;

Response no_incident(const std::string& id) {
    return error_answer(404, "no incident \"" + id + "\": it may have been swept");
}

std::string_view type_of_file(std::string_view name) {
    if (name.ends_with(".txt") || name.ends_with(".folded") || name.ends_with(".log"))
        return "text/plain; charset=utf-8";
    if (name.ends_with(".json")) return "application/json";
    if (name.ends_with(".svg")) return "image/svg+xml";
    return "application/octet-stream";
}

} // namespace

Answer Api::incidents(const Request& request, const Names&) const {
    std::size_t limit = 100;
    if (const auto text = query_value(request.target, "limit"); !text.empty()) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
        if (error != std::errc{} || end != text.data() + text.size() || limit < 1 || limit > 1000)
            return error_answer(400, "limit must be a number from 1 to 1000");
    }
    if (backend_.incidents == nullptr) return json_answer(200, {{"incidents", json::array()}});
    return [store = backend_.incidents, limit, pool = query_value(request.target, "pool")] {
        json::array incidents;
        for (const auto& incident : store->list(limit, pool)) incidents.push_back(to_json(incident, false));
        return json_answer(200, {{"incidents", std::move(incidents)}});
    };
}

Answer Api::incident(const Request&, const Names& names) const {
    if (backend_.incidents == nullptr) return no_incident(names[0]);
    return [store = backend_.incidents, id = names[0]] {
        const auto incident = store->get(id);
        return incident ? json_answer(200, to_json(*incident, true)) : no_incident(id);
    };
}

Answer Api::incident_html(const Request&, const Names& names) const {
    if (backend_.incidents == nullptr) return no_incident(names[0]);
    return [store = backend_.incidents, id = names[0], version = version_] {
        const auto incident = store->get(id);
        if (!incident) return no_incident(id);
        std::vector<Evidence> files;
        for (const store::FileEntry& file : incident->files) {
            Evidence evidence{file.name, {}, file.size};
            if (file.size <= shown_of(file.name)) evidence.content = store->read_file(id, file.name).value_or("");
            files.push_back(std::move(evidence));
        }
        Response response;
        response.type = "text/html; charset=utf-8";
        response.body = incident_page(to_json(*incident, true), files, version);
        response.fields.emplace_back("Content-Security-Policy", std::string(page_policy) + "; sandbox");
        return response;
    };
}

Answer Api::incident_file(const Request&, const Names& names) const {
    if (backend_.incidents == nullptr) return no_incident(names[0]);
    return [store = backend_.incidents, id = names[0], name = names[1]] {
        auto content = store->read_file(id, name);
        if (!content) return error_answer(404, "no file \"" + name + "\" of incident \"" + id + "\"");
        Response response;
        response.type = type_of_file(name);
        response.body = std::move(*content);
        // What a worker gave is shown to a browser only as what it claims to be, and without rights.
        response.fields.emplace_back("Content-Security-Policy",
                                     "default-src 'none'; style-src 'unsafe-inline'; sandbox");
        if (response.type == "application/octet-stream")
            response.fields.emplace_back("Content-Disposition", "attachment; filename=\"" + name + "\"");
        return response;
    };
}

} // namespace plimsoll::admin
