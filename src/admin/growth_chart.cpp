#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "admin/charts.hpp"
#include "admin/markup.hpp"

namespace plimsoll::admin {

namespace json = boost::json;

namespace {

constexpr double chart_width = 860, height = 300, left = 84, right = 16, top = 16, bottom = 42; // pixels
constexpr std::size_t most_lives = 6, most_marks = 200; // six colours can be told apart
constexpr int steps = 4;

struct Mark {
    double x = 0, y = 0;
};
struct Life {
    std::string name;
    std::vector<Mark> marks;
};
struct Picture {
    std::vector<Life> lives;
    double limit = 0, most_x = 1, most_y = 1;
    bool memory = true;

    double x(double value) const { return left + (chart_width - left - right) * value / most_x; }
    double y(double value) const { return height - bottom - (height - top - bottom) * value / most_y; }
};

double finite(const json::value& value) {
    boost::system::error_code bad;
    const double number = value.is_number() ? value.to_number<double>(bad) : -1;
    return bad || !std::isfinite(number) ? -1 : number;
}

Picture picture_of(const json::array& lives) {
    Picture picture;
    const std::size_t first = lives.size() > most_lives ? lives.size() - most_lives : 0;
    for (std::size_t i = first; i < lives.size(); ++i) {
        const json::object& told = object_of(lives[i]);
        Life life{text_of(told, "worker") + ", generation " + count_text(number_of(told, "generation", 1)), {}};
        for (const json::value& mark : list_of(told, "marks")) {
            if (!mark.is_array() || mark.get_array().size() != 2 || life.marks.size() == most_marks) continue;
            const Mark at{finite(mark.get_array()[0]), finite(mark.get_array()[1])};
            if (at.x < 0 || at.y < 0) continue;
            picture.most_x = std::max(picture.most_x, at.x);
            picture.most_y = std::max(picture.most_y, at.y);
            life.marks.push_back(at);
        }
        picture.limit = std::max(picture.limit, number_of(told, "limit"));
        picture.memory = text_of(told, "what") != "descriptors" && text_of(told, "what") != "threads" &&
                         text_of(told, "what") != "children";
        if (life.marks.size() >= 2) picture.lives.push_back(std::move(life));
    }
    picture.most_y = std::max(picture.most_y, picture.limit) * 1.05;
    return picture;
}

std::string label(double x, double y, const char* anchor, const std::string& text) {
    return "<text x=\"" + px(x) + "\" y=\"" + px(y) + "\" text-anchor=\"" + anchor + "\">" + escaped(text) +
           "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* kind) {
    return "<line class=\"" + std::string(kind) + "\" x1=\"" + px(x1) + "\" y1=\"" + px(y1) + "\" x2=\"" + px(x2) +
           "\" y2=\"" + px(y2) + "\"/>\n";
}

std::string axes(const Picture& picture) {
    std::string svg;
    for (int step = 0; step <= steps; ++step) {
        const double y = picture.most_y * step / steps, x = picture.most_x * step / steps;
        svg += line(left, picture.y(y), chart_width - right, picture.y(y), "grid");
        svg += label(left - 8, picture.y(y) + 4, "end", picture.memory ? bytes_text(y) : count_text(std::round(y)));
        svg += label(picture.x(x), height - bottom + 18,
                     step == 0       ? "start"
                     : step == steps ? "end"
                                     : "middle",
                     count_text(std::round(x)));
    }
    return svg + label(left + (chart_width - left - right) / 2, height - 6, "middle", "requests served by the process");
}

} // namespace

std::string growth_chart(const json::array& lives) {
    const Picture picture = picture_of(lives);
    if (picture.lives.empty()) return {};
    std::string svg = "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 " + px(chart_width) + " " + px(height) +
                      "\" aria-label=\"Low-water marks by requests served\">\n" + axes(picture);
    if (picture.limit > 0) {
        svg += line(left, picture.y(picture.limit), chart_width - right, picture.y(picture.limit), "limit");
        svg += label(chart_width - right, picture.y(picture.limit) - 5, "end", "limit " + bytes_text(picture.limit));
    }
    for (std::size_t i = 0; i < picture.lives.size(); ++i) {
        svg += "<polyline class=\"life life" + std::to_string(i) + "\" points=\"";
        for (const Mark& mark : picture.lives[i].marks)
            svg += px(picture.x(mark.x)) + "," + px(picture.y(mark.y)) + " ";
        svg += "\"><title>" + escaped(picture.lives[i].name) + "</title></polyline>\n";
    }
    svg += "</svg>\n<ul class=\"legend\">";
    for (std::size_t i = 0; i < picture.lives.size(); ++i)
        svg += "<li><span class=\"swatch life" + std::to_string(i) + "\"></span>" + escaped(picture.lives[i].name) +
               "</li>";
    return svg + "</ul>\n";
}

} // namespace plimsoll::admin
