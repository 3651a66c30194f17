// Secrets, certificates, directories and programs that a configuration names, as they lie on this machine.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/parse.hpp"
#include "unit/config/least.hpp"

using namespace plimsoll;
using namespace plimsoll::config;

namespace {

class CheckFiles : public testing::Test {
protected:
    CheckFiles() { std::filesystem::create_directories(directory); }
    ~CheckFiles() override { std::filesystem::remove_all(directory); }

    std::string file(const std::string& name, const std::string& text, mode_t mode = 0600) {
        const auto path = directory + "/" + name;
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }
    Parsed parsed(const std::string& more) { return parse(least + more, "f", true); }
    std::string problems(const std::string& more) {
        std::string text;
        for (const auto& problem : parsed(more).problems) text += to_string(problem) + "\n";
        return text;
    }
    std::string redis(const std::string& key, const std::string& path) {
        return "[redis]\nurl = \"rediss://host\"\n" + key + " = \"" + path + "\"\n";
    }

    const std::string directory = testing::TempDir() + "check_files_" + std::to_string(getpid());
    const std::string certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
};

TEST_F(CheckFiles, what_is_there_and_can_be_read_is_no_problem) {
    const auto secret = file("secret", "swordfish\n"), cert = file("cert", "a comment\n" + certificate, 0644);
    const auto key = file("key", "-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n");
    const auto found = parsed("[proxy]\ntoken_file = \"" + secret + "\"\n[admin]\ntoken_file = \"" + secret +
                              "\"\n[redis]\nurl = \"rediss://host\"\npassword_file = \"" + secret + "\"\nca_file = \"" +
                              cert + "\"\ncert_file = \"" + cert + "\"\nkey_file = \"" + key + "\"\n");
    for (const auto& problem : found.problems) ADD_FAILURE() << to_string(problem);
}

TEST_F(CheckFiles, all_that_is_missing_is_told_at_once_with_its_place) {
    EXPECT_EQ(
        problems("[proxy]\ntoken_file = \"/nowhere/a\"\n[admin]\ntoken_file = \"b\"\n[redis]\n"
                 "url = \"rediss://host\"\npassword_file = \"/nowhere/c\"\nca_file = \"/nowhere/d\"\n"
                 "cert_file = \"/nowhere/e\"\nkey_file = \"/nowhere/f\"\n"),
        "f:7:14: proxy.token_file: '/nowhere/a' is not there: write it, or correct the path\n"
        "f:9:14: admin.token_file: 'b' is not there: write it, or correct the path, which begins where Plimsoll is "
        "started\n"
        "f:12:17: redis.password_file: '/nowhere/c' is not there: write it, or correct the path\n"
        "f:13:11: redis.ca_file: '/nowhere/d' is not there: write it, or correct the path\n"
        "f:14:13: redis.cert_file: '/nowhere/e' is not there: write it, or correct the path\n"
        "f:15:12: redis.key_file: '/nowhere/f' is not there: write it, or correct the path\n");
}

TEST_F(CheckFiles, what_this_user_may_not_read_is_told) {
    if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
    const auto path = file("secret", "swordfish\n", 0200);
    EXPECT_NE(problems("[admin]\ntoken_file = \"" + path + "\"\n").find("must be allowed to"), std::string::npos);
}

TEST_F(CheckFiles, a_secret_stands_in_the_first_line) {
    const auto empty = file("empty", ""), late = file("late", "\r\nswordfish\n");
    for (const auto& path : {empty, late})
        EXPECT_EQ(problems("[admin]\ntoken_file = \"" + path + "\"\n"),
                  "f:7:14: admin.token_file: '" + path + "' has nothing in its first line: write the secret there\n");
    EXPECT_EQ(problems("[admin]\ntoken_file = \"" + directory + "\"\n"),
              "f:7:14: admin.token_file: '" + directory + "' is a directory: name a file in it\n");
}

TEST_F(CheckFiles, a_secret_that_others_can_read_is_a_warning) {
    const auto path = file("secret", "swordfish\n", 0644);
    const auto found = parsed("[admin]\ntoken_file = \"" + path + "\"\n");
    EXPECT_TRUE(found.problems.empty());
    ASSERT_EQ(found.warnings.size(), 1U);
    EXPECT_EQ(to_string(found.warnings[0]),
              "f:7:14: admin.token_file: other users can read '" + path + "': chmod 600 " + path);
}

TEST_F(CheckFiles, what_is_no_pem_is_told_with_the_way_to_make_it_one) {
    const auto der = file("der", std::string("0\x82\x01\0\n", 5)), cert = file("cert", certificate);
    EXPECT_EQ(problems(redis("ca_file", der)), "f:8:11: redis.ca_file: '" + der +
                                                   "' holds no certificate in PEM: where it is DER, openssl x509 "
                                                   "-inform DER -in " +
                                                   der + " writes it as PEM\n");
    const auto swapped = problems(redis("key_file", cert) + "cert_file = \"" + cert + "\"\n");
    EXPECT_EQ(swapped, "f:8:12: redis.key_file: '" + cert +
                           "' holds no private key in PEM: where it is DER, openssl pkey -inform DER -in " + cert +
                           " writes it as PEM\n");
}

TEST_F(CheckFiles, a_key_with_a_passphrase_has_nobody_to_type_it) {
    const auto cert = file("cert", certificate);
    for (const auto* head :
         {"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"}) {
        const auto key = file("key", head);
        EXPECT_NE(problems(redis("key_file", key) + "cert_file = \"" + cert + "\"\n").find("passphrase"),
                  std::string::npos);
    }
}

TEST_F(CheckFiles, a_pipe_is_left_for_who_needs_it) {
    const auto path = directory + "/pipe";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(problems("[admin]\ntoken_file = \"" + path + "\"\n"), "");
}

TEST_F(CheckFiles, what_is_to_serve_elsewhere_names_files_that_are_there) {
    EXPECT_TRUE(parse(least + "[admin]\ntoken_file = \"/nowhere\"\n", "f").problems.empty());
}

TEST_F(CheckFiles, what_is_written_needs_its_directory) {
    EXPECT_EQ(problems("[log]\nfile = \"/nonexistent/d/p.log\"\ntrace = \"nowhere/t\"\n"),
              "f:7:8: log.file: the directory /nonexistent/d is not there: make it, or correct the path\n"
              "f:8:9: log.trace: the directory nowhere is not there: make it, or correct the path\n");
    EXPECT_EQ(problems("[log]\nfile = \"" + directory + "\"\n"),
              "f:7:8: log.file: '" + directory + "' is a directory: name a file in it\n");
    EXPECT_EQ(problems("[log]\nfile = \"" + directory + "/new\"\ntrace = \"t\"\n"), "");
}

TEST_F(CheckFiles, a_socket_needs_its_directory_unless_serve_makes_it) {
    const std::string listener = "[[listener]]\naddress = \"unix:/nonexistent/d/x.sock\"\n";
    const std::string why = "the directory of the socket, /nonexistent/d, is not there: make it, or correct the path\n";
    EXPECT_EQ(problems(listener), "f:7:11: listener.address: " + why);
    EXPECT_EQ(problems("[admin]\nlisten = \"unix:/nonexistent/d/x.sock\"\n"), "f:7:10: admin.listen: " + why);
    for (const auto* made : {"/nonexistent/d/c.sock", "/nonexistent/d/e/c.sock"})
        EXPECT_EQ(problems(listener + "[proxy]\ncontrol = \"" + made + "\"\n"), "") << made;
    EXPECT_EQ(problems("[[listener]]\naddress = \"unix:" + directory + "/x.sock\"\n"), "");
}

TEST_F(CheckFiles, what_is_started_is_there) {
    const auto with = [](const std::string& program, const std::string& more = "") {
        std::string text;
        for (const auto& problem : parse("[[pool]]\nname = \"a\"\n[pool.source]\nkind = \"gunicorn\"\ncommand = [\"" +
                                             program + "\"]\n" + more,
                                         "f", true)
                                       .problems)
            text += to_string(problem) + "\n";
        return text;
    };
    const std::string here = "directory = \"" + directory + "\"\n";
    const auto run = file("run", "#!/bin/sh\n", 0700), not_run = file("not_run", "#!/bin/sh\n");
    for (const auto& program : {std::string("sh"), run}) EXPECT_EQ(with(program), "") << program;
    EXPECT_EQ(with("./run", here), "");
    EXPECT_EQ(with("run", "environment = { PATH = \"/bin:" + directory + "\" }\n"), "");
    EXPECT_EQ(with("no-such-program"), "f:5:11: pool.source.command: no-such-program: not found in PATH; install it or "
                                       "give its full path in the command\n");
    EXPECT_EQ(with("not_run", "environment = { PATH = \"" + directory + "\" }\n"),
              "f:5:11: pool.source.command: " + not_run + ": is not executable (chmod +x?)\n");
    EXPECT_EQ(with("/nowhere/run"), "f:5:11: pool.source.command: /nowhere/run: is not there: install it, or correct "
                                    "the path\n");
    EXPECT_EQ(with("./absent", here), "f:5:11: pool.source.command: ./absent: is not there: install it, or correct the "
                                      "path, which begins at pool.source.directory\n");
    EXPECT_EQ(with("sh", "directory = \"/nowhere\"\n"),
              "f:6:13: pool.source.directory: '/nowhere' is no directory: make it, or correct the path\n");
    EXPECT_EQ(with("sh", "directory = \"nowhere\"\n"), "f:6:13: pool.source.directory: 'nowhere' is no directory: make "
                                                       "it, or correct the path, which begins where Plimsoll is "
                                                       "started\n");
}

} // namespace
