// Incidents as the control thread writes them: every word goes to the store in the order in which it was said, on the
// thread pool, so that a slow disk delays nobody. What cannot be written is logged and counted against the capture,
// never against the recycle.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json.hpp>

#include "store/incident_store.hpp"

namespace plimsoll::fleet {

using Publish = std::function<void(std::string event, boost::json::object)>;

// One open incident. Shared by the coroutines that tell its story.
class Incident {
public:
    struct Facts {
        std::string pool, worker, trigger, verdict;
        unsigned generation = 1;
    };
    const std::string& id() const { return id_; }
    const Facts& facts() const { return facts_; }

    void note(std::string event); // a sentence for a human at 3 in the morning
    void verdict(std::string sentence);
    void capture_status(std::string status);
    boost::json::object details; // routes, lines, types, retainers, recycle{...}
    void save_details();
    void close(std::string state = "closed"); // afterwards further words still reach the store

    // Empty: written. Else why not; never throws.
    boost::asio::awaitable<std::string> add_file(std::string name, std::string content);
    boost::asio::awaitable<std::string> directory();
    boost::asio::awaitable<std::string> why_no_capture();

private:
    friend class Journal;
    struct Desk;
    Incident(std::shared_ptr<Desk> desk, Facts facts) : desk_(std::move(desk)), facts_(std::move(facts)) {}
    std::shared_ptr<Desk> desk_;
    Facts facts_;
    std::string id_;
};

class Journal {
public:
    Journal(std::shared_ptr<boost::asio::thread_pool> threads, store::IncidentStore& store, Publish publish);
    // One insert on the calling thread: its id is the answer to whoever asked.
    std::shared_ptr<Incident> open(Incident::Facts facts);
    // One that an earlier life of this program left behind: its story goes on.
    std::shared_ptr<Incident> resume(std::string id, Incident::Facts facts);
    // One that was closed, or abandoned by an earlier life, with all that is known of it. Null where it was swept. One update on
    // the calling thread.
    std::shared_ptr<Incident> reopen(const std::string& id);
    bool on_disk() const; // else in memory only, for now: nothing of an earlier life is known
    void publish(std::string event, boost::json::object what);
    boost::asio::awaitable<void> sweep(); // the store's bounds of age and size

private:
    std::shared_ptr<Incident::Desk> desk_;
};

} // namespace plimsoll::fleet
