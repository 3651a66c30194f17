#include "plimsoll/leak/route_order.hpp"

#include <algorithm>

namespace plimsoll::leak {

std::string_view to_string(Heaviest heaviest) {
    return heaviest == Heaviest::yes ? "yes" : heaviest == Heaviest::maybe ? "maybe" : "no";
}

namespace {

bool in_common(const std::vector<std::string>& one, const std::vector<std::string>& other) {
    return std::ranges::find_first_of(one, other) != one.end();
}

} // namespace

std::vector<Heaviest> RouteOrder::look(const Look& look) {
    if (look.routes.empty()) return {};
    const Route& first = look.routes.front();
    const bool leads = look.first >= leads_from && look.unnamed < first.low;
    if (!in_common(first.labels, first_) || (agreed_ < looks && !leads)) agreed_ = 0;
    if (leads && agreed_ < looks && (agreed_ == 0 || look.seen >= next_)) {
        ++agreed_;
        next_ = look.seen + std::max(fewest, static_cast<std::uint64_t>(fresh * static_cast<double>(look.intervals)));
    }
    first_ = first.labels;
    std::vector<Heaviest> ranks;
    for (const Route& route : look.routes) {
        const bool is_first = &route == &first;
        if (agreed_ >= looks)
            ranks.push_back(is_first ? Heaviest::yes : Heaviest::no);
        else
            ranks.push_back(is_first || route.high >= first.low ? Heaviest::maybe : Heaviest::no);
    }
    return ranks;
}

} // namespace plimsoll::leak
