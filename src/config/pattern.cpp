#include "config/pattern.hpp"

#include <algorithm>

#include <re2/re2.h>
#include <re2/set.h>

namespace plimsoll::config {
namespace {

constexpr std::int64_t memory_of_one = 1 << 20; // of its automaton: an expression that needs more is refused
constexpr std::int64_t memory_of_set = 32 << 20;

RE2::Options options(std::int64_t memory) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_encoding(RE2::Options::EncodingLatin1);
    options.set_dot_nl(true); // a path may hold %0a, and "." means any byte
    options.set_max_mem(memory);
    return options;
}

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

std::string why_not(const RE2& expression) {
    if (expression.ok()) return {};
    std::string why = expression.error();
    if (expression.error_code() == RE2::ErrorBadPerlOp)
        why += " (look-around and back references do not exist here: a search takes linear time)";
    return why;
}

} // namespace

struct Pattern::Compiled {
    explicit Compiled(std::string_view text) : expression(piece(text), options(memory_of_one)) {}
    const RE2 expression;
};

Pattern::Pattern(std::string_view expression) {
    if (expression.size() > longest_pattern) {
        problem_ = "it may have at most " + std::to_string(longest_pattern) + " bytes";
        return;
    }
    compiled_ = std::make_unique<const Compiled>(expression);
    problem_ = why_not(compiled_->expression);
    if (!problem_.empty()) compiled_.reset();
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

bool Pattern::found_in(std::string_view text) const {
    return compiled_ && RE2::PartialMatch(piece(text), compiled_->expression);
}

struct PatternSet::Compiled {
    RE2::Set set{options(memory_of_set), RE2::UNANCHORED};
    std::vector<int> numbers; // the set's -> ours
    int next = 0;
    bool usable = false;
};

PatternSet::PatternSet() : compiled_(std::make_unique<Compiled>()) {}
PatternSet::~PatternSet() = default;
PatternSet::PatternSet(PatternSet&&) noexcept = default;
PatternSet& PatternSet::operator=(PatternSet&&) noexcept = default;

void PatternSet::add(std::string_view expression) {
    const int number = compiled_->next++;
    if (compiled_->set.Add(piece(expression), nullptr) >= 0) compiled_->numbers.push_back(number);
}

void PatternSet::compile() { compiled_->usable = compiled_->set.Compile(); }

bool PatternSet::search(std::string_view text, std::vector<int>& found) const {
    found.clear();
    if (!compiled_->usable) return false;
    RE2::Set::ErrorInfo error{};
    compiled_->set.Match(piece(text), &found, &error);
    if (error.kind != RE2::Set::kNoError) return false;
    for (int& each : found) each = compiled_->numbers[static_cast<std::size_t>(each)];
    std::sort(found.begin(), found.end());
    return true;
}

} // namespace plimsoll::config
