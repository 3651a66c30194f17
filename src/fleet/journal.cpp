#include "fleet/journal.hpp"

#include <boost/asio/strand.hpp>

#include "fleet/wait.hpp"
#include "log/log.hpp"

namespace plimsoll::fleet {

// Kept by every incident, so that a word said late still finds its way. The strand keeps the order of the words.
struct Incident::Desk {
    std::shared_ptr<asio::thread_pool> threads;
    asio::strand<asio::thread_pool::executor_type> order;
    store::IncidentStore& store;
    Publish publish;

    void say(std::function<void(store::IncidentStore&)> word) {
        asio::post(order, [&store = store, word = std::move(word)] {
            try {
                word(store);
            } catch (const std::exception& e) {
                log::error("incident_not_written", {{"error", e.what()}});
            }
        });
    }
    void tell(const Incident& incident, const char* what, const std::string& text) {
        if (!publish) return;
        const Incident::Facts& facts = incident.facts();
        publish("incident", {{"id", incident.id()},
                             {"pool", facts.pool},
                             {"worker", facts.worker},
                             {"generation", facts.generation},
                             {"trigger", facts.trigger},
                             {"what", what},
                             {"text", text}});
    }
    // Questions and files need not keep the order: the incident they belong to was opened before anybody could ask.
    asio::awaitable<std::string> ask(std::function<std::string(store::IncidentStore&)> question) {
        auto call = [&store = store, question = std::move(question)]() -> std::string {
            try {
                return question(store);
            } catch (const std::exception& e) {
                return e.what();
            }
        };
        co_return co_await offload(*threads, std::move(call));
    }
};

void Incident::note(std::string event) {
    log::info("incident_note", {{"incident", id_}, {"pool", facts_.pool}, {"worker", facts_.worker}, {"note", event}});
    desk_->tell(*this, "note", event);
    desk_->say([id = id_, event = std::move(event)](store::IncidentStore& store) { store.note(id, event); });
}

void Incident::verdict(std::string sentence) {
    facts_.verdict = sentence;
    desk_->say([id = id_, sentence = std::move(sentence)](auto& store) { store.set_verdict(id, sentence); });
}

void Incident::capture_status(std::string status) {
    desk_->say([id = id_, status = std::move(status)](auto& store) { store.set_capture_status(id, status); });
}

void Incident::save_details() {
    desk_->say([id = id_, json = boost::json::serialize(details)](auto& store) { store.set_details(id, json); });
}

void Incident::close(std::string state) {
    log::info("incident_closed", {{"incident", id_}, {"state", state}, {"verdict", facts_.verdict}});
    save_details();
    desk_->tell(*this, state.c_str(), facts_.verdict);
    desk_->say([id = id_, state = std::move(state)](auto& store) { store.close(id, state); });
}

asio::awaitable<std::string> Incident::add_file(std::string name, std::string content) {
    return desk_->ask([id = id_, name = std::move(name), content = std::move(content)](store::IncidentStore& store) {
        return store.add_file(id, name, content);
    });
}

asio::awaitable<std::string> Incident::directory() {
    return desk_->ask([id = id_](store::IncidentStore& store) { return store.directory(id); });
}

asio::awaitable<std::string> Incident::why_no_capture() {
    return desk_->ask([](store::IncidentStore& store) { return store.why_no_capture(); });
}

Journal::Journal(std::shared_ptr<asio::thread_pool> threads, store::IncidentStore& store, Publish publish)
    : desk_(std::make_shared<Incident::Desk>(
          Incident::Desk{threads, asio::make_strand(*threads), store, std::move(publish)})) {}

std::shared_ptr<Incident> Journal::open(Incident::Facts facts) {
    std::string id = desk_->store.open(facts.pool, facts.worker, facts.generation, facts.trigger, facts.verdict);
    auto incident = resume(std::move(id), std::move(facts));
    const Incident::Facts& told = incident->facts();
    log::warn("incident_opened", {{"incident", incident->id()},
                                  {"pool", told.pool},
                                  {"worker", told.worker},
                                  {"generation", told.generation},
                                  {"trigger", told.trigger},
                                  {"verdict", told.verdict}});
    desk_->tell(*incident, "opened", told.verdict);
    return incident;
}

std::shared_ptr<Incident> Journal::resume(std::string id, Incident::Facts facts) {
    std::shared_ptr<Incident> incident(new Incident(desk_, std::move(facts)));
    incident->id_ = std::move(id);
    return incident;
}

bool Journal::on_disk() const { return desk_->store.problem().empty(); }

std::shared_ptr<Incident> Journal::reopen(const std::string& id) {
    const auto kept = desk_->store.reopen(id);
    if (!kept) return nullptr;
    auto incident = resume(id, {kept->pool, kept->worker, kept->trigger, kept->verdict, kept->generation});
    boost::system::error_code bad;
    auto details = boost::json::parse(kept->details, bad);
    if (!bad && details.is_object()) incident->details = std::move(details.get_object());
    log::warn("incident_opened_again", {{"incident", id}, {"pool", kept->pool}, {"trigger", kept->trigger}});
    desk_->tell(*incident, "opened", kept->verdict);
    return incident;
}

asio::awaitable<void> Journal::sweep() {
    auto call = [](store::IncidentStore& store) {
        store.sweep();
        return std::string{};
    };
    const auto desk = desk_;
    const std::string problem = co_await desk->ask(std::move(call));
    if (!problem.empty()) log::warn("incidents_not_swept", {{"why", problem}});
}

void Journal::publish(std::string event, boost::json::object what) {
    if (desk_->publish) desk_->publish(std::move(event), std::move(what));
}

} // namespace plimsoll::fleet
