#include "sim/worker_sim.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace plimsoll::sim {

namespace {

class Model {
public:
    explicit Model(const WorkerSettings& settings)
        : settings_(settings), random_(settings.seed), limit_(settings.limit.initial) {}

    std::vector<PhaseReport> run() {
        std::vector<PhaseReport> reports;
        for (const Phase& phase : settings_.phases) reports.push_back(live(phase));
        return reports;
    }

private:
    struct Request {
        double left; // seconds of work
        Instant began;
    };

    PhaseReport live(const Phase& phase) {
        PhaseReport report;
        report.lowest = 1e9;
        const Instant end = now_ + phase.length, half = now_ + phase.length / 2;
        const double base = to_seconds(phase.base), rate = phase.load * phase.width / base;
        const double step = std::clamp(base / 50, 2e-4, 2e-3);
        double done = 0, latencies = 0, limits = 0, steps = 0;
        while (now_ < end) {
            now_ += from_seconds(step);
            waiting_ += std::poisson_distribution<>(rate * step)(random_);
            waiting_ = std::min(waiting_, 1'000.0);
            const double speed = std::min(1.0, phase.width / std::max<double>(1, static_cast<double>(active_.size())));
            for (std::size_t i = 0; i < active_.size();) {
                active_[i].left -= step * speed;
                if (active_[i].left > 0) {
                    ++i;
                    continue;
                }
                const Request request = active_[i];
                active_[i] = active_.back();
                active_.pop_back();
                limit_.ended(now_, settings_.limit, in_flight(), now_ - request.began, AdaptiveLimit::Seen::success);
                if (now_ < half) continue;
                ++done;
                latencies += to_seconds(now_ - request.began);
            }
            while (waiting_ >= 1 && in_flight() < limit_.limit(settings_.limit)) {
                --waiting_;
                active_.push_back({work(base), now_});
                limit_.began(now_, in_flight());
            }
            const auto in_force = static_cast<double>(limit_.limit(settings_.limit));
            report.lowest = std::min(report.lowest, in_force);
            report.highest = std::max(report.highest, in_force);
            if (now_ >= half) limits += in_force, ++steps;
        }
        const double mean_work = base * (1 + settings_.slow_share * (settings_.slow_factor - 1));
        report.throughput = done / to_seconds(phase.length / 2) / (phase.width / mean_work);
        report.latency = done == 0 ? 0 : latencies / done / mean_work;
        report.limit = limits / steps;
        return report;
    }

    double work(double base) {
        if (draw() < settings_.slow_share) base *= settings_.slow_factor;
        if (settings_.spread == 0) return base;
        std::normal_distribution<> normal(-settings_.spread * settings_.spread / 2, settings_.spread);
        return base * std::exp(normal(random_));
    }
    double draw() { return std::uniform_real_distribution<>(0, 1)(random_); }
    unsigned in_flight() const { return static_cast<unsigned>(active_.size()); }

    const WorkerSettings& settings_;
    std::mt19937_64 random_;
    AdaptiveLimit limit_;
    std::vector<Request> active_;
    double waiting_ = 0;
    Instant now_{std::chrono::hours{1}};
};

} // namespace

std::vector<PhaseReport> run(const WorkerSettings& settings) { return Model(settings).run(); }

} // namespace plimsoll::sim
