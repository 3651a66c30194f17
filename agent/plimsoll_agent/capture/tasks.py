"""asyncio's tasks that are not done, of all loops.

Up to 3.13 asyncio keeps its tasks in weak sets, and so for every loop, uvloop's too; 3.14 keeps them by thread and tells them of a loop, which is
found on the stacks. A loop adds tasks while we list them, and a set that changes meanwhile can't be listed: then again, as CPython does itself.
"""
import sys

ATTEMPTS = 100                              # each fails only if a task was made within the microseconds that it took


def pending():
    asyncio = sys.modules.get("asyncio.tasks")
    if asyncio is None:
        return []
    tasks = {}
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"):
        for task in listed(getattr(asyncio, name, ())):
            tasks[id(task)] = task
    for loop in _loops():
        for task in asyncio.all_tasks(loop):
            tasks[id(task)] = task
    return [task for task in tasks.values() if not task.done()]


def listed(changing):
    """As many as there are; none where it never held still."""
    for _ in range(ATTEMPTS):
        try:
            return list(changing)
        except RuntimeError:                # its size changed
            pass
    return []


def _loops():
    for frame in sys._current_frames().values():
        while frame is not None:
            if frame.f_code.co_name == "run_forever" and "self" in frame.f_code.co_varnames:
                yield frame.f_locals["self"]
            frame = frame.f_back
