"""A server that stops does not wait for streams of events: whoever listens asks again."""

import signal
import unittest

import httpx
from commanded import command, folder, process_of, until
from hosting import DEADLINE, serving
from http2 import Client
from test_processes import lives

# Who waits for the end of it does not see the end of the test.
GRACE = 600

HOSTS = [
    ("listens", {"interface": "asgi", "loop": "asyncio"}),
    ("listens", {"interface": "asgi", "loop": "uvloop"}),
    ("starlette", {"loop": "asyncio"}),
    ("starlette", {"loop": "uvloop"}),
    ("fastapi", {"loop": "asyncio"}),
    ("ticking", {"threads": 0}),
    ("ticking", {"threads": 1}),
    ("ticking", {"threads": 4}),
]

APP = """
import asyncio, os

async def app(scope, receive, send):
    headers = [(b"content-type", b"text/event-stream" if scope.get("path") == "/events" else b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"{os.getpid()} ".encode(), "more_body": headers[0][1] != b"text/plain"})
    if scope["path"] == "/events":
        await asyncio.Event().wait()
"""


def client(server):
    return httpx.Client(base_url=server.url, timeout=DEADLINE)


def by_http1(server):
    """Listens to events until the server, which is told to stop, has ended them; an answer that is cut is an error."""
    with client(server) as asked, asked.stream("GET", "/") as answer:
        pieces = answer.iter_raw()
        assert next(pieces).startswith(b"data: ")
        server.send(signal.SIGTERM)
        for _ in pieces:
            pass


def by_http2(server):
    with Client(server) as asked:
        stream = asked.begin("/")
        asked.until(stream, lambda answer: answer.content.startswith(b"data: "))
        server.send(signal.SIGTERM)
        assert asked.answer(stream).is_whole


class Events(unittest.TestCase):
    def test_g4_streams_of_events_end_properly_when_the_server_stops(self):
        for app, arguments in HOSTS:
            for listened in by_http1, by_http2:
                with self.subTest(app, how=listened.__name__, **arguments):
                    with serving(f"events_app:{app}", grace=GRACE, **arguments) as server:
                        listened(server)
                        self.assertEqual(server.wait(), 0)
                        self.assertIn("it has ended by itself", server.log)
                        self.assertNotIn("Traceback", server.log)
                        self.assertNotIn("number8: ", server.log)

    def test_g4_what_answers_a_post_has_the_grace(self):
        # Models answer so, piece by piece: it has an end, and nobody would ask again by himself.
        for loop in "asyncio", "uvloop":
            with self.subTest(loop), serving("events_app:listens", interface="asgi", loop=loop) as server:
                with client(server) as asked, asked.stream("POST", "/") as answer:
                    pieces = answer.iter_raw()
                    self.assertEqual(next(pieces), b"data: one\n\n")
                    server.send(signal.SIGTERM)
                    self.assertEqual(b"".join(pieces), b"data: two\n\n")
                self.assertEqual(server.wait(), 0)

    def test_g4_streams_of_events_do_not_keep_a_process_that_is_replaced(self):
        for arguments in [], ["--reload"]:
            with self.subTest(arguments), folder(farm=APP) as path:
                with command(path, "farm", "--grace", "10m", "--log", "off", *arguments) as server:
                    old = process_of(server.port)
                    with client(server) as asked, asked.stream("GET", "/events") as answer:
                        pieces = answer.iter_raw()
                        self.assertEqual(next(pieces), f"{old} ".encode())
                        if arguments:
                            (path / "farm.py").write_text(APP + "# changed\n")
                        else:
                            server.send(signal.SIGHUP)
                        self.assertEqual(list(pieces), [])
                    until("another process", lambda: process_of(server.port) != old)
                    until("the end of the old one", lambda: not lives(old))
                    self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
