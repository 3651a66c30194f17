#include "fleet/probe_answer.hpp"

#include <algorithm>

namespace plimsoll::fleet {
namespace {

constexpr std::string_view agent = "plimsoll-probe";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "HTTP/1.1 200 OK". What has come of it so far is compared, so that a peer that speaks something else is found out at
// its first byte and not after a timeout.
bool may_become_status_line(std::string_view line) {
    constexpr std::string_view shape = "HTTP/1.d ddd";
    for (std::size_t i = 0; i < std::min(line.size(), shape.size()); ++i)
        if (shape[i] == 'd' ? !is_digit(line[i]) : line[i] != shape[i]) return false;
    return line.size() <= shape.size() || line[shape.size()] == ' ' || line[shape.size()] == '\r' ||
           line[shape.size()] == '\n';
}

// Where the head ends, after its empty line; npos: it has not ended yet. A bare LF counts, as it does for most clients.
std::size_t end_of_head(std::string_view text) {
    for (auto at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
        const auto rest = text.substr(at + 1);
        if (rest.starts_with('\n')) return at + 2;
        if (rest.starts_with("\r\n")) return at + 3;
    }
    return std::string_view::npos;
}

void put_size(std::string& packet, std::size_t size) {
    packet.push_back(static_cast<char>(size & 0xff));
    packet.push_back(static_cast<char>(size >> 8 & 0xff));
}

void put_variable(std::string& packet, std::string_view key, std::string_view value) {
    put_size(packet, key.size());
    packet += key;
    put_size(packet, value.size());
    packet += value;
}

} // namespace

std::string http_probe(const Question& question) {
    std::string request = question.method + ' ' + question.path + " HTTP/1.1\r\nHost: " + question.host;
    request.append("\r\nUser-Agent: ").append(agent);
    return request + "\r\nAccept: */*\r\nConnection: close\r\n\r\n";
}

std::string uwsgi_probe(const Question& question) {
    const std::string_view path = question.path;
    const auto query = std::min(path.find('?'), path.size());
    std::string variables;
    put_variable(variables, "REQUEST_METHOD", question.method);
    put_variable(variables, "REQUEST_URI", path);
    put_variable(variables, "PATH_INFO", path.substr(0, query));
    put_variable(variables, "QUERY_STRING", path.substr(std::min(query + 1, path.size())));
    put_variable(variables, "SCRIPT_NAME", "");
    put_variable(variables, "SERVER_PROTOCOL", "HTTP/1.1");
    put_variable(variables, "SERVER_NAME", "localhost");
    put_variable(variables, "SERVER_PORT", "80");
    put_variable(variables, "REMOTE_ADDR", "127.0.0.1");
    put_variable(variables, "HTTP_HOST", question.host);
    put_variable(variables, "HTTP_USER_AGENT", agent);
    std::string packet(1, '\0'); // modifier1 0: WSGI
    put_size(packet, variables.size());
    packet.push_back('\0'); // modifier2
    return packet + variables;
}

ProbeAnswer read_probe_answer(std::string_view text) {
    for (;;) {
        if (!may_become_status_line(text)) return {.kind = ProbeAnswer::Kind::no_http};
        const auto end = end_of_head(text);
        if (end == std::string_view::npos) return {};
        const int status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
        if (status < 100 || status > 599) return {.kind = ProbeAnswer::Kind::no_http};
        if (status >= 200 || status == 101) return {.kind = ProbeAnswer::Kind::complete, .status = status};
        text.remove_prefix(end);
    }
}

} // namespace plimsoll::fleet
