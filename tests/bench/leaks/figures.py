"""Rates with Wilson's 95 % interval, and the goal that each is held against."""
import math

Z = 1.96


class Rate:
    def __init__(self, goal=None, at_most=False):
        self.hits = self.count = 0
        self.goal, self.at_most = goal, at_most
        self.values = []                    # numbers behind it, where there are any

    def add(self, hit, value=None):
        self.hits += bool(hit)
        self.count += 1
        if value is not None:
            self.values.append(value)

    def interval(self):
        if not self.count:
            return 0.0, 1.0
        p, n = self.hits / self.count, self.count
        middle, spread = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return max(0.0, (middle - spread) / (1 + Z * Z / n)), min(1.0, (middle + spread) / (1 + Z * Z / n))

    def met(self):
        """"yes", "no", or "open" where the interval holds both."""
        if self.goal is None or not self.count:
            return ""
        low, high = self.interval()
        if self.at_most:
            return "no" if low > self.goal else "yes" if high <= self.goal else "open"
        return "no" if high < self.goal - 1e-9 else "yes" if low >= self.goal else "open"

    def text(self):
        if not self.count:
            return "-"
        return "%.3f (%.3f-%.3f)" % ((self.hits / self.count,) + self.interval())


def table(title, rows):
    """rows: [(name, Rate)]"""
    print("\n%s\n%-58s %6s  %-22s %-8s %s" % (title, "", "n", "rate (95 %)", "goal", "met"))
    for name, rate in rows:
        goal = "" if rate.goal is None else "%s %g" % ("<=" if rate.at_most else ">=", rate.goal)
        middle = "  median %.4g" % sorted(rate.values)[len(rate.values) // 2] if rate.values else ""
        print("%-58s %6d  %-22s %-8s %s%s" % (name, rate.count, rate.text(), goal, rate.met(), middle), flush=True)
