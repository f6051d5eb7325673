"""Servers in threads that nobody waits for, of a program that ends."""

import contextlib
import http.client
import subprocess
import threading
import unittest

from hosting import DEADLINE, running

BEGIN = """
import sys, threading, time
import number8
from number8.wsgi import make_server

def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        print("stuck", file=sys.stderr, flush=True)
        time.sleep(3600)
    start_response("200 OK", [])
    return [b"ok"]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        for _ in range(2):
            kind = (await receive())["type"]
            print(kind, file=sys.stderr, flush=True)
            await send({"type": f"{kind}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

def by_hand():
    with make_server(("127.0.0.1", 0), wsgi) as server:
        print(f"http://127.0.0.1:{server.server_port}/", file=sys.stderr, flush=True)
        server.serve_forever()

def hosted(app, **arguments):
    number8.serve(app, bind="127.0.0.1:0", **arguments)
"""
END = """
threading.Thread(target=lambda: {serve}, daemon=True).start()
sys.stdin.readline()
sys.exit(3)
"""
WSGI = {"inline": "hosted(wsgi, threads=0)", "threads": "hosted(wsgi, threads=4)", "by hand": "by_hand()"}
ASGI = {"asyncio": "hosted(asgi, loop='asyncio')", "uvloop": "hosted(asgi, loop='uvloop')"}


def starting(serve):
    return running(["-c", BEGIN + END.format(serve=serve)], stdin=subprocess.PIPE)


def end(server):
    """Has the program end; gives its exit code."""
    with contextlib.suppress(BrokenPipeError):
        server.process.stdin.close()
    return server.wait()


def ask(port, path="/"):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) as connection:
        for _ in range(100):
            connection.request("GET", path)
            connection.getresponse().read()


class Daemons(unittest.TestCase):
    def test_the_end_of_the_program_is_that_of_a_server_which_is_busy(self):
        for name, serve in {**WSGI, **ASGI}.items():
            for _ in range(3):
                with self.subTest(name), starting(serve) as server:
                    over = threading.Event()

                    def load(port=server.port, over=over):
                        # Until nobody is there.
                        with contextlib.suppress(OSError, http.client.HTTPException):
                            while not over.is_set():
                                ask(port)

                    clients = [threading.Thread(target=load) for _ in range(2)]
                    for client in clients:
                        client.start()
                    ask(server.port)
                    try:
                        self.assertEqual(end(server), 3, server.log)
                    finally:
                        over.set()
                        for client in clients:
                            client.join()
                    self.assertNotIn("Traceback", server.log)
                    self.assertEqual("lifespan.shutdown" in server.log, name in ASGI, server.log)

    def test_a_call_that_does_not_come_back_holds_no_program(self):
        for name, serve in WSGI.items():
            with self.subTest(name), starting(serve) as server:
                connection = http.client.HTTPConnection("127.0.0.1", server.port)
                with contextlib.closing(connection):
                    connection.request("GET", "/stuck")
                    server.wait_for("stuck")
                    self.assertEqual(end(server), 3, server.log)


if __name__ == "__main__":
    unittest.main()
