"""What packaging/load asks of Python: the same answers by WSGI, by ASGI and, run as a program, by callbacks."""

import json
from urllib.parse import parse_qs

PART = b"part " * 3000


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/json":
        return answer(start_response, "application/json", json.dumps(parse_qs(environ["QUERY_STRING"])).encode())
    if path == "/echo":
        taken = 0
        while part := environ["wsgi.input"].read(64 * 1024):
            taken += len(part)
        return answer(start_response, "text/plain", b"%d" % taken)
    if path in ("/parts", "/stream"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (PART for _ in range(5 if path == "/parts" else 200))
    return answer(start_response, "text/html; charset=utf-8", b"<p>Hello")


def answer(start_response, kind, content):
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(content)))])
    return [content]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["type"] == "websocket":
        return await echo(receive, send)
    kind, parts = b"text/html; charset=utf-8", [b"<p>Hello"]
    if scope["path"] == "/json":
        kind, parts = b"application/json", [json.dumps(parse_qs(scope["query_string"].decode())).encode()]
    elif scope["path"] == "/echo":
        taken, more = 0, True
        while more:
            message = await receive()
            taken, more = taken + len(message.get("body", b"")), message.get("more_body", False)
        parts = [b"%d" % taken]
    elif scope["path"] in ("/parts", "/stream"):
        parts = [PART] * (5 if scope["path"] == "/parts" else 200)
    headers = [(b"content-type", kind)]
    if len(parts) == 1:
        headers.append((b"content-length", b"%d" % len(parts[0])))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number, part in enumerate(parts, 1):
        await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})


async def echo(receive, send):
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "websocket.send", "text": message["text"]})


def callbacks():
    from number8 import Server

    server = Server(port=0, bind="127.0.0.1")

    @server.get("/")
    def hello(request):
        return "<p>Hello"

    @server.get("/json")
    def values(request):
        return {"name": "a b", "n": [1]}

    @server.get("/items/{id}")
    async def item(request, id: int):
        return {"id": id}

    @server.get("/parts")
    def parts(request):
        return (PART for _ in range(5))

    return server


if __name__ == "__main__":
    # Serves until it is told to end.
    server = callbacks()
    print(f"127.0.0.1:{server.port()}", flush=True)
