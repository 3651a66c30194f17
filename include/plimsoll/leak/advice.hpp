// What to do about a leak, as the evidence has it: the most telling fact gives the advice.
//
//   memory   threads or children, too      those first: each of them keeps memory
//            holes in the heap             malloc_trim, fewer arenas, jemalloc
//            pages unshared after a fork   gc.freeze() before it
//            a cache                       bound it, or raise the limit
//            cycles nobody collects        break them, enable the collector
//            a container that only grows   bound or expire it; where it holds callbacks or objects of others: weak references
//            stacks that were cut          keep longer ones
//            a line that keeps more        it is let go later than a window: bound how much is kept at once
//            than the worker grows by
//            a trace that found no line    C code: which, and how to be sure
//            nothing yet                   look at the capture, or wait for it; without an agent, install it
//   descriptors, threads, children         `with`, a pool, wait()
#pragma once

#include <string>
#include <vector>

#include "plimsoll/leak/classify.hpp"

namespace plimsoll::leak {

struct AdviceFacts {
    Class kind = Class::unknown;
    std::string what = "memory";     // descriptors, threads, children
    std::string keeper, keeper_type; // "shop.orders._seen", "dict"; empty: not known
    std::string mostly;              // "socket, tcp close-wait (412 of 460)", "zombie (ended, not waited for) (9 of 9)"
    std::string beside;              // "threads", "children": the same process leaks these too; empty: neither
    bool trimmed_in_vain = false;    // of holes in the heap: malloc_trim gave little back
    bool has_agent = true;           // else nobody is there to look into the process
    bool looked_into = true;         // once it is sure; policy = "observe" never does
    bool has_incident = false;       // it is sure
    bool has_capture = false;        // something was found in the process, whatever it says
    bool has_line = false;
    bool traced_in_vain = false;        // a trace has ended, and no line of Python explains the growth
    std::string exceeding;              // "app/sessions.py:15": keeps more in a window than the worker grows by
    bool stacks_cut = false;            // what it saw has stacks that end within libraries
    std::vector<std::string> libraries; // C code that is loaded beside Python's own
    double in_cycles = 0;               // objects that only the collector could free
    bool finalizers = false;            // some of them have __del__
    bool collector_off = false;         // gc.disable()
};
std::string advice(const AdviceFacts& facts);

} // namespace plimsoll::leak
