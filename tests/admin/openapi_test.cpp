// The description and the thing described: neither may name what the other does not have.
#include "admin/api.hpp"

#include <set>

#include "admin/harness.hpp"

namespace plimsoll::admin {
namespace {

namespace json = boost::json;

using openapi = AdminTest;

const json::object& document() {
    static const json::object parsed = json::parse({openapi_document().data(), openapi_document().size()}).as_object();
    return parsed;
}

std::string replace(std::string text, const std::string& what, const std::string& with) {
    const auto at = text.find(what);
    return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

TEST_F(openapi, names_exactly_the_routes_there_are) {
    std::set<std::string> described, served;
    for (const auto& path : document().at("paths").as_object())
        for (const auto& operation : path.value().as_object())
            if (operation.key() != "parameters")
                described.insert(std::string(operation.key()) + " " + std::string(path.key()));
    for (const auto& route : Api::routes()) {
        std::string method(route.method);
        for (char& c : method) c = static_cast<char>(std::tolower(c));
        served.insert(method + " " + std::string(route.pattern));
    }
    EXPECT_EQ(described, served);
}

TEST_F(openapi, every_route_it_names_answers_with_a_status_it_names) {
    const auto id = store_->open("app", "app-1", 1, "death", "");
    ASSERT_EQ(store_->add_file(id, "a.txt", "x"), "");
    start();
    for (const auto& path : document().at("paths").as_object())
        for (const auto& operation : path.value().as_object()) {
            if (operation.key() == "parameters") continue;
            auto target = replace(replace(std::string(path.key()), "{pool}", "app"), "{action}", "recycle");
            target = replace(replace(target, "{name}", "a.txt"), "{id}",
                             target.find("incidents") == std::string::npos ? "app-1" : id);
            const auto reply = operation.key() == "post" ? post(target) : get(target);
            const auto& responses = operation.value().at("responses").as_object();
            EXPECT_TRUE(responses.contains(std::to_string(reply.status))) << target << " " << reply.status;
            EXPECT_LT(reply.status, 300 + (target.ends_with("validate") ? 200 : 0)) << target << " " << reply.body;
        }
}

void expect_fields(const json::object& answer, const std::string& schema) {
    std::set<std::string> has, promised;
    for (const auto& member : answer) has.insert(member.key_c_str());
    for (const auto& member : document().at("components").at("schemas").at(schema).at("properties").as_object())
        promised.insert(member.key_c_str());
    EXPECT_EQ(has, promised) << schema;
}

TEST_F(openapi, its_fields_are_those_of_the_answers) {
    const auto id = store_->open("app", "app-1", 1, "death", "");
    script_.traffic.gates.push_back({.pool = "app"});
    script_.traffic.limits = {{"app", "/", "client", 5, 6, 7, config::Limit{}}};
    start();
    const auto status = get("/v1/status").json().as_object();
    expect_fields(status, "Status");
    expect_fields(status.at("gates").at(0).as_object(), "Gate");
    expect_fields(status.at("limits").at(0).as_object(), "Limit");
    expect_fields(get("/v1/leaks").json().at("workers").at(0).as_object(), "WorkerGrowth");
    expect_fields(get("/v1/pools/app").json().as_object(), "Pool");
    const auto worker = get("/v1/pools/app/workers/app-1").json().as_object();
    expect_fields(worker, "Worker");
    expect_fields(worker.at("memory").as_object(), "Memory");
    expect_fields(get("/v1/incidents/" + id).json().as_object(), "Incident");
    expect_fields(post("/v1/config/reload").json().as_object(), "Changes");
    expect_fields(post("/v1/config/validate", "x = 1").json().at("problems").at(0).as_object(), "Problem");
}

void expect_references_exist(const json::value& value) {
    if (const auto* array = value.if_array())
        for (const auto& element : *array) expect_references_exist(element);
    if (const auto* object = value.if_object())
        for (const auto& member : *object) {
            if (member.key() == "$ref") {
                boost::system::error_code error;
                const json::value whole = document();
                EXPECT_NE(whole.find_pointer(member.value().as_string().subview(1), error), nullptr) << member.value();
            }
            expect_references_exist(member.value());
        }
}

TEST_F(openapi, every_reference_leads_somewhere) { expect_references_exist(document()); }

} // namespace
} // namespace plimsoll::admin
