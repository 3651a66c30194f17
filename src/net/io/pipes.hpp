// Pipes for splice(2), kept for the next large body: making one of a megabyte costs more than moving it.
#pragma once

#include <cstddef>
#include <vector>

namespace plimsoll::net::io {

class Pipes {
public:
    struct Ends {
        int out = -1, in = -1; // read from `out` what was written to `in`
        std::size_t capacity = 0;
    };
    // A pipe on loan. Given back only if it is empty: one with bytes left in it is closed.
    class Lease {
    public:
        Lease() = default;
        Lease(Pipes& home, Ends ends) : home_(&home), ends_(ends) {}
        Lease(Lease&& other) noexcept;
        Lease& operator=(Lease&& other) noexcept;
        ~Lease();
        explicit operator bool() const { return home_ != nullptr; }
        const Ends& ends() const { return ends_; }
        std::size_t filled = 0; // bytes that lie in it now

    private:
        Pipes* home_ = nullptr;
        Ends ends_;
    };

    Pipes() = default;
    Pipes(const Pipes&) = delete;
    Pipes& operator=(const Pipes&) = delete;
    ~Pipes();
    Lease lease(); // empty: no descriptors left; copy instead

private:
    static constexpr std::size_t spares = 16; // a reactor; more are closed
    static constexpr int wanted_capacity = 1 << 20;
    std::vector<Ends> idle_;
};

} // namespace plimsoll::net::io
