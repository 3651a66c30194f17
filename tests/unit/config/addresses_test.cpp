// Where Plimsoll listens, all together: what `serve` could not open is told by `check`.
#include <gtest/gtest.h>

#include "config/parse.hpp"
#include "unit/config/least.hpp"

using namespace plimsoll::config;

namespace {

std::string problems_in(const std::string& text) {
    std::string found;
    for (const auto& problem : parse(text, "f").problems) found += to_string(problem) + "\n";
    return found;
}
std::string problems_after_least(const std::string& text) { return problems_in(least + text); }

const std::string no_names = "names are not looked up to listen: write the address as numbers, or 0.0.0.0 for all "
                             "interfaces";
const std::string a_token = "token = \"0123456789abcdef0123\"\n";

TEST(Addresses, names_are_not_listened_on) {
    EXPECT_EQ(problems_after_least("[[listener]]\naddress = \"localhost:8080\"\n"),
              "f:7:11: listener.address: 'localhost:8080': " + no_names + " (did you mean \"127.0.0.1:8080\"?)\n");
    EXPECT_EQ(problems_after_least("[[listener]]\naddress = \"web:8080\"\n"),
              "f:7:11: listener.address: 'web:8080': " + no_names + "\n");
    EXPECT_EQ(problems_after_least("[admin]\nlisten = \"myhost:9180\"\n"),
              "f:7:10: admin.listen: 'myhost:9180': " + no_names + "\n");
    EXPECT_EQ(problems_after_least("[proxy]\n" + a_token + "control = \"tcp:plimsoll:9181\"\n"),
              "f:8:11: proxy.control: 'tcp:plimsoll:9181': " + no_names + "\n");
    EXPECT_EQ(problems_after_least("[proxy]\n" + a_token + "control = [\"/run/c.sock\", \"tcp:localhost:9181\"]\n"),
              "f:8:27: proxy.control: 'tcp:localhost:9181': " + no_names + " (did you mean \"tcp:127.0.0.1:9181\"?)\n");
}

TEST(Addresses, numbers_and_the_admins_localhost_are) {
    EXPECT_EQ(problems_after_least("[admin]\nlisten = \"localhost:9180\"\n"), "");
    for (const char* address : {"[::1]:8080", "[::]:8080", ":8080", "127.0.0.1:0", "unix:/run/in.sock"})
        EXPECT_EQ(problems_after_least("[[listener]]\naddress = \"" + std::string(address) + "\"\n"), "") << address;
}

TEST(Addresses, the_control_socket_has_an_address_to_itself) {
    const std::string control = "[proxy]\n" + a_token + "control = ";
    EXPECT_EQ(problems_after_least(control + "\"tcp:127.0.0.1:9180\"\n"),
              "f:8:11: proxy.control: 'tcp:127.0.0.1:9180' is already taken by [admin] listen\n");
    EXPECT_EQ(problems_after_least(control + "\"tcp:0.0.0.0:9180\"\n[admin]\nlisten = \"localhost:9180\"\n"),
              "f:8:11: proxy.control: 'tcp:0.0.0.0:9180' is already taken by [admin] listen\n");
    EXPECT_EQ(problems_after_least(control + "\"tcp:127.0.0.1:8080\"\n"),
              "f:8:11: proxy.control: 'tcp:127.0.0.1:8080' is already taken by the listener 0.0.0.0:8080\n");
    EXPECT_EQ(problems_after_least(control + "[\"/run/c.sock\", \"tcp::9181\", \"tcp:127.0.0.1:9181\"]\n"),
              "f:8:40: proxy.control: 'tcp:127.0.0.1:9181' is already taken by proxy.control\n");
    EXPECT_EQ(problems_after_least("[[listener]]\naddress = \"unix:/run/plimsoll/control.sock\"\n"),
              "f:7:11: listener.address: 'unix:/run/plimsoll/control.sock' is already taken by proxy.control\n");
    EXPECT_EQ(problems_after_least("[admin]\nlisten = \"unix:/run/c.sock\"\n[proxy]\ncontrol = \"/run/c.sock\"\n"),
              "f:9:11: proxy.control: '/run/c.sock' is already taken by [admin] listen\n");
    EXPECT_EQ(problems_after_least(control + "[\"tcp:127.0.0.1:0\", \"tcp:127.0.0.1:0\", \"tcp:127.0.0.1:9181\"]\n"),
              "");
}

TEST(Addresses, no_pool_leads_back_to_our_own_listener) {
    const auto with = [](const std::string& address, const std::string& listener) {
        return problems_in("[[listener]]\naddress = \"" + listener + "\"\n[[pool]]\nname = \"a\"\n[pool.source]\n" +
                           "addresses = [\"" + address + "\"]\n");
    };
    for (const auto& [address, listener] : {std::pair{"127.0.0.1:8080", ":8080"},
                                            {"localhost:8080", "0.0.0.0:8080"},
                                            {"127.0.0.1:8080", "127.0.0.1:8080"},
                                            {"10.0.0.7:8080", "10.0.0.7:8080"},
                                            {"[::1]:8080", "[::]:8080"},
                                            {"unix:/run/in.sock", "unix:/run/in.sock"}})
        EXPECT_EQ(with(address, listener), "f:6:14: pool.source.addresses: '" + std::string(address) +
                                               "' leads back here, to the listener on line 2: each request would come "
                                               "round again\n");
    for (const auto& [address, listener] : {std::pair{"10.0.0.7:8080", ":8080"}, // may be another machine
                                            {"app:8080", ":8080"},
                                            {"127.0.0.1:8081", ":8080"},
                                            {"127.0.0.1:8080", "10.0.0.7:8080"},
                                            {"[::1]:8080", ":8080"},
                                            {"unix:/run/app.sock", "unix:/run/in.sock"}})
        EXPECT_EQ(with(address, listener), "") << address << " " << listener;
}

TEST(Addresses, a_slip_in_a_placeholder_of_the_command_is_told) {
    const auto with = [](const std::string& kind, const std::string& word) {
        return problems_in("[[pool]]\nname = \"a\"\n[pool.source]\nkind = \"" + kind +
                           "\"\ncommand = [\"server\", \"{port}\", \"" + word + "\"]\n");
    };
    EXPECT_EQ(with("command", "unix:{rundir}/a.sock"),
              "f:5:32: pool.source.command: '{rundir}' is none of {socket}, {port}, {index}, {pool}, {run_dir} (did "
              "you mean {run_dir}?)\n");
    EXPECT_EQ(with("gunicorn", "unix:{run-dir}/a.sock"),
              "f:5:32: pool.source.command: '{run-dir}' is none of {pool}, {run_dir} (did you mean {run_dir}?)\n");
    for (const char* own : {"{\\\"a\\\": 1}", "${rundir}", "{}", "{name}", "{run_dir}/{pool}.{index}"})
        EXPECT_EQ(with("command", own), "") << own;
}

TEST(Addresses, a_placeholder_of_another_kind_is_warned_of) {
    const auto warnings =
        parse("[[pool]]\nname = \"a\"\n[pool.source]\nkind = \"gunicorn\"\ncommand = [\"a\", \":{port}\"]\n", "f")
            .warnings;
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(to_string(warnings[0]),
              "f:5:17: pool.source.command: '{port}' is filled in with kind = \"command\" alone, "
              "and stays as it is here");
}

} // namespace
