// Closed-loop clients and the origin in one process, so that the proxy between them is what is saturated. One thread that
// spins on epoll: give it a core of its own.
//
//     load --proxy PORT --origin PORT|/path --shape s|m|l|ch|post|k|mixed --connections N --seconds S --pids 1,2,3
//          [--rate R]       open loop: R requests a second, each timed from the moment at which it was due
//          [--requests N]   ends after so many instead of after --seconds
//          [--hold true]    then keeps its connections open and idle until its standard input ends
//
// Waits until the proxy serves, warms up, measures, and prints one line of JSON: responses, errors, latencies where there is
// a rate, and the CPU time (user and system, from /proc/PID/task/*/schedstat) that the processes named by --pids used.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::duration;

std::string repeat(std::size_t size) { return std::string(size, 'x'); }

struct Shape {
    std::string name, request, response;
    std::size_t request_body = 0, response_body = 0;
    bool chunked = false, close = false;
};

Shape shape_of(const std::string& name) {
    const std::string fields =
        "Host: localhost\r\nUser-Agent: load/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
        "Cookie: session=0123456789abcdef0123456789abcdef\r\n";
    Shape shape;
    shape.name = name;
    const auto path = "/" + name + "/path/to/something"; // by which the origin knows what to answer
    shape.request = "GET " + path + "?with=query HTTP/1.1\r\n" + fields + "\r\n";
    shape.response_body = name == "m" || name == "ch" ? 10'240 : name == "l" ? 1 << 20 : 128;
    std::string head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: origin\r\nDate: Tue, 24 Nov 2026 22:00:00 GMT\r\n";
    if (name == "ch") {
        shape.chunked = true;
        shape.response = head + "Transfer-Encoding: chunked\r\n\r\n";
        for (int i = 0; i < 5; ++i) shape.response += "800\r\n" + repeat(2048) + "\r\n";
        shape.response += "0\r\n\r\n";
    } else {
        shape.response =
            head + "Content-Length: " + std::to_string(shape.response_body) + "\r\n\r\n" + repeat(shape.response_body);
    }
    if (name == "post") {
        shape.request_body = 65'536;
        shape.request = "POST " + path + " HTTP/1.1\r\n" + fields + "Content-Length: 65536\r\n\r\n" + repeat(65'536);
    }
    if (name == "k") {
        shape.close = true;
        shape.request = "GET " + path + " HTTP/1.1\r\n" + fields + "Connection: close\r\n\r\n";
    }
    return shape;
}

std::vector<Shape> shapes; // one, or all of them where they are mixed
const Shape& next_shape() {
    static std::uint64_t state = 1;
    state = state * 6364136223846793005 + 1442695040888963407;
    return shapes[(state >> 33) % shapes.size()];
}
const Shape& asked_for(std::string_view head) { // "GET /s/path ..."
    const auto begin = head.find('/') + 1;
    const auto name = head.substr(begin, head.find('/', begin) - begin);
    for (const auto& each : shapes)
        if (each.name == name) return each;
    return shapes.front();
}

int epoll_fd;
sockaddr_in proxy_address;
std::uint64_t responses = 0, errors = 0, not_200 = 0, most_requests = 0, sent = 0;
bool holding = false;
char buffer[256 << 10];

struct Connection {
    Connection(int descriptor, bool is_client) : fd(descriptor), client(is_client) {}
    int fd;
    bool client;
    const Shape* shape = nullptr; // what it asked for, or was asked for
    Clock::time_point due;
    std::string head;     // until its blank line
    std::size_t left = 0; // of the body
    bool in_body = false;
    std::string tail; // last bytes of a chunked body
    std::string unsent;
    bool ok = false;
};
std::vector<Connection*> ended;

// An open loop: requests are due at a fixed pace; those without a free connection wait, and their time counts.
double rate = 0;
Clock::time_point next_due;
std::vector<Connection*> resting;
std::vector<float> latencies; // microseconds

void watch(Connection* connection) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP;
    event.data.ptr = connection;
    ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
}

void put(Connection& connection, std::string_view bytes) {
    if (connection.unsent.empty()) {
        const auto went = ::send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (went > 0) bytes.remove_prefix(static_cast<std::size_t>(went));
    }
    connection.unsent.append(bytes);
}

void ask(Connection& connection) {
    if (most_requests && sent >= most_requests) return;
    ++sent;
    connection.shape = &next_shape();
    put(connection, connection.shape->request);
}

void dial() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&proxy_address), sizeof proxy_address) != 0 && errno != EINPROGRESS) {
        ++errors;
        ::close(fd);
        return;
    }
    auto* connection = new Connection(fd, true);
    connection->shape = &next_shape();
    ++sent;
    connection->unsent = connection->shape->request;
    watch(connection);
}

void end(Connection* connection) {
    if (connection->fd < 0) return;
    ::close(connection->fd);
    connection->fd = -1;
    ended.push_back(connection);
    if (connection->client) {
        if (!(connection->shape->close && connection->ok)) ++errors;
        if (!holding && !(most_requests && sent >= most_requests)) dial();
    }
}

void complete(Connection& connection) {
    connection.in_body = false;
    const bool last = connection.head.find("onnection: close") != std::string::npos;
    connection.head.clear();
    connection.tail.clear();
    if (!connection.client) {
        put(connection, connection.shape->response);
        if (last) ::shutdown(connection.fd, SHUT_WR);
        return;
    }
    ++responses;
    connection.ok = true;
    if (connection.shape->close || holding) return;
    if (rate == 0) return ask(connection);
    if (connection.due != Clock::time_point{})
        latencies.push_back(duration<float, std::micro>(Clock::now() - connection.due).count());
    resting.push_back(&connection);
}

// Sends what is due by now.
void pace() {
    const auto step = std::chrono::duration_cast<Clock::duration>(duration<double>(1 / rate));
    for (const auto now = Clock::now(); next_due <= now && !resting.empty(); next_due += step) {
        auto& connection = *resting.back();
        resting.pop_back();
        connection.due = next_due;
        ask(connection);
    }
}

void take(Connection& connection, std::string_view bytes) {
    while (!bytes.empty()) {
        if (!connection.in_body) {
            const auto before = connection.head.size();
            connection.head.append(bytes.substr(0, 8192));
            const auto blank = connection.head.find("\r\n\r\n");
            if (blank == std::string::npos) return;
            bytes.remove_prefix(blank + 4 - before);
            connection.in_body = true;
            if (!connection.client) connection.shape = &asked_for(connection.head);
            connection.left = connection.client ? connection.shape->response_body : connection.shape->request_body;
            if (connection.client && !connection.head.starts_with("HTTP/1.1 200")) {
                ++not_200;
                const auto at = connection.head.find("ength: ");
                connection.left =
                    at == std::string::npos ? 0 : std::strtoul(connection.head.c_str() + at + 7, nullptr, 10);
            } else if (connection.client && connection.shape->chunked) {
                connection.left = SIZE_MAX;
            }
        }
        if (connection.left == SIZE_MAX) {
            connection.tail.append(bytes.substr(bytes.size() > 5 ? bytes.size() - 5 : 0));
            if (connection.tail.size() > 5) connection.tail.erase(0, connection.tail.size() - 5);
            bytes = {};
            if (connection.tail == "0\r\n\r\n") complete(connection);
            return;
        }
        const auto step = std::min(connection.left, bytes.size());
        connection.left -= step;
        bytes.remove_prefix(step);
        if (connection.left == 0) complete(connection);
    }
}

void pump(Connection* connection, std::uint32_t events) {
    if (connection->fd < 0) return;
    if ((events & EPOLLOUT) && !connection->unsent.empty()) {
        auto bytes = std::exchange(connection->unsent, {});
        put(*connection, bytes);
    }
    while (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        const auto got = ::recv(connection->fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return end(connection);
        take(*connection, {buffer, static_cast<std::size_t>(got)});
        if (got < static_cast<ssize_t>(sizeof buffer) && !(events & EPOLLRDHUP)) return;
    }
}

int listen_as_origin(const std::string& where) {
    const int on = 1;
    int fd, result;
    if (where[0] == '/') {
        ::unlink(where.c_str());
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        where.copy(address.sun_path, sizeof address.sun_path - 1);
        fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        result = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    } else {
        sockaddr_in address = proxy_address;
        address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(where)));
        fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        result = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    if (result != 0 || ::listen(fd, 1024) != 0) {
        std::perror("origin");
        std::exit(1);
    }
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return fd;
}

void turn(int origin) {
    static epoll_event batch[256];
    if (rate > 0) pace();
    const int count = ::epoll_wait(epoll_fd, batch, 256, 0);
    for (int i = 0; i < count; ++i) {
        if (batch[i].data.ptr) {
            pump(static_cast<Connection*>(batch[i].data.ptr), batch[i].events);
            continue;
        }
        int fd;
        while ((fd = ::accept4(origin, nullptr, nullptr, SOCK_NONBLOCK)) >= 0) watch(new Connection(fd, false));
    }
    for (auto* each : ended) delete each;
    ended.clear();
}

double cpu_seconds(const std::string& pids) {
    double sum = 0;
    for (std::size_t at = 0; at < pids.size();) {
        const auto comma = std::min(pids.find(',', at), pids.size());
        const auto tasks = "/proc/" + pids.substr(at, comma - at) + "/task";
        at = comma + 1;
        DIR* directory = ::opendir(tasks.c_str());
        if (!directory) continue;
        while (const auto* entry = ::readdir(directory)) {
            if (entry->d_name[0] == '.') continue; // ".." would count the main thread twice
            const auto path = tasks + "/" + entry->d_name + "/schedstat";
            unsigned long long nanoseconds = 0;
            if (FILE* file = std::fopen(path.c_str(), "r")) {
                if (std::fscanf(file, "%llu", &nanoseconds) == 1) sum += static_cast<double>(nanoseconds) / 1e9;
                std::fclose(file);
            }
        }
        ::closedir(directory);
    }
    return sum;
}

} // namespace

int main(int argc, char** argv) {
    std::map<std::string, std::string> option{{"--connections", "64"}, {"--seconds", "0.5"}, {"--shape", "s"},
                                              {"--pids", ""},          {"--rate", "0"},      {"--requests", "0"},
                                              {"--hold", "false"}};
    for (int i = 1; i + 1 < argc; i += 2) option[argv[i]] = argv[i + 1];
    proxy_address.sin_family = AF_INET;
    proxy_address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(option.at("--proxy"))));
    proxy_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (const auto* name : {"s", "m", "ch", "l", "post", "k"})
        if (option["--shape"] == name || option["--shape"] == "mixed") shapes.push_back(shape_of(name));
    if (shapes.empty()) return std::fputs("--shape: s, m, ch, l, post, k or mixed\n", stderr), 1;
    epoll_fd = ::epoll_create1(0);
    const int origin = listen_as_origin(option.at("--origin"));

    // One client until it is served (the proxy may have to find its worker first), then all of them.
    const auto given_up = Clock::now() + std::chrono::seconds{20};
    for (auto again = Clock::now(); responses == not_200;) {
        if (Clock::now() > given_up) return std::fputs("the proxy does not serve\n", stderr), 1;
        if (Clock::now() >= again) {
            if (responses + errors == 0 || shapes.front().close) dial();
            again = Clock::now() + std::chrono::milliseconds{50};
        }
        turn(origin);
    }
    const int connections = std::stoi(option["--connections"]);
    constexpr int dialled_at_once = 64; // the backlog has a bound
    holding = option["--hold"] == "true";
    responses = 0;
    for (int i = 1; i < connections; ++i) {
        dial();
        if (i % dialled_at_once == 0) turn(origin);
    }
    const auto run = [&](double seconds) {
        const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(duration<double>(seconds));
        while (Clock::now() < until && !(most_requests && responses >= most_requests)) turn(origin);
    };
    if (!holding) run(0.2);
    if (holding) {
        const auto patience = Clock::now() + std::chrono::seconds{20};
        while (responses + 1 < static_cast<std::uint64_t>(connections) && Clock::now() < patience) turn(origin);
        run(0.5);
        std::printf("{\"connections\": %d, \"errors\": %llu}\n", connections, static_cast<unsigned long long>(errors));
        std::fflush(stdout);
        while (::read(0, buffer, sizeof buffer) > 0) {
        }
        ::_exit(0);
    }
    if ((rate = std::stod(option["--rate"])) > 0) {
        run(0.2); // the closed loop comes to rest
        next_due = Clock::now();
        run(0.3);
        latencies.clear();
    }
    most_requests = std::stoull(option["--requests"]);
    responses = errors = not_200 = sent = 0;
    const auto before = cpu_seconds(option["--pids"]);
    const auto began = Clock::now();
    run(std::stod(option["--seconds"]));
    const double took = duration<double>(Clock::now() - began).count();
    const double used = cpu_seconds(option["--pids"]) - before;
    std::sort(latencies.begin(), latencies.end());
    const auto quantile = [](double q) {
        return latencies.empty()
                   ? 0.0
                   : static_cast<double>(
                         latencies[static_cast<std::size_t>(q * static_cast<double>(latencies.size() - 1))]);
    };
    std::printf("{\"responses\": %llu, \"errors\": %llu, \"not_200\": %llu, \"seconds\": %.4f, \"cpu_us\": %.3f, "
                "\"busy\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
                static_cast<unsigned long long>(responses), static_cast<unsigned long long>(errors),
                static_cast<unsigned long long>(not_200), took,
                responses ? used * 1e6 / static_cast<double>(responses) : 0.0, used / took, quantile(0.5),
                quantile(0.99));
    std::fflush(stdout);
    ::_exit(0);
}
