// An admin API on a loopback port of its own, over a scripted backend and a real store, and a client that says exactly the bytes
// it is given. Nothing here waits for luck: every read has a deadline.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "admin/admin.hpp"

namespace plimsoll::admin {

struct Reply {
    int status = 0;                            // 0: the connection ended before a head was whole
    std::map<std::string, std::string> fields; // names in lower case
    std::string body;
    boost::json::value json() const; // null where the body is none
};

class Client {
public:
    explicit Client(const std::string& address); // "127.0.0.1:1234", "unix:/path"
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void say(std::string_view bytes) const;
    Reply hear(bool head_only = false); // the next answer
    std::string
    hear_until(std::string_view end); // raw, for streams of events; what came until then, or until the deadline
    bool closed();                    // by the server, within the deadline

private:
    bool more(); // false: closed, or too late
    int fd_;
    std::string unread_;
    bool ended_ = false;
};

// What the backend answers; guarded, because tests write it while the control thread reads.
struct Script {
    std::mutex mutex;
    std::vector<fleet::PoolView> pools;
    net::ServerStats traffic;
    fleet::ActionResult result;
    std::vector<std::string> acted; // "recycle app app-1 operator"
    Reload reload;
    config::Config config;
    std::string not_ready;
};

class AdminTest : public testing::Test {
protected:
    AdminTest();
    ~AdminTest() override;

    void start(Admin::Settings settings = loopback()); // fails the test where it cannot start
    void finish();                                     // stops and joins; the destructor does it where a test does not
    static Admin::Settings loopback();
    std::string address() const { return address_; }
    Reply get(const std::string& target, const std::string& fields = "") const {
        return ask("GET", target, "", fields);
    }
    Reply post(const std::string& target, const std::string& body = "", const std::string& fields = "") const {
        return ask("POST", target, body, fields);
    }
    Reply ask(const std::string& method, const std::string& target, const std::string& body,
              const std::string& fields) const;
    void publish(const std::string& event, boost::json::object facts); // on the control thread; returns when it is done

    Script script_;
    std::filesystem::path directory_;
    std::unique_ptr<store::IncidentStore> store_;
    boost::asio::io_context control_;

private:
    Backend backend();
    boost::asio::thread_pool slow_{2};
    std::unique_ptr<Admin> admin_;
    std::thread thread_;
    std::string address_;
};

// A pool with one worker about which everything is known, and one about which nothing is.
fleet::PoolView some_pool();

} // namespace plimsoll::admin
