// The whole command line against a scripted admin API: what is printed where, and with which exit code.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "cli/cli.hpp"
#include "unit/cli/peer.hpp"

using namespace plimsoll::cli;

namespace {

struct Done {
    int code = -1;
    std::string out, err;
};

class CommandTest : public testing::Test {
protected:
    CommandTest()
        : peer_([this](int fd, int) {
              auto request = Peer::read_request(fd);
              auto line = request.substr(0, request.find(" HTTP/"));
              std::lock_guard lock(mutex_);
              last_request_ = request;
              asked_.push_back(line);
              auto& answers = answers_[line];
              auto answer = answers.empty() ? Peer::answer(404, R"({"error":"no such path"})") : answers.front();
              if (answers.size() > 1) answers.pop_front();
              Peer::send(fd, answer);
          }) {
        for (auto name : {"PLIMSOLL_ADMIN", "PLIMSOLL_ADMIN_TOKEN", "PLIMSOLL_TOKEN"}) ::unsetenv(name);
    }
    void on(const std::string& request, const std::string& answer) {
        std::lock_guard lock(mutex_);
        answers_[request].push_back(answer);
    }
    void on(const std::string& request, int status, const std::string& body, const std::string& fields = "") {
        on(request, Peer::answer(status, body, fields));
    }
    Done call(std::vector<std::string> words, bool with_admin = true) {
        words.insert(words.begin(), "plimsoll");
        if (with_admin) words.insert(words.end(), {"--admin", peer_.address()});
        std::vector<char*> argv;
        for (auto& word : words) argv.push_back(word.data());
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        Program program{.serve =
                            [this](const ServeOptions& options) {
                                served_ = options;
                                return 7;
                            },
                        .run =
                            [this](const RunOptions& options) {
                                ran_ = options;
                                return 8;
                            }};
        Done done;
        done.code = main(static_cast<int>(argv.size()), argv.data(), program);
        done.out = testing::internal::GetCapturedStdout();
        done.err = testing::internal::GetCapturedStderr();
        return done;
    }
    void have_workers() {
        on("GET /v1/pools", 200,
           R"({"pools":[{"name":"app","workers":[{"id":"app-1","pool":"app"},{"id":"app-2","pool":"app"}]},
                                              {"name":"b","workers":[{"id":"b-1","pool":"b"}]}]})");
    }
    static std::string incident(const std::string& state, const std::string& outcome, const std::string& timeline) {
        return R"({"id":"i-1","opened_at":"2026-03-01T02:14:05Z","state":")" + state +
               R"(","verdict":"the verdict","recycle":{"outcome":)" + outcome + R"(},"timeline":[)" + timeline + "]}";
    }

    std::mutex mutex_;
    std::map<std::string, std::deque<std::string>> answers_;
    std::vector<std::string> asked_;
    std::string last_request_;
    ServeOptions served_;
    RunOptions ran_;
    Peer peer_;
};

TEST_F(CommandTest, alone_it_prints_help) {
    auto done = call({}, false);
    EXPECT_EQ(done.code, 0);
    for (auto word : {"serve", "run", "check", "replay", "reload", "status", "workers", "drain", "undrain", "recycle",
                      "capture", "trace", "incidents"})
        EXPECT_NE(done.out.find(std::string("  ") + word + " "), std::string::npos) << word;
}

TEST_F(CommandTest, the_version_is_told) {
    auto done = call({"--version"}, false);
    EXPECT_EQ(done.code, 0);
    EXPECT_EQ(done.out.find("plimsoll "), 0u);
    EXPECT_EQ(std::count(done.out.begin(), done.out.end(), '\n'), 1);
}

TEST_F(CommandTest, bad_usage_is_one_line_and_code_2) {
    for (std::vector<std::string> words : {std::vector<std::string>{"statsu"},
                                           {"status", "--jsno"},
                                           {"recycle"},
                                           {"serve"},
                                           {"incidents", "--file", "x"},
                                           {"run"},
                                           {"run", "--listen", "nowhere", "app:app"},
                                           {"run", "--workers", "-1", "app:app"},
                                           {"check"},
                                           {"replay"},
                                           {"replay", "/no/such/trace"},
                                           {"replay", "x", "--workers", "0"},
                                           {"replay", "x", "--timeout", "soon"},
                                           {"replay", "x", "--target", "0s"},
                                           {"replay", "x", "--faster", "-1"},
                                           {"replay", "x", "--memory", "1GiB"},
                                           {"replay", "x", "--limit", "/=fast"},
                                           {"replay", "x", "--limit"},
                                           {"replay", "x", "--memory", "much", "--base", "1MiB"},
                                           {"replay", "x", "--worker-memory", "0", "--base", "1MiB"},
                                           {"--nonsense"},
                                           {"status", "--admin", "nowhere"}}) {
        auto done = call(words, false);
        EXPECT_EQ(done.code, 2) << words[0];
        EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.err;
        EXPECT_EQ(done.out, "") << words[0];
    }
    EXPECT_EQ(call({"statsu"}, false).err, "plimsoll: there is no command 'statsu' (did you mean status?)\n");
}

TEST_F(CommandTest, serve_and_run_are_the_programs) {
    EXPECT_EQ(call({"serve", "-c", "some.toml"}, false).code, 7);
    EXPECT_EQ(served_.config_file, "some.toml");
    EXPECT_EQ(call({"serve", "other.toml"}, false).code, 7);
    EXPECT_EQ(served_.config_file, "other.toml");
    EXPECT_EQ(call({"run", "app:app"}, false).code, 8);
    EXPECT_EQ(ran_.app, "app:app");
    EXPECT_EQ(ran_.listen, "0.0.0.0:8080");
    EXPECT_FALSE(ran_.asgi);
    EXPECT_EQ(call({"run", "--workers", "3", "--asgi", "--listen", ":1", "--admin", "unix:/a", "m:a"}, false).code, 8);
    EXPECT_EQ(ran_.workers, 3u);
    EXPECT_TRUE(ran_.asgi);
    EXPECT_EQ(ran_.admin, "unix:/a");
}

TEST_F(CommandTest, workers_of_all_pools_come_in_one_list) {
    have_workers();
    auto done = call({"workers", "--json"});
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_EQ(done.out,
              R"({"workers":[{"id":"app-1","pool":"app"},{"id":"app-2","pool":"app"},{"id":"b-1","pool":"b"}]})"
              "\n");
    EXPECT_NE(call({"workers"}).out.find("app-2"), std::string::npos);
}

TEST_F(CommandTest, the_address_may_come_from_the_environment) {
    on("GET /v1/status", 200, R"({"version":"9"})");
    ::setenv("PLIMSOLL_ADMIN", peer_.address().c_str(), 1);
    auto done = call({"status", "--json"}, false);
    ::unsetenv("PLIMSOLL_ADMIN");
    EXPECT_EQ(done.out, "{\"version\":\"9\"}\n");
    EXPECT_EQ(done.code, 0);
}

TEST_F(CommandTest, a_worker_is_found_by_its_id_or_with_its_pool) {
    have_workers();
    on("POST /v1/pools/b/workers/b-1/drain", 202, "{}");
    auto done = call({"drain", "b-1"});
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_EQ(done.out, "b-1 is draining: it gets no new requests until `plimsoll undrain b-1`\n");
    EXPECT_EQ(call({"drain", "b/b-1"}).code, 0);
    done = call({"drain", "app1"});
    EXPECT_EQ(done.code, 1);
    EXPECT_EQ(done.err, "plimsoll: there is no worker 'app1' (did you mean app-1?): `plimsoll workers` lists them\n");
}

TEST_F(CommandTest, an_action_tells_its_incident) {
    on("POST /v1/pools/app/workers/app-1/recycle", 202, R"({"incident":"i-000042"})");
    EXPECT_EQ(call({"recycle", "app/app-1"}).out, "app-1 is being recycled: plimsoll incidents i-000042\n");
    EXPECT_EQ(call({"recycle", "app/app-1", "--json"}).out, "{\"incident\":\"i-000042\"}\n");
}

TEST_F(CommandTest, a_refused_action_tells_reason_and_when_to_come_back) {
    on("POST /v1/pools/app/workers/app-1/recycle", 409, R"({"error":"not now","reason":"app-2 is being recycled"})",
       "Retry-After: 12\r\n");
    auto done = call({"recycle", "app/app-1"});
    EXPECT_EQ(done.code, 1);
    EXPECT_EQ(done.err, "plimsoll: refused: app-2 is being recycled (try again in 12 s)\n");
    done = call({"recycle", "app/app-1", "--json"});
    EXPECT_EQ(done.code, 1);
    EXPECT_EQ(done.out, "{\"error\":\"not now\",\"reason\":\"app-2 is being recycled\"}\n");
}

TEST_F(CommandTest, a_missing_token_says_how_to_give_one) {
    on("GET /v1/status", 401, R"({"error":"a token is needed"})");
    auto done = call({"status"});
    EXPECT_EQ(done.code, 1);
    EXPECT_NE(done.err.find("PLIMSOLL_ADMIN_TOKEN"), std::string::npos) << done.err;
}

TEST_F(CommandTest, the_admins_token_has_a_name_of_its_own_before_the_agents) {
    on("GET /v1/status", 200, "{}");
    const auto shown = [&](std::vector<std::string> words) {
        call(std::move(words));
        const auto begin = last_request_.find("Bearer ");
        return begin == std::string::npos
                   ? std::string{}
                   : last_request_.substr(begin + 7, last_request_.find('\r', begin) - begin - 7);
    };
    EXPECT_EQ(shown({"status"}), "");
    ::setenv("PLIMSOLL_TOKEN", "the-agents", 1);
    EXPECT_EQ(shown({"status"}), "the-agents") << "its former name";
    ::setenv("PLIMSOLL_ADMIN_TOKEN", "the-admins", 1);
    EXPECT_EQ(shown({"status"}), "the-admins");
    EXPECT_EQ(shown({"status", "--token", "told"}), "told");
    ::setenv("PLIMSOLL_ADMIN", "unix:/tmp/plimsoll-nobody.sock", 1);
    EXPECT_EQ(shown({"status", "--token", "another"}), "another") << "to the address that was told";
    ::unsetenv("PLIMSOLL_ADMIN");
    for (auto name : {"PLIMSOLL_ADMIN_TOKEN", "PLIMSOLL_TOKEN"}) ::unsetenv(name);
}

TEST_F(CommandTest, a_token_that_could_break_the_request_is_refused) {
    EXPECT_EQ(call({"status", "--token", "a\r\nX: y"}).code, 2);
    EXPECT_TRUE(asked_.empty());
    EXPECT_EQ(call({"status", "--token-file", "/nonexistent"}).code, 2);
}

TEST_F(CommandTest, without_a_proxy_the_code_is_3_and_the_line_says_where_it_looked) {
    auto done = call({"status", "--admin", "unix:/tmp/plimsoll-nobody.sock"}, false);
    EXPECT_EQ(done.code, 3);
    EXPECT_EQ(done.out, "");
    EXPECT_NE(done.err.find("unix:/tmp/plimsoll-nobody.sock"), std::string::npos);
    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1);
    done = call({"status", "--json", "--admin", "unix:/tmp/plimsoll-nobody.sock"}, false);
    EXPECT_EQ(done.out.find("{\"error\":"), 0u);
}

TEST_F(CommandTest, what_is_no_json_is_not_plimsoll) {
    on("GET /v1/status", 200, "<html>");
    auto done = call({"status"});
    EXPECT_EQ(done.code, 3);
    EXPECT_NE(done.err.find("no JSON"), std::string::npos);
}

TEST_F(CommandTest, waiting_prints_the_story_as_it_happens) {
    on("POST /v1/pools/app/workers/app-1/recycle", 202, R"({"incident":"i-1"})");
    const std::string first = R"({"at":"2026-03-01T02:14:05Z","event":"began"})",
                      second = R"({"at":"2026-03-01T02:14:06Z","event":"drained"})";
    on("GET /v1/incidents/i-1", 200, incident("open", "null", first));
    on("GET /v1/incidents/i-1", 200, incident("open", "null", first));
    on("GET /v1/incidents/i-1", 200, incident("closed", "\"done\"", first + "," + second));
    auto done = call({"recycle", "--wait", "app/app-1"});
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_EQ(done.out, "app-1 is being recycled: plimsoll incidents i-1\n"
                        "     +0 ms  began\n"
                        "    +1.0 s  drained\n"
                        "the verdict\n");
}

TEST_F(CommandTest, waiting_for_a_recycle_that_fails_is_code_1) {
    on("POST /v1/pools/app/workers/app-1/recycle", 202, R"({"incident":"i-1"})");
    on("GET /v1/incidents/i-1", 200, incident("closed", "\"no_successor\"", ""));
    auto done = call({"recycle", "--wait", "app/app-1"});
    EXPECT_EQ(done.code, 1);
    EXPECT_EQ(done.err, "plimsoll: incident i-1 is closed, recycle no_successor\n");
    done = call({"recycle", "--wait", "--json", "app/app-1"});
    EXPECT_EQ(done.code, 1);
    EXPECT_EQ(std::count(done.out.begin(), done.out.end(), '\n'), 1) << done.out;
}

TEST_F(CommandTest, waiting_for_a_capture_of_which_nothing_came_is_code_1) {
    for (const auto& [status, code] : {std::pair{"none", 1}, {"failed", 1}, {"partial", 0}, {"done", 0}}) {
        const std::string worker = std::string("app-") + status, id = std::string("i-") + status;
        on("POST /v1/pools/app/workers/" + worker + "/capture", 202, R"({"incident":")" + id + "\"}");
        on("GET /v1/incidents/" + id, 200,
           R"({"state":"closed","verdict":"so it went","timeline":[],"recycle":null,"capture":{"status":")" +
               std::string(status) + "\"}}");
        EXPECT_EQ(call({"capture", "--wait", "app/" + worker}).code, code) << status;
    }
}

TEST_F(CommandTest, a_reload_of_a_bad_file_tells_all_its_problems_with_code_2) {
    on("POST /v1/config/reload", 422, R"({"ok":false,"error":"2 problems","problems":[
        {"file":"f.toml","line":3,"column":1,"key":"pool.soze","message":"unknown key","suggestion":"size"},
        {"file":"f.toml","line":4,"column":2,"key":"a","message":"bad","suggestion":null}]})");
    auto done = call({"reload"});
    EXPECT_EQ(done.code, 2);
    EXPECT_EQ(done.err, "f.toml:3:1: pool.soze: unknown key (did you mean size?)\nf.toml:4:2: a: bad\n");
    on("POST /v1/config/reload", 422,
       R"({"problems":[{"file":"f.toml","line":3,"column":1,"key":"a","message":"bad"}]})");
    EXPECT_EQ(call({"reload"}).code, 2);
    EXPECT_EQ(call({"reload"}).err, "f.toml:3:1: a: bad\n"); // one problem looks as one of many
}

TEST_F(CommandTest, a_piece_of_evidence_is_printed_or_kept) {
    on("GET /v1/incidents/i-1/files/a%20b.txt", 200, "stacks\n");
    EXPECT_EQ(call({"incidents", "i-1", "--file", "a b.txt"}).out, "stacks\n");
    auto path = peer_.socket_path() + ".out";
    EXPECT_EQ(call({"incidents", "i-1", "--file", "a b.txt", "-o", path}).code, 0);
    std::ifstream file(path);
    std::stringstream kept;
    kept << file.rdbuf();
    EXPECT_EQ(kept.str(), "stacks\n");
    std::remove(path.c_str());
    auto done = call({"incidents", "i-1", "--file", "a b.txt", "-o", "/nonexistent/x"});
    EXPECT_EQ(done.code, 1);
    EXPECT_EQ(call({"incidents", "i-1", "--file", "other"}).code, 1);
}

TEST_F(CommandTest, check_tells_every_problem_or_what_the_file_holds) {
    auto path = peer_.socket_path() + ".toml";
    std::ofstream(path) << "[[pool]]\nname = \"app\"\n[pool.source]\nkind = \"gunicorn\"\n";
    auto done = call({"check", path}, false);
    EXPECT_EQ(done.code, 0);
    EXPECT_EQ(done.out, path + ": ok\n  listener  0.0.0.0:8080\n  pool      app (gunicorn), 1 route\n");
    std::ofstream(path) << "[proxy]\nthraeds = 2\nstop_timeout = 5\n";
    done = call({"check", path}, false);
    EXPECT_EQ(done.code, 2);
    EXPECT_EQ(done.err, path +
                            ": pool: there is none: a [[pool]] with a name and a [pool.source] says which workers to "
                            "send requests to\n" +
                            path + ":2:1: proxy.thraeds: unknown key (did you mean threads?)\n" + path +
                            ":3:16: proxy.stop_timeout: needs a unit (ms, s, m, h, d) (did you mean \"5s\"?)\n");
    done = call({"check", "--json", path}, false);
    EXPECT_EQ(done.code, 2);
    EXPECT_NE(done.out.find(R"("line":2,"column":1,"key":"proxy.thraeds")"), std::string::npos) << done.out;
    std::remove(path.c_str());
}

} // namespace
