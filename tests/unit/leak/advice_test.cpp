#include "plimsoll/leak/advice.hpp"

#include <gtest/gtest.h>

namespace plimsoll::leak {
namespace {

struct Case {
    AdviceFacts facts;
    const char* says;
};

TEST(Advice, fits_the_evidence) {
    constexpr Class leaking = Class::leaking;
    const Case cases[] = {
        {{.kind = leaking, .keeper = "shop.orders._seen", .keeper_type = "dict", .has_line = true},
         "lru_cache(maxsize=...)"},
        {{.kind = leaking, .keeper = "class shop.Cart.all", .keeper_type = "list"}, "deque(maxlen=...)"},
        {{.kind = leaking, .keeper = "shop.seen", .keeper_type = "set"}, "WeakSet"},
        {{.kind = leaking, .keeper = "shop.render", .keeper_type = "lru_cache"}, "give it a bound"},
        {{.kind = leaking, .keeper = "signals.listeners", .keeper_type = "list"}, "unsubscribe"},
        {{.kind = leaking, .keeper = "crm.views.contact_changed.receivers", .keeper_type = "list"}, "unsubscribe"},
        {{.kind = leaking, .keeper = "shop.order_signal", .keeper_type = "list"}, "unsubscribe"},
        {{.kind = leaking, .keeper = "shop.exit_hooks", .keeper_type = "list"}, "unsubscribe"},
        {{.kind = leaking, .keeper = "shop.handlers.orders._seen", .keeper_type = "dict"}, "lru_cache(maxsize=...)"},
        {{.kind = leaking, .keeper = "asyncio.tasks._all_tasks"}, "await or cancel"},
        {{.kind = leaking, .in_cycles = 50'000, .finalizers = true}, "__del__"},
        {{.kind = leaking, .in_cycles = 50'000, .collector_off = true}, "enable it"},
        {{.kind = leaking, .has_line = true}, "that line's objects"},
        {{.kind = leaking, .traced_in_vain = true, .libraries = {"lxml", "libfoo.so.1"}}, "lxml, libfoo.so.1"},
        {{.kind = leaking, .traced_in_vain = true}, "memray run --native"},
        {{.kind = leaking, .traced_in_vain = true, .exceeding = "shop/sessions.py:15"},
         "shop/sessions.py:15 keeps more"},
        {{.kind = leaking, .stacks_cut = true}, "raise [pool.capture] trace_frames"},
        {{.kind = leaking, .beside = "threads", .traced_in_vain = true}, "leaks threads"},
        {{.kind = leaking, .beside = "children"}, "leaks children"},
        {{.kind = leaking, .what = "threads", .beside = "threads"}, "ThreadPoolExecutor"},
        {{.kind = leaking, .has_agent = false}, "pip install ./agent"},
        {{.kind = leaking, .has_agent = false, .has_line = true}, "that line's objects"},
        {{.kind = leaking, .has_incident = true, .has_capture = true}, "the incident's capture shows"},
        {{.kind = leaking, .has_incident = true}, "ask again when"},
        {{.kind = leaking}, "may be taken back"},
        {{.kind = leaking, .looked_into = false}, "policy to \"advise\""},
        {{.kind = leaking, .what = "descriptors", .mostly = "socket, tcp close-wait (9 of 10)"},
         "other side has closed"},
        {{.kind = leaking, .what = "descriptors", .mostly = "socket, tcp established (9 of 10)"},
         "one client for the process"},
        {{.kind = leaking, .what = "descriptors", .mostly = "file (9 of 10)"}, "`with`"},
        {{.kind = leaking, .what = "threads"}, "ThreadPoolExecutor"},
        {{.kind = leaking, .what = "children", .mostly = "zombie (ended, not waited for) (3 of 3)"}, "wait for"},
        {{.kind = leaking, .what = "children", .mostly = "sleep (3 of 3)"}, "end child processes"},
        {{.kind = Class::cache}, "nothing leaks"},
        {{.kind = Class::fragmentation}, "malloc_trim gives it back"},
        {{.kind = Class::fragmentation, .trimmed_in_vain = true}, "a recycle gives them back"},
        {{.kind = Class::unsharing}, "gc.freeze()"},
    };
    for (const Case& each : cases)
        EXPECT_NE(advice(each.facts).find(each.says), std::string::npos) << each.says << ": " << advice(each.facts);
    EXPECT_EQ(advice({.kind = Class::steady}), "");
}

TEST(Advice, few_cycles_are_no_evidence_against_a_container) {
    EXPECT_NE(
        advice({.kind = Class::leaking, .keeper = "a.b", .keeper_type = "dict", .in_cycles = 500, .finalizers = true})
            .find("`a.b` only grows"),
        std::string::npos);
}

} // namespace
} // namespace plimsoll::leak
