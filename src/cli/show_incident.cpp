#include "cli/show.hpp"
#include "cli/table.hpp"

namespace plimsoll::cli {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// "  memory    412 MiB -> 61 MiB": the facts above the story.
void append_fact(std::string& text, std::string name, const std::string& fact) {
    if (fact.empty()) return;
    name.resize(10, ' ');
    text += "  " + name + fact + "\n";
}

std::string joined(std::initializer_list<std::string> parts) {
    std::string text;
    for (const auto& part : parts)
        if (!part.empty()) text += (text.empty() ? "" : ", ") + part;
    return text;
}

std::string times(Facts incident, const Style& style) {
    auto opened = incident["opened_at"], closed = incident["closed_at"];
    auto text = moment_text(opened) + " (" + since_text(opened, style.now) + " ago)";
    if (opened.time() && closed.time())
        text += ", " + incident["state"].text() + " after " +
                length_text(duration_cast<milliseconds>(*closed.time() - *opened.time()));
    return text;
}

std::string successor_text(Facts successor) {
    if (!successor.known()) return {};
    auto generation = successor["generation"].text();
    return "successor " + (generation.empty() ? successor.text() : "generation " + generation);
}

std::string recycle_text(Facts recycle) {
    auto drained = recycle["drained_ms"].number();
    auto lost = recycle["lost"];
    return joined({recycle["outcome"].text(),
                   drained ? "drained in " + length_text(milliseconds{static_cast<std::int64_t>(*drained)}) : "",
                   lost.number() ? lost.text() + " requests lost" : "", successor_text(recycle["successor"])});
}

std::string memory_text(Facts recycle) {
    if (!recycle["memory_before"].number()) return {};
    auto text = bytes_text(recycle["memory_before"]);
    return recycle["memory_after"].number() ? text + " -> " + bytes_text(recycle["memory_after"]) : text;
}

void append_section(std::string& text, const std::string& title, const std::string& body, const Style& style) {
    if (!body.empty()) text += "\n" + painted(title, Colour::bold, style.colours) + "\n" + body;
}

std::string range(Facts row) {
    return row["low"].number() && row["high"].number() ? bytes_text(row["low"]) + " - " + bytes_text(row["high"]) : "-";
}

std::string routes(Facts list, const Style& style) {
    Table table({"ROUTE", ">A REQUEST", ">BETWEEN", ">SHARE", "HEAVIEST"});
    for (auto row : list.list())
        table.row({row["route"].text(), bytes_text(row["bytes_per_request"]), range(row), percent_text(row["share"]),
                   row["heaviest"].text()});
    return table.empty() ? "" : table.text(style.colours, "  ");
}

// The first ones say it; the rest stands in the evidence.
constexpr std::size_t most_rows = 15;

// Claimed: in agreement with the growth. The others are what a cache that churns leaves behind, too.
std::string lines(Facts list, bool claimed, const Style& style) {
    Table table({"LINE", ">KEPT", ">BLOCKS", ">A REQUEST"});
    for (auto row : list.list()) {
        if (row["claimed"].truth() != claimed) continue;
        if (table.size() == most_rows) break;
        const std::string function = row["function"].text();
        table.row({row["file"].text() + ":" + row["line"].text() + (function.empty() ? "" : " in " + function),
                   bytes_text(row["bytes"]), count_text(row["count"]), bytes_text(row["bytes_per_request"])});
    }
    return table.empty() ? "" : table.text(style.colours, "  ");
}

std::string types(Facts list, const Style& style) {
    Table table({"TYPE", ">GREW BY", ">OBJECTS", ">BYTES"});
    for (auto row : list.list()) {
        if (row["delta"].number().value_or(0) <= 0) continue;
        if (table.size() == most_rows) break;
        table.row({row["type"].text(), count_text(row["delta"]), count_text(row["count"]), bytes_text(row["bytes"])});
    }
    return table.empty() ? "" : table.text(style.colours, "  ");
}

// {kind: count} of each thing that can be open.
std::string open_things(Facts open, const Style& style) {
    Table table({"WHAT", "KIND", ">COUNT"});
    for (const auto& [what, kinds] : open.members())
        for (const auto& [kind, count] : kinds.members())
            if (table.size() < most_rows) table.row({what, kind, count_text(count)});
    return table.empty() ? "" : table.text(style.colours, "  ");
}

std::string release_text(Facts release) {
    if (!release["since"].known()) return {};
    return "since " + release["since"].text() + ", " + release["before"].text() + " did not have it";
}

std::string retainers(Facts list) {
    std::string text;
    for (auto chain : list.list()) text += "  " + chain.text() + "\n";
    return text;
}

std::string timeline(Facts incident) {
    std::string text;
    auto opened = incident["opened_at"].time();
    for (auto entry : incident["timeline"].list()) text += timeline_line(entry, opened);
    return text;
}

std::string files(Facts incident, const Style& style) {
    auto capture = incident["capture"];
    Table table({"FILE", ">SIZE"});
    for (auto file : capture["files"].list()) table.row({file.text(), bytes_text(capture["sizes"][file.text()])});
    if (table.empty()) return {};
    return table.text(style.colours, "  ") + "  plimsoll incidents " + incident["id"].text() +
           " --file NAME prints one, -o FILE keeps it\n";
}

} // namespace

std::string timeline_line(Facts entry, std::optional<WallTime> opened) {
    auto at = entry["at"].time();
    std::string offset = "-";
    if (at && opened)
        offset = "+" + length_text(duration_cast<milliseconds>(std::max(*at - *opened, WallTime::duration::zero())));
    offset.insert(0, offset.size() < 10 ? 10 - offset.size() : 0, ' ');
    return offset + "  " + entry["event"].text() + "\n";
}

std::string show_incident(Facts incident, const Style& style) {
    auto text =
        painted(incident["id"].text(), Colour::bold, style.colours) + "  " + incident["verdict"].text() + "\n\n";
    auto generation = incident["generation"].known() ? "generation " + incident["generation"].text() : "";
    append_fact(text, "worker", joined({incident["worker"].text(), generation, "pool " + incident["pool"].text()}));
    append_fact(text, "trigger", incident["trigger"].text());
    append_fact(text, "state", incident["state"].text());
    append_fact(text, "opened", times(incident, style));
    append_fact(text, "release", release_text(incident["release"]));
    append_fact(text, "kept by", incident["kept_by"].text());
    append_fact(text, "advice", incident["advice"].text());
    append_fact(text, "memory", memory_text(incident["recycle"]));
    append_fact(text, "recycle", recycle_text(incident["recycle"]));
    append_fact(text, "capture", incident["capture"]["status"].text());
    append_section(text, "What happened", timeline(incident), style);
    append_section(text, "Which routes", routes(incident["routes"], style), style);
    append_section(text, "Which lines", lines(incident["lines"], true, style), style);
    append_section(text, "What survived the trace, and agrees with no growth", lines(incident["lines"], false, style),
                   style);
    append_section(text, "Which types grew since the worker began", types(incident["types"], style), style);
    append_section(text, "Kept by", retainers(incident["retainers"]), style);
    append_section(text, "What is open", open_things(incident["open"], style), style);
    append_section(text, "Evidence", files(incident, style), style);
    return text;
}

} // namespace plimsoll::cli
