"""An application that runs servers of its own beside the one that serves it: in the same process, in a child, in a program that it starts."""
import asyncio
import json
import os
import subprocess
import sys
import threading

import uvicorn

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOCKET = os.path.join(os.environ["HOME"], "helper.sock")
helper = uvicorn.Server(uvicorn.Config("apps.asgi:app", port=0, lifespan="off", log_level="error"))
helper.install_signal_handlers = lambda: None


def run_helper():
    asyncio.run(helper.serve())


if os.environ.get("HELPER") == "when loaded":
    threading.Thread(target=run_helper, daemon=True).start()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if not os.environ.get("HELPER"):
            threading.Thread(target=run_helper, daemon=True).start()
        while not helper.started:
            await asyncio.sleep(0.01)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/end":
        helper.should_exit = True
        while helper.servers and any(each.is_serving() for each in helper.servers):
            await asyncio.sleep(0.01)
    elif scope["path"] == "/program":
        subprocess.Popen([sys.executable, "-m", "uvicorn", "--app-dir", HERE, "--uds", SOCKET, "apps.asgi:app"])
    elif scope["path"] == "/fork":
        if not os.fork():
            uvicorn.run("apps.asgi:app", uds=SOCKET, loop="asyncio")
            os._exit(0)
    text = json.dumps({"pid": os.getpid()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(text)).encode())]})
    await send({"type": "http.response.body", "body": text})
