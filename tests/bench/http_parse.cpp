// Nanoseconds to parse a head and to write it anew, on one core. Not part of `all`:
//     ninja -C build/release bench_http_parse && build/release/bench_http_parse
// The lowest of many rounds is printed: other work on the machine only ever adds.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string_view>

#include "net/http/chunk_scanner.hpp"
#include "net/http/head_writer.hpp"
#include "net/http/uwsgi_packet.hpp"

namespace {

namespace http = plimsoll::http;
using Clock = std::chrono::steady_clock;

template <class Work>
void measure(const char* name, std::size_t bytes, Work work) {
    constexpr int rounds = 200, calls = 2000;
    double best = std::numeric_limits<double>::max();
    std::size_t sum = 0;
    for (int round = 0; round < rounds; ++round) {
        const auto start = Clock::now();
        for (int i = 0; i < calls; ++i) sum += work();
        const std::chrono::duration<double, std::nano> time = Clock::now() - start;
        best = std::min(best, time.count() / calls);
    }
    if (sum == 0) std::puts("nothing was done");
    std::printf("%-44s %5zu B %8.1f ns\n", name, bytes, best);
}

constexpr std::string_view request = "GET /api/v1/items?page=2&size=50 HTTP/1.1\r\n"
                                     "Host: shop.example.com\r\n"
                                     "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
                                     "Accept: application/json\r\n"
                                     "Accept-Encoding: gzip, deflate\r\n"
                                     "Cookie: session=0123456789abcdef\r\n"
                                     "Connection: keep-alive\r\n\r\n";
constexpr std::string_view response = "HTTP/1.1 200 OK\r\n"
                                      "Content-Type: application/json\r\n"
                                      "Content-Length: 128\r\n"
                                      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

} // namespace

int main() {
    static http::RequestHead head;
    static http::ResponseHead answer;
    std::array<char, 4096> out;
    const http::Identity identity({0x0123456789abcdef, 0xfedcba9876543210, 7});
    const http::Forwarding about{
        .peer = "203.0.113.7", .request_id = identity.request_id(), .traceparent = identity.traceparent()};
    const http::UwsgiRequest uwsgi{.client = "203.0.113.7"};
    const http::ToClient to_client{.framing = {http::Framing::Kind::length, 128},
                                   .date = "Sun, 06 Nov 1994 08:49:37 GMT"};

    const auto parse = [&] { return http::parse_request(request, 0, {}, head).size; };
    const auto parse_answer = [&] { return http::parse_response(response, 0, {}, {}, answer).size; };
    measure("parse a request head", request.size(), parse);
    measure("write it for an HTTP worker", request.size(),
            [&] { return http::write_request_head(head, about, {}, out); });
    measure("both", request.size(), [&] { return parse() + http::write_request_head(head, about, {}, out); });
    measure("write it as a uwsgi packet", request.size(),
            [&] { return http::write_uwsgi_packet(head, about, uwsgi, out); });
    measure("parse a response head", response.size(), parse_answer);
    measure("both ways for the client", response.size(),
            [&] { return parse_answer() + http::write_response_head(answer, to_client, out); });

    static std::array<char, 10 << 10> chunked;
    chunked.fill('x');
    const std::size_t size_line = http::write_chunk_size(10'000, chunked.data());
    const std::size_t end = size_line + 10'000;
    std::copy_n("\r\n0\r\n\r\n", 7, chunked.data() + end);
    const std::string_view body(chunked.data(), end + 7);
    measure("verify a chunked body", body.size(), [&] {
        http::ChunkScanner scanner;
        return scanner.verify(body).size;
    });
}
