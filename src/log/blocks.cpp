#include "log/blocks.hpp"

#include <utility>

namespace plimsoll::log {

bool Blocks::put(std::string& text, std::uint64_t lines) {
    const std::lock_guard lock(mutex_);
    if (bytes_ + text.size() > most_bytes) {
        lost_ += lines;
        text.clear();
        return false;
    }
    bytes_ += text.size();
    waiting_.push_back({std::move(text), lines});
    text.clear();
    if (!spares_.empty()) {
        text.swap(spares_.back());
        spares_.pop_back();
    }
    return true;
}

void Blocks::take(std::vector<Block>& written) {
    const std::lock_guard lock(mutex_);
    for (auto& block : written) {
        if (spares_.size() == most_spares) break;
        block.text.clear();
        spares_.push_back(std::move(block.text));
    }
    written.clear();
    written.swap(waiting_);
    bytes_ = 0;
}

} // namespace plimsoll::log
