#include "plimsoll/policy/shared_rate.hpp"

#include <algorithm>
#include <cstdio>

namespace plimsoll {

namespace {

// Times are microseconds since a recent moment: a double (Lua has nothing else) holds them to some nanoseconds. Half of one is
// therefore forgiven.
constexpr std::string_view script = R"lua(
local clock = redis.call('TIME')
local now = (clock[1] - 1700000000) * 1000000 + clock[2]
local owed, spent, verdicts = {}, {}, {}
for i, key in ipairs(KEYS) do
    local interval, window = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])
    local cost, enforced = tonumber(ARGV[4 * i - 1]), ARGV[4 * i] == '1'
    local debt = owed[key]
    if not debt then
        local tat = tonumber(redis.call('GET', key) or now) or now
        debt = math.min(math.max(tat - now, 0), window)
    end
    local after = debt + interval * cost
    local allowed = after <= window + 0.5
    if allowed then
        debt = after
        spent[key] = after
    end
    owed[key] = debt
    verdicts[#verdicts + 1] = allowed and 1 or 0
    verdicts[#verdicts + 1] = math.max(math.floor((window - debt + 0.5) / interval), 0)
    verdicts[#verdicts + 1] = allowed and 0 or math.ceil(after - window)
    verdicts[#verdicts + 1] = math.ceil(debt)
    if enforced and not allowed then return verdicts end
end
for key, debt in pairs(spent) do
    redis.call('SET', key, string.format('%.3f', now + debt), 'PX', math.ceil(debt / 1000))
end
return verdicts
)lua";

constexpr std::size_t numbers_a_verdict = 4;

std::string microseconds(Duration span) {
    const auto nanoseconds = std::chrono::nanoseconds(span).count();
    char text[32];
    std::snprintf(text, sizeof text, "%lld.%03d", static_cast<long long>(nanoseconds / 1000),
                  static_cast<int>(nanoseconds % 1000));
    return text;
}

} // namespace

std::string_view shared_rate_script() { return script; }

std::vector<std::string> shared_rate_arguments(std::span<const SharedSpend> spends) {
    std::vector<std::string> arguments = {std::to_string(spends.size())};
    for (const auto& spend : spends) arguments.push_back(spend.key);
    for (const auto& [key, rule, enforced] : spends) {
        arguments.push_back(microseconds(rule.interval));
        arguments.push_back(microseconds(rule.window()));
        arguments.push_back(std::to_string(rule.cost));
        arguments.emplace_back(enforced ? "1" : "0");
    }
    return arguments;
}

std::optional<std::vector<RateVerdict>> shared_rate_verdicts(std::span<const std::int64_t> answer, std::size_t asked) {
    const std::size_t told = answer.size() / numbers_a_verdict;
    if (answer.size() % numbers_a_verdict != 0 || told == 0 || told > asked) return std::nullopt;
    if (std::ranges::any_of(answer, [](auto number) { return number < 0; })) return std::nullopt;
    std::vector<RateVerdict> verdicts;
    for (; !answer.empty(); answer = answer.subspan(numbers_a_verdict))
        verdicts.push_back({answer[0] == 1, static_cast<unsigned>(answer[1]), std::chrono::microseconds{answer[2]},
                            std::chrono::microseconds{answer[3]}});
    if (told < asked && verdicts.back().allowed) return std::nullopt; // nothing stopped it
    return verdicts;
}

RateRule local_share(const RateRule& rule, unsigned proxies) {
    const unsigned among = std::max(proxies, 1U);
    RateRule share = rule;
    share.interval = rule.interval * static_cast<Duration::rep>(among);
    share.burst = std::max((rule.burst + 1) / among, rule.cost) - 1; // a request must be able to pass at all
    return share;
}

} // namespace plimsoll
