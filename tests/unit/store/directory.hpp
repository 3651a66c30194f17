// A directory of the test's own, gone with it, and a store in it that does not wait.
#pragma once

#include <filesystem>
#include <string>

#include <stdlib.h>

#include "store/incident_store.hpp"

namespace plimsoll::store {

class Directory {
public:
    Directory() {
        path_ = (std::filesystem::temp_directory_path() / "plimsoll-store-XXXXXX").string();
        ::mkdtemp(path_.data());
    }
    ~Directory() {
        std::error_code error;
        std::filesystem::remove_all(path_, error);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

inline IncidentStore::Settings in(const std::string& path) {
    IncidentStore::Settings settings;
    settings.path = path;
    settings.min_free = {};
    settings.retry_pause = {};
    return settings;
}

} // namespace plimsoll::store
