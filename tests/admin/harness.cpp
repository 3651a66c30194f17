#include "admin/harness.hpp"

#include <algorithm>
#include <cstring>
#include <future>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.hpp"

namespace plimsoll::admin {
namespace {

constexpr auto patience = std::chrono::seconds{20};

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

} // namespace

boost::json::value Reply::json() const {
    boost::system::error_code error;
    auto value = boost::json::parse(body, error);
    return error ? boost::json::value(nullptr) : value;
}

Client::Client(const std::string& address) {
    sockaddr_storage storage{};
    socklen_t length = 0;
    const auto parsed = plimsoll::net::parse_address(address);
    if (!parsed || !plimsoll::net::to_sockaddr(*parsed, storage, length))
        throw std::runtime_error("no address: " + address);
    fd_ = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&storage), length) != 0)
        throw std::runtime_error(address + ": " + std::strerror(errno));
}

Client::~Client() { ::close(fd_); }

void Client::say(std::string_view bytes) const {
    while (!bytes.empty()) {
        const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return; // the server hung up: the answer tells
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

bool Client::more() {
    pollfd waiting{fd_, POLLIN, 0};
    if (ended_ || ::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) <= 0) return false;
    char block[65536];
    const auto n = ::recv(fd_, block, sizeof block, 0);
    if (n <= 0) {
        ended_ = true;
        return false;
    }
    unread_.append(block, static_cast<std::size_t>(n));
    return true;
}

std::string Client::hear_until(std::string_view end) {
    std::size_t at;
    while ((at = unread_.find(end)) == std::string::npos)
        if (!more()) return std::exchange(unread_, {});
    auto text = unread_.substr(0, at + end.size());
    unread_.erase(0, at + end.size());
    return text;
}

Reply Client::hear(bool head_only) {
    Reply reply;
    const auto head = hear_until("\r\n\r\n");
    if (!head.starts_with("HTTP/1.1 ")) return reply;
    reply.status = std::stoi(head.substr(9, 3));
    for (std::size_t at = head.find("\r\n") + 2; at + 2 < head.size();) {
        const auto end = head.find("\r\n", at), colon = head.find(": ", at);
        if (colon < end) reply.fields[lower(head.substr(at, colon - at))] = head.substr(colon + 2, end - colon - 2);
        at = end + 2;
    }
    if (head_only || reply.status == 100) return reply;
    const auto length = reply.fields.contains("content-length") ? std::stoul(reply.fields["content-length"]) : 0;
    while (unread_.size() < length && more()) {
    }
    reply.body = unread_.substr(0, length);
    unread_.erase(0, std::min(unread_.size(), length));
    return reply;
}

bool Client::closed() {
    while (more()) {
    }
    return ended_;
}

AdminTest::AdminTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "plimsoll-admin-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    store::IncidentStore::Settings settings;
    settings.path = (directory_ / "state").string();
    settings.min_free = {};
    store_ = std::make_unique<store::IncidentStore>(settings);
    script_.pools = {some_pool()};
}

AdminTest::~AdminTest() {
    finish();
    store_.reset();
    std::filesystem::remove_all(directory_);
}

Admin::Settings AdminTest::loopback() {
    Admin::Settings settings;
    settings.listen = "127.0.0.1:0";
    settings.version = "1.2.3";
    return settings;
}

Backend AdminTest::backend() {
    Backend backend;
    const auto guarded = [this](auto read) {
        return [this, read] {
            const std::lock_guard guard(script_.mutex);
            return read(script_);
        };
    };
    backend.pools = guarded([](Script& script) { return script.pools; });
    backend.traffic = guarded([](Script& script) { return script.traffic; });
    backend.reload = guarded([](Script& script) { return script.reload; });
    backend.config = guarded([](Script& script) { return script.config; });
    backend.not_ready = guarded([](Script& script) { return script.not_ready; });
    backend.listeners = [] { return std::vector<std::string>{"127.0.0.1:8080"}; };
    backend.act = [this](Action action, const std::string& pool, const std::string& worker, const std::string& why) {
        static constexpr const char* names[] = {"drain", "undrain", "recycle", "capture", "trace"};
        const std::lock_guard guard(script_.mutex);
        script_.acted.push_back(std::string(names[static_cast<int>(action)]) + " " + pool + " " + worker + " " + why);
        return script_.result;
    };
    backend.incidents = store_.get();
    return backend;
}

void AdminTest::start(Admin::Settings settings) {
    admin_ = std::make_unique<Admin>(control_, slow_, settings, backend());
    ASSERT_EQ(admin_->start(), "");
    admin_->accept();
    address_ = admin_->address();
    thread_ = std::thread([this] {
        const auto work = boost::asio::make_work_guard(control_);
        control_.run();
    });
}

void AdminTest::finish() {
    if (!thread_.joinable()) return;
    boost::asio::post(control_, [this] {
        admin_.reset();
        control_.stop();
    });
    thread_.join();
    slow_.join();
}

void AdminTest::publish(const std::string& event, boost::json::object facts) {
    std::promise<void> done;
    boost::asio::post(control_, [&] {
        admin_->publish(event, std::move(facts));
        done.set_value();
    });
    done.get_future().wait();
}

Reply AdminTest::ask(const std::string& method, const std::string& target, const std::string& body,
                     const std::string& fields) const {
    Client client(address_);
    const auto length = method == "POST" ? "Content-Length: " + std::to_string(body.size()) + "\r\n" : "";
    client.say(method + " " + target + " HTTP/1.1\r\n" +
               (fields.find("Host:") == std::string::npos ? "Host: localhost\r\n" : "") + fields + length +
               "Connection: close\r\n\r\n" + body);
    return client.hear(method == "HEAD");
}

fleet::PoolView some_pool() {
    using std::chrono::milliseconds;
    fleet::WorkerView known;
    known.id = "app-1";
    known.pool = "app";
    known.address = "unix:/run/app-1.sock";
    known.pid = 4711;
    known.generation = 3;
    known.state = "serving";
    known.started_at = fleet::WallTime(milliseconds{1764022547042});
    known.requests = 12345;
    known.server_requests = 12350;
    known.in_flight = 1;
    known.slots = 1;
    known.memory = {200_MiB, 250_MiB, 210_MiB, 190_MiB, 512_MiB, 0.39, fleet::WallTime(milliseconds{1764022600000}),
                    "proc"};
    known.agent = {true, "gunicorn 23.0.0 sync", "3.11.7", "0.1.0"};
    fleet::WorkerView unknown;
    unknown.id = "app-2";
    unknown.pool = "app";
    unknown.state = "starting";
    unknown.addressable = false;
    unknown.advice = "pip install plimsoll-agent";

    fleet::PoolView pool;
    pool.name = "app";
    pool.source = "gunicorn";
    pool.serving = 1;
    pool.min_serving = 1;
    pool.queued = 2;
    pool.max_per_hour = 60;
    pool.recycles_ok = 7;
    pool.recycles_failed = 1;
    pool.captures_ok = 6;
    pool.deaths = 2;
    pool.workers = {known, unknown};
    return pool;
}

} // namespace plimsoll::admin
