#include "fleet/leak_life.hpp"

#include <algorithm>
#include <cmath>

namespace plimsoll::fleet {

namespace {

constexpr double long_run = 3600, short_run = 60; // seconds over which rates are averaged
// A block of pymalloc has at most so many bytes. The most is assumed: memory is called fragmented only where even then the
// live bytes do not grow.
constexpr double largest_block = 512;
constexpr std::chrono::minutes hardly_served{1}; // what is started together with us has no past
constexpr double least_descriptors = 64, least_threads = 16, least_children = 16; // growth that matters

leak::Thresholds thresholds_of(Watched what) {
    leak::Thresholds thresholds;
    if (what == Watched::descriptors) thresholds.least_growth = least_descriptors;
    if (what == Watched::threads) thresholds.least_growth = least_threads;
    if (what == Watched::children) thresholds.least_growth = least_children;
    return thresholds;
}

// No other process has it: its start, and its place among those that started with it.
std::uint64_t identity_of(const Worker& worker, const Generation& generation) {
    const auto started =
        std::chrono::duration_cast<std::chrono::microseconds>(generation.started_at.time_since_epoch());
    return static_cast<std::uint64_t>(started.count()) + worker.place;
}

} // namespace

std::string_view to_string(Watched what) {
    switch (what) {
    case Watched::memory: return "memory";
    case Watched::descriptors: return "descriptors";
    case Watched::threads: return "threads";
    case Watched::children: return "children";
    }
    return "memory";
}

LeakView view_of(const leak::Verdict& verdict) {
    LeakView view;
    view.kind = leak::to_string(verdict.kind);
    view.bytes_per_request = verdict.slope;
    view.low = verdict.low;
    view.high = verdict.high;
    view.confidence = verdict.confidence;
    view.slow = verdict.slow;
    if (verdict.forecast) {
        view.requests_to_limit = verdict.forecast->requests;
        view.requests_early = verdict.forecast->requests_early;
        view.seconds_to_limit = verdict.forecast->seconds;
        view.seconds_early = verdict.forecast->seconds_early;
    }
    return view;
}

bool accuses(const leak::Verdict& verdict) {
    return verdict.kind == leak::Class::leaking && verdict.confidence >= leak::Thresholds{}.sure;
}

LeakLife::LeakLife(const Worker& of, const Generation& from, WallTime watched_from)
    : detectors{leak::Detector(identity_of(of, from), thresholds_of(Watched::memory)),
                leak::Detector(identity_of(of, from), thresholds_of(Watched::descriptors)),
                leak::Detector(identity_of(of, from), thresholds_of(Watched::threads)),
                leak::Detector(identity_of(of, from), thresholds_of(Watched::children))},
      worker(of.id), key(from.key), generation(from.number), began(from.serving_since), watched_from_(watched_from) {}

void LeakLife::forget_memory() {
    const leak::AgeCurve curve = of(Watched::memory).curve();
    of(Watched::memory) = leak::Detector(curve.life, thresholds_of(Watched::memory));
    memory_from = requests;
}

bool LeakLife::suspected() const {
    return std::ranges::any_of(
        detectors, [](const leak::Detector& detector) { return detector.verdict().kind == leak::Class::leaking; });
}

void LeakLife::follow_rate(std::uint64_t requests_so_far, Instant now) {
    if (last_read != Instant{}) {
        const double dt = to_seconds(now - last_read);
        const double pace =
            dt > 0 ? static_cast<double>(requests_so_far - std::min(requests_so_far, requests)) / dt : 0;
        // At first the mean of what was seen, then one that forgets.
        const auto mix = [&](double& mean, double length) {
            const double share = 1 - std::exp(-dt / std::min(length, std::max(to_seconds(now - began), dt)));
            mean += (pace - mean) * share;
        };
        mix(rate, long_run);
        mix(rate_now, short_run);
    }
    last_read = now;
    requests = requests_so_far;
}

std::optional<double> LeakLife::read(const Generation& from, std::uint64_t requests_so_far, Instant now,
                                     Duration stale_after) {
    follow_rate(requests_so_far, now);
    release = from.release();
    // An agent that comes later knows better when it began.
    came_late = from.met_late || from.started_at + hardly_served < watched_from_;
    for (leak::Detector& each : detectors) each.set_release(release);
    if (requests == 0) return std::nullopt; // no address of its own, or nothing has come yet: growth has no measure
    const bool fresh = from.sample && from.sample->taken != sampled;
    const leak::Reading reading{
        .requests = static_cast<double>(requests), .seconds = to_seconds(now - began), .steered = steered};
    std::optional<double> memory;
    if (from.memory.taken == now || (fresh && from.pid <= 0)) memory = read_memory(from, fresh, reading, stale_after);
    read_counts(from, fresh, reading);
    if (fresh) sampled = from.sample->taken;
    return memory;
}

std::optional<double> LeakLife::read_memory(const Generation& from, bool fresh, leak::Reading reading,
                                            Duration stale_after) {
    const auto used = from.memory.used(last_read, stale_after);
    if (!used) return std::nullopt;
    reading.used = static_cast<double>(used->count);
    if (from.memory.rollup) reading.private_pages = static_cast<double>(from.memory.rollup->uss.count);
    if (fresh && from.sample->allocated_blocks)
        blocks = static_cast<double>(*from.sample->allocated_blocks) * largest_block;
    // Of a heap full of holes malloc's numbers come seldom, and not with the blocks': theirs of a moment ago will do.
    if (fresh && from.sample->malloc_in_use && blocks)
        reading.live = *blocks + static_cast<double>(from.sample->malloc_in_use->count);
    reading.requests -= static_cast<double>(memory_from);
    of(Watched::memory).observe(reading);
    return reading.used;
}

void LeakLife::read_counts(const Generation& from, bool fresh, leak::Reading reading) {
    const bool looked_anew = from.open.taken != looked;
    looked = from.open.taken;
    const auto count = [&](Watched what, std::optional<std::int64_t> told, std::optional<std::int64_t> seen) {
        const bool by_agent =
            from.agent_connected() && from.agent_of_server(); // its counts come more often; the two are never mixed
        const auto value = by_agent ? (fresh ? told : std::nullopt) : looked_anew ? seen : std::nullopt;
        if (!value) return;
        reading.used = static_cast<double>(*value);
        of(what).observe(reading);
    };
    const Sample none;
    const Sample& told = from.sample ? *from.sample : none;
    const sense::Opened& seen = from.open.opened;
    count(Watched::descriptors, told.fds, seen.descriptors);
    count(Watched::threads, told.threads, seen.threads);
    count(Watched::children, told.children, seen.children);
}

} // namespace plimsoll::fleet
