"""Many requests leave nothing behind. `NUMBER8_SOAK=100000` asks for as many as a release should have."""

import contextlib
import json
import os
import socket
import sys
import unittest

from commanded import ask, command, folder
from hosting import DEADLINE

REQUESTS = int(os.environ.get("NUMBER8_SOAK", "6000"))
AT_ONCE = 100
# What the allocators of the system and of Python keep for later is no more for more requests.
GROWTH_MAX = 2 << 20
OBJECTS_MAX = 200

COUNTED = """
import gc, json, os

def counts():
    gc.collect()
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return json.dumps([resident, len(gc.get_objects())]).encode()

def wsgi(environ, start_response):
    content = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Length", str(len(content)))])
    return [counts() if environ["PATH_INFO"] == "/counts" else b"hello"]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    await receive()
    answer = counts() if scope["path"] == "/counts" else b"hello"
    fields = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": answer})
"""


def flood(port, count):
    """Sends so many requests, some with content, and takes their answers."""
    kinds = b"GET / HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    batch = b"".join(kinds[number % 2] for number in range(AT_ONCE))
    for _ in range(count // AT_ONCE):
        with contextlib.closing(socket.create_connection(("127.0.0.1", port), DEADLINE)) as client:
            client.sendall(batch)
            answers = b""
            while answers.count(b"HTTP/1.1 200") < AT_ONCE or not answers.endswith(b"hello"):
                data = client.recv(65536)
                assert data, answers[-200:]
                answers += data


class Soak(unittest.TestCase):
    def test_many_requests_leave_memory_and_objects_as_they_were(self):
        cases = [("soak:wsgi", "--threads", "0"), ("soak:wsgi", "--threads", "2"), ("soak:asgi",)]
        with folder(soak=COUNTED) as path:
            for arguments in cases:
                with self.subTest(arguments), command(path, *arguments, "--log", "off") as server:
                    counts = lambda: json.loads(ask(server.port, "/counts")[1])  # noqa: E731
                    flood(server.port, REQUESTS // 3)
                    counts()
                    resident, objects = counts()
                    flood(server.port, REQUESTS)
                    resident_then, objects_then = counts()
                    if "NUMBER8_SOAK" in os.environ:
                        print(
                            f"{' '.join(arguments)}: {REQUESTS} requests: {resident >> 10} KiB and {objects} objects before, "
                            f"{resident_then >> 10} KiB and {objects_then} after",
                            file=sys.stderr,
                        )
                    self.assertLess(resident_then - resident, GROWTH_MAX)
                    self.assertLess(objects_then - objects, OBJECTS_MAX)


if __name__ == "__main__":
    unittest.main()
