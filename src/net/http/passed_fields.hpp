// Passes fields on, in their order. Most heads were written as we would write them, and most of their fields go on as they came:
// such lines are copied together with their neighbours, in one piece instead of four for each.
#pragma once

#include "net/http/byte_writer.hpp"
#include "net/http/fields.hpp"

namespace plimsoll::http {

class PassedFields {
public:
    explicit PassedFields(ByteWriter& out) : out_(out) {}

    void add(const Field& field) {
        if (!field.plain) {
            write();
            out_.field(field.name, field.value);
            return;
        }
        const std::string_view line = field.line();
        if (!lines_.empty() && lines_.data() + lines_.size() == line.data()) {
            lines_ = {lines_.data(), lines_.size() + line.size()};
            return;
        }
        write();
        lines_ = line;
    }
    void write() { // what is left of them; before anything else is written there
        out_ << lines_;
        lines_ = {};
    }

private:
    ByteWriter& out_;
    std::string_view lines_; // not written yet
};

} // namespace plimsoll::http
