#include "proxy.hpp"

namespace plimsoll::net::testing {

Proxy::Proxy() {
    config.proxy.threads = 2;
    config.proxy.max_connections = 1000; // within the open files that any machine allows
    config.log.access = false;
    config::Listener listener;
    listener.address = "127.0.0.1:0";
    config.listeners.push_back(listener);
    config::Pool app;
    app.name = "app";
    config.pools.push_back(app);
    config::Route route;
    route.pool = "app";
    config.routes.push_back(route);
}

Proxy::~Proxy() {
    if (!server_) return;
    EXPECT_TRUE(eventually([this] { return in_flight() == 0 && queued() == 0; })) << "a slot leaked";
    server_.reset();
}

void Proxy::make_pool() {
    if (!pool) pool = std::make_shared<Pool>("app", config.pools[0]);
}

WorkerKey Proxy::add_worker(const std::string& address, unsigned slots, bool keep_alive, Protocol protocol) {
    make_pool();
    Endpoint endpoint;
    endpoint.worker = "app-" + std::to_string(pool->stats().workers.size() + 1);
    endpoint.address = *parse_address(address);
    endpoint.keep_alive = keep_alive;
    endpoint.protocol = protocol;
    const auto key = pool->add(endpoint, slots);
    pool->accept(key, true);
    return key;
}

void Proxy::start() {
    make_pool();
    server_ = std::make_unique<Server>(config, Pools{{"app", pool}});
    const auto problem = server_->start();
    ASSERT_EQ(problem, "");
    server_->accept();
}

Peer Proxy::start_with_full_buffers() {
    config.proxy.threads = 1;
    config.proxy.buffer_memory.count = 16'384;
    start();
    Peer filling = client();
    filling.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 16385\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(filling.read_response().status(), 100);
    filling.send(std::string(16'384, 'x'));
    EXPECT_TRUE(eventually([&] { return server_->stats().buffered_bytes >= 16'384; }));
    return filling;
}

std::size_t Proxy::in_flight() const {
    std::size_t sum = 0;
    for (const auto& worker : pool->stats().workers) sum += worker.in_flight;
    return sum;
}

std::size_t Proxy::queued() const {
    std::size_t sum = 0;
    for (const auto waiting : pool->stats().queued) sum += waiting;
    return sum;
}

std::uint64_t Proxy::refused(const std::string& reason) const {
    std::uint64_t sum = 0;
    for (const auto& refusal : server_->stats().refusals)
        if (refusal.reason == reason && refusal.mode == "enforce") sum += refusal.count;
    return sum;
}

const Gate::WorkerStats Proxy::worker(WorkerKey key) const {
    for (const auto& each : pool->stats().workers)
        if (each.worker == key) return each;
    return {};
}

bool Proxy::stop(Duration bound) {
    std::atomic<bool> done = false;
    server_->stop(bound, [&done] { done = true; });
    return eventually([&done] { return done.load(); });
}

void hang_up(Peer& client) {
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    client.close();
}

std::string get(const std::string& path, const std::string& more) {
    return "GET " + path + " HTTP/1.1\r\nHost: test\r\n" + more + "\r\n";
}

std::string post(const std::string& path, const std::string& body, const std::string& more) {
    return "POST " + path + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           more + "\r\n" + body;
}

} // namespace plimsoll::net::testing
