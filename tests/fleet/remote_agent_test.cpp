#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/process_evidence.hpp"
#include "fleet/remote_agent.hpp"
#include "fleet/remote_python.hpp"
#include "tests/fleet/fake_agent.hpp"
#include "tests/fleet/stage.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

constexpr const char* embedded = "55d0-55d1 r-xp 00000000 08:01 11 /usr/bin/uwsgi-core\n"
                                 "7f00-7f01 r-xp 00000000 08:01 12 /usr/lib/x86_64-linux-gnu/libpython3.14.so.1.0\n";
constexpr const char* with_modules =
    "7f00-7f01 rw-p 00000000 00:00 0 \n"
    "7f02-7f03 r-xp 00000000 08:01 13 /opt/py/lib/python3.15/lib-dynload/_json.cpython-315-x86_64-linux-gnu.so\n";

TEST(RemotePython, its_version_is_told_by_its_name_or_by_what_it_has_mapped) {
    const struct {
        const char *program, *maps;
        std::optional<PythonVersion> expect;
    } cases[] = {
        {"/usr/bin/python3.14", "", PythonVersion{3, 14}},
        {"/usr/bin/python3.14t", "", PythonVersion{3, 14}},
        {"/usr/bin/python3.8", "", PythonVersion{3, 8}},
        {"/usr/bin/uwsgi-core", embedded, PythonVersion{3, 14}},
        {"/opt/py/bin/python", with_modules, PythonVersion{3, 15}},
        {"/usr/bin/python3", "", std::nullopt},
        {"/usr/bin/ruby3.14", "7f00-7f01 r-xp 00000000 08:01 12 /srv/python3.14/readme\n", std::nullopt},
    };
    for (const auto& each : cases) EXPECT_EQ(python_version(each.program, each.maps), each.expect) << each.program;
    EXPECT_EQ(mapped_file(embedded, "libpython"), "/usr/lib/x86_64-linux-gnu/libpython3.14.so.1.0");
    EXPECT_EQ(mapped_file(with_modules, "libpython"), "");
}

TEST(RemotePython, what_is_no_python_is_told) {
    const RemotePython found = find_remote_python(::getpid());
    EXPECT_EQ(found.pid, ::getpid());
    EXPECT_NE(found.why_not.find("is no Python"), std::string::npos) << found.why_not;
}

TEST(RemotePython, a_file_may_be_read_where_all_folders_on_the_way_let_its_user_through) {
    constexpr unsigned other = 65534;
    const std::filesystem::path top = std::filesystem::temp_directory_path() / ("rp-" + std::to_string(::getpid()));
    std::filesystem::create_directories(top / "in");
    const std::string file = top / "in/file";
    std::ofstream(file) << "text";
    ::chmod(top.c_str(), 0755);
    ::chmod((top / "in").c_str(), 0711);
    ::chmod(file.c_str(), 0644);
    EXPECT_TRUE(may_read(file, other, other));
    ::chmod(file.c_str(), 0600);
    EXPECT_FALSE(may_read(file, other, other));
    EXPECT_TRUE(may_read(file, ::geteuid(), ::getegid()));
    ::chmod(file.c_str(), 0644);
    ::chmod(top.c_str(), 0700);
    EXPECT_FALSE(may_read(file, other, other));
    EXPECT_FALSE(may_read(file + "-that-is-not-there", other, other));
    std::filesystem::remove_all(top);
}

TEST(RemoteAgent, its_script_carries_what_the_environment_would_say) {
    const boost::json::object variables{{"PLIMSOLL_CONTROL", "unix:/run/a \"b\"\\c.sock"}};
    const std::string script = attach_script("/run/plimsoll-agent", variables, true);
    EXPECT_NE(
        script.find(
            R"(_plimsoll_attach("/run/plimsoll-agent/plimsoll_agent", {"PLIMSOLL_CONTROL":"unix:/run/a \"b\"\\c.sock"}, True))"),
        std::string::npos)
        << script;
    EXPECT_NE(attach_script("/x", variables, false).find(", False)"), std::string::npos);
    EXPECT_NE(script.find("del _plimsoll_attach"), std::string::npos);
}

TEST(RemoteAgent, nobody_but_the_process_that_was_chosen_may_say_so) {
    Stage stage;
    stage.pool().source.kind = config::SourceKind::command;
    stage.pool().source.command = Stage::python("app.py", {"--socket", "{socket}"});
    stage.pool().source.workers = 1;
    ASSERT_EQ(stage.start(), "");
    ASSERT_TRUE(stage.serving(1));
    FakeAgent agent(stage.io, stage.config.proxy.control.front());
    ASSERT_TRUE(agent.dialled());
    boost::json::object hello = FakeAgent::hello();
    hello["remote"] = true;
    hello["index"] = 1;
    agent.say(hello);
    const auto answer = agent.hear();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->at("type"), "refused");
    EXPECT_NE(std::string(answer->at("reason").as_string()).find("no agent was put into it"), std::string::npos)
        << boost::json::serialize(*answer);
}

TEST(ProcessEvidence, mappings_of_one_name_are_one_and_those_that_are_not_of_files_come_first) {
    std::istringstream smaps(
        "55d0-55d1 r-xp 00000000 08:01 11     /usr/bin/my app\n"
        "Size:                 40 kB\nRss:                  30 kB\nAnonymous:             0 kB\nSwap:   0 kB\n"
        "VmFlags: rd ex\n"
        "55d1-55d2 rw-p 00001000 08:01 11     /usr/bin/my app\n"
        "Size:                  8 kB\nRss:                   8 kB\nAnonymous:             8 kB\nSwap:   4 kB\n"
        "7f00-7f01 rw-p 00000000 00:00 0 \n"
        "Size:                100 kB\nRss:                  90 kB\nAnonymous:            90 kB\nSwap:   0 kB\n");
    const std::vector<Mapping> found = read_smaps(smaps);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].name, "anonymous");
    EXPECT_EQ(found[0].anon, 90 << 10);
    EXPECT_EQ(found[1].name, "/usr/bin/my app");
    EXPECT_EQ(found[1].count, 2);
    EXPECT_EQ(found[1].size, 48 << 10);
    EXPECT_EQ(found[1].rss, 38 << 10);
    EXPECT_EQ(found[1].anon, 8 << 10);
    EXPECT_EQ(found[1].swap, 4 << 10);
}

TEST(ProcessEvidence, sockets_are_told_by_their_protocol_and_state) {
    std::vector<std::pair<std::uint64_t, std::string>> found;
    std::istringstream tcp(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 1234 1 0 100 0 0 10 0\n"
        "   1: 0100007F:1F90 0100007F:A1B2 08 00000000:00000000 00:00000000 00000000  0  0 1235 1 0 20 4 30 10 -1\n");
    read_sockets(tcp, "tcp", found);
    std::istringstream unix_sockets("Num       RefCount Protocol Flags    Type St Inode Path\n"
                                    "0000: 00000002 00000000 00010000 0001 01 77 /run/a.sock\n"
                                    "broken\n");
    read_sockets(unix_sockets, "unix", found);
    const std::vector<std::pair<std::uint64_t, std::string>> expect = {
        {1234, "tcp listening"}, {1235, "tcp close-wait"}, {77, "unix"}};
    EXPECT_EQ(found, expect);
}

TEST(ProcessEvidence, a_process_of_ours_is_told_whole_and_one_that_is_gone_not_at_all) {
    const boost::json::object seen = process_evidence(::getpid());
    ASSERT_TRUE(seen.contains("mappings"));
    EXPECT_FALSE(seen.at("mappings").as_array().empty());
    EXPECT_GE(seen.at("open").at("threads").at("test_fleet").as_int64(), 1);
    EXPECT_FALSE(seen.at("open").at("descriptors").as_object().empty());
    EXPECT_TRUE(process_evidence(0x7ffffff0).empty());
}

} // namespace
} // namespace plimsoll::fleet
