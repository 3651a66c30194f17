import asyncio
import json
import os
import sys

held = []


def again():
    """As a reloader does. What the worker starts before, and what it forks, is not of the pool."""
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, "-c", CHILD, "forked"], os.environ)
    os.execv(sys.executable, [sys.executable, "-m", "uvicorn"] + sys.argv[1:])


CHILD = "import os, sys; print(sys.argv[1], 'control is', os.environ.get('PLIMSOLL_CONTROL'), flush=True)"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if os.path.exists(os.environ.get("BROKEN_LIFESPAN", "/nonexistent")):
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1.0)
    elif scope["path"] == "/again":
        asyncio.get_event_loop().call_later(0.05, again)
    elif scope["path"] == "/bytes":
        held.extend(os.urandom(4096) for _ in range(100))
    text = json.dumps({"pid": os.getpid()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(text)).encode())]})
    await send({"type": "http.response.body", "body": text})
