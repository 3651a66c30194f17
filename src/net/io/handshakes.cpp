#include "net/io/handshakes.hpp"

#include <array>
#include <cstring>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace plimsoll::net::io {

namespace {

constexpr unsigned in_handshake = 1U << 3; // TCP_SYN_RECV, which no header for programs names

struct Question {
    nlmsghdr head{};
    inet_diag_req_v2 about{};
};

std::optional<Question> question_about(int listening) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
    Question question;
    question.head.nlmsg_len = sizeof question;
    question.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    question.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    question.about.sdiag_family = static_cast<__u8>(address.ss_family);
    question.about.sdiag_protocol = IPPROTO_TCP;
    question.about.idiag_states = in_handshake;
    question.about.id.idiag_sport = address.ss_family == AF_INET6
                                        ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                        : reinterpret_cast<const sockaddr_in&>(address).sin_port;
    return question;
}

// The kernel answers before send() returns: the first message of a dump tells whether there is anything in it.
std::optional<bool> ask(int netlink, const Question& question) {
    if (::send(netlink, &question, sizeof question, 0) < 0) return {};
    alignas(nlmsghdr) std::array<char, 8192> bytes;
    const auto got = ::recv(netlink, bytes.data(), bytes.size(), MSG_DONTWAIT);
    nlmsghdr answer{};
    if (got < static_cast<ssize_t>(sizeof answer)) return {};
    std::memcpy(&answer, bytes.data(), sizeof answer);
    if (answer.nlmsg_type == NLMSG_DONE) return false;
    if (answer.nlmsg_type == SOCK_DIAG_BY_FAMILY) return true;
    return {};
}

} // namespace

std::optional<bool> handshakes_under_way(int listening) {
    const auto question = question_about(listening);
    if (!question) return {};
    const int netlink = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0) return {};
    const auto answer = ask(netlink, *question);
    ::close(netlink);
    return answer;
}

} // namespace plimsoll::net::io
