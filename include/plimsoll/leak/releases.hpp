// Which release brought a leak, and which one mended it: what each release of the application has shown.
//
//     leaked   requests at which a process of it was accused first, for each thing that leaks; taken back where all of its
//              accused processes were seen to grow no more while they lived
//     clean    the most requests that one of its processes served without growth
//
//   came with R     R leaked at n requests, and the release before it was clean beyond n
//   mended in R     an earlier one leaked at n requests, R is clean beyond 1.5 n
//
// Clean to fewer requests than the leak needed to be seen proves nothing, and is not told.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace plimsoll::leak {

struct ReleaseRecord {
    std::string name;
    double clean = 0, leaked = 0; // requests; leaked 0: it is not accused
    unsigned accused = 0;         // processes, and not acquitted
    friend bool operator==(const ReleaseRecord&, const ReleaseRecord&) = default;
};

class Releases { // of one pool and one thing that may leak
public:
    static constexpr std::size_t most = 8; // the oldest goes first

    // A process of the release served so many requests, and does not grow. Releases without a name are not told apart: ignored.
    void clean(const std::string& release, double requests);
    void leaked(const std::string& release, double requests);
    void acquitted(const std::string& release); // one that was said to leak

    // The release that brought the leak of `release`: walked back over those that leaked too.
    struct Origin {
        ReleaseRecord since, before; // before: the clean one
    };
    std::optional<Origin> origin(const std::string& release) const;
    // Clean for longer than the leak of the others needed: by this factor.
    static constexpr double enough = 1.5;
    bool mended(const std::string& release, double accused_age) const;

    const std::vector<ReleaseRecord>& all() const { return records_; } // in the order in which they were first seen
    void learn(ReleaseRecord record);

private:
    ReleaseRecord* of(const std::string& release);
    const ReleaseRecord* find(const std::string& release) const;
    std::vector<ReleaseRecord> records_;
};

// Whether a release is another than those before it. In a rollout two of them serve side by side, for hours perhaps: neither is
// news each time that it is met.
class SeenReleases {
public:
    bool is_another(const std::string& release); // the first one is none, nor is one without a name

private:
    std::vector<std::string> names_; // the last ones, Releases::most at most
};

} // namespace plimsoll::leak
