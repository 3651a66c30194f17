// Chunked bodies: no cut changes what is read, and what is said to be plain reads the same with a plain reader.
#include <optional>
#include <string>

#include "fuzz/input.hpp"
#include "net/http/chars.hpp"
#include "net/http/chunk_scanner.hpp"

namespace {

namespace http = plimsoll::http;
using State = http::ChunkScanner::State;

struct Decoded {
    State state = State::reading;
    std::string data, trailers;
    std::size_t size = 0;
    friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(const std::vector<std::string_view>& pieces) {
    http::ChunkScanner scanner;
    Decoded decoded;
    for (std::string_view bytes : pieces) {
        while (scanner.state() == State::reading && !bytes.empty()) {
            const auto piece = scanner.next(bytes);
            fuzz::require(piece.framing + piece.data > 0, "each call takes something");
            fuzz::require(piece.framing + piece.data <= bytes.size(), "no call takes more than there is");
            decoded.data += bytes.substr(piece.framing, piece.data);
            decoded.size += piece.framing + piece.data;
            bytes.remove_prefix(piece.framing + piece.data);
        }
    }
    decoded.state = scanner.state();
    if (decoded.state == State::done) decoded.trailers = scanner.trailers();
    fuzz::require(scanner.data_bytes() == decoded.data.size(), "data is counted");
    return decoded;
}

// As simple as it can be: for bodies without extensions and trailers, that are complete.
std::optional<Decoded> decode_plainly(std::string_view bytes) {
    Decoded decoded{.state = State::done};
    for (;;) {
        std::size_t digits = 0, chunk = 0;
        while (digits < bytes.size() && http::is(http::hex_char, bytes[digits]))
            chunk = chunk * 16 + http::hex_value(bytes[digits++]);
        if (digits == 0 || bytes.substr(digits, 2) != "\r\n" || chunk > bytes.size()) return {};
        decoded.data += bytes.substr(digits + 2, chunk);
        if (bytes.substr(digits + 2 + chunk, 2) != "\r\n") return {};
        decoded.size += digits + 4 + chunk;
        if (chunk == 0) return decoded;
        bytes.remove_prefix(digits + 4 + chunk);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::Input input(data, size);
    const Decoded whole = decode({input.bytes});
    fuzz::require(whole == decode(fuzz::cut(input.bytes, input.choice)), "a cut changes nothing");

    http::ChunkScanner scanner;
    const auto verified = scanner.verify(input.bytes);
    fuzz::require(scanner.state() == whole.state && verified.size == whole.size && verified.data == whole.data.size(),
                  "verifying and decoding see the same");
    if (verified.plain && whole.state == State::done)
        fuzz::require(decode_plainly(input.bytes) == whole, "a plain body is plain");

    http::FieldTable fields;
    if (whole.state == State::done && !http::parse_trailers(whole.trailers, http::ChunkScanner::Of::request, fields))
        for (const http::Field& field : fields)
            fuzz::require(field.id != http::FieldName::content_length && field.id != http::FieldName::transfer_encoding,
                          "no trailer frames");
    return 0;
}
