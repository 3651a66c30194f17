// Whatever the file holds: no crash, no exception, and never a problem without a message.
#include <fstream>
#include <random>
#include <sstream>

#include <gtest/gtest.h>

#include "config/parse.hpp"

using namespace plimsoll::config;

namespace {

std::string reference() {
    std::ifstream file("conf/plimsoll.toml");
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
}

void expect_told(const std::string& text) {
    auto parsed = parse(text, "f");
    for (const auto& problem : parsed.problems) {
        ASSERT_FALSE(problem.message.empty());
        ASSERT_FALSE(to_string(problem).empty());
    }
    for (std::size_t i = 1; i < parsed.problems.size(); ++i)
        ASSERT_LE(parsed.problems[i - 1].line, parsed.problems[i].line);
}

TEST(Damaged, a_file_cut_anywhere_is_read_or_refused) {
    auto text = reference();
    ASSERT_FALSE(text.empty());
    for (std::size_t length = 0; length < text.size(); length += 7) expect_told(text.substr(0, length));
}

TEST(Damaged, changed_removed_and_moved_bytes_are_read_or_refused) {
    const auto text = reference();
    const std::string alphabet = "[]{}=\"'#.,\n\\ -_0123456789abz~%/:\xff\0";
    std::mt19937 chance(20240601);
    auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(chance); };
    for (int round = 0; round < 1500; ++round) {
        auto damaged = text;
        for (auto times = 1 + below(6); times > 0; --times) {
            auto at = below(damaged.size());
            switch (below(4)) {
            case 0: damaged[at] = alphabet[below(alphabet.size())]; break;
            case 1: damaged.erase(at, 1 + below(20)); break;
            case 2: damaged.insert(at, damaged.substr(below(damaged.size()), below(40))); break;
            default: damaged.insert(damaged.begin() + static_cast<long>(at), alphabet[below(alphabet.size())]); break;
            }
        }
        expect_told(damaged);
    }
}

TEST(Damaged, lines_in_another_order_are_read_or_refused) {
    std::vector<std::string> lines;
    std::istringstream stream(reference());
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    std::mt19937 chance(7);
    for (int round = 0; round < 200; ++round) {
        std::shuffle(lines.begin(), lines.end(), chance);
        std::string text;
        for (std::size_t i = 0; i < 40; ++i) text += lines[i] + "\n";
        expect_told(text);
    }
}

TEST(Damaged, deep_nesting_and_long_words_have_a_bound) {
    expect_told("a = " + std::string(100'000, '['));
    expect_told("a = " + std::string(100'000, '{'));
    std::string dotted = "a";
    for (int i = 0; i < 10'000; ++i) dotted += ".a";
    expect_told("[" + dotted + "]\n");
    expect_told(std::string(1'000'000, 'k') + " = 1\n");
}

} // namespace
