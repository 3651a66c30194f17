// What a connection makes of bytes that arrive in pieces, as text: the way a session would read them, without its
// sockets.
//
// The buffer moves at every arrival and is as long as its content, so that a view kept too long or a byte read too far
// is found by the address sanitizer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/chunk_scanner.hpp"
#include "net/http/head.hpp"

namespace transcript {

namespace http = plimsoll::http;

inline std::string to_string(const http::Framing& framing) {
    switch (framing.kind) {
    case http::Framing::Kind::none: return "none";
    case http::Framing::Kind::length: return "length " + std::to_string(framing.length);
    case http::Framing::Kind::chunked: return "chunked";
    case http::Framing::Kind::until_close: return "until_close";
    case http::Framing::Kind::tunnel: return "tunnel";
    }
    return "?";
}

class Reader {
public:
    explicit Reader(bool requests, http::Asked asked = {}) : requests_(requests), asked_(asked) {}

    void arrive(std::string_view piece) {
        std::vector<char> grown(buffer_.begin(), buffer_.end());
        grown.insert(grown.end(), piece.begin(), piece.end());
        grown.shrink_to_fit();
        buffer_ = std::move(grown);
        while (step()) {
        }
    }
    void end() {
        if (phase_ == Phase::until_close) finish();
        if (phase_ == Phase::head && buffer_.empty() && messages_ > 0) phase_ = Phase::closed;
    }

    std::string verdict() const { // in the words of the corpus
        if (phase_ == Phase::broken) return "refuse " + std::to_string(refusal_.status);
        return phase_ == Phase::closed ? "accept " + std::to_string(messages_) : "incomplete";
    }
    std::string all() const { // everything that was seen, to compare two runs
        return text_ + verdict() + " " + std::string(refusal_.reason) + " " + body_;
    }
    const std::map<std::string, std::string>& last() const { return last_; }

private:
    enum class Phase : std::uint8_t { head, length, chunks, until_close, closed, broken };

    bool step() {
        const std::string_view bytes(buffer_.data(), buffer_.size());
        switch (phase_) {
        case Phase::head: return !bytes.empty() && read_head(bytes);
        case Phase::length: {
            const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
            take_body(n, 0);
            left_ -= n;
            if (left_ == 0) finish();
            return left_ == 0;
        }
        case Phase::chunks: return !bytes.empty() && read_chunks(bytes);
        case Phase::until_close: take_body(bytes.size(), 0); return false;
        default: return false;
        }
    }

    bool read_head(std::string_view bytes) {
        const http::Parsed parsed = requests_ ? http::parse_request(bytes, seen_, {}, request_)
                                              : http::parse_response(bytes, seen_, {}, asked_, response_);
        seen_ = bytes.size();
        if (parsed.state == http::Parsed::State::need_more) return false;
        if (parsed.state == http::Parsed::State::error) return refuse(parsed.refusal);
        seen_ = 0;
        last_.clear();
        body_.clear();
        if (requests_)
            note_request();
        else
            note_response();
        for (const auto& [name, value] : last_) text_.append(name).append("=").append(value).append("\n");
        for (const http::Field& field : requests_ ? request_.fields : response_.fields)
            text_ += std::string(field.name) + ": " + std::string(field.value) + "\n";
        erase(parsed.size);
        if (!requests_ && response_.interim()) return true;

        using Kind = http::Framing::Kind;
        switch (framing_.kind) {
        case Kind::length: phase_ = Phase::length; break;
        case Kind::chunked: phase_ = Phase::chunks; break;
        case Kind::until_close: phase_ = Phase::until_close; break;
        default: finish();
        }
        left_ = framing_.length;
        scanner_ = http::ChunkScanner(of());
        return true;
    }

    bool read_chunks(std::string_view bytes) {
        const auto piece = scanner_.next(bytes);
        take_body(piece.data, piece.framing);
        if (scanner_.state() == http::ChunkScanner::State::broken) return refuse(scanner_.fault());
        if (scanner_.state() == http::ChunkScanner::State::reading) return true;
        http::FieldTable trailers;
        if (auto refusal = http::parse_trailers(scanner_.trailers(), of(), trailers)) return refuse(refusal);
        for (const http::Field& field : trailers) {
            last_["trailer"] = std::string(field.name) + ": " + std::string(field.value);
            text_ += "trailer " + last_["trailer"] + "\n";
        }
        finish();
        return true;
    }

    http::ChunkScanner::Of of() const {
        return requests_ ? http::ChunkScanner::Of::request : http::ChunkScanner::Of::response;
    }
    void note_request() {
        const auto& head = request_;
        framing_ = head.framing;
        keep_alive_ = head.keep_alive;
        last_ = {{"method", std::string(head.method_text)},
                 {"path", std::string(head.path)},
                 {"query", std::string(head.query)},
                 {"host", std::string(head.host)},
                 {"authority", std::string(head.authority)},
                 {"minor", std::to_string(head.minor)},
                 {"upgrade", head.upgrade ? std::string(head.upgrade_to) : ""},
                 {"expect", std::to_string(head.expect_continue)},
                 {"last_hop", std::to_string(head.last_hop)}};
        note_common(head.content_length);
    }
    void note_response() {
        const auto& head = response_;
        framing_ = head.framing;
        keep_alive_ = head.keep_alive;
        last_ = {{"status", std::to_string(head.status)},
                 {"reason", std::string(head.reason)},
                 {"event_stream", std::to_string(head.event_stream)},
                 {"unbuffered", std::to_string(head.unbuffered)},
                 {"route", std::string(head.route)}};
        note_common(head.content_length);
    }
    void note_common(const std::optional<std::uint64_t>& content_length) {
        last_["framing"] = to_string(framing_);
        last_["keep_alive"] = std::to_string(keep_alive_);
        if (content_length) last_["content_length"] = std::to_string(*content_length);
    }

    void take_body(std::size_t bytes, std::size_t behind) {
        body_.append(buffer_.data() + behind, bytes);
        erase(behind + bytes);
    }
    void finish() {
        ++messages_;
        last_["body"] = body_;
        text_ += "body=" + body_ + "\n";
        body_.clear();
        phase_ = keep_alive_ ? Phase::head : Phase::closed;
    }
    bool refuse(http::Refusal refusal) {
        if (!requests_) refusal.status = 502;
        refusal_ = refusal;
        phase_ = Phase::broken;
        return false;
    }
    void erase(std::size_t count) {
        buffer_ = std::vector<char>(buffer_.begin() + static_cast<std::ptrdiff_t>(count), buffer_.end());
    }

    bool requests_;
    http::Asked asked_;
    std::vector<char> buffer_;
    Phase phase_ = Phase::head;
    std::size_t seen_ = 0;
    std::uint64_t left_ = 0;
    unsigned messages_ = 0;
    bool keep_alive_ = true;
    http::Framing framing_;
    http::ChunkScanner scanner_;
    http::RequestHead request_;
    http::ResponseHead response_;
    http::Refusal refusal_;
    std::map<std::string, std::string> last_;
    std::string text_, body_;
};

inline Reader read(bool requests, http::Asked asked, const std::vector<std::string_view>& pieces) {
    Reader reader(requests, asked);
    for (std::string_view piece : pieces) reader.arrive(piece);
    reader.end();
    return reader;
}

} // namespace transcript
