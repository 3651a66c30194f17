#include "admin/harness.hpp"

#include <algorithm>
#include <set>

namespace plimsoll::admin {
namespace {

namespace json = boost::json;

using api = AdminTest;

std::string text_at(const json::value& value, std::string_view pointer) {
    boost::system::error_code error;
    const auto* found = value.find_pointer({pointer.data(), pointer.size()}, error);
    return found == nullptr ? "(absent)" : json::serialize(*found);
}

TEST_F(api, health_is_ok_and_readiness_names_its_reasons) {
    start();
    EXPECT_EQ(get("/healthz").status, 200);
    EXPECT_EQ(get("/healthz").body, "ok\n");
    EXPECT_EQ(get("/readyz").status, 200);
    {
        const std::lock_guard guard(script_.mutex);
        script_.pools[0].serving = 0;
        script_.not_ready = "stopping";
    }
    const auto reply = get("/readyz");
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.body, "not ready\nstopping\npool app: no worker serves\n");
    EXPECT_EQ(get("/healthz").status, 200) << "alive is not ready";
}

TEST_F(api, readiness_waits_for_no_pool_that_no_route_leads_to_and_is_told_of_each_by_its_name) {
    {
        const std::lock_guard guard(script_.mutex);
        fleet::PoolView old;
        old.name = "old";
        old.routed = false;
        fleet::WorkerView worker;
        worker.id = "old-1";
        worker.advice = "connection refused";
        old.workers.push_back(worker);
        script_.pools.push_back(old);
    }
    start();
    EXPECT_EQ(get("/readyz").status, 200) << get("/readyz").body;
    EXPECT_EQ(get("/readyz?pool=app").status, 200);
    EXPECT_EQ(get("/readyz?pool=old").status, 503);
    EXPECT_EQ(get("/readyz?pool=old").body, "not ready\npool old: no worker serves (old-1: connection refused)\n")
        << "with what its worker is waited for";
    EXPECT_EQ(get("/readyz?pool=olf").status, 404);
    EXPECT_EQ(get("/readyz?pool=olf").body, "no pool \"olf\"\n");
    {
        const std::lock_guard guard(script_.mutex);
        script_.not_ready = "stopping";
    }
    EXPECT_EQ(get("/readyz?pool=app").body, "not ready\nstopping\n");
}

fleet::LeakView grows(double seconds_to_limit) {
    fleet::LeakView leak{.kind = "leaking", .bytes_per_request = 4000, .low = 3900, .high = 4100, .confidence = 0.97};
    leak.requests_to_limit = 50'000;
    leak.seconds_to_limit = seconds_to_limit;
    return leak;
}

TEST_F(api, a_leak_is_told_of_the_worker_of_the_list_of_leaks_and_in_metrics) {
    auto& pool = script_.pools.front();
    pool.workers[0].leak = grows(7800);
    pool.leaks.push_back({.id = "app-memory", .pool = "app", .what = "memory", .view = grows(7800)});
    pool.leaks.back().workers = {"app-1"};
    pool.leaks.back().verdict = "app-1 leaks";
    start();
    EXPECT_EQ(text_at(get("/v1/pools/app/workers/app-1").json(), "/leak"),
              R"({"class":"leaking","bytes_per_request":4E3,"low":3.9E3,"high":4.1E3,"confidence":9.7E-1,"slow":false,)"
              R"("requests_to_limit":5E4,"requests_early":null,"seconds_to_limit":7.8E3,"seconds_early":null})");
    const auto leaks = get("/v1/leaks").json();
    for (const char* field :
         {"id", "pool", "class", "confidence", "bytes_per_request", "low", "high", "routes", "order_is_sure", "lines",
          "kept_by", "requests_to_limit", "seconds_to_limit", "workers", "incidents", "advice", "verdict"})
        EXPECT_TRUE(leaks.at("leaks").at(0).as_object().contains(field)) << field;
    EXPECT_EQ(text_at(leaks, "/workers/0/worker"), "\"app-1\"");
    EXPECT_EQ(text_at(leaks, "/workers/0/class"), "\"leaking\"");
    EXPECT_EQ(text_at(leaks, "/workers/0/bytes_per_request"), "4E3");
    const auto page = get("/metrics").body;
    EXPECT_NE(page.find(R"(plimsoll_worker_leak_class{pool="app",worker="app-1",class="leaking"} 1)"), page.npos);
    EXPECT_NE(page.find(R"(plimsoll_worker_leak_seconds_to_limit{pool="app",worker="app-1"} 7800)"), page.npos);
}

TEST_F(api, of_a_worker_that_little_was_seen_of_the_class_is_unknown_and_so_are_its_numbers) {
    script_.pools.front().unjudged = "app: its server ends workers after 500 requests";
    start();
    const auto answer = get("/v1/leaks").json();
    EXPECT_EQ(text_at(answer, "/leaks"), "[]");
    EXPECT_EQ(text_at(answer, "/unjudged"), R"(["app: its server ends workers after 500 requests"])");
    const auto& worker = answer.at("workers").at(0).as_object();
    EXPECT_EQ(worker.at("class").as_string(), "unknown");
    for (const char* number : {"bytes_per_request", "low", "high", "confidence", "requests_to_limit"})
        EXPECT_TRUE(worker.at(number).is_null()) << number;
    EXPECT_EQ(worker.at("slow"), false);
}

TEST_F(api, a_worker_has_every_promised_field_and_unknown_numbers_are_null) {
    start();
    const auto reply = get("/v1/pools/app/workers");
    EXPECT_EQ(reply.fields.at("content-type"), "application/json");
    const auto document = reply.json();
    EXPECT_EQ(document.as_object().size(), 1U) << "lists are objects with one key";
    EXPECT_EQ(
        text_at(document, "/workers/0"),
        R"({"id":"app-1","pool":"app","address":"unix:/run/app-1.sock","pid":4711,"generation":3,"state":"serving",)"
        R"("addressable":true,"advice":null,"started_at":"2025-11-24T22:15:47.042Z","requests":12345,"server_requests":12350,"in_flight":1,"streams":0,"slots":1,)"
        R"("memory":{"anon_bytes":209715200,"rss_bytes":262144000,"pss_bytes":220200960,"uss_bytes":199229440,)"
        R"("limit_bytes":536870912,"pressure":3.9E-1,"taken_at":"2025-11-24T22:16:40.000Z","source":"proc"},)"
        R"("leak":null,"breaker":null,"takes":null,"learned_slots":null,"health":null,)"
        R"("agent":{"connected":true,"server":"gunicorn 23.0.0 sync","python":"3.11.7","version":"0.1.0","release":null}})");
    EXPECT_EQ(
        text_at(document, "/workers/1"),
        R"({"id":"app-2","pool":"app","address":null,"pid":null,"generation":1,"state":"starting","addressable":false,)"
        R"("advice":"pip install plimsoll-agent","started_at":null,"requests":0,"server_requests":null,"in_flight":0,"streams":0,"slots":0,)"
        R"("memory":{"anon_bytes":null,"rss_bytes":null,"pss_bytes":null,"uss_bytes":null,"limit_bytes":null,)"
        R"("pressure":null,"taken_at":null,"source":"none"},"leak":null,"breaker":null,"takes":null,)"
        R"("learned_slots":null,"health":null,)"
        R"("agent":{"connected":false,"server":null,"python":null,"version":null,"release":null}})");
    EXPECT_EQ(text_at(get("/v1/pools/app/workers/app-1").json(), "/id"), R"("app-1")");
    EXPECT_EQ(text_at(get("/v1/pools").json(), "/pools/0/workers/0/id"), R"("app-1")");
    EXPECT_EQ(text_at(get("/v1/pools/app").json(), "/recycles"),
              R"({"ok":7,"failed":1,"last_hour":0,"max_per_hour":60})");
}

TEST_F(api, status_sums_up) {
    script_.traffic.routes.push_back({.pool = "app", .route = "/", .by_class = {1, 0, 90, 0, 5, 4}, .seconds = {}});
    script_.traffic.refusals = {{"app", "memory", "enforce", 3}, {"app", "memory", "shadow", 8}};
    script_.traffic.gates.push_back({.pool = "app"});
    script_.traffic.limits = {
        {"app", "/", "client", 5, 6, 7, config::Limit{.rate = "10/s", .burst = 3, .mode = config::Mode::shadow}},
        {"app", "/gone", "client", 1, 1, 1, {}}};
    start();
    const auto status = get("/v1/status").json();
    EXPECT_EQ(text_at(status, "/gates/0/memory_pressure"), "null") << "nobody's memory is known";
    EXPECT_EQ(
        text_at(status, "/limits"),
        R"([{"pool":"app","route":"/","limit":"client","key":["client"],"rate":"10/s","burst":3,"cost":1,"inflight":null,)"
        R"("mode":"shadow","shared":false,"passed":5,"refused":6,"shadow":7}])")
        << "those in force";
    EXPECT_EQ(text_at(status, "/version"), R"("1.2.3")");
    EXPECT_EQ(text_at(status, "/ready"), "true");
    EXPECT_EQ(text_at(status, "/listeners"), R"(["127.0.0.1:8080"])");
    EXPECT_EQ(text_at(status, "/traffic/requests"), "100");
    EXPECT_EQ(text_at(status, "/traffic/server_errors"), "4");
    EXPECT_EQ(text_at(status, "/traffic/refusals"), "3") << "what shadow would have refused was not refused";
    EXPECT_EQ(text_at(status, "/pools/0/worker_count"), "2");
    EXPECT_EQ(text_at(status, "/store"), R"({"incidents":0,"problem":null,"warnings":[]})");
}

TEST_F(api, what_is_not_there_is_404_with_one_line) {
    start();
    for (const auto target :
         {"/v1/pools/nix", "/v1/pools/nix/workers", "/v1/pools/app/workers/nix", "/v1/pools/nix/workers/app-1",
          "/v1/incidents/i-000099", "/v1/incidents/i-000099/files/a.txt", "/v1/incidents/..%2f..%2fetc/files/passwd",
          "/nix", "/v1", "/v1/pools/", "//healthz"}) {
        const auto reply = get(target);
        EXPECT_EQ(reply.status, 404) << target;
        EXPECT_EQ(reply.fields.at("content-type"), "application/problem+json");
        EXPECT_TRUE(reply.json().is_object() && reply.json().as_object().contains("error")) << target;
    }
    EXPECT_EQ(post("/v1/pools/app/workers/app-1/explode").status, 404);
    EXPECT_TRUE(script_.acted.empty());
}

TEST_F(api, a_wrong_method_is_told_the_right_one) {
    start();
    const auto reply = post("/v1/pools");
    EXPECT_EQ(reply.status, 405);
    EXPECT_EQ(reply.fields.at("allow"), "GET, HEAD");
    EXPECT_EQ(get("/v1/config/reload").fields.at("allow"), "POST");
    EXPECT_EQ(ask("DELETE", "/v1/status", "", "").status, 405);
}

TEST_F(api, an_action_answers_202_with_its_incident) {
    start();
    {
        const std::lock_guard guard(script_.mutex);
        script_.result = {202, "i-000007", {}, {}};
    }
    const auto reply = post("/v1/pools/app/workers/app-1/recycle");
    EXPECT_EQ(reply.status, 202);
    EXPECT_EQ(reply.body, "{\"incident\":\"i-000007\"}\n");
    {
        const std::lock_guard guard(script_.mutex);
        script_.result = {202, "", {}, {}};
    }
    EXPECT_EQ(post("/v1/pools/app/workers/app%2D2/drain").body, "{}\n");
    post("/v1/pools/app/workers/app-1/trace", R"({"reason":"on call"})");
    for (const std::string body : {R"({"reason":5})", R"({"reasn":"x"})", R"([])"})
        EXPECT_EQ(post("/v1/pools/app/workers/app-1/recycle", body).status, 400) << body;
    EXPECT_EQ(post("/v1/pools/app/workers/app-1/recycle", R"({"reason":")" + std::string(501, 'x') + "\"}").status,
              400);
    EXPECT_EQ(script_.acted, (std::vector<std::string>{"recycle app app-1 operator", "drain app app-2 operator",
                                                       "trace app app-1 on call"}));
    EXPECT_EQ(post("/v1/pools/app/workers/app-1/drain", "not json").status, 400);
    EXPECT_EQ(post("/v1/pools/app/workers/app-1/drain", "[]").status, 400);
    EXPECT_EQ(script_.acted.size(), 3U);
}

TEST_F(api, an_action_that_may_not_be_says_why_and_when_to_come_back) {
    struct {
        fleet::ActionResult result;
        std::string retry_after;
    } const cases[] = {{{409, "", "app-2 is being recycled", std::chrono::milliseconds{2500}}, "3"},
                       {{409, "", "below min_serving", {}}, "5"},
                       {{429, "", "60 of 60 recycles this hour", std::chrono::minutes{3}}, "180"},
                       {{429, "", "60 of 60 recycles this hour", std::chrono::milliseconds{0}}, "1"}};
    start();
    for (const auto& one : cases) {
        {
            const std::lock_guard guard(script_.mutex);
            script_.result = one.result;
        }
        const auto reply = post("/v1/pools/app/workers/app-1/recycle");
        EXPECT_EQ(reply.status, one.result.status);
        EXPECT_EQ(reply.fields.at("retry-after"), one.retry_after);
        EXPECT_EQ(text_at(reply.json(), "/reason"), json::serialize(json::value(one.result.reason)));
        EXPECT_NE(text_at(reply.json(), "/error"), "(absent)");
    }
    const std::lock_guard guard(script_.mutex);
    script_.result = {404, "", "no such worker", {}};
}

TEST_F(api, an_incident_has_every_promised_field) {
    const auto id = store_->open("app", "app-1", 3, "soft_limit", "grew past 400 MiB");
    store_->note(id, "drained in 41 ms");
    store_->set_capture_status(id, "done");
    store_->set_details(
        id, R"({"types":[{"type":"Order","count":9,"bytes":900,"delta":9}],"recycle":{"outcome":"ok","drained_ms":41},)"
            R"("capture":{"error":null},"id":"forged"})");
    ASSERT_EQ(store_->add_file(id, "census.json", R"({"a":1})"), "");
    store_->close(id);
    start();
    const auto incident = get("/v1/incidents/" + id).json();
    std::set<std::string> keys;
    for (const auto& member : incident.as_object()) keys.insert(member.key_c_str());
    EXPECT_EQ(keys, (std::set<std::string>{"id", "pool", "worker", "generation", "opened_at", "closed_at", "state",
                                           "trigger", "verdict", "routes", "lines", "types", "retainers", "capture",
                                           "recycle", "timeline"}));
    EXPECT_EQ(text_at(incident, "/id"), "\"" + id + "\"") << "details do not overwrite what the store knows";
    EXPECT_EQ(text_at(incident, "/types/0/type"), R"("Order")");
    EXPECT_EQ(text_at(incident, "/routes"), "[]");
    EXPECT_EQ(text_at(incident, "/capture"),
              R"({"status":"done","files":["census.json"],"sizes":{"census.json":7},"error":null})");
    EXPECT_EQ(text_at(incident, "/timeline/0/event"), R"("drained in 41 ms")");
    EXPECT_EQ(text_at(incident, "/state"), R"("closed")");

    const auto file = get("/v1/incidents/" + id + "/files/census.json");
    EXPECT_EQ(file.status, 200);
    EXPECT_EQ(file.body, R"({"a":1})");
    EXPECT_EQ(file.fields.at("content-type"), "application/json");
    EXPECT_NE(file.fields.at("content-security-policy").find("sandbox"), std::string::npos);
    EXPECT_EQ(get("/v1/incidents/" + id + "/files/..%2F..%2Fincidents.db").status, 404);
    EXPECT_EQ(get("/v1/incidents/" + id + "/files/%2e%2e").status, 404);
}

TEST_F(api, incidents_are_limited_and_chosen_by_pool) {
    for (int i = 0; i < 5; ++i) store_->close(store_->open(i % 2 == 0 ? "app" : "other pool", "w", 1, "death", ""));
    start();
    EXPECT_EQ(get("/v1/incidents").json().at("incidents").as_array().size(), 5U);
    EXPECT_EQ(get("/v1/incidents?limit=2").json().at("incidents").as_array().size(), 2U);
    EXPECT_EQ(get("/v1/incidents?pool=other%20pool&limit=10").json().at("incidents").as_array().size(), 2U);
    EXPECT_EQ(text_at(get("/v1/incidents?limit=1").json(), "/incidents/0/id"), R"("i-000005")") << "newest first";
    EXPECT_EQ(text_at(get("/v1/incidents").json(), "/incidents/0/timeline"), "(absent)");
    for (const auto bad : {"0", "1001", "-1", "x", "1x", "99999999999999999999"})
        EXPECT_EQ(get("/v1/incidents?limit=" + std::string(bad)).status, 400) << bad;
}

TEST_F(api, the_configuration_is_shown_without_its_secrets) {
    script_.config.admin.token = "hush";
    script_.config.proxy.token = "hush";
    script_.config.pools.emplace_back().name = "app";
    script_.config.pools[0].source.environment = {{"DATABASE_URL", "hush"}};
    script_.config.pools[0].memory.limit = 512_MiB;
    start();
    const auto reply = get("/v1/config");
    EXPECT_EQ(reply.body.find("hush"), std::string::npos) << reply.body;
    const std::string hidden = "\"(hidden)\"";
    EXPECT_EQ(text_at(reply.json(), "/config/admin/token"), hidden);
    EXPECT_EQ(text_at(reply.json(), "/config/pool/0/source/environment/DATABASE_URL"), hidden);
    EXPECT_EQ(text_at(reply.json(), "/config/pool/0/memory/limit"), R"("512MiB")");
    EXPECT_EQ(text_at(reply.json(), "/config/pool/0/queue"),
              R"({"size":1024,"timeout":"5s","target":null,"mode":"enforce"})");
}

TEST_F(api, validation_tells_every_problem_with_its_place) {
    start();
    const auto bad = post("/v1/config/validate", "[proxy]\nthreds = 2\n[admin]\nlisten = 5\n");
    const auto told = bad.json();
    EXPECT_EQ(bad.status, 422);
    EXPECT_EQ(text_at(told, "/ok"), "false");
    std::vector<std::string> places;
    for (const auto& problem : told.at("problems").as_array())
        places.push_back(text_at(problem, "/line") + ":" + text_at(problem, "/column") + " " +
                         text_at(problem, "/suggestion"));
    EXPECT_NE(std::find(places.begin(), places.end(), R"(2:1 "threads")"), places.end()) << bad.body;
    EXPECT_GE(places.size(), 2U);

    const auto good =
        post("/v1/config/validate", "[[listener]]\naddress = \"127.0.0.1:8080\"\n[[pool]]\nname = \"app\"\n"
                                    "[pool.source]\nkind = \"static\"\naddresses = [\"127.0.0.1:8001\"]\n"
                                    "[[route]]\npath = \"/\"\npool = \"app\"\n");
    EXPECT_EQ(good.status, 200) << good.body;
    EXPECT_EQ(text_at(good.json(), "/ok"), "true");
    EXPECT_NE(text_at(good.json(), "/changes"), "(absent)");
}

TEST_F(api, a_reload_answers_its_changes_or_all_its_problems) {
    start();
    {
        const std::lock_guard guard(script_.mutex);
        script_.reload.changes = {{"log.level", "info", "debug", true}, {"admin.listen", "a", "b", false}};
    }
    const auto done = post("/v1/config/reload");
    EXPECT_EQ(done.status, 200);
    EXPECT_EQ(text_at(done.json(), "/changes/0/after"), R"("debug")");
    EXPECT_EQ(text_at(done.json(), "/needs_restart"), R"(["admin.listen"])");
    {
        const std::lock_guard guard(script_.mutex);
        script_.reload = {{}, {{"plimsoll.toml", 3, 1, "prxy", "unknown section", "proxy"}}, {}};
    }
    const auto refused = post("/v1/config/reload");
    EXPECT_EQ(refused.status, 422);
    EXPECT_EQ(text_at(refused.json(), "/error"), R"("1 problem: nothing was changed, the old configuration stays")");
    EXPECT_EQ(text_at(refused.json(), "/problems/0/line"), "3");
}

TEST_F(api, head_answers_the_head_alone) {
    start();
    const auto reply = ask("HEAD", "/v1/pools", "", "");
    EXPECT_EQ(reply.status, 200);
    EXPECT_GT(std::stoi(reply.fields.at("content-length")), 10);
    EXPECT_EQ(ask("HEAD", "/v1/events", "", "").status, 200);
}

} // namespace
} // namespace plimsoll::admin
