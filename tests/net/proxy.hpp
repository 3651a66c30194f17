// A proxy under test: the real Server with one pool, on loopback and port 0.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/server.hpp"
#include "peer.hpp"

namespace plimsoll::net::testing {

class Proxy {
public:
    Proxy();
    ~Proxy(); // checks that no slot leaked

    config::Config config;      // change it before start()
    std::shared_ptr<Pool> pool; // "app"; made by the first add_worker() or start()

    WorkerKey add_worker(const std::string& address, unsigned slots = 8, bool keep_alive = true,
                         Protocol protocol = Protocol::http);
    WorkerKey add_worker(const std::string& address, unsigned slots, Protocol protocol) {
        return add_worker(address, slots, protocol == Protocol::http, protocol); // as the sources of workers have it
    }
    void start();
    Peer start_with_full_buffers(); // by this client, for as long as it is connected, with 16,384 bytes
    Peer client() { return Peer::connect(address()); }
    std::string address() const { return server_->addresses().at(0); }
    Server& server() { return *server_; }
    std::size_t in_flight() const;
    std::size_t queued() const;
    std::uint64_t refused(const std::string& reason) const;
    const Gate::WorkerStats worker(WorkerKey key) const;
    bool stop(Duration bound); // true: done in time

private:
    void make_pool();
    std::unique_ptr<Server> server_;
};

// Later than an end of the client's bytes that could still belong to its request.
void hang_up(Peer& client);

std::string get(const std::string& path = "/", const std::string& more = "");
std::string post(const std::string& path, const std::string& body, const std::string& more = "");

} // namespace plimsoll::net::testing
