"""The slow stream of faulty.py as ASGI: /stream/N sends N pieces, one every 50 ms."""
import asyncio


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    count = int(scope["path"].rpartition("/")[2] or 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for number in range(count):
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"%08d\n" % number, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
