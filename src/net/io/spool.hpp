// Bytes on their way from a fast side to a slow one: memory first, then an unlinked temporary file.
//
//   append --> [ memory chunks ... ][ file ] --> send_to
//
// This is what keeps a slow client from holding a worker: an upload is complete before it takes a slot, and a response leaves
// the worker as fast as the worker gives it. Bounded by Limits for one body and by the loop's Budgets for all of them; what
// does not fit is not taken, and then the source is paused.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "net/io/stream.hpp"

namespace plimsoll::net::io {

class Spool {
public:
    struct Limits {
        std::size_t memory = 64 << 10;
        std::uint64_t file = 0; // 0: memory only
        // What one read gave is taken even where all bodies together have used the memory up: of a stream that is not read on
        // before it has gone. Its source asks Loop::read_size().
        bool overdraws = false;
    };
    explicit Spool(Loop& loop) : loop_(loop) {}
    Spool(const Spool&) = delete;
    Spool& operator=(const Spool&) = delete;
    ~Spool() {
        if (holds_anything()) clear();
    }

    void limit(Limits limits) { limits_ = limits; }
    void keep_for_replay() { replayable_ = true; } // rewind() will be possible
    void give_up_replay();                         // it will not be asked for: what was sent is given back

    // Ask before reading more from the source. What one read gave is always taken, so a limit is passed by at most that.
    bool takes_more() const;
    bool
    append(std::string_view bytes); // false: no memory left in all (never where it overdraws), or no space on the disk
    // Memory to read into without a copy, at most `wanted`; empty: use append(). Then say how much was used.
    std::span<char> room(std::size_t wanted);
    std::size_t left_in_chunk() const; // room that is taken already
    void commit(std::size_t used);

    bool empty() const { return unread_ == 0; }
    std::uint64_t unread() const { return unread_; }
    std::uint64_t size() const { return size_; } // all that ever was appended
    bool in_file() const { return file_ >= 0; }
    bool out_of_files() const; // all bodies together have used the disk up

    // Until it is empty (done) or the stream is blocked; `before` goes first and is advanced by what went of it.
    Io send_to(Stream& stream, std::string_view& before);
    Io send_to(Stream& stream) {
        std::string_view nothing;
        return send_to(stream, nothing);
    }
    void rewind(); // to the first byte, if that is still here
    bool replayable() const { return replayable_; }
    void clear();

private:
    struct Chunk {
        std::unique_ptr<char[]> bytes;
        std::uint32_t capacity, filled;
    };
    bool holds_anything() const { return !chunks_.empty() || file_ >= 0; }
    bool add_chunk(std::size_t wanted);
    bool append_to_file(std::string_view bytes);
    void sent(std::size_t bytes);
    Io send_memory(Stream& stream, std::string_view before);
    Io send_file(Stream& stream);
    void drop_chunks(std::size_t count);

    Loop& loop_;
    Limits limits_;
    std::vector<Chunk> chunks_;
    std::size_t held_ = 0;               // capacity of all chunks, taken from the budget
    std::size_t chunk_ = 0, offset_ = 0; // where reading goes on
    std::uint64_t size_ = 0, unread_ = 0;
    int file_ = -1;
    std::int64_t file_end_ = 0, file_at_ = 0;
    bool replayable_ = false;
};

// A file without a name, in the directory that use_directory() named last, else where the system keeps temporary files;
// -1: none could be made.
int open_temporary_file();
void use_directory(const char* path); // before the reactors start

} // namespace plimsoll::net::io
