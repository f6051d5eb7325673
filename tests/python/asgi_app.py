"""Applications for the tests of the ASGI host: one for each thing that may happen, by its path."""

import asyncio
import gc
import json
import os
import socket
import threading
from urllib.parse import unquote

from hosting import ended_children

NOTES = []
NOTED = asyncio.Condition()
STATE = {}

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def start(*headers, status=200, **more):
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(content=b"", more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


async def note(text):
    """Has a test see that something has happened."""
    async with NOTED:
        NOTES.append(text)
        NOTED.notify_all()


async def answer(send, content):
    await send(START)
    await send(body(content))


async def scope_(scope, receive, send):
    def plain(value):
        if isinstance(value, bytes):
            return {"bytes": value.decode("latin-1")}
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(one) for one in value]
        return value

    await answer(send, json.dumps(plain(scope)).encode())


async def notes(scope, receive, send):
    """All notes, once there is one that the query names."""
    wanted = unquote(scope["query_string"].decode())
    async with NOTED:
        await NOTED.wait_for(lambda: not wanted or wanted in NOTES)
    await answer(send, json.dumps(NOTES).encode())


async def content(scope, receive, send):
    """The messages of the content: how long each is, and whether more follows."""
    said = []
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        said.append([len(message["body"]), message["more_body"]])
        if not message["more_body"]:
            break
    await answer(send, json.dumps(said).encode())


async def echo(scope, receive, send):
    """Content back as it comes."""
    await send(START)
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send(body(message["body"], more))


async def refuse(scope, receive, send):
    """An answer to content that was not read."""
    await send(start(status=403))
    await send(body(b"no"))


async def after_refusing(scope, receive, send):
    """What `receive` says after an answer to content that has not come."""
    await send(start(status=403))
    await send(body(b"no"))
    await note(f"after refusing: {(await receive())['type']}")


async def after(scope, receive, send):
    """What `receive` says once the answer is complete."""
    await receive()
    waiting = asyncio.ensure_future(receive())
    await answer(send, b"done")
    await note(f"after: {(await waiting)['type']} {(await receive())['type']}")


async def wait(scope, receive, send):
    """Waits for the client to leave."""
    await receive()
    await note("wait: begun")
    message = await receive()
    await note(f"wait: {message['type']}")
    try:
        await answer(send, b"for whoever still reads")
        await note("wait: sent")
    except OSError as error:
        await note(f"wait: {type(error).__name__}")
        raise


async def work(scope, receive, send):
    """Goes on working, whether the client is there or not."""
    await note("work: begun")
    async with NOTED:
        await NOTED.wait_for(lambda: "work: go on" in NOTES)
    await note("work: done")
    await answer(send, b"done")


async def go_on(scope, receive, send):
    await note("work: go on")
    await answer(send, b"")


async def endless(scope, receive, send):
    """Content for as long as it is taken."""
    sent = 0
    await send(START)
    try:
        while True:
            await send(body(b"8" * 10_000, True))
            sent += 10_000
            STATE["endless"] = sent
    except OSError as error:
        await note(f"endless: {type(error).__name__}")


async def late(scope, receive, send):
    """Endless content that begins when a client has done something, for as long as it is taken."""
    with open(scope["query_string"], "rb") as gate:
        gate.read()
    try:
        await send(START)
        while True:
            await send(body(b"8" * 100_000, True))
    except OSError as error:
        STATE["late"] = STATE.get("late", 0) + 1
        await note(f"late: {type(error).__name__} {STATE['late']}")


async def how_much(scope, receive, send):
    """How much of the endless content was sent, once that stands still."""
    last = None
    while STATE.get("endless") != last:
        last = STATE.get("endless")
        for _ in range(100):
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
    await answer(send, str(last).encode())


async def stream(scope, receive, send):
    """A part at a time: the next one after the client has been seen to have it."""
    await send(START)
    for part in range(3):
        await send(body(b"part %d\n" % part, True))
        async with NOTED:
            await NOTED.wait_for(lambda: f"stream: {part}" in NOTES)
    await send(body(b"end\n"))


async def got(scope, receive, send):
    await note("stream: " + scope["query_string"].decode())
    await answer(send, b"")


async def trailers(scope, receive, send):
    await send(start(trailers=True))
    await send(body(b"content"))
    await send({"type": "http.response.trailers", "headers": [(b"x-one", b"1")], "more_trailers": True})
    await send({"type": "http.response.trailers", "headers": [(b"x-two", b"2")]})


async def cancelled(scope, receive, send):
    """A `receive` that is cancelled while it waits loses nothing."""
    await note("cancelled: begun")
    waiting = asyncio.create_task(receive())
    for _ in range(3):
        await asyncio.sleep(0)
    waiting.cancel()
    try:
        await waiting
        early = True
    except asyncio.CancelledError:
        early = False
    await note("cancelled: now")
    message = await receive()
    await answer(send, json.dumps([early, message["body"].decode()]).encode())


async def polls(scope, receive, send):
    """Asks again and again whether the client has left; says how many futures that has left behind."""
    await receive()
    before = futures()
    for _ in range(100):
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    del waiting
    await answer(send, str(futures() - before).encode())


def futures():
    gc.collect()
    return sum(isinstance(one, asyncio.Future) for one in gc.get_objects())


async def both(scope, receive, send):
    """Two tasks with one request: one waits for the client to leave, one sends."""

    async def sending():
        await send(START)
        for _ in range(3):
            await send(body(b"part\n", True))
            await asyncio.sleep(0)
        await send(body(b"end\n"))

    await receive()
    watching = asyncio.create_task(receive())
    await asyncio.create_task(sending())
    await watching


async def loop_(scope, receive, send):
    """What else runs in the loop goes on: timers, threads, sockets that are read bit by bit, processes."""
    loop = asyncio.get_running_loop()
    done = {}
    await asyncio.sleep(0.01)
    done["thread"] = await loop.run_in_executor(None, lambda: threading.current_thread() is not threading.main_thread())
    future = loop.create_future()
    threading.Thread(target=loop.call_soon_threadsafe, args=(future.set_result, "called")).start()
    done["threadsafe"] = await future
    near, far = socket.socketpair()
    far.sendall(b"x" * 1000)
    near.setblocking(False)
    seen, all_seen = [], loop.create_future()

    def read():
        # A part of what is there: nothing new comes that would make it readable again.
        seen.append(near.recv(100))
        if sum(map(len, seen)) == 1000:
            all_seen.set_result(len(seen))

    loop.add_reader(near, read)
    done["reads"] = await asyncio.wait_for(all_seen, 10)
    loop.remove_reader(near)
    near.close()
    far.close()
    process = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
    done["process"] = (await process.communicate())[0].decode()
    done["kind"] = type(loop).__module__.partition(".")[0]
    await answer(send, json.dumps(done).encode())


async def background(scope, receive, send):
    """Goes on after its answer."""
    await answer(send, b"done")
    await note("background: begun")
    await asyncio.sleep(0.2)
    await note("background: done")
    print("the work in the background is done", flush=True)


async def slow(scope, receive, send):
    await note("slow: begun")
    await asyncio.sleep(0.3)
    await answer(send, b"slow")


async def stuck(scope, receive, send):
    await note("stuck: begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("the stuck one is cancelled", flush=True)
        raise


async def cancels(scope, receive, send):
    """Fails by what it has cancelled itself."""
    task = asyncio.create_task(asyncio.Event().wait())
    task.cancel()
    await task


async def pid(scope, receive, send):
    await answer(send, str(os.getpid()).encode())


async def forks(scope, receive, send):
    await answer(send, json.dumps(ended_children()).encode())


async def leaks(scope, receive, send):
    """How many tasks there are."""
    for _ in range(5):
        await asyncio.sleep(0)
    await answer(send, str(len(asyncio.all_tasks())).encode())


async def ticks(scope, receive, send):
    """A stream until nobody takes it."""
    await send(START)
    try:
        while True:
            await send(body(b"tick", True))
            await asyncio.sleep(0)
    finally:
        await note("nobody takes it")


async def announced(scope, receive, send):
    """Content of a known length in pieces, by one who looks whether the client has left, as Django does."""
    await receive()
    watching = asyncio.create_task(receive())
    await send(start((b"content-length", b"262144")))
    for left in (3, 2, 1, 0):
        await send(body(b"8" * 65536, left > 0))
        await asyncio.sleep(0)
        if watching.done() and left:
            return await note("announced: cut")
    await watching
    await note("announced: whole")


async def cleanup(scope, receive, send):
    """Fails when its client has left."""
    await send(START)
    try:
        while True:
            await send(body(b"tick", True))
            await asyncio.sleep(0)
    except OSError:
        raise KeyError("no such order")


async def quiet(scope, receive, send):
    """A stream that begins, and says nothing more until its client leaves."""
    await send(START)
    await send(body(b"tick", True))
    while (await receive())["type"] != "http.disconnect":
        pass
    for message in (body(b"tick", True), {"type": "http.response.trailers"}):
        try:
            await send(message)
        except OSError:
            continue
        return
    await note("nobody is there")


async def array(scope, receive, send):
    """Content that is no `bytes` but like them."""
    await send(START)
    await send(body(bytearray(b"one "), True))
    await send(body(memoryview(b"two"), False))


async def state(scope, receive, send):
    scope["state"]["mine"] = True
    await answer(send, json.dumps(sorted(scope["state"])).encode())


def fails(*messages, then=None):
    """Sends messages; raises the last of them where it is an exception."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        if then is not None:
            raise then

    return app


def complains(*messages, well):
    """The last message is an error of the application, which has nothing to do with the client."""

    async def app(scope, receive, send):
        for message in messages[:-1]:
            await send(message)
        try:
            await send(messages[-1])
        except (RuntimeError, ValueError, TypeError) as error:
            await note(f"{well}: {type(error).__name__}")
            raise
        await note(f"{well}: nothing")

    return app


LENGTH = (b"content-length", b"5")


def file(path=__file__):
    return {"type": "http.response.pathsend", "path": path}


CASES = {
    "none": fails(),
    "start-only": fails(START),
    "raises": fails(then=KeyError("a secret")),
    "raises-after-start": fails(START, then=KeyError("a secret")),
    "raises-within": fails(START, body(b"a part", True), then=KeyError("a secret")),
    "ends-within": fails(START, body(b"a part", True)),
    "raises-after": fails(START, body(b"whole"), then=KeyError("a secret")),
    "length": fails(start(LENGTH), body(b"eight")),
    "length-parts": fails(start(LENGTH), body(b"ei", True), body(b"ght", True), body()),
    "short": fails(start(LENGTH), body(b"8")),
    "long": fails(start(LENGTH), body(b"eighteen")),
    "short-parts": fails(start(LENGTH), body(b"ei", True), body()),
    "long-parts": fails(start(LENGTH), body(b"eig", True), body(b"hteen", True), body()),
    "empty": fails(start(), body()),
    "file": fails(start((b"x", b"y")), file()),
    "file-first": complains(file(), well="file-first"),
    "file-within": complains(START, body(b"x", True), file(), well="file-within"),
    "file-of-another-length": complains(start(LENGTH), file(), well="file-of-another-length"),
    "no-file": fails(START, file("/no/such/file")),
    "half-a-path": complains(START, file("asgi_app.py"), well="half-a-path"),
    "folder": fails(START, file("/")),
    "no-path": complains(START, {"type": "http.response.pathsend"}, well="no-path"),
    "many-empty": fails(start(), body(b"", True), body(b"x", True), body(b"", True), body()),
    "nothing-after": fails(START, body(b"whole"), body(b"ignored")),
    "no-content": fails(start(status=204), body()),
    "not-modified": fails(start((b"etag", b'"8"'), status=304), body()),
    "not-modified-length": fails(start((b"content-length", b"8"), status=304), body()),
    "not-modified-parts": fails(start((b"content-length", b"8"), status=304), body(b"", True), body()),
    "parts": fails(start(), body(b"one", True), body(b"two")),
    "framing": fails(
        start((b"transfer-encoding", b"chunked"), (b"connection", b"close"), (b"x", b"y")), body(b"content")
    ),
    "cookies": fails(start((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-latin", b"\xe9")), body()),
    "tuples": fails(dict(start(), headers=(pair for pair in [[b"x-from", b"a generator"]])), body(b"x")),
    "named": fails(start((b"server", b"me")), body()),
    "body-first": complains(body(b"x"), well="body-first"),
    "start-twice": complains(START, START, well="start-twice"),
    "start-later": complains(START, body(b"x", True), START, well="start-later"),
    "trailers-unannounced": complains(
        START, body(b"x", True), {"type": "http.response.trailers", "headers": []}, well="trailers-unannounced"
    ),
    "unknown": complains({"type": "http.nonsense"}, well="unknown"),
    "websocket-message": complains({"type": "websocket.accept"}, well="websocket-message"),
    "no-type": complains({}, well="no-type"),
    "text": complains(START, body("text"), well="text"),
    "crlf": complains(start((b"x", b"a\r\nset-cookie: b")), well="crlf"),
    "bad-name": complains(start((b"a b", b"x")), well="bad-name"),
    "text-header": complains(start(("x", "y")), well="text-header"),
    "bad-length": complains(start((b"content-length", b"+5")), well="bad-length"),
    "two-lengths": complains(start(LENGTH, (b"content-length", b"6")), well="two-lengths"),
    "no-status": complains({"type": "http.response.start"}, well="no-status"),
    "interim": complains(start(status=103), well="interim"),
    "trailers": trailers,
    "scope": scope_,
    "notes": notes,
    "content": content,
    "echo": echo,
    "refuse": refuse,
    "after-refusing": after_refusing,
    "after": after,
    "wait": wait,
    "work": work,
    "go-on": go_on,
    "endless": endless,
    "late": late,
    "how-much": how_much,
    "stream": stream,
    "got": got,
    "cancelled": cancelled,
    "both": both,
    "polls": polls,
    "loop": loop_,
    "background": background,
    "slow": slow,
    "cancels": cancels,
    "stuck": stuck,
    "pid": pid,
    "forks": forks,
    "leaks": leaks,
    "array": array,
    "ticks": ticks,
    "quiet": quiet,
    "announced": announced,
    "cleanup": cleanup,
    "state": state,
}


async def app(scope, receive, send):
    """Knows nothing of lifespans."""
    assert scope["type"] == "http", "only that"
    path = scope["path"].removeprefix(scope["root_path"])
    await CASES[path.split("/")[1]](scope, receive, send)
