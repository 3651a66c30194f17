#include "sim/leak_sim.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "plimsoll/leak/recycle_time.hpp"
#include "sim/quantile.hpp"

namespace plimsoll::sim {

namespace {

constexpr double day = 24 * 3600, pi = 3.14159265358979;
constexpr double z = 1.96;
constexpr double longest_step = 60, longest_before_onset = 10; // seconds
constexpr double recycle_lead = 100; // seconds: the defaults of ready_timeout, drain_timeout and capture_timeout

using Random = std::mt19937_64;

double uniform(Random& random, double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
}
double log_uniform(Random& random, double low, double high) {
    return std::exp(uniform(random, std::log(low), std::log(high)));
}

// What a family keeps, step by step: `dn` requests in `dt` seconds.
class Habit {
public:
    Habit(const App& app, Family family, Random& random) : app_(app), family_(family), random_(random) {
        start_of_day_ = uniform(random, 0, 1);
        next_flush_ = app.pace * uniform(random, 0.1, 1.0);
    }
    double load(double t) const {
        if (family_ != Family::diurnal) return 1;
        return 1 + app_.day * std::sin(2 * pi * (t / day + start_of_day_));
    }
    double private_pages() const { return private_; }
    bool in_live() const { return family_ != Family::fragmentation; }

    double step(double t, double n, double dn, double dt) {
        switch (family_) {
        case Family::steady:
        case Family::leak: return 0;
        case Family::warm_up: return app_.size * (1 - std::exp(-n / app_.pace));
        case Family::lru:
        case Family::slow_lru: {
            const double entries = app_.size / app_.pace; // of `pace` bytes each
            if (app_.shape < 0.5) {                       // popular keys: distinct ones grow like n^0.6..0.85
                kept_ = std::pow(n, 0.6 + app_.shape / 2);
            } else { // uniform keys of so many times what fits
                kept_ += dn * std::max(0.0, 1 - kept_ / (entries * (1 + 20 * (app_.shape - 0.5))));
            }
            return std::min(kept_, entries) * app_.pace;
        }
        case Family::sessions: // `shape` bytes a request, gone after `pace` seconds
            kept_ += dn * app_.shape - kept_ * (1 - std::exp(-dt / app_.pace));
            return kept_;
        case Family::sawtooth:
            if (n >= next_flush_) {
                last_flush_ = n;
                next_flush_ = n + app_.pace * uniform(random_, 0.8, 1.2);
            }
            return app_.size * (n - last_flush_) / app_.pace;
        case Family::fragmentation: return app_.size * std::log1p(n / app_.pace) / std::log1p(app_.shape);
        case Family::unsharing: private_ = app_.size * (1 - std::exp(-n / app_.pace)); return 0;
        case Family::diurnal: // ten minutes behind the load
            kept_ += (app_.size * load(t) - kept_) * (1 - std::exp(-dt / 600));
            return kept_;
        }
        return 0;
    }

private:
    const App& app_;
    Family family_;
    Random& random_;
    double kept_ = 0, private_ = 0, start_of_day_ = 0, last_flush_ = 0, next_flush_ = 0;
};

bool fits(Family family, leak::Class kind) {
    using leak::Class;
    switch (family) {
    case Family::leak: return kind == Class::leaking;
    case Family::fragmentation:
        return kind == Class::fragmentation || kind == Class::steady || kind == Class::cache || kind == Class::warming;
    case Family::unsharing: return kind == Class::unsharing || kind == Class::steady;
    default: return kind == Class::steady || kind == Class::warming || kind == Class::cache;
    }
}

// With traffic that has neither quiet moments nor troughs.
bool is_time_to_recycle(const leak::Verdict& verdict, double lived, double lead) {
    if (verdict.kind != leak::Class::leaking || verdict.confidence < leak::Thresholds{}.sure) return false;
    if (!verdict.forecast || !verdict.forecast->seconds_early) return false;
    const leak::RecycleOutlook outlook{.lived = lived, .early = *verdict.forecast->seconds_early, .lead = lead};
    return leak::recycle_time(outlook) != leak::RecycleTime::later;
}

} // namespace

std::string_view to_string(Family family) {
    static constexpr std::array names{"steady",        "warm-up",   "lru",     "sessions",   "sawtooth",
                                      "fragmentation", "unsharing", "diurnal", "slow lru *", "leak"};
    return names.at(static_cast<std::size_t>(family));
}

App draw_app(Family family, std::uint64_t seed) {
    Random random(seed * 0x9E3779B97F4A7C15ULL + static_cast<std::uint64_t>(family));
    App app;
    app.family = family;
    app.background = family == Family::leak ? innocents.at(random() % innocents.size()) : family;
    app.rate = log_uniform(random, 2, 100);
    app.headroom = log_uniform(random, 64 * mib, 1024 * mib);
    app.base = uniform(random, 40, 300) * mib;
    app.length = uniform(random, 2 * 3600, day);
    app.busy = uniform(random, 0.2, 0.95);
    app.transient = log_uniform(random, 0.05 * mib, 6 * mib);
    app.per_flight = random() % 3 == 0 ? uniform(random, 0, 0.3) * mib : 0;
    app.arena = random() % 2 == 0 ? mib : mib / 4;
    app.agent = random() % 2 == 0;
    // Who serves within its limit: what requests hold at once stays a small part of the headroom.
    app.transient = std::min(app.transient, 0.01 * app.headroom);
    app.per_flight = std::min(app.per_flight, 0.002 * app.headroom);
    const double share = uniform(random, 0.03, 0.35);
    app.size = share * app.headroom;
    app.shape = uniform(random, 0, 1);
    switch (app.background) {
    case Family::warm_up: app.pace = log_uniform(random, 50, 3000); break;
    case Family::lru: // bytes an entry; full before the end of a life
        app.pace = log_uniform(random, 512, 65536);
        app.pace = std::max(app.pace, app.size / (0.2 * app.rate * app.length));
        break;
    case Family::slow_lru: // one entry a request, and room for more than a life brings
        app.pace = app.size / (uniform(random, 1, 4) * app.rate * app.length);
        app.shape = 1;
        break;
    case Family::sessions:
        app.pace = uniform(random, 300, 7200);
        app.shape = app.size / (app.pace * app.rate); // so that they come to `size`
        break;
    case Family::sawtooth: app.pace = std::min(log_uniform(random, 20, 20'000), app.rate * app.length / 5); break;
    case Family::fragmentation:
        app.pace = log_uniform(random, 50, 5000);
        app.shape = app.rate * app.length / app.pace;
        break;
    case Family::unsharing: app.pace = log_uniform(random, 50, 20'000); break;
    case Family::diurnal:
        app.day = uniform(random, 0.3, 0.9);
        app.size /= 2;
        break;
    default: break;
    }
    return app;
}

Life live(const App& app, std::uint64_t seed, leak::History& history, const std::string& release) {
    Random random(seed);
    Habit habit(app, app.background, random);
    std::normal_distribution<double> normal;
    leak::Detector detector(seed);
    detector.set_release(release);
    const double limit = app.base + app.headroom;
    const double small_warm_up = 0.02 * app.headroom, small_pace = 200;

    Life life;
    double n = 0, leaked = 0, high_water = 0, last_rate = app.rate;
    double dt = 0.5;
    for (double t = 0; t < app.length; t += dt) {
        // The sampler is finer than this: that only helps.
        dt = t < app.onset ? std::clamp(t / 400, 0.5, longest_before_onset)
                           : std::clamp((t - app.onset) / 400, 0.5, longest_step);
        if (app.lead > 0) dt = std::min(dt, app.lead / 20);
        const double load = habit.load(t), mean = app.rate * load * dt;
        const double dn = mean > 50 ? std::max(0.0, std::round(mean + std::sqrt(mean) * normal(random)))
                                    : static_cast<double>(std::poisson_distribution<int>(mean)(random));
        n += dn;
        if (t < app.onset) life.healthy = n;
        if (app.leak > 0 && t >= app.onset) {
            const double hits = std::max(0.0, dn * app.hit_share + std::sqrt(dn * app.hit_share) * normal(random));
            leaked += hits * app.leak / app.hit_share;
        }
        const double in_flight =
            static_cast<double>(std::poisson_distribution<int>(app.busy * load * (app.per_flight > 0 ? 4 : 1))(random));
        const double held = in_flight * (app.per_flight + app.transient * -std::log(uniform(random, 1e-9, 1)));
        high_water = std::max(high_water, held);
        const double habitual = habit.step(t, n, dn, dt);
        const double kept = app.base + small_warm_up * (1 - std::exp(-n / small_pace)) + leaked + habitual;
        const double live = kept - (habit.in_live() ? 0 : habitual);
        const double used = std::ceil((kept + 0.3 * high_water) / app.arena) * app.arena + held;

        leak::Reading reading{.requests = n, .seconds = t, .used = used};
        if (app.agent) {
            reading.live = live + held + 0.1 * mib * normal(random);
            reading.private_pages = app.background == Family::unsharing ? habit.private_pages() + leaked : used;
        }
        last_rate += (app.rate * load - last_rate) * (1 - std::exp(-dt / 3600));
        detector.observe(reading);
        const leak::Verdict& verdict = detector.judge(limit, last_rate, history);
        if (t < app.onset) continue; // what is said before that is no answer
        if (verdict.kind == leak::Class::leaking && !life.suspected) {
            life.suspected = true;
            life.suspected_at = n;
            life.gone = (kept - app.base) / app.headroom;
        }
        if (verdict.kind == leak::Class::leaking && verdict.confidence >= leak::Thresholds{}.sure && !life.accused) {
            life.accused = true;
            life.accused_at = n;
            life.confidence = verdict.confidence;
        }
        // It serves on while it is recycled, for as long as that may take.
        if (used >= limit) {
            life.reached_limit = true;
            break;
        }
        if (life.recycled && t >= life.recycled_at + app.lead) break;
        if (app.lead > 0 && !life.recycled && life.accused && is_time_to_recycle(verdict, t, app.lead)) {
            life.recycled = true;
            life.recycled_at = t;
            life.used_up = (kept - app.base) / app.headroom;
        }
    }
    life.requests = n;
    life.last = detector.verdict().kind;
    if (app.leak > 0) life.slope_error = std::abs(detector.verdict().slope - app.leak) / app.leak;
    detector.end();
    history.learn(detector.curve());
    return life;
}

double Rate::low() const {
    if (n == 0) return 0;
    const double p = value(), m = n, middle = p + z * z / (2 * m);
    return std::max(0.0, (middle - z * std::sqrt(p * (1 - p) / m + z * z / (4 * m * m))) / (1 + z * z / m));
}

double Rate::high() const {
    if (n == 0) return 1;
    const double p = value(), m = n, middle = p + z * z / (2 * m);
    return std::min(1.0, (middle + z * std::sqrt(p * (1 - p) / m + z * z / (4 * m * m))) / (1 + z * z / m));
}

Rate Tally::alarms() const {
    Rate all;
    for (const Innocent& each : innocent) {
        if (each.family == Family::slow_lru) continue; // undecidable: shown, not summed up
        all.k += each.alarms.k;
        all.n += each.alarms.n;
    }
    return all;
}

namespace {

struct Band {
    const char* name;
    double low, high;
};
static constexpr std::array bands{Band{"64 B - 512 B", 64, 512}, Band{"512 B - 4 KB", 512, 4096},
                                  Band{"4 KB", 4096, 4096.1}, Band{"4 KB - 64 KB", 4096, 65536}};

Tally::Leaks leaks_of(const Band& band, std::uint64_t seed, unsigned lives, bool warm, bool late) {
    Tally::Leaks row{band.name, {}, {}, {}, {}};
    for (unsigned i = 0; row.sure.n < lives && i < 50 * lives; ++i) {
        const std::uint64_t own = seed * 1'000'003 + i;
        App app = draw_app(Family::leak, own);
        Random random(own ^ 0xABCDEF);
        app.leak = log_uniform(random, band.low, band.high);
        app.hit_share = std::array{1.0, 0.5, 0.1, 0.02}.at(random() % 4);
        if (late) app.onset = 3600 * uniform(random, 1, 12);
        app.length = app.onset + day;
        if (app.leak * app.rate * day < app.headroom) continue; // does not exhaust it within the horizon
        leak::History history;
        if (warm) live(app, own * 2, history);
        const Life life = live(app, own * 2 + 1, history);
        row.sure.n += 1;
        row.before_half.n += 1;
        row.sure.k += life.accused ? 1 : 0;
        row.before_half.k += life.suspected && life.gone <= 0.5 ? 1 : 0;
        if (app.leak >= 4096) {
            row.in_5000.n += 1;
            row.in_5000.k += life.suspected && life.suspected_at - life.healthy <= 5000 ? 1 : 0;
        }
        if (life.suspected) row.delays.push_back(life.suspected_at - life.healthy);
    }
    return row;
}

} // namespace

Tally tally(std::uint64_t seed, unsigned lives, bool warm) {
    Tally found;
    std::vector<Family> families(innocents.begin(), innocents.end());
    families.push_back(Family::slow_lru);
    for (const Family family : families) {
        Tally::Innocent& row = found.innocent.emplace_back(Tally::Innocent{family, {}, {}, {}});
        for (unsigned i = 0; i < lives; ++i) {
            const std::uint64_t own = seed * 1'000'003 + i;
            const App app = draw_app(family, own);
            leak::History history;
            if (warm) live(app, own * 2, history);
            const Life life = live(app, own * 2 + 1, history);
            row.alarms.n += 1;
            row.alarms.k += life.accused ? 1 : 0;
            row.suspicions.n += 1;
            row.suspicions.k += life.suspected ? 1 : 0;
            row.class_right.n += 1;
            row.class_right.k += fits(family, life.last) ? 1 : 0;
        }
    }
    Tally::Leaks all{"all leaks", {}, {}, {}, {}};
    for (const Band& band : bands) {
        Tally::Leaks row = leaks_of(band, seed, lives, warm, false);
        for (auto [sum, each] : {std::pair(&all.before_half, row.before_half), std::pair(&all.in_5000, row.in_5000),
                                 std::pair(&all.sure, row.sure)}) {
            sum->k += each.k;
            sum->n += each.n;
        }
        all.delays.insert(all.delays.end(), row.delays.begin(), row.delays.end());
        found.leaks.push_back(std::move(row));
    }
    found.leaks.push_back(std::move(all));
    return found;
}

std::vector<Tally::Leaks> late_leaks(std::uint64_t seed, unsigned lives, bool warm) {
    std::vector<Tally::Leaks> found;
    for (const Band& band : bands) found.push_back(leaks_of(band, seed, lives, warm, true));
    return found;
}

Tally::Leaks new_leaks(std::uint64_t seed, unsigned lives) {
    Tally::Leaks row{"new release", {}, {}, {}, {}};
    for (unsigned i = 0; row.sure.n < lives; ++i) {
        const std::uint64_t own = seed * 1'000'003 + i;
        App app = draw_app(Family::leak, own);
        Random random(own ^ 0xABCDEF);
        const double bytes = log_uniform(random, 4096, 65536);
        app.length = day;
        if (bytes * app.rate * day < app.headroom) continue;
        leak::History history;
        live(app, own * 2, history, "1");
        app.leak = bytes;
        const Life life = live(app, own * 2 + 1, history, "2");
        for (Rate* each : {&row.sure, &row.before_half, &row.in_5000}) each->n += 1;
        row.sure.k += life.accused ? 1 : 0;
        row.before_half.k += life.suspected && life.gone <= 0.5 ? 1 : 0;
        row.in_5000.k += life.suspected && life.suspected_at <= 5000 ? 1 : 0;
        if (life.suspected) row.delays.push_back(life.suspected_at);
    }
    return row;
}

Tally::Innocent busier(std::uint64_t seed, unsigned lives, double times) {
    Tally::Innocent row{Family::sessions, {}, {}, {}};
    for (unsigned i = 0; i < lives; ++i) {
        const std::uint64_t own = seed * 1'000'003 + i;
        App app = draw_app(Family::sessions, own);
        app.shape = 0.15 * app.headroom / (app.pace * app.rate);
        leak::History history;
        live(app, own * 2, history);
        app.rate *= times;
        const Life life = live(app, own * 2 + 1, history);
        for (Rate* each : {&row.alarms, &row.suspicions, &row.class_right}) each->n += 1;
        row.alarms.k += life.accused ? 1 : 0;
        row.suspicions.k += life.suspected ? 1 : 0;
        row.class_right.k += fits(app.family, life.last) ? 1 : 0;
    }
    return row;
}

RecycleTally::Row RecycleTally::all() const {
    Row sum{Family::leak, {}, {}};
    for (const Row& row : rows) {
        sum.in_time.k += row.in_time.k;
        sum.in_time.n += row.in_time.n;
        sum.used_up.insert(sum.used_up.end(), row.used_up.begin(), row.used_up.end());
    }
    return sum;
}

RecycleTally recycles(std::uint64_t seed, unsigned lives) {
    RecycleTally found;
    for (const Family family : innocents) found.rows.push_back({family, {}, {}});
    for (const double hours : {1.0, 10.0, 20.0})
        for (unsigned i = 0; i < lives; ++i) {
            const std::uint64_t own = seed * 1'000'003 + i;
            App app = draw_app(Family::leak, own);
            app.leak = app.headroom / (hours * 3600 * app.rate);
            app.length = 2 * day;
            app.lead = recycle_lead;
            leak::History history;
            const Life life = live(app, own * 2, history);
            RecycleTally::Row& row = *std::ranges::find(found.rows, app.background, &RecycleTally::Row::background);
            row.in_time.n += 1;
            row.in_time.k += life.recycled && !life.reached_limit ? 1 : 0;
            if (life.recycled) row.used_up.push_back(life.used_up);
        }
    return found;
}

namespace {

std::string cell(const Rate& r) {
    char text[64];
    if (r.n == 0) return "-";
    std::snprintf(text, sizeof text, "%.3f (%.3f-%.3f)", r.value(), r.low(), r.high());
    return text;
}

} // namespace

std::string table(const RecycleTally& tally) {
    std::string text;
    char line[200];
    const auto add = [&](std::string_view name, const RecycleTally::Row& row) {
        std::snprintf(line, sizeof line, "%-15s %6u %-22s %8.2f %8.2f\n", std::string(name).c_str(), row.in_time.n,
                      cell(row.in_time).c_str(), quantile(row.used_up, 0.5), quantile(row.used_up, 0.05));
        text += line;
    };
    std::snprintf(line, sizeof line, "%-15s %6s %-22s %8s %8s\n", "leaks besides", "lives", "recycled in time",
                  "used up", "p5");
    text += line;
    for (const auto& row : tally.rows) add(to_string(row.background), row);
    add("all", tally.all());
    return text;
}

std::string table(const std::vector<Tally::Leaks>& leaks) {
    std::string text;
    char line[200];
    std::snprintf(line, sizeof line, "%-15s %6s %-22s %-22s %-22s %12s\n", "leak a request", "lives",
                  "before half is gone", "within 5,000 requests", "sure before the end", "median delay");
    text += line;
    for (const auto& row : leaks) {
        std::snprintf(line, sizeof line, "%-15s %6u %-22s %-22s %-22s %12.0f\n", row.name.c_str(), row.sure.n,
                      cell(row.before_half).c_str(), cell(row.in_5000).c_str(), cell(row.sure).c_str(),
                      quantile(row.delays, 0.5));
        text += line;
    }
    return text;
}

std::string table(const Tally& tally) {
    std::string text;
    char line[200];
    std::snprintf(line, sizeof line, "%-15s %6s %-22s %-22s %-22s\n", "innocent", "lives", "suspected", "false alarms",
                  "class right");
    text += line;
    for (const auto& row : tally.innocent) {
        std::snprintf(line, sizeof line, "%-15s %6u %-22s %-22s %-22s\n", std::string(to_string(row.family)).c_str(),
                      row.alarms.n, cell(row.suspicions).c_str(), cell(row.alarms).c_str(),
                      cell(row.class_right).c_str());
        text += line;
    }
    text += "* not full at the end of its life: no series of memory tells it from a leak; not in the sum\n";
    std::snprintf(line, sizeof line, "%-15s %6u %-22s %-22s\n\n", "all innocents", tally.alarms().n, "",
                  cell(tally.alarms()).c_str());
    text += line;
    text += table(tally.leaks);
    return text;
}

} // namespace plimsoll::sim
