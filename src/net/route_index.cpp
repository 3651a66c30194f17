#include "net/route_index.hpp"

#include <algorithm>

namespace plimsoll::net {
namespace {

// Up to here a search for each costs less than one for all of them.
constexpr std::size_t few_expressions = 8;

} // namespace

void RouteIndex::Table::add(const RouteRule& rule, RouteNumber number) {
    if (rule.path_kind() != RouteRule::Path::regex)
        return paths.add(rule.path(), rule.path_kind() == RouteRule::Path::exact, number);
    const auto [place, is_new] = places.try_emplace(rule.path(), expressions.size());
    if (is_new) expressions.push_back({number, {}});
    expressions[place->second].routes.add(number);
}

RouteIndex::RouteIndex(std::vector<RouteRule> rules) : rules_(std::move(rules)) {
    for (RouteNumber number = 0; number < rules_.size(); ++number) {
        const RouteRule& rule = rules_[number];
        if (rule.host().empty()) {
            any_host_.add(rule, number);
        } else if (rule.host().starts_with("*.")) {
            const auto suffix = rule.host().substr(1);
            longest_suffix_ = std::max(longest_suffix_, suffix.size());
            below_[suffix].add(rule, number);
        } else {
            hosts_[rule.host()].add(rule, number);
        }
    }
    compile(any_host_);
    for (auto& [host, table] : hosts_) compile(table);
    for (auto& [suffix, table] : below_) compile(table);
}

void RouteIndex::compile(Table& table) {
    table.paths.for_each_list([this](RouteList& list) { list.index(rules_); });
    table.places = {};
    if (table.expressions.empty()) return;
    for (Expression& each : table.expressions) each.routes.index(rules_);
    first_expression_ = std::min(first_expression_, table.expressions.front().first);
    if (table.expressions.size() <= few_expressions) return;
    for (const Expression& each : table.expressions) table.set.add(rules_[each.first].path());
    table.set.compile();
}

template <class Visit>
void RouteIndex::for_each_table(std::string_view host, Visit visit) const {
    visit(any_host_);
    if (!hosts_.empty())
        if (const auto found = hosts_.find(host); found != hosts_.end()) visit(found->second);
    if (below_.empty()) return;
    // What is longer than the longest suffix need not be tried: a host of thousands of dots costs nothing.
    auto at = host.size() > longest_suffix_ ? host.size() - longest_suffix_ : std::size_t{1};
    for (at = host.find('.', at); at != std::string_view::npos; at = host.find('.', at + 1))
        if (const auto found = below_.find(host.substr(at)); found != below_.end()) visit(found->second);
}

RouteNumber RouteIndex::find(const RouteQuery& query) const {
    RouteNumber best = no_route;
    const auto first_of = [&](const RouteList& list, RouteNumber below) { return list.find(rules_, query, below); };
    for_each_table(query.host, [&](const Table& table) { best = table.paths.walk(query.path, best, first_of); });
    if (first_expression_ >= best) return best;
    for_each_table(query.host, [&](const Table& table) { best = find_expression(table, query, best); });
    return best;
}

RouteNumber RouteIndex::find_expression(const Table& table, const RouteQuery& query, RouteNumber best) const {
    const auto& all = table.expressions;
    const auto worth = std::ranges::lower_bound(all, best, {}, &Expression::first);
    if (worth - all.begin() > static_cast<std::ptrdiff_t>(few_expressions)) {
        thread_local std::vector<int> found;
        if (table.set.search(query.path, found)) {
            for (const int each : found) {
                const Expression& expression = all[static_cast<std::size_t>(each)];
                if (expression.first >= best) break;
                best = expression.routes.find(rules_, query, best);
            }
            return best;
        }
    }
    for (const Expression& each : all) {
        if (each.first >= best) break; // a better one may have been found since
        const RouteNumber route = each.routes.find(rules_, query, best);
        if (route < best && rules_[each.first].path_matches(query.path)) best = route;
    }
    return best;
}

} // namespace plimsoll::net
