"""WebSocket applications for the tests of the ASGI host, by their path."""

import asyncio
import json

CLOSED = {}


async def answer(send, content):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": content})


async def accept(receive, send, **more):
    message = await receive()
    assert message == {"type": "websocket.connect"}, message
    await send({"type": "websocket.accept", **more})


async def echo(scope, receive, send):
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"], "bytes": message["bytes"]})


async def ends(scope, receive, send):
    """Keeps what `receive` says at the end, and what `send` does then."""
    await accept(receive, send)
    message = await receive()
    again = await receive()
    assert again == message, again
    try:
        await send({"type": "websocket.send", "text": "late"})
        error = None
    except OSError as raised:
        error = type(raised).__name__
    await send({"type": "websocket.close"})
    key = scope["query_string"].decode()
    CLOSED.setdefault(key, asyncio.get_running_loop().create_future()).set_result([message, error])


async def ended(scope, receive, send):
    """What was kept, as soon as it is."""
    key = scope["query_string"].decode()
    said = await CLOSED.setdefault(key, asyncio.get_running_loop().create_future())
    await answer(send, json.dumps(said).encode())


async def told(scope, receive, send):
    """The scope, as a message."""
    protocol = next(iter(scope["subprotocols"]), None)
    await accept(receive, send, subprotocol=protocol, headers=[(b"x-one", b"1"), (b"x-one", b"2")])
    scope["headers"] = len(scope["headers"])
    for key in ("raw_path", "query_string"):
        scope[key] = scope[key].decode()
    await send({"type": "websocket.send", "text": json.dumps(scope)})


async def refuses(scope, receive, send):
    await receive()
    await send({"type": "websocket.close"})
    message = await receive()
    assert message["type"] == "websocket.disconnect", message


async def refuses_in_words(scope, receive, send):
    await receive()
    headers = [(b"x-why", b"money"), (b"content-type", b"text/plain")]
    await send({"type": "websocket.http.response.start", "status": 402, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"pay ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"first"})


async def silent(scope, receive, send):
    pass


async def fails_early(scope, receive, send):
    await receive()
    raise KeyError("a secret")


async def fails_late(scope, receive, send):
    await accept(receive, send)
    raise KeyError("a secret")


async def returns(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.send", "text": "that was all"})


async def closes(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.send", "text": "before"})
    await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    try:
        await send({"type": "websocket.send", "text": "after"})
    except RuntimeError:
        assert (await receive())["code"] == 4001
        return
    raise AssertionError("nothing may follow")


async def waits(scope, receive, send):
    """Thinks, until the client has left."""
    await receive()
    message = await receive()
    CLOSED.setdefault("waits", asyncio.get_running_loop().create_future()).set_result([message, None])


async def watches(scope, receive, send):
    """Accepts when the client has left already: `?` what it tries."""
    await receive()
    await receive()
    name = scope["query_string"].decode()
    error = None
    try:
        await send({"accept": ACCEPT, "body": {"type": "websocket.http.response.body"}}[name])
    except Exception as failure:
        error = type(failure).__name__
    CLOSED.setdefault("watches-" + name, asyncio.get_running_loop().create_future()).set_result([None, error])


async def listens(scope, receive, send):
    """Waits for messages in a task of its own, from before it accepts, as Quart does."""

    async def listen():
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return message

    await receive()
    listening = asyncio.ensure_future(listen())
    # It waits by now.
    await asyncio.sleep(0)
    await send(ACCEPT)
    CLOSED.setdefault("listens", asyncio.get_running_loop().create_future()).set_result([await listening, None])


async def accepts_twice(scope, receive, send):
    """A mistake, which is no reason not to go on."""
    await accept(receive, send)
    try:
        await send(ACCEPT)
    except RuntimeError:
        await send({"type": "websocket.send", "text": "still here"})


async def floods(scope, receive, send):
    """Sends as much as is taken, up to 8 MB, and notes how much."""
    await accept(receive, send)
    for count in range(1, 801):
        await send({"type": "websocket.send", "bytes": b"8" * 10_000})
        CLOSED["flood"] = count
    await send({"type": "websocket.close"})


async def flood(scope, receive, send):
    last = None
    while CLOSED.get("flood") != last:
        last = CLOSED.get("flood")
        for _ in range(100):
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
    await answer(send, str(last).encode())


def wrong(*messages):
    """The last message is a mistake: it is an error, and the first of them to be."""

    async def app(scope, receive, send):
        await receive()
        for message in messages[:-1]:
            await send(message)
        try:
            await send(messages[-1])
        except (RuntimeError, TypeError, ValueError) as error:
            name = f"wrong {type(error).__name__}"
        else:
            name = "nothing"
        key = scope["query_string"].decode()
        CLOSED.setdefault(key, asyncio.get_running_loop().create_future()).set_result(name)

    return app


ACCEPT = {"type": "websocket.accept"}

CASES = {
    "echo": echo,
    "ends": ends,
    "ended": ended,
    "told": told,
    "refuses": refuses,
    "refuses-in-words": refuses_in_words,
    "silent": silent,
    "fails-early": fails_early,
    "fails-late": fails_late,
    "returns": returns,
    "closes": closes,
    "waits": waits,
    "watches": watches,
    "listens": listens,
    "accepts-twice": accepts_twice,
    "floods": floods,
    "flood": flood,
    "send-first": wrong({"type": "websocket.send", "text": "x"}),
    "accept-twice": wrong(ACCEPT, ACCEPT),
    "both": wrong(ACCEPT, {"type": "websocket.send", "text": "x", "bytes": b"x"}),
    "neither": wrong(ACCEPT, {"type": "websocket.send"}),
    "not-offered": wrong({"type": "websocket.accept", "subprotocol": "other"}),
    "protocol-header": wrong({"type": "websocket.accept", "headers": [(b"sec-websocket-protocol", b"x")]}),
    "crlf": wrong({"type": "websocket.accept", "headers": [(b"x", b"a\r\nb: c")]}),
    "bad-code": wrong(ACCEPT, {"type": "websocket.close", "code": 1006}),
    "http": wrong({"type": "http.response.start", "status": 200}),
    "refuse-late": wrong(ACCEPT, {"type": "websocket.http.response.start", "status": 400}),
    "body-first": wrong({"type": "websocket.http.response.body", "body": b"x"}),
    "close-twice": wrong(ACCEPT, {"type": "websocket.close"}, {"type": "websocket.close"}),
}


async def app(scope, receive, send):
    assert scope["type"] in ("http", "websocket"), "only those"
    await CASES[scope["path"].strip("/")](scope, receive, send)
