#include "net/http/forwarded.hpp"

#include <string>

#include <gtest/gtest.h>

#include "net/http/field_parser.hpp"

namespace plimsoll::http {
namespace {

TrustedProxies trusting(const std::vector<std::string>& list) {
    TrustedProxies trusted;
    std::string problem;
    EXPECT_TRUE(trusted.parse(list, problem)) << problem;
    return trusted;
}

TEST(TrustedProxies, matches_networks_to_the_bit) {
    struct Row {
        const char *network, *peer;
        bool trusted;
    };
    for (const Row& row : {
             Row{"10.0.0.0/8", "10.255.0.1", true},
             Row{"10.0.0.0/8", "11.0.0.1", false},
             Row{"10.0.0.0/12", "10.15.9.9", true},
             Row{"10.0.0.0/12", "10.16.0.0", false},
             Row{"10.1.2.3", "10.1.2.3", true},
             Row{"10.1.2.3", "10.1.2.4", false},
             Row{"0.0.0.0/0", "1.2.3.4", true},
             Row{"0.0.0.0/0", "::1", false},
             Row{"10.0.0.0/8", "::ffff:10.1.1.1", true},
             Row{"fd00::/8", "fdff::1", true},
             Row{"fd00::/8", "fe00::1", false},
             Row{"::1", "::1", true},
             Row{"::1", "[::1]:80", true},
             Row{"127.0.0.1", "127.0.0.1:5000", true},
             Row{"unix", "", true},
             Row{"10.0.0.0/8", "", false},
             Row{"unix", "127.0.0.1", false},
             Row{"0.0.0.0/0", "nonsense", false},
         })
        EXPECT_EQ(trusting({row.network}).trusts(row.peer), row.trusted) << row.network << " " << row.peer;
}

TEST(TrustedProxies, nobody_is_trusted_by_default) {
    EXPECT_FALSE(TrustedProxies().trusts("127.0.0.1"));
    EXPECT_FALSE(TrustedProxies().trusts(""));
}

TEST(TrustedProxies, a_bad_entry_is_named_with_its_remedy) {
    for (const char* bad : {"", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x",
                            "localhost", "10.0.0.1:80", "[::1]", "10.0.0.0/8/8"}) {
        TrustedProxies trusted = trusting({"192.0.2.1"});
        std::string problem;
        EXPECT_FALSE(trusted.parse({"10.0.0.1", bad}, problem)) << bad;
        EXPECT_NE(problem.find('"' + std::string(bad) + '"'), std::string::npos) << problem;
        EXPECT_NE(problem.find("write"), std::string::npos) << problem;
        EXPECT_TRUE(trusted.trusts("192.0.2.1")) << "what was parsed before must stay";
    }
}

TEST(TrustedProxies, the_client_is_the_first_from_the_right_whom_nobody_vouches_for) {
    struct Row {
        const char *fields, *peer, *client;
        std::uint16_t port = 0;
    };
    const TrustedProxies trusted = trusting({"10.0.0.0/8", "unix"});
    for (const Row& row : {
             Row{"X-Forwarded-For: 1.1.1.1\r\n", "2.2.2.2", "2.2.2.2", 4000}, // a stranger's word
             Row{"", "10.0.0.1", "10.0.0.1", 4000},
             Row{"X-Forwarded-For: 1.1.1.1\r\n", "10.0.0.1", "1.1.1.1"},
             Row{"X-Forwarded-For: 9.9.9.9, 1.1.1.1, 10.0.0.2\r\n", "10.0.0.1", "1.1.1.1"}, // 9.9.9.9 is a forgery
             Row{"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.1.1.1\r\n", "10.0.0.1", "1.1.1.1"},
             Row{"X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.1", "10.0.0.3"}, // all ours: the farthest
             Row{"X-Forwarded-For: unknown, 10.0.0.2\r\n", "10.0.0.1", "10.0.0.2"},
             Row{"X-Forwarded-For: 1.1.1.1, nonsense\r\n", "10.0.0.1", "10.0.0.1", 4000},
             Row{"X-Forwarded-For: 1.1.1.1:5000\r\n", "10.0.0.1", "1.1.1.1", 5000},
             Row{"X-Forwarded-For: 1.1.1.1:65536\r\n", "10.0.0.1", "1.1.1.1"},
             Row{"X-Forwarded-For: [2001:db8::1]:80\r\n", "10.0.0.1", "2001:db8::1", 80},
             Row{"X-Forwarded-For: [2001:db8::1]\r\n", "10.0.0.1", "2001:db8::1"},
             Row{"X-Forwarded-For: 2001:db8::1\r\n", "10.0.0.1", "2001:db8::1"},
             Row{"X-Forwarded-For: 1.1.1.1:5000, 10.0.0.2:6000\r\n", "10.0.0.1", "1.1.1.1", 5000},
             Row{"X-Forwarded-For: , 1.1.1.1 ,\r\n", "10.0.0.1", "1.1.1.1"},
             Row{"X-Forwarded-For: 1.1.1.1\r\n", "", "1.1.1.1"},
         }) {
        const std::string lines = std::string(row.fields) + "\r\n";
        FieldTable fields;
        ASSERT_FALSE(parse_fields(lines, 10, fields));
        const Client client = trusted.client({row.peer, 4000}, fields);
        EXPECT_EQ(client.address, row.client) << row.fields << row.peer;
        EXPECT_EQ(client.port, row.port) << row.fields << row.peer;
    }
}

} // namespace
} // namespace plimsoll::http
