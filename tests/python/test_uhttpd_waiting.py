"""What waits in threads in place of the loop of coroutines: for messages, for room, for what a script calls there (row N2)."""

import contextlib
import signal
import socket
import unittest

import websockets.sync.client
from test_uhttpd_lifetime import BEGIN, DEADLINE, READY, Started


class Waiting(Started):
    def test_n2_websockets_that_are_silent_hold_up_nobody(self):
        # More of them than there are threads for everything else that waits.
        script = """
import asyncio
from number8 import _async
_async._WAITING_MAX = 2
@httpd.websocket('/echo')
async def echo(request, ws):
    async for message in ws:
        await ws.send(message)
@httpd.get('/thread')
async def thread(request):
    return await asyncio.to_thread(lambda: 'from a thread')
"""
        process = self.start(BEGIN + script + READY)
        port = self.port(process)
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                client = stack.enter_context(websockets.sync.client.connect(f"ws://127.0.0.1:{port}/echo", open_timeout=DEADLINE))
                # It waits for the next one then.
                client.send("one")
                self.assertEqual(client.recv(DEADLINE), "one")
            self.assertEqual(self.get(port, "/thread"), b"from a thread")
        self.waits(process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), (0, "", ""))

    def test_n2_a_coroutine_that_waits_for_what_nothing_else_holds_is_no_garbage(self):
        script = """
import asyncio, gc, threading, weakref
waited = []
has_begun = threading.Event()
@httpd.get('/waits')
async def waits(request):
    future = asyncio.get_running_loop().create_future()
    waited.append((asyncio.get_running_loop(), weakref.ref(future)))
    has_begun.set()
    return await future
@httpd.get('/collect')
def collect(request):
    has_begun.wait()
    gc.collect()
    loop, future = waited[0]
    if future() is None:
        return 'it is gone'
    loop.call_soon_threadsafe(future().set_result, 'it is there')
    return 'it is told'
"""
        process = self.start(BEGIN + script + READY)
        port = self.port(process)
        with contextlib.ExitStack() as stack:
            waiting = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE))
            waiting.sendall(b"GET /waits HTTP/1.0\r\n\r\n")
            self.assertEqual(self.get(port, "/collect"), b"it is told")
            self.assertTrue(stack.enter_context(waiting.makefile("rb")).read().endswith(b"it is there"))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), (0, "", ""))

    def test_connections_that_have_to_wait_are_told_of(self):
        script = """
import os, resource
# As few descriptors as there are, and two more.
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""
        process = self.start(BEGIN + script + READY)
        port = self.port(process)
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE))
            self.assertIn("new connections have to wait", process.stderr.readline())
        self.waits(process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process)[0], 0)

    def test_u2_a_script_that_ends_serves_until_a_signal_where_no_descriptor_is_left(self):
        script = """
import os, resource
# Of those that are there one is that of the folder.
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""
        process = self.start(BEGIN + READY + script)
        self.port(process)
        self.waits(process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), (0, "", ""))

    def test_n2_a_coroutine_that_waits_for_a_thread_holds_nobody(self):
        script = """
import asyncio, atexit, threading
atexit.register(print, 'at the end')
@httpd.get('/hang')
async def hang(request):
    yield 'begun'
    await asyncio.to_thread(threading.Event().wait)
"""
        process = self.start(BEGIN + script + READY)
        with socket.create_connection(("127.0.0.1", self.port(process)), timeout=DEADLINE) as client:
            client.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(client.recv(1024))
            self.waits(process)
            process.send_signal(signal.SIGTERM)
            returned, out, err = self.ended(process)
        self.assertEqual((returned, out), (0, "at the end\n"), err)


if __name__ == "__main__":
    unittest.main()
