// An open loop: requests are due at random moments (Poisson) whatever became of those before, as from many users who don't
// know of each other. Each is timed from the moment at which it was due, so that a client that is late hides nothing; how
// late it was itself (its lag) is printed beside the figures, which are worth nothing where it is large.
//
//     load --port N --steps RATE:SECONDS,... [--skip SECONDS] [--mix 5,65,30] [--objective SECONDS] [--seed N]
//
// Prints a line of JSON a step: by priority who was offered, served within the objective, served late, refused (503 or 429)
// or lost; quantiles in milliseconds; and when the step was `inside`: the first tenth of a second, followed by another
// one, in which at most one request in twenty was refused, lost or late. Requests due in the first --skip seconds of a step
// are left out of the counts.
//
// Connections are kept where the server keeps them. At most `most_connections` are open: who finds none is counted as lost.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_connections = 15'000;
constexpr double patience = 5; // seconds that a client waits for its answer
constexpr std::size_t kinds = 3;
constexpr const char* names[kinds] = {"critical", "normal", "sheddable"};

enum class Fate { pending, served, refused, lost };

struct Request {
    std::size_t kind = 0;
    double due = 0, took = 0, lag = 0; // seconds since the beginning; lag: sent so much later than due
    Fate fate = Fate::pending;
};

struct Connection {
    int fd = -1;
    Request* request = nullptr; // null: at rest
    std::string unsent, head;
    std::size_t left = 0;
    bool in_body = false, used = false;
};

const auto began = Clock::now();
double now() { return std::chrono::duration<double>(Clock::now() - began).count(); }

class Load {
public:
    explicit Load(std::uint16_t port) : epoll_(::epoll_create1(0)) {
        address_.sin_family = AF_INET;
        address_.sin_port = htons(port);
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }

    void send(Request& request) {
        request.lag = now() - request.due;
        Connection* connection = nullptr;
        if (!resting_.empty()) {
            connection = resting_.back();
            resting_.pop_back();
        } else {
            connection = dial();
        }
        if (!connection) return finish(request, Fate::lost);
        ask(*connection, request);
    }

    // Answers until the moment `until`; at least those that are there.
    void turn(double until) {
        const double wait = std::clamp(until - now(), 0.0, 0.1);
        const timespec patient{0, static_cast<long>(wait * 1e9)};
        epoll_event batch[256];
        const int count = ::epoll_pwait2(epoll_, batch, 256, &patient, nullptr);
        for (int i = 0; i < count; ++i) pump(*static_cast<Connection*>(batch[i].data.ptr), batch[i].events);
        ended_.clear();
    }

    void give_up(double due_before) {
        std::vector<Connection*> late;
        for (auto& [key, each] : connections_)
            if (each->request && each->request->due < due_before) late.push_back(key);
        for (auto* each : late) end(*each);
        ended_.clear();
    }

private:
    Connection* dial() {
        if (connections_.size() >= most_connections) return nullptr;
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
        if (fd < 0) return nullptr;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (::connect(fd, reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0 && errno != EINPROGRESS) {
            ::close(fd);
            return nullptr;
        }
        auto connection = std::make_unique<Connection>();
        connection->fd = fd;
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP;
        event.data.ptr = connection.get();
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
        auto* key = connection.get();
        connections_.emplace(key, std::move(connection));
        return key;
    }

    void ask(Connection& connection, Request& request) {
        connection.request = &request;
        connection.unsent = std::string("GET /") + names[request.kind] + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
        write(connection);
    }

    static void write(Connection& connection) {
        const auto went = ::send(connection.fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
        if (went > 0) connection.unsent.erase(0, static_cast<std::size_t>(went));
    }

    static void finish(Request& request, Fate fate) {
        request.fate = fate;
        request.took = now() - request.due;
    }

    void end(Connection& connection) {
        Request* request = std::exchange(connection.request, nullptr);
        const bool stale = request && connection.used && connection.head.empty() && request->took == 0;
        std::erase(resting_, &connection);
        ::close(connection.fd);
        const auto found = connections_.find(&connection);
        ended_.push_back(std::move(found->second)); // the batch may name it once more
        ended_.back()->fd = -1;
        connections_.erase(found);
        if (!request) return;
        // A server may close a connection that rests in the very moment in which it is used again: once more, on a new one.
        Connection* fresh = stale && now() - request->due < patience ? dial() : nullptr;
        if (!fresh) return finish(*request, Fate::lost);
        ask(*fresh, *request);
    }

    void pump(Connection& connection, std::uint32_t events) {
        if (connection.fd < 0) return;
        if ((events & EPOLLOUT) && !connection.unsent.empty()) write(connection);
        if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return;
        char bytes[16'384];
        for (;;) {
            const auto got = ::recv(connection.fd, bytes, sizeof bytes, 0);
            if (got < 0 && errno == EAGAIN) return;
            if (got <= 0) return end(connection);
            if (!take(connection, {bytes, static_cast<std::size_t>(got)})) return end(connection);
        }
    }

    // False: the server won't have the connection used again.
    bool take(Connection& connection, std::string_view bytes) {
        if (!connection.request) return false; // unasked
        if (!connection.in_body) {
            const auto before = connection.head.size();
            connection.head.append(bytes);
            const auto blank = connection.head.find("\r\n\r\n");
            if (blank == std::string::npos) return connection.head.size() < 65'536;
            bytes.remove_prefix(blank + 4 - before);
            connection.head.resize(blank + 4);
            for (auto& each : connection.head)
                if (each >= 'A' && each <= 'Z') each = static_cast<char>(each - 'A' + 'a');
            const auto at = connection.head.find("content-length: ");
            connection.left =
                at == std::string::npos ? 0 : std::strtoul(connection.head.c_str() + at + 16, nullptr, 10);
            connection.in_body = true;
        }
        connection.left -= std::min(connection.left, bytes.size());
        if (connection.left > 0) return true;
        const bool last = connection.head.find("connection: close") != std::string::npos;
        const auto status = connection.head.substr(9, 3);
        finish(*std::exchange(connection.request, nullptr), status == "200"                      ? Fate::served
                                                            : status == "503" || status == "429" ? Fate::refused
                                                                                                 : Fate::lost);
        connection.head.clear();
        connection.in_body = false;
        connection.used = true;
        if (last) return false;
        resting_.push_back(&connection);
        return true;
    }

    int epoll_;
    sockaddr_in address_{};
    std::map<Connection*, std::unique_ptr<Connection>> connections_;
    std::vector<Connection*> resting_;
    std::vector<std::unique_ptr<Connection>> ended_;
};

struct Step {
    double rate, seconds;
};

std::vector<double> numbers(const std::string& text, char separator) {
    std::vector<double> all;
    std::istringstream in(text);
    for (std::string each; std::getline(in, each, separator);) all.push_back(std::stod(each));
    return all;
}

double quantile(std::vector<double> of, double share) {
    if (of.empty()) return 0;
    const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(of.size() - 1));
    std::nth_element(of.begin(), of.begin() + at, of.end());
    return of[static_cast<std::size_t>(at)] * 1e3;
}

bool good(const Request& request, double objective) {
    return request.fate == Fate::served && request.took <= objective;
}

double inside_after(const std::vector<Request>& requests, double from, double seconds, double objective) {
    constexpr double tenth = 0.1;
    std::vector<std::pair<int, int>> buckets(static_cast<std::size_t>(seconds / tenth) + 1); // all, bad
    for (const auto& each : requests) {
        if (each.due < from || each.due >= from + seconds) continue;
        auto& [all, bad] = buckets[static_cast<std::size_t>((each.due - from) / tenth)];
        ++all;
        bad += !good(each, objective);
    }
    const auto fine = [&](std::size_t at) { return buckets[at].second * 20 <= buckets[at].first; };
    for (std::size_t at = 0; at + 1 < buckets.size(); ++at)
        if (fine(at) && fine(at + 1)) return static_cast<double>(at) * tenth;
    return seconds;
}

void print(const std::vector<Request>& requests, const Step& step, double from, double skip, double objective) {
    std::vector<double> served, refused, lags;
    std::printf("{\"seconds\": %.3f, ", step.seconds - skip);
    for (std::size_t kind = 0; kind < kinds; ++kind) {
        int offered = 0, in_time = 0, late = 0, turned_away = 0, lost = 0;
        for (const auto& each : requests) {
            if (each.kind != kind || each.due < from + skip || each.due >= from + step.seconds) continue;
            ++offered;
            in_time += good(each, objective);
            late += each.fate == Fate::served && each.took > objective;
            turned_away += each.fate == Fate::refused;
            lost += each.fate == Fate::lost;
            lags.push_back(each.lag);
            if (each.fate == Fate::served) served.push_back(each.took);
            if (each.fate == Fate::refused) refused.push_back(each.took);
        }
        std::printf("\"%s\": {\"offered\": %d, \"served\": %d, \"late\": %d, \"refused\": %d, \"lost\": %d}, ",
                    names[kind], offered, in_time, late, turned_away, lost);
    }
    std::printf("\"p50\": %.2f, \"p99\": %.2f, \"refusal_p50\": %.2f, \"refusal_p99\": %.2f, \"lag_p99\": %.2f, "
                "\"inside\": %.1f}\n",
                quantile(served, 0.5), quantile(served, 0.99), quantile(refused, 0.5), quantile(refused, 0.99),
                quantile(lags, 0.99), inside_after(requests, from, step.seconds, objective));
}

} // namespace

int main(int argc, char** argv) {
    std::map<std::string, std::string> option{
        {"--skip", "0"}, {"--mix", "5,65,30"}, {"--objective", "0.5"}, {"--seed", "1"}};
    for (int i = 1; i + 1 < argc; i += 2) option[argv[i]] = argv[i + 1];
    if (!option.contains("--port") || !option.contains("--steps"))
        return std::fputs("--port and --steps are wanted\n", stderr), 2;
    const auto mix = numbers(option["--mix"], ',');
    if (mix.size() != kinds) return std::fputs("--mix: three shares, like 5,65,30\n", stderr), 2;
    std::vector<Step> steps;
    std::istringstream in(option["--steps"]);
    for (std::string each; std::getline(in, each, ',');) {
        const auto pair = numbers(each, ':');
        if (pair.size() != 2 || !(pair[0] > 0)) return std::fputs("--steps: RATE:SECONDS,...\n", stderr), 2;
        steps.push_back({pair[0], pair[1]});
    }

    // All that will be sent is drawn first, so that drawing costs nothing meanwhile and a seed gives the same load to all.
    std::mt19937_64 random(std::stoull(option["--seed"]));
    std::discrete_distribution<std::size_t> kind(mix.begin(), mix.end());
    std::vector<Request> requests;
    double at = 0.05, begin = at;
    for (const auto& step : steps) {
        std::exponential_distribution<> gap(step.rate);
        for (at = begin + gap(random); at < begin + step.seconds; at += gap(random))
            requests.push_back({kind(random), at});
        begin += step.seconds;
    }
    Load load(static_cast<std::uint16_t>(std::stoi(option["--port"])));
    const double shift = now();
    for (auto& each : requests) each.due += shift;
    double looked = now();
    for (std::size_t next = 0; next < requests.size();) {
        load.turn(requests[next].due);
        for (; next < requests.size() && requests[next].due <= now(); ++next) load.send(requests[next]);
        if (now() - looked > 0.2) load.give_up((looked = now()) - patience);
    }
    const auto pending = [&] {
        return std::any_of(requests.begin(), requests.end(),
                           [](const auto& each) { return each.fate == Fate::pending; });
    };
    for (const double last = now(); pending() && now() < last + patience;) load.turn(now() + 0.1);
    load.give_up(now() + 1);
    double from = shift + 0.05;
    for (const auto& step : steps) {
        print(requests, step, from, std::stod(option["--skip"]), std::stod(option["--objective"]));
        from += step.seconds;
    }
    return 0;
}
