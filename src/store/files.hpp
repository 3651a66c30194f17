// The evidence: DIR/ID/NAME, directories 0700, files 0600. A file is whole or absent: it is written under another name,
// synced, and renamed.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plimsoll/core/bytes.hpp"
#include "store/incident_store.hpp"

namespace plimsoll::store {

// Letters, digits, '.', '-', '_'; at most 100; not hidden: no path can be made of it.
bool is_name(std::string_view name);

class Files {
public:
    explicit Files(std::string root) : root_(std::move(root)) {}

    std::string prepare() const; // makes the directory, removes what a crash left half-written; or says why not
    std::string directory(const std::string& id) const { return root_ + "/" + id; }
    std::string make_directory(const std::string& id) const; // empty, or why not
    std::string write(const std::string& id, const std::string& name, std::string_view content) const; // likewise
    std::string append(const std::string& id, const std::string& name, std::string_view content) const;
    std::optional<std::string> read(const std::string& id, const std::string& name) const;
    std::vector<FileEntry> list(const std::string& id) const;
    Bytes remove(const std::string& id) const; // how much that gave back

    struct Kept {
        std::string id;
        Bytes size;
        std::chrono::system_clock::time_point changed;
    };
    std::vector<Kept> kept() const; // every directory there is
    std::optional<Bytes> free_space() const;

private:
    std::string root_;
};

} // namespace plimsoll::store
