// Answers that need no worker: refusals, fixed pages, redirects, maintenance.
#include <algorithm>

#include <sys/uio.h>

#include "net/http/page_head.hpp"
#include "net/http/rewrite.hpp"
#include "net/reactor.hpp"
#include "net/session.hpp"
#include "plimsoll/policy/affinity.hpp"

namespace plimsoll::net {

using io::Stream;
using io::until;

namespace {

const Page well = {200, "text/plain; charset=utf-8", "ready\n", {}};
const Page unwell = {503, "text/plain; charset=utf-8", "not ready\n", {}};
const Page leaving = {503, "text/plain; charset=utf-8", "stopping\n", {}};

constexpr http::Refusal in_maintenance = {503, "maintenance", "this service is closed for maintenance"};

// Of a whole answer, as it lies there.
std::size_t size_of_body(std::string_view answer) {
    constexpr std::string_view end_of_head = "\r\n\r\n";
    const auto end = answer.find(end_of_head);
    return end == answer.npos ? 0 : answer.size() - end - end_of_head.size();
}

unsigned in_seconds(Duration span) {
    return static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(span).count());
}

} // namespace

// `resolved` is the path that was routed by.
void Session::take_actions(Exchange& x, const http::RequestHead& head, std::string_view resolved) {
    const auto& actions = *x.route->actions;
    const bool whole_server = head.form == http::TargetForm::asterisk;
    if (actions.page) {
        if (!actions.page->location.empty()) {
            const auto path = http::rewritten_path(head.path, resolved, actions.strip_prefix, actions.replace_prefix);
            // A path that has not the prefix is only made safe.
            x.path = location_of(*actions.page, head,
                                 path.empty() ? http::rewritten_path(head.path, resolved, {}, {}) : path);
            if (x.path.empty()) {
                x.refusal = {400, "bad_host", "the request names no host, and this redirect needs one"};
                return;
            }
        }
        x.page = &*actions.page;
        return;
    }
    if (actions.rewrites && !whole_server)
        x.path = http::rewritten_path(head.path, resolved, actions.strip_prefix, actions.replace_prefix);
    if (!x.path.empty()) x.mount = actions.replace_prefix.empty() ? http::Mount::deeper : http::Mount::unsaid;
    if (!actions.affinity) return;
    auto key = actions.affinity->key(head.fields);
    if (key.empty() && actions.affinity->sets_cookie()) {
        key = x.identity.request_id(); // what a trusted peer calls it need not be new
        const bool https = http::forwarded_proto(head, about_client()) == "https";
        x.own_fields += actions.affinity->set_cookie(key, https);
    }
    if (!key.empty()) x.affinity = affinity_hash(key);
}

// No route and no limit has a say in it, and who asks again and again is not counted among the clients.
void Session::tell_health(Exchange& x) {
    x.route = nullptr;
    if (x.method != http::Method::get && x.method != http::Method::head) {
        x.own_fields += "Allow: GET, HEAD\r\n";
        x.refusal = {405, "method_not_allowed", "this path tells whether the proxy is ready: GET and HEAD ask it"};
        return;
    }
    x.of_health = true;
    switch (reactor_.readiness()) {
    case Readiness::ready:
        x.own_fields += "Cache-Control: no-store\r\n";
        x.page = &well;
        return;
    case Readiness::not_ready:
        x.refusal = {503, "not_ready", "a pool has no worker that serves"};
        x.page = &unwell;
        return;
    case Readiness::stopping:
        x.refusal = {503, "stopping", "the proxy stops soon"};
        x.page = &leaving;
        return;
    }
}

void Session::close_for(Exchange& x, const Closed& closed) {
    x.refusal = in_maintenance;
    x.retry_after = closed.retry_after;
    if (!closed.page.body.empty()) x.page = &closed.page;
}

// What all answers have that no worker gave.
http::Answer Session::own_answer(Exchange& x) {
    http::Answer answer;
    answer.keep_alive = x.keep_alive = x.keep_alive && x.upload.complete() && !reactor_.parting();
    answer.minor = x.minor;
    answer.date = reactor_.workspace.date_text();
    answer.request_id = x.request_id;
    answer.own_fields = x.own_fields;
    answer.server = snapshot_->server;
    return answer;
}

// Where nobody knows when to come again: not at once, and not together.
Duration Session::no_hint() { return from_seconds(1 + 2 * reactor_.draw()); }

// Who is refused for now is told when to come again (RFC 9110, 10.2.3; RFC 6585, 4).
Duration Session::pause_of(const Exchange& x) {
    const bool for_now = x.refusal.status == 503 || x.refusal.status == 429;
    if (x.retry_after > Duration::zero() || !for_now) return x.retry_after;
    return no_hint();
}

io::Task<> Session::answer_refusal(Exchange& x) {
    auto answer = own_answer(x);
    answer.refusal = x.refusal;
    answer.retry_after_seconds = in_seconds(pause_of(x));
    answer.head_only = x.method == http::Method::head;
    answer.json = x.parsed_at > 0 && http::wants_json(head_of(x));
    // What a browser may read of it (CORS) and do with it is the site's matter, whoever answers.
    if (x.route && x.route->actions) answer.edits = &x.route->actions->response;
    x.status = x.refusal.status;
    const auto size = http::write_refusal(answer, reactor_.workspace.out);
    x.answer_bytes = size_of_body({reactor_.workspace.out.data(), size});
    return send_own(x, size);
}

io::Task<> Session::answer_as_last_hop(Exchange& x) {
    const auto answer = own_answer(x);
    x.status = 200;
    const auto size = http::write_last_hop(head_of(x), answer, reactor_.workspace.out);
    x.answer_bytes = size_of_body({reactor_.workspace.out.data(), size});
    return send_own(x, size);
}

io::Task<> Session::answer_with_page(Exchange& x) {
    const Page& page = *x.page;
    http::PageHead head;
    head.status = page.status;
    head.content_type = page.content_type;
    head.length = page.body.size();
    if (!page.location.empty()) head.location = x.path;
    head.reason = x.refusal.reason;
    head.retry_after_seconds = in_seconds(x.retry_after);
    if (x.route && x.route->actions) head.edits = &x.route->actions->response;
    x.status = page.status;
    const auto size = http::write_page_head(own_answer(x), head, reactor_.workspace.out);
    const bool head_only = x.method == http::Method::head;
    x.answer_bytes = head_only ? 0 : page.body.size();
    return send_own(x, size, head_only ? std::string_view{} : std::string_view(page.body));
}

// The head lies in the workspace; the body outlives the request. A head of nothing did not fit (a field of the client's came back
// in it): only the end of the connection can say so.
io::Task<> Session::send_own(Exchange& x, std::size_t head_size, std::string_view body) {
    if (head_size == 0) {
        x.answer_bytes = 0;
        x.gone = true;
        co_return;
    }
    iovec parts[] = {{reactor_.workspace.out.data(), head_size}, {const_cast<char*>(body.data()), body.size()}};
    auto io = client_.write(parts);
    std::uint64_t unsent = parts[0].iov_len + parts[1].iov_len;
    if (io.kind == io::Io::blocked) {
        x.outbox.limit({snapshot_->body_memory, snapshot_->response_file});
        for (const auto& part : parts)
            if (part.iov_len > 0 && !x.outbox.append({static_cast<const char*>(part.iov_base), part.iov_len}))
                io.kind = io::Io::failed;
    }
    while (io.kind == io::Io::blocked) {
        client_.expect_within(listener().write_timeout);
        co_await until(wakeup_, client_, Stream::writable | Stream::late);
        const bool late = cut_short() || client_.is(Stream::late);
        client_.no_deadline();
        io = late ? io::Io{io::Io::failed, 0} : x.outbox.send_to(client_);
        unsent -= io.bytes;
    }
    if (io.kind == io::Io::done) co_return;
    x.gone = true;
    x.answer_bytes -= std::min(x.answer_bytes, unsent);
}

} // namespace plimsoll::net
