// Whatever an agent or a probed worker sends: no crash, what is taken is within its bounds, and what is known of an answer
// does not change when more of it comes.
#include "fleet/agent_messages.hpp"
#include "fleet/base64.hpp"
#include "fleet/probe_answer.hpp"
#include "fuzz/input.hpp"

namespace {

namespace fleet = plimsoll::fleet;

void message(std::string_view text) {
    boost::json::object object;
    if (!fleet::read_object(text, object).empty()) return;
    fleet::Hello hello;
    std::string token;
    std::int64_t version = 0;
    if (fleet::read_hello(object, hello, token, version).empty())
        fuzz::require(hello.pid > 0 && hello.ppid >= 0, "a hello has a pid");
    fleet::Sample sample;
    if (fleet::read_sample(object, sample).empty())
        fuzz::require(!sample.rss || sample.rss->count >= 0, "memory is not negative");
    fleet::Exited exited;
    if (fleet::read_exited(object, exited, token).empty()) fuzz::require(exited.pid > 0, "who exited has a pid");
    fleet::FilePart part;
    if (fleet::read_file(object, part).empty())
        fuzz::require(fleet::is_file_name(part.name) && part.name.find('/') == std::string::npos, "a name is plain");
    fleet::Result result;
    fleet::read_result(std::move(object), result);
}

// Four letters for three bytes: decoded text has one length only.
void base64(std::string_view text) {
    const auto bytes = fleet::decode_base64(text);
    if (bytes) fuzz::require((bytes->size() + 2) / 3 * 4 == text.size(), "a text has one meaning");
}

void answer(std::string_view text) {
    const auto whole = fleet::read_probe_answer(text);
    for (std::size_t n = 0; n < text.size(); ++n) {
        const auto so_far = fleet::read_probe_answer(text.substr(0, n));
        if (so_far.kind == fleet::ProbeAnswer::Kind::incomplete) continue;
        fuzz::require(so_far.kind == whole.kind && so_far.status == whole.status, "what is known does not change");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::Input input(data, size);
    switch (input.choice % 3) {
    case 0: message(input.bytes); break;
    case 1: base64(input.bytes); break;
    default: answer(input.bytes); break;
    }
    return 0;
}
