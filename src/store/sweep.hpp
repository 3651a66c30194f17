// Age, number and size: what has to go, oldest first.
#pragma once

#include <functional>
#include <string>

#include "store/database.hpp"
#include "store/files.hpp"
#include "store/incident_store.hpp"

namespace plimsoll::store {

// by_age: the clock is believed (age_clock.hpp); without it nothing goes for its age. Leaves `room` below max_size where it can; `busy` are the incidents that are not to be touched. Rows outlive their
// files: the story is small, and the evidence is what is large. Gives back what the evidence takes now.
Bytes sweep(Database& database, const Files& files, const IncidentStore::Settings& settings, Bytes room, bool by_age,
            const std::function<bool(const std::string& id)>& busy);

} // namespace plimsoll::store
