#include "plimsoll/leak/advice.hpp"

#include <algorithm>
#include <array>

namespace plimsoll::leak {

namespace {

constexpr double many_cycles = 10'000; // objects: fewer are every application's

bool holds(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// By its own name, whatever its module is called: `shop.handlers.orders._seen` is no list of handlers.
bool calls_back(const std::string& keeper) {
    const std::string own = keeper.substr(keeper.rfind('.') + 1);
    return std::ranges::any_of(
        std::array{"handler", "callback", "listener", "subscri", "observer", "receiver", "signal", "hook"},
        [&own](const char* part) { return holds(own, part); });
}

std::string of_container(const AdviceFacts& facts) {
    const std::string name = "`" + facts.keeper + "`";
    const std::string& type = facts.keeper_type;
    if (calls_back(facts.keeper))
        return "unsubscribe from " + name + " when done, or keep weak references in it (weakref.WeakSet, WeakMethod)";
    if (holds(facts.keeper, "_all_tasks") || holds(facts.keeper, "_scheduled_tasks"))
        return "tasks are started and never end: await or cancel them, with a timeout";
    if (holds(facts.keeper, "local "))
        return "a function that never returns holds " + name + ": give it up after each round";
    if (type == "lru_cache")
        return name + " forgets too little: give it a bound that fits (functools.lru_cache(maxsize=...)); on a method "
                      "it keeps the instances, too, so put it on a function of what they are made of";
    if (type == "dict" || type == "OrderedDict" || type == "defaultdict")
        return name + " only grows: bound or expire it (functools.lru_cache(maxsize=...), a cache with a TTL), or use "
                      "weakref.WeakValueDictionary where others own the values";
    if (type == "set" || type == "frozenset")
        return name + " only grows: remove what is done with, or use weakref.WeakSet";
    if (type == "list" || type == "deque")
        return name + " only grows: clear it, or make it collections.deque(maxlen=...)";
    if (holds(facts.keeper, "class ")) return name + " outlives every request: keep it in the instance, or bound it";
    return name + " only grows: bound it, or let go of what is done with";
}

std::string of_c_code(const AdviceFacts& facts) {
    std::string text = "no line of Python explains it, so C code has it";
    if (!facts.libraries.empty()) {
        text += "; loaded are ";
        const std::size_t most = std::min<std::size_t>(facts.libraries.size(), 5);
        for (std::size_t i = 0; i < most; ++i) text += (i > 0 ? ", " : "") + facts.libraries[i];
    }
    return text + ". To be sure: the same requests under `memray run --native` or heaptrack";
}

std::string of_memory(const AdviceFacts& facts) {
    if (!facts.beside.empty())
        return "the same process leaks " + facts.beside +
               ", and each of them keeps memory: mend that leak first, and see what is left";
    const bool cycles = facts.in_cycles >= many_cycles;
    if (cycles && facts.collector_off)
        return "the collector is off (gc.disable()) and objects hang in cycles: enable it, or call gc.collect() now "
               "and then";
    if (cycles && facts.finalizers)
        return "objects with __del__ hang in cycles: break the cycle (weakref.ref for the way back), or use "
               "weakref.finalize instead of __del__";
    if (!facts.keeper.empty()) return of_container(facts);
    if (facts.has_line) return "look at what that line's objects are put into, and who lets go of them";
    if (cycles) return "objects hang in cycles: break them with weakref.ref, or collect more often (gc.set_threshold)";
    if (facts.stacks_cut)
        return "the stacks of what survived end within libraries, before a line of the application: raise "
               "[pool.capture] trace_frames";
    if (!facts.exceeding.empty())
        return facts.exceeding +
               " keeps more in a while than the worker grows by, so most of it is let go later: sessions or a cache "
               "with a "
               "TTL, which grow with the traffic? Bound how many there are at once, or keep them for less long";
    if (facts.traced_in_vain) return of_c_code(facts);
    if (!facts.has_agent)
        return "install Plimsoll's agent beside the application (`pip install ./agent` of the source): without it "
               "nobody can look into the process for the line and who keeps it";
    if (facts.has_capture)
        return "look at what the incident's capture shows: containers that only grow, and who keeps them";
    if (!facts.looked_into)
        return "with policy = \"observe\" nobody looks for the line and who keeps it: set [pool.leak] policy to "
               "\"advise\" "
               "or \"act\"";
    return facts.has_incident
               ? "the line and who keeps it are looked for: ask again when a trace or a capture is done"
               : "wait: it may be taken back, and the line and who keeps it are looked for when it is sure";
}

} // namespace

std::string advice(const AdviceFacts& facts) {
    switch (facts.kind) {
    case Class::cache: return "nothing leaks: bound the cache if it is too much, or raise the limit";
    case Class::fragmentation:
        if (facts.trimmed_in_vain)
            return "the holes are in Python's own arenas, which malloc_trim does not reach: a recycle gives them back; "
                   "load "
                   "what stays before the first request, so that it does not lie among what goes";
        return "malloc_trim gives it back; fewer arenas (MALLOC_ARENA_MAX) or jemalloc avoid it";
    case Class::unsharing:
        return "call gc.freeze() when the application is loaded and before the server forks (gunicorn with "
               "preload_app: in "
               "when_ready)";
    case Class::leaking: break;
    case Class::unknown:
    case Class::steady:
    case Class::warming: return {};
    }
    if (facts.what == "memory") return of_memory(facts);
    if (facts.what == "threads")
        return "use a pool (concurrent.futures.ThreadPoolExecutor) instead of a thread for each request";
    if (facts.what == "children")
        return holds(facts.mostly, "zombie")
                   ? "wait for child processes that ended: subprocess.run(), or wait() on each Popen"
                   : "end child processes when done: `with subprocess.Popen(...)`, or a pool of them";
    if (holds(facts.mostly, "close-wait"))
        return "the other side has closed these connections: close them too (`with`, or the client's close())";
    if (holds(facts.mostly, "socket"))
        return "close connections when done (`with`), or keep one client for the process instead of one for each "
               "request";
    if (holds(facts.mostly, "pipe"))
        return "close pipes of child processes: `with subprocess.Popen(...)`, or communicate()";
    return "close files and sockets where they were opened: use `with`";
}

} // namespace plimsoll::leak
