#include "cli/api.hpp"

#include <boost/json/parse.hpp>

#include "cli/table.hpp"
#include "config/parse.hpp"

namespace plimsoll::cli {
namespace {

boost::json::value parsed(const Context& context, const Answer& answer) {
    boost::json::error_code error;
    auto value = boost::json::parse(answer.body, error);
    if (error)
        throw Failure{.code = 3,
                      .text = context.client.address() +
                              " answered with something that is no JSON: is this Plimsoll's admin address?"};
    return value;
}

boost::json::value successful(const Context& context, const Answer& answer) {
    if (answer.status < 200 || answer.status > 299) throw refusal(context, answer);
    return parsed(context, answer);
}

std::string reason_of(Facts answer) {
    for (auto key : {"reason", "detail", "error", "message", "title"}) {
        if (auto text = answer[key].text(); !text.empty()) return text;
        if (auto text = answer[key]["message"].text(); !text.empty()) return text;
    }
    return {};
}

} // namespace

Answer ask(const Context& context, std::string_view method, const std::string& target) {
    std::string why_not;
    auto answer = context.client.ask(method, target, "", why_not);
    if (!answer) throw Failure{.code = 3, .text = why_not};
    return *std::move(answer);
}

boost::json::value get(const Context& context, const std::string& target) {
    return successful(context, ask(context, "GET", target));
}
boost::json::value post(const Context& context, const std::string& target) {
    return successful(context, ask(context, "POST", target));
}

Failure refusal(const Context& context, const Answer& answer) {
    boost::json::error_code error;
    auto value = boost::json::parse(answer.body, error);
    Failure failure{.code = 1};
    if (!error) failure.json = answer.body;
    if (auto problems = error ? "" : problems_of(value); !problems.empty())
        return {.code = 2, .text = problems, .is_problems = true, .json = answer.body};
    if (answer.status == 401 || answer.status == 403) {
        failure.text =
            context.client.address() +
            " wants a token, the one of its [admin] section: --token-file FILE, --token TOKEN or PLIMSOLL_ADMIN_TOKEN";
        return failure;
    }
    auto reason = error ? printable(std::string_view(answer.body).substr(0, 200)) : reason_of(Facts(&value));
    if (reason.empty())
        reason = context.client.address() + " answered " + std::to_string(answer.status) + " without a reason";
    failure.text = (answer.status == 409 || answer.status == 429 ? "refused: " : "") + reason;
    if (answer.retry_after) failure.text += " (try again in " + std::to_string(*answer.retry_after) + " s)";
    return failure;
}

std::string problems_of(const boost::json::value& answer) {
    std::string lines;
    for (auto problem : Facts(&answer)["problems"].list()) {
        config::Problem one;
        one.file = problem["file"].text();
        one.line = static_cast<unsigned>(problem["line"].number().value_or(0));
        one.column = static_cast<unsigned>(problem["column"].number().value_or(0));
        one.key = problem["key"].text();
        one.message = problem["message"].text();
        one.suggestion = problem["suggestion"].text();
        auto line = one.message.empty() ? problem.text() : config::to_string(one);
        lines += (lines.empty() ? "" : "\n") + line;
    }
    return lines;
}

} // namespace plimsoll::cli
