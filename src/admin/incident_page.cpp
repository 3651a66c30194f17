#include "admin/incident_page.hpp"

#include <algorithm>

#include <boost/json/array.hpp>

#include "admin/charts.hpp"
#include "admin/markup.hpp"

namespace plimsoll::admin {

namespace json = boost::json;

namespace {

constexpr Bytes most_text{256 << 10}, most_picture{2 << 20}, most_stacks{4 << 20};
constexpr std::size_t most_rows = 25;

constexpr std::string_view style = R"(
:root{--text:#1b1f24;--faint:#57606a;--ground:#fff;--panel:#f4f6f8;--edge:#d5dae0;--accent:#0b5cad;--bad:#b42318;
--c0:#0b5cad;--c1:#c2571a;--c2:#1a7f4b;--c3:#7a3fb0;--c4:#a8186d;--c5:#6b6f00;--f0:#f2b488;--f1:#f5c99a;--f2:#eea27a;--f3:#f7d8ae}
@media (prefers-color-scheme:dark){:root{--text:#e6e9ed;--faint:#9aa4af;--ground:#14181d;--panel:#1d232a;--edge:#36404a;--accent:#6cb2ff;
--bad:#ff8577;--c0:#6cb2ff;--c1:#f0a060;--c2:#5fd08f;--c3:#c49bf0;--c4:#f487c3;--c5:#d2d65a;--f0:#8a4b20;--f1:#7a4a22;--f2:#94431f;--f3:#6b4a26}}
*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--ground);max-width:960px;margin:0 auto;padding:24px 20px}
h1{font-size:20px;margin:0 0 4px}h2{font-size:16px;margin:32px 0 8px;border-bottom:1px solid var(--edge);padding-bottom:4px}
.verdict{font-size:18px;margin:8px 0 16px;overflow-wrap:anywhere}.state{color:var(--faint);font-weight:normal}.open{color:var(--bad)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0;background:var(--panel);padding:12px;border-radius:6px}
dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}
th{text-align:left;color:var(--faint);font-weight:600;font-size:13px}td,th{padding:4px 12px 4px 0;vertical-align:top;border-bottom:1px solid var(--edge)}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}td{overflow-wrap:anywhere}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:var(--panel);padding:12px;border-radius:6px;overflow:auto;max-height:480px;margin:8px 0;white-space:pre}
details{margin:6px 0}summary{cursor:pointer;color:var(--accent)}svg{width:100%;height:auto;display:block}svg text{font:12px system-ui,sans-serif;fill:var(--faint)}
.grid{stroke:var(--edge)}.limit{stroke:var(--bad);stroke-dasharray:6 4}.life{fill:none;stroke-width:2}
.life0{stroke:var(--c0);background:var(--c0)}.life1{stroke:var(--c1);background:var(--c1)}.life2{stroke:var(--c2);background:var(--c2)}
.life3{stroke:var(--c3);background:var(--c3)}.life4{stroke:var(--c4);background:var(--c4)}.life5{stroke:var(--c5);background:var(--c5)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;padding:0;margin:4px 0}.swatch{display:inline-block;width:14px;height:3px;margin-right:6px;vertical-align:middle}
.flame text{font:11px ui-monospace,monospace;fill:var(--text)}.flame0{fill:var(--f0)}.flame1{fill:var(--f1)}.flame2{fill:var(--f2)}.flame3{fill:var(--f3)}
.picture{overflow:auto;background:#fff;border:1px solid var(--edge);border-radius:6px;padding:8px}.picture img{max-width:none}
footer{margin-top:32px;color:var(--faint);font-size:13px}@media print{pre{max-height:none}}
)";

std::string section(const std::string& title, const std::string& body) {
    return body.empty() ? std::string{} : "<h2>" + escaped(title) + "</h2>\n" + body;
}

std::string fact(const std::string& name, const std::string& value) {
    return value.empty() ? std::string{} : "<dt>" + escaped(name) + "</dt><dd>" + escaped(value) + "</dd>\n";
}

// A table without rows is no table. Columns that begin with '>' are numbers.
class Table {
public:
    explicit Table(std::vector<std::string> columns) : columns_(std::move(columns)) {}
    bool full() const { return count_ == most_rows; }
    void row(const std::vector<std::string>& cells) { // already escaped
        rows_ += "<tr>";
        for (std::size_t i = 0; i < cells.size(); ++i)
            rows_ += (is_number(i) ? "<td class=\"n\">" : "<td>") + cells[i] + "</td>";
        rows_ += "</tr>\n";
        ++count_;
    }
    std::string text() const {
        if (count_ == 0) return {};
        std::string head = "<table><thead><tr>";
        for (std::size_t i = 0; i < columns_.size(); ++i)
            head += is_number(i) ? "<th class=\"n\">" + escaped(columns_[i].substr(1)) + "</th>"
                                 : "<th>" + escaped(columns_[i]) + "</th>";
        return head + "</tr></thead><tbody>\n" + rows_ + "</tbody></table>\n";
    }

private:
    bool is_number(std::size_t column) const { return columns_[column].starts_with('>'); }
    std::vector<std::string> columns_;
    std::string rows_;
    std::size_t count_ = 0;
};

std::string memory_text(const json::object& recycle) {
    const double before = number_of(recycle, "memory_before", -1), after = number_of(recycle, "memory_after", -1);
    if (before < 0) return {};
    return bytes_text(before) + (after < 0 ? "" : " before the recycle, " + bytes_text(after) + " after");
}

std::string recycle_text(const json::object& recycle) {
    const std::string outcome = text_of(recycle, "outcome");
    if (outcome.empty()) return {};
    return outcome + ", drained in " + count_text(number_of(recycle, "drained_ms")) + " ms, " +
           count_text(number_of(recycle, "lost")) + " requests lost";
}

std::string facts(const json::object& incident) {
    const json::object& recycle = object_of(incident, "recycle");
    const json::object& release = object_of(incident, "release");
    const std::string since = text_of(release, "since");
    return "<dl>\n" + fact("pool", text_of(incident, "pool")) + fact("worker", text_of(incident, "worker")) +
           fact("generation", count_text(number_of(incident, "generation", 1))) +
           fact("trigger", text_of(incident, "trigger")) + fact("opened", text_of(incident, "opened_at")) +
           fact("closed", text_of(incident, "closed_at")) +
           fact("since release", since.empty() ? "" : since + ", " + text_of(release, "before") + " did not have it") +
           fact("kept by", text_of(incident, "kept_by")) + fact("advice", text_of(incident, "advice")) +
           fact("memory", memory_text(recycle)) + fact("recycle", recycle_text(recycle)) +
           fact("capture", text_of(object_of(incident, "capture"), "status")) + "</dl>\n";
}

std::string timeline(const json::object& incident) {
    std::string rows;
    for (const json::value& entry : list_of(incident, "timeline"))
        rows += "<tr><td class=\"n\">" + escaped(text_of(object_of(entry), "at")) + "</td><td>" +
                escaped(text_of(object_of(entry), "event")) + "</td></tr>\n";
    return rows.empty() ? rows
                        : "<table><thead><tr><th class=\"n\">At</th><th>What</th></tr></thead><tbody>\n" + rows +
                              "</tbody></table>\n";
}

std::string routes(const json::object& incident) {
    Table table({"Route", ">A request", ">Between", ">Of the growth", "The heaviest"});
    for (const json::value& each : list_of(incident, "routes")) {
        const json::object& route = object_of(each);
        if (table.full()) break;
        table.row({"<code>" + escaped(text_of(route, "route")) + "</code>",
                   bytes_text(number_of(route, "bytes_per_request")),
                   bytes_text(number_of(route, "low")) + " - " + bytes_text(number_of(route, "high")),
                   count_text(number_of(route, "share") * 100) + " %", escaped(text_of(route, "heaviest"))});
    }
    return table.text();
}

std::string traceback_of(const json::object& line) {
    std::string frames;
    for (const json::value& frame : list_of(line, "traceback"))
        if (frame.is_string()) frames += escaped(frame.get_string()) + "\n";
    return frames.empty() ? frames
                          : "<details><summary>traceback, innermost first</summary><pre>" + frames + "</pre></details>";
}

// Claimed: in agreement with the growth. The others are what a cache that churns leaves behind, too.
std::string lines(const json::object& incident, bool claimed) {
    Table table({"Line", ">A request to the worker", ">Kept", ">Blocks"});
    for (const json::value& each : list_of(incident, "lines")) {
        const json::object& line = object_of(each);
        const json::value* said = line.if_contains("claimed");
        if ((said != nullptr && said->is_bool() && said->get_bool()) != claimed) continue;
        if (table.full()) break;
        const std::string function = text_of(line, "function");
        table.row({"<code>" + escaped(text_of(line, "file") + ":" + count_text(number_of(line, "line"))) + "</code>" +
                       (function.empty() ? "" : " in <code>" + escaped(function) + "</code>") + traceback_of(line),
                   bytes_text(number_of(line, "bytes_per_request")), bytes_text(number_of(line, "bytes")),
                   count_text(number_of(line, "count"))});
    }
    return table.text();
}

std::string types(const json::object& incident) {
    Table table({"Type", ">Grew by", ">Objects", ">Bytes"});
    for (const json::value& each : list_of(incident, "types")) {
        const json::object& type = object_of(each);
        if (table.full()) break;
        table.row({"<code>" + escaped(text_of(type, "type")) + "</code>", count_text(number_of(type, "delta")),
                   count_text(number_of(type, "count")), bytes_text(number_of(type, "bytes"))});
    }
    return table.text();
}

// {kind: count} of each thing that can be open.
std::string open_things(const json::object& incident) {
    Table table({"What", "Kind", ">Count"});
    for (const auto& [what, kinds] : object_of(incident, "open"))
        for (const auto& [kind, count] : object_of(kinds)) {
            if (table.full()) break;
            table.row({escaped(what), escaped(kind), count_text(number_of(object_of(kinds), kind))});
        }
    return table.text();
}

std::string retainers(const json::object& incident, const std::vector<Evidence>& files) {
    std::string chains;
    for (const json::value& chain : list_of(incident, "retainers"))
        if (chain.is_string()) chains += escaped(chain.get_string()) + "\n";
    std::string body = chains.empty() ? chains : "<pre>" + chains + "</pre>\n";
    for (const Evidence& file : files)
        if (file.name.ends_with(".svg") && !file.content.empty())
            body += "<div class=\"picture\"><img alt=\"" + escaped(file.name) + "\" src=\"data:image/svg+xml;base64," +
                    base64(file.content) + "\"></div>\n";
    return body;
}

std::string flames(const std::vector<Evidence>& files) {
    std::string body;
    for (const Evidence& file : files)
        if (file.name.ends_with(".folded")) body += flame_graph(file.content);
    return body;
}

std::string evidence(const json::object& incident, const std::vector<Evidence>& files) {
    std::string body, others;
    const std::string get = "plimsoll incidents " + text_of(incident, "id") + " --file NAME -o FILE";
    for (const Evidence& file : files) {
        const std::string title = file.name + " (" + to_string(file.size) + ")";
        const bool is_text =
            file.name.ends_with(".txt") || file.name.ends_with(".log") || file.name.ends_with(".folded");
        if (!is_text || file.content.empty()) {
            others += "<li>" + escaped(title) + "</li>\n";
            continue;
        }
        const auto shown = static_cast<std::size_t>(most_text.count);
        const std::string_view text = std::string_view(file.content).substr(0, shown);
        body += "<details><summary>" + escaped(title) + "</summary><pre>" + escaped(text) +
                (file.content.size() > shown ? "\n... the rest: " + escaped(get) : "") + "</pre></details>\n";
    }
    if (!others.empty())
        body += "<p>Not in this page: <code>" + escaped(get) + "</code></p>\n<ul>\n" + others + "</ul>\n";
    return body;
}

} // namespace

Bytes shown_of(std::string_view name) {
    if (name.ends_with(".folded")) return most_stacks;
    if (name.ends_with(".svg")) return most_picture;
    if (name.ends_with(".txt") || name.ends_with(".log")) return most_stacks;
    return {};
}

std::string incident_page(const json::object& incident, const std::vector<Evidence>& files,
                          const std::string& version) {
    const std::string id = text_of(incident, "id"), state = text_of(incident, "state");
    return "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"" +
           escaped(page_policy) +
           "\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"referrer\" "
           "content=\"no-referrer\">\n"
           "<title>" +
           escaped("Incident " + id + ": " + text_of(incident, "worker")) + "</title>\n<style>" + std::string(style) +
           "</style>\n</head>\n<body>\n<h1>Incident " + escaped(id) + " <span class=\"state" +
           (state == "open" ? " open" : "") + "\">" + escaped(state) + "</span></h1>\n<p class=\"verdict\">" +
           escaped(text_of(incident, "verdict")) + "</p>\n" + facts(incident) +
           section("Growth", growth_chart(list_of(incident, "growth"))) + section("What happened", timeline(incident)) +
           section("Which routes", routes(incident)) + section("Which lines", lines(incident, true)) +
           section("What survived the trace, and agrees with no growth", lines(incident, false)) +
           section("Which types grew since the worker began", types(incident)) +
           section("Kept by", retainers(incident, files)) + section("What was open", open_things(incident)) +
           section("Allocations that survived the trace", flames(files)) +
           section("Evidence", evidence(incident, files)) + "<footer>Written by Plimsoll " + escaped(version) +
           ". This page fetches nothing and runs nothing.</footer>\n"
           "</body>\n</html>\n";
}

} // namespace plimsoll::admin
