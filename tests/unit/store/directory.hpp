// A directory of the test's own, gone with it.
#pragma once

#include <filesystem>
#include <string>

#include <stdlib.h>

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

} // namespace plimsoll::store
