"""Applications that start and end in their own ways."""

import asyncio
import contextlib
import json
import logging.config
import sys
import time


async def answer(send, content):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": content})


async def app(scope, receive, send):
    """Knows its lifespan."""
    state = scope["state"]
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        await asyncio.sleep(0.01)
        state.update(started=True, counter=[0])
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        print(f"shut down after {state['counter'][0]} requests", file=sys.stderr)
        await send({"type": "lifespan.shutdown.complete"})
    else:
        state["counter"][0] += 1
        await answer(send, json.dumps({"started": state["started"], "count": state["counter"][0]}).encode())


def ends(*messages, then=None):
    """Sends a message for each that it receives in its lifespan, then raises."""

    async def app(scope, receive, send):
        if scope["type"] != "lifespan":
            return await answer(send, b"here")
        for message in messages:
            await receive()
            await send(message)
        if then is not None:
            raise then

    return app


COMPLETE = {"type": "lifespan.startup.complete"}
FAILED = {"type": "lifespan.startup.failed", "message": "no database"}

failed = ends(FAILED)
failed_silently = ends({"type": "lifespan.startup.failed"})
failed_and_raises = ends(FAILED, then=OSError("no database"))
raises = ends(then=KeyError("lifespan"))
returns = ends()
fails_to_end = ends(COMPLETE, {"type": "lifespan.shutdown.failed", "message": "too late"})


async def raises_at_the_end(scope, receive, send):
    if scope["type"] != "lifespan":
        return await answer(send, b"here")
    await receive()
    await send(COMPLETE)
    await receive()
    raise OSError("too late")


async def never_ends(scope, receive, send):
    if scope["type"] != "lifespan":
        return await answer(send, b"here")
    await receive()
    await send(COMPLETE)
    await receive()
    print("ending", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


async def goes_on(scope, receive, send):
    """Leaves behind what does not end: `/thread`, `/task`, or itself."""
    if scope["type"] != "lifespan":
        what = scope["path"]
        if what == "/thread":
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
        elif what == "/task":
            scope["state"]["task"] = asyncio.create_task(never())
        await answer(send, b"here")
        if what == "/itself":
            print("going on", file=sys.stderr, flush=True)
            await never()


async def blocks(scope, receive, send):
    """Leaves the loop no turn."""
    if scope["type"] != "lifespan":
        print("blocked", file=sys.stderr, flush=True)
        while True:
            time.sleep(0.01 if scope["path"] == "/python" else 600)


async def never():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(600)


async def fails_to_start(scope, receive, send):
    if scope["type"] != "lifespan":
        return await answer(send, b"here")
    await receive()
    raise OSError("no database")


async def turns_off_loggers(scope, receive, send):
    if scope["type"] != "lifespan":
        raise KeyError("a failure")
    await receive()
    logging.config.dictConfig({"version": 1})
    await send(COMPLETE)
    await receive()


async def takes_long(scope, receive, send):
    await receive()
    print("starting", flush=True)
    await asyncio.Event().wait()
