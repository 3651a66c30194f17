// A request as a client sent it, parsed: what the writers of requests begin with.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "net/http/head.hpp"

namespace plimsoll::http {

struct Received {
    std::string bytes;
    RequestHead head;
    explicit Received(std::string text) : bytes(std::move(text)) {
        EXPECT_EQ(parse_request(bytes, 0, {}, head).state, Parsed::State::complete) << bytes;
    }
};

} // namespace plimsoll::http
