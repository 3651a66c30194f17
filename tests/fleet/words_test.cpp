// Small readers of what others wrote: a dead server's output, a command line.
#include <gtest/gtest.h>

#include "fleet/environment.hpp"
#include "fleet/source/backoff.hpp"
#include "fleet/source/last_words.hpp"
#include "fleet/source/public_address.hpp"

namespace plimsoll::fleet {
namespace {

using namespace std::chrono_literals;

TEST(LastWords, the_exception_says_more_than_what_the_server_says_afterwards) {
    EXPECT_EQ(
        last_words(
            "[2026] [12] [INFO] Booting worker\n[2026] [12] [ERROR] Exception in worker process\n"
            "Traceback (most recent call last):\n  File \"x.py\", line 1\nModuleNotFoundError: No module named 'app'\n"
            "[2026] [12] [INFO] Worker exiting\n[2026] [1] [INFO] Reason: Worker failed to boot.\n"),
        "ModuleNotFoundError: No module named 'app'");
}

TEST(LastWords, an_application_that_is_not_where_it_should_be_is_named) {
    EXPECT_EQ(last_words("[2026] [12] [INFO] Booting worker\nFailed to find attribute 'application' in 'app'.\n"
                         "[2026] [1] [ERROR] Worker (pid:12) exited with code 4.\n"
                         "[2026] [1] [ERROR] Reason: App failed to load.\n"),
              "Failed to find attribute 'application' in 'app'.");
}

TEST(LastWords, what_the_arbiter_says_of_failed_workers_does_not_hide_what_they_said) {
    const std::string arbiter =
        "Traceback (most recent call last):\n  File \"arbiter.py\", line 270, in run\n    handler()\n"
        "gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>\n\n"
        "During handling of the above exception, another exception occurred:\n\n";
    EXPECT_EQ(last_words("Traceback (most recent call last):\n  File \"app.py\", line 1\n"
                         "ModuleNotFoundError: No module named 'shop'\n[2026] [12] [INFO] Worker exiting\n" +
                         arbiter + arbiter),
              "ModuleNotFoundError: No module named 'shop'");
    EXPECT_EQ(
        last_words("Failed to find attribute 'nope' in 'app'.\n[2026] [1] [ERROR] exited with code 4.\n" + arbiter),
        "Failed to find attribute 'nope' in 'app'.");
}

TEST(LastWords, the_workers_exception_says_more_than_that_of_its_arbiter) {
    EXPECT_EQ(last_words("Traceback (most recent call last):\n  File \"x.py\", line 1\nKeyError: 'DATABASE_URL'\n"
                         "Traceback (most recent call last):\n  File \"arbiter.py\", line 1\n"
                         "gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>\n"),
              "KeyError: 'DATABASE_URL'");
}

TEST(LastWords, else_its_last_error_else_its_last_line) {
    EXPECT_EQ(last_words("[ERROR] Connection in use: ('127.0.0.1', 8000)\nbye\n"),
              "[ERROR] Connection in use: ('127.0.0.1', 8000)");
    EXPECT_EQ(last_words("one\ntwo  \n\n"), "two");
    EXPECT_EQ(last_words("gunicorn: error: unrecognized arguments: --nonsense\n"),
              "gunicorn: error: unrecognized arguments: --nonsense");
    EXPECT_EQ(last_words(""), "");
}

TEST(LastWords, a_sentence_with_a_colon_is_no_exception) {
    EXPECT_EQ(last_words("The Error was: gone\nlast\n"), "last");
    EXPECT_EQ(last_words("sqlalchemy.exc.OperationalError: no database\nlast\n"),
              "sqlalchemy.exc.OperationalError: no database");
}

TEST(LastWords, a_traceback_ends_with_its_exception_whatever_that_is_called) {
    EXPECT_EQ(last_words("Traceback (most recent call last):\n  File \"x\", line 1, in <module>\n    setup()\n"
                         "django.core.exceptions.ImproperlyConfigured: SECRET_KEY is empty\n[INFO] Shutting down\n"),
              "django.core.exceptions.ImproperlyConfigured: SECRET_KEY is empty");
}

TEST(PublicAddress, is_read_in_every_spelling) {
    const auto text = [](std::vector<std::string> argv) {
        argv.insert(argv.begin(), "gunicorn");
        const auto address = public_address(argv);
        return address ? net::to_string(*address) : "none";
    };
    EXPECT_EQ(text({"-b", "127.0.0.1:8000", "app:app"}), "127.0.0.1:8000");
    EXPECT_EQ(text({"--bind", "unix:/run/a.sock"}), "unix:/run/a.sock");
    EXPECT_EQ(text({"--bind=0.0.0.0:80"}), "127.0.0.1:80") << "everywhere is reached on the loopback";
    EXPECT_EQ(text({"--uds", "/run/u.sock"}), "unix:/run/u.sock");
    EXPECT_EQ(text({"--port", "9000"}), "127.0.0.1:9000");
    EXPECT_EQ(text({"--host", "10.0.0.1", "--port=9000"}), "10.0.0.1:9000");
    EXPECT_EQ(text({"app:app"}), "none");
}

TEST(Placeholders, are_filled_wherever_they_stand_and_nothing_else_is) {
    EXPECT_EQ(fill({"a{x}b{x}", "{y}", "{z}"}, {{"x", "1"}, {"y", "{x}"}}),
              (std::vector<std::string>{"a1b1", "{x}", "{z}"}));
    EXPECT_TRUE(mentions({"--uds", "{socket}"}, "socket"));
    EXPECT_FALSE(mentions({"--uds", "socket"}, "socket"));
}

TEST(Backoff, one_that_had_served_is_started_at_once_and_one_that_fails_waits_longer_each_time) {
    Backoff backoff;
    EXPECT_EQ(backoff.next(true), 0s);
    EXPECT_EQ(backoff.next(false), 500ms);
    EXPECT_EQ(backoff.next(false), 1s);
    for (int i = 0; i < 20; ++i) backoff.next(false);
    EXPECT_EQ(backoff.next(false), 30s);
    EXPECT_EQ(backoff.next(true), 0s);
}

} // namespace
} // namespace plimsoll::fleet
