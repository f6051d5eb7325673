"""The apps that every server of Python's is measured with."""

GREETING = b"Hello, world!\n"
PART = bytes(64 * 1024)
PARTS = 160
_FIELDS = [("Content-Type", "text/plain"), ("Content-Length", str(len(GREETING)))]
_ASGI_FIELDS = [(name.lower().encode(), value.encode()) for name, value in _FIELDS]


def wsgi(environ, start_response):
    """Says hello; takes what is posted to /post, and sends 10 MiB in parts for /stream."""
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return (PART for _ in range(PARTS))
    if path == "/post":
        content = environ["wsgi.input"]
        size = 0
        while data := content.read(64 * 1024):
            size += len(data)
        answer = b"%d\n" % size
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer]
    start_response("200 OK", _FIELDS)
    return [GREETING]


async def asgi(scope, receive, send):
    """Says hello."""
    if scope["type"] != "http":
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": _ASGI_FIELDS})
    await send({"type": "http.response.body", "body": GREETING})
