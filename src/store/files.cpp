#include "store/files.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace plimsoll::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view unfinished = ".unfinished-"; // hidden, so that no name can be mistaken for one

std::string why(const std::string& path) { return path + ": " + std::strerror(errno); }

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const auto n = ::write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        content.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

// A rename is only kept over a power cut once the directory that holds it is synced.
void sync_directory(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
}

std::optional<Bytes> regular_size(const fs::directory_entry& entry) {
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    return Bytes{status.st_size};
}

} // namespace

bool is_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
               c == '_';
    };
    return !name.empty() && name.size() <= 100 && name.front() != '.' && std::all_of(name.begin(), name.end(), allowed);
}

std::string Files::prepare() const {
    if (::mkdir(root_.c_str(), 0700) != 0 && errno != EEXIST) return why(root_);
    if (::access(root_.c_str(), W_OK | X_OK) != 0) return why(root_);
    std::error_code error;
    for (const auto& incident : fs::directory_iterator(root_, error))
        for (const auto& file : fs::directory_iterator(incident.path(), error))
            if (file.path().filename().string().starts_with(unfinished)) fs::remove(file.path(), error);
    return {};
}

std::string Files::make_directory(const std::string& id) const {
    const auto path = directory(id);
    if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
    return why(path);
}

std::string Files::write(const std::string& id, const std::string& name, std::string_view content) const {
    if (auto problem = make_directory(id); !problem.empty()) return problem;
    static std::atomic<unsigned> serial{0}; // two writers of one name must not share a half-written file
    const auto path = directory(id) + "/" + name;
    const auto part = directory(id) + "/" + std::string(unfinished) + std::to_string(serial++) + "-" + name;
    const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return why(part);
    std::string problem;
    if (!write_all(fd, content) || ::fsync(fd) != 0) problem = why(path);
    if (::close(fd) != 0 && problem.empty()) problem = why(path);
    if (problem.empty() && ::rename(part.c_str(), path.c_str()) != 0) problem = why(path);
    if (!problem.empty())
        ::unlink(part.c_str());
    else
        sync_directory(directory(id));
    return problem;
}

std::string Files::append(const std::string& id, const std::string& name, std::string_view content) const {
    if (auto problem = make_directory(id); !problem.empty()) return problem;
    const auto path = directory(id) + "/" + name;
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0) return why(path);
    struct stat before {};
    std::string problem;
    if (::fstat(fd, &before) != 0 || !S_ISREG(before.st_mode))
        problem = path + ": not a regular file";
    else if (!write_all(fd, content)) {
        problem = why(path);
        if (::ftruncate(fd, before.st_size) != 0) problem += "; a part of it was written";
    }
    ::close(fd);
    return problem;
}

std::optional<std::string> Files::read(const std::string& id, const std::string& name) const {
    const auto path = directory(id) + "/" + name;
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    struct stat status {};
    std::optional<std::string> content;
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        content.emplace(static_cast<std::size_t>(status.st_size), '\0');
        std::size_t have = 0;
        while (have < content->size()) {
            const auto n = ::read(fd, content->data() + have, content->size() - have);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;
            have += static_cast<std::size_t>(n);
        }
        content->resize(have); // it may have been cut in between
    }
    ::close(fd);
    return content;
}

std::vector<FileEntry> Files::list(const std::string& id) const {
    std::vector<FileEntry> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory(id), error)) {
        auto name = entry.path().filename().string();
        if (const auto size = regular_size(entry); size && is_name(name)) files.push_back({std::move(name), *size});
    }
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return files;
}

Bytes Files::remove(const std::string& id) const {
    Bytes size;
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(directory(id), error))
        size = size + regular_size(entry).value_or(Bytes{});
    fs::remove_all(directory(id), error);
    return size;
}

std::vector<Files::Kept> Files::kept() const {
    std::vector<Kept> all;
    std::error_code error;
    for (const auto& incident : fs::directory_iterator(root_, error)) {
        struct stat status {};
        if (::lstat(incident.path().c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) continue;
        Kept kept{incident.path().filename().string(), {}, std::chrono::system_clock::from_time_t(status.st_mtime)};
        std::error_code inner;
        for (const auto& file : fs::recursive_directory_iterator(incident.path(), inner))
            kept.size = kept.size + regular_size(file).value_or(Bytes{});
        all.push_back(std::move(kept));
    }
    return all;
}

std::optional<Bytes> Files::free_space() const {
    struct statvfs status {};
    if (::statvfs(root_.c_str(), &status) != 0) return std::nullopt;
    return Bytes{static_cast<std::int64_t>(status.f_bavail * status.f_frsize)};
}

} // namespace plimsoll::store
