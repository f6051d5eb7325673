"""What a WSGI host does while somebody takes time: a client that sends or reads slowly, an application that waits."""

import concurrent.futures
import contextlib
import gzip
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import zlib

from commanded import folder, until
from hosting import DEADLINE, running, serving
from test_wsgi import THREADS, Answer, request, talk


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), DEADLINE)


def read_until(connection, end):
    """Reads from a connection up to those bytes."""
    received = b""
    while not received.endswith(end):
        piece = connection.recv(1)
        assert piece, received
        received += piece
    return received


def read_until_close(connection):
    """Reads what is left."""
    pieces = []
    while piece := connection.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


@contextlib.contextmanager
def fifo():
    """A path to say something to an application by."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "fifo")
        os.mkfifo(path)
        # Held open, so that what is written does not get lost.
        held = os.open(path, os.O_RDWR)
        try:
            yield path
        finally:
            os.close(held)


def peak(server):
    """The most memory that the server has had, in bytes."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) << 10


def writes(server):
    """Calls of the system so far that write to something else than a socket: one wakes a thread that waits for sockets."""
    return int(re.search(r"syscw: (\d+)", pathlib.Path(f"/proc/{server.process.pid}/io").read_text())[1])


def tell(path, text):
    path.write_bytes(text)


class Flow(unittest.TestCase):
    def each(self, threads=THREADS, **arguments):
        for count in threads:
            with self.subTest(threads=count), serving("wsgi_app:app", threads=count, **arguments) as server:
                yield server

    def test_each_part_is_sent_before_the_next_one_is_asked_for(self):
        cases = [(0, "waits"), (1, "waits"), (4, "waits"), (1, "writes_and_waits"), (4, "writes_and_waits"),
                 (0, "answers_and_waits"), (1, "answers_and_waits"), (4, "answers_and_waits")]
        for threads, name in cases:
            with self.subTest(name, threads=threads), fifo() as path, serving("wsgi_app:app", threads=threads) as server:
                with connect(server) as connection:
                    connection.sendall(request(f"/{name}?{path}"))
                    # It comes although the application still waits.
                    read_until(connection, b"one")
                    tell(path, b"two")
                    rest = b""
                    while received := connection.recv(65536):
                        rest += received
                self.assertEqual(b"two" in rest, name != "answers_and_waits")

    def test_each_part_is_sent_before_the_next_one_is_asked_for_by_http2(self):
        for server in self.each():
            with fifo() as path, connect(server) as connection:
                target = f"/waits?{path}".encode()
                # RFC 7541 appendix A: GET, http, the path, the host.
                fields = b"\x82\x86\x04" + bytes([len(target)]) + target + b"\x01\x01a"
                settings, headers = b"\0\0\0\4\0\0\0\0\0", len(fields).to_bytes(3, "big") + b"\1\5\0\0\0\1" + fields
                connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + headers)
                read_until(connection, b"one")
                tell(path, b"two")
                read_until(connection, b"two")

    def test_an_application_that_gives_nothing_holds_up_no_other_request(self):
        for server in self.each():
            with connect(server) as connection:
                connection.sendall(request("/idles"))
                read_until(connection, b"one")
                self.assertEqual(Answer(server, "/closed?idles").content, b"[]")
            # It is noticed that the client has left.
            until("the end", lambda: b"idles" in Answer(server, "/closed?idles").content)

    def test_w8_an_application_that_waits_holds_up_no_other_request(self):
        with serving("wsgi_app:app", threads=8) as server, fifo() as path:
            waiting = [connect(server) for _ in range(7)]
            for connection in waiting:
                connection.sendall(request(f"/writes_and_waits?{path}"))
            for connection in waiting:
                read_until(connection, b"one")
            for _ in range(50):
                self.assertEqual(Answer(server, "/nothing").status, 200)
            for connection in waiting:
                tell(path, b"two")
            for connection in waiting:
                with connection:
                    self.assertIn(b"0\r\n\r\n", read_until(connection, b"\r\n0\r\n\r\n"))

    def test_an_answer_without_end_leaves_others_their_turn(self):
        for server in self.each():
            with connect(server) as connection:
                connection.sendall(request("/endless"))
                read_until(connection, b"\r\n\r\n")

                def read():
                    with contextlib.suppress(OSError):
                        while connection.recv(1 << 20):
                            pass

                reader = threading.Thread(target=read)
                reader.start()
                for _ in range(10):
                    self.assertEqual(Answer(server, "/nothing").status, 200)
                connection.shutdown(socket.SHUT_RDWR)
                reader.join(DEADLINE)

    def test_a_client_that_reads_slowly_holds_no_thread(self):
        for threads in THREADS:
            with self.subTest(threads=threads), serving("wsgi_app:app", threads=threads) as server:
                slow = []
                for _ in range(100):
                    connection = connect(server)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    connection.sendall(request("/pours?10000"))
                    slow.append(connection)
                for connection in slow:
                    read_until(connection, b"\r\n\r\n")
                self.assertEqual(Answer(server, "/nothing").status, 200)
                # It is asked for what is taken, and a little more.
                until = time.monotonic() + DEADLINE
                before, now = -1, 0
                while before != now and time.monotonic() < until:
                    before, now = now, int(Answer(server, "/pulled").content)
                self.assertLess(now, 100 * 200)
                for connection in slow:
                    connection.close()

    def test_a_client_that_sends_slowly_holds_no_thread(self):
        for threads in THREADS:
            with self.subTest(threads=threads), serving("wsgi_app:app", threads=threads) as server:
                slow = [connect(server) for _ in range(20)]
                for connection in slow:
                    connection.sendall(request("/echo", "POST", "Content-Length: 6\r\n") + b"one")
                for _ in range(10):
                    self.assertEqual(Answer(server, "/nothing").status, 200)
                for connection in slow:
                    with connection:
                        connection.sendall(b"two")
                        read_until(connection, b"onetwo")

    def test_content_beyond_the_memory_waits_in_a_file(self):
        for server in self.each(body_memory=1 << 20, max_body=8 << 20):
            for size, kind in [(1 << 20, "Content"), ((1 << 20) + 1, "Spooled"), (8 << 20, "Spooled"), (0, "NoInput")]:
                content = os.urandom(size)
                answer = Answer(server, "/kind", method="POST", content=content)
                self.assertEqual(answer.content.decode(), f"{kind} {size} {zlib.crc32(content)}")
            chunk = b"100000\r\n" + b"8" * (1 << 20) + b"\r\n"
            head = request("/kind", "POST", "Transfer-Encoding: chunked\r\n")
            wire = talk(server, head + chunk * 3 + b"0\r\n\r\n")
            self.assertTrue(wire.endswith(f"Spooled {3 << 20} {zlib.crc32(b'8' * (3 << 20))}".encode()), wire)
            lines = b"one and two\n" * (1 << 17)
            answer = Answer(server, "/reads", method="POST", content=lines)
            self.assertTrue(answer.content.startswith(repr([b"one", b" and two\n", b"on"])[:-1].encode()), answer.content[:99])
            # What is in use is given back.
            for _ in range(3):
                answer = Answer(server, "/kind", method="POST", content=b"8" * (1 << 20))
                self.assertTrue(answer.content.startswith(b"Content"), answer.content)
            # Too much is refused before it comes.
            wire = talk(server, request("/kind", "POST", f"Content-Length: {(8 << 20) + 1}\r\n"))
            self.assertTrue(wire.startswith(b"HTTP/1.1 413 "), wire)

    def test_content_in_files_leaves_room_on_the_disk(self):
        for server in self.each(body_memory=1 << 20, keep_free=1 << 60):
            for _ in range(2):
                self.assertEqual(Answer(server, "/kind", method="POST", content=bytes(2 << 20)).status, 507)
                # What fits in memory takes nothing of the disk.
                self.assertEqual(Answer(server, "/kind", method="POST", content=bytes(1 << 20)).status, 200)

    def test_content_in_small_pieces_takes_no_more_memory(self):
        for server in self.each():
            # Whoever is asked first needs some for the first time.
            self.assertEqual(Answer(server, "/kind", method="POST", content=b"8" * (256 << 10)).status, 200)
            before = peak(server)
            # Each byte is a chunk of its own.
            wire = talk(server, request("/kind", "POST", "Transfer-Encoding: chunked\r\n") + b"1\r\n8\r\n" * (256 << 10) + b"0\r\n\r\n")
            self.assertTrue(wire.endswith(f"Content {256 << 10} {zlib.crc32(b'8' * (256 << 10))}".encode()), wire)
            self.assertLess(peak(server) - before, 8 << 20)

    def test_files_are_sent_by_the_system_where_they_are_files(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "content")
            content = os.urandom(300_000)
            path.write_bytes(content)
            packed = pathlib.Path(folder, "packed")
            packed.write_bytes(gzip.compress(content))
            cases = [
                ("file&&", content), ("raw&&", content), ("noted&&", content), ("other&&", b"onetwo"),
                ("file&100&", content[100:]), ("file&0&7", content[:7]), ("raw&100&7", content[100:107]),
                ("file&300000&", b""), ("gzip&&", content), ("noted&5&", content[5:]),
            ]
            for server in self.each():
                for query, expected in cases:
                    with self.subTest(query):
                        place = packed if query.startswith("gzip") else path
                        answer = Answer(server, f"/file?{query}", fields=f"X-Path: {place}\r\n")
                        self.assertEqual((answer.status, answer.is_whole), (200, True))
                        self.assertEqual(answer.content, expected)
                        is_file = query.startswith(("file", "raw"))
                        self.assertEqual(is_file, "Content-Length" in answer.headers)
                # More is announced than there is.
                answer = Answer(server, "/file?file&&300001", fields=f"X-Path: {path}\r\n")
                self.assertFalse(answer.is_whole)
                server.wait_for("300000 bytes instead of 300001")
                self.assertEqual(Answer(server, "/file?file&&", "HEAD", f"X-Path: {path}\r\n").status, 200)
                closed = Answer(server, "/closed?file").content
                self.assertEqual(closed.count(b"file"), 3, closed)

    def test_close_is_called_where_the_client_is_gone(self):
        for server in self.each():
            with connect(server) as connection:
                connection.sendall(request("/pours?1000000"))
                read_until(connection, b"\r\n\r\n")
            # One more thread is there for this one only if the other came back.
            self.assertEqual(Answer(server, "/nothing").status, 200)
            until = time.monotonic() + DEADLINE
            before, now = -1, 0
            while before != now and time.monotonic() < until:
                before, now = now, int(Answer(server, "/pulled").content)
            self.assertEqual(before, now)

    def test_a_client_that_leaves_while_it_is_written_to_is_no_failure(self):
        for server in self.each(threads=[1]):
            with connect(server) as connection:
                connection.sendall(request("/pours_written?1000000"))
                read_until(connection, b"\r\n\r\n")
            # The one thread is there for this only when the other call has ended, and what it said is told before.
            self.assertEqual(Answer(server, "/fails").status, 500)
            server.wait_for('the application failed: GET "/fails"')
            self.assertNotIn("pours_written", server.log)

    def test_what_python_keeps_for_a_thread_stays(self):
        for server in self.each(threads=[0, 1]):
            counts = [int(Answer(server, "/again").content) for _ in range(5)]
            self.assertEqual(counts, [1, 2, 3, 4, 5])

    def test_what_is_set_in_a_context_is_there_for_the_same_answer_alone(self):
        for server in self.each():
            with connect(server) as one, connect(server) as other, connect(server) as leaves:
                for connection, name in [(one, "x"), (other, "y"), (leaves, "z")]:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                    connection.sendall(request(f"/named?{name}"))
                    read_until(connection, b"\r\n\r\n")
                leaves.close()
                # Their content is made in turns, each as far as it is taken.
                for connection, name in [(one, b"x"), (other, b"y")]:
                    content = read_until_close(connection)
                    self.assertEqual([content.count(letter) for letter in (b"x", b"y", b"z")].count(0), 2)
                    self.assertEqual(content.count(name), 10_000_000)
            server.stop()
            self.assertNotIn("Traceback", server.log)

    def test_one_thread_makes_all_of_an_answer_for_half_as_many_answers_as_threads(self):
        for server in self.each(threads=[6]):
            with concurrent.futures.ThreadPoolExecutor(3) as clients:
                answers = [clients.submit(Answer, server, "/threads") for _ in range(3)]
                for _ in range(20):
                    self.assertEqual(Answer(server, "/nothing").status, 200)
                made_by = [set(answer.result().content.split()) for answer in answers]
            self.assertEqual([len(threads) for threads in made_by], [1, 1, 1])

    def test_other_threads_of_the_process_have_their_turn(self):
        for server in self.each():
            for requests in [1, 50]:
                # One at a time with pauses between, and many at once without any.
                before = int(Answer(server, "/ticks").content)
                until = time.monotonic() + DEADLINE
                now = before
                while now < before + 20 and time.monotonic() < until:
                    wire = b"GET /ticks HTTP/1.1\r\nHost: a\r\n\r\n" * requests
                    talk(server, wire + request("/nothing"))
                    now = int(Answer(server, "/ticks").content)
                self.assertGreaterEqual(now, before + 20)

    def test_content_for_head_is_not_sent_whatever_there_is_and_no_error(self):
        for server in self.each():
            for path in ["writes", "promises?5&0", "promises?5&parts&0", "promises?5&parts&2", "promises?5&parts&5"]:
                wire = talk(server, request(f"/{path}", "HEAD"))
                self.assertTrue(wire.startswith(b"HTTP/1.1 200 OK") and wire.endswith(b"\r\n\r\n"), wire)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Error", server.log)

    def test_requests_leave_no_objects_behind(self):
        paths = ["nothing", "parts", "listed", "writes", "promises?3&parts&3", "fails", "fails_later", "echo"]
        for server in self.each():
            counts = []
            for _ in range(3):
                for path in paths:
                    body = b"8" * 1000 if path == "echo" else b""
                    for _ in range(50):
                        talk(server, request(f"/{path}", "POST", content=body))
                counts.append(int(Answer(server, "/objects").content))
            # A thread more has a few of its own; each request that left one would make hundreds.
            self.assertLess(counts[2], counts[1] + 200, counts)

    def test_answers_of_requests_that_waited_are_told_of_together(self):
        def stays(path):
            return f"GET {path} HTTP/1.1\r\nHost: farm.test\r\n\r\n".encode()

        with serving("wsgi_app:app", threads=1) as server, fifo() as path, contextlib.ExitStack() as stack:
            holds, *waiting = [stack.enter_context(connect(server)) for _ in range(65)]
            told = []
            # Now and then the machine has other things to do for longer than an answer may wait.
            for _ in range(10):
                holds.sendall(stays(f"/writes_and_waits?{path}"))
                read_until(holds, b"one")
                for connection in waiting:
                    connection.sendall(stays("/ok"))
                before = writes(server)
                self.assertEqual(select.select(waiting, [], [], 0)[0], [], "answered while the only thread waits")
                tell(path, b"x")
                read_until(holds, b"\r\n0\r\n\r\n")
                for connection in waiting:
                    read_until(connection, b"\r\n\r\nok")
                told.append(writes(server) - before)
            self.assertLess(min(told), 16, told)

    def test_too_many_waiting_requests_are_told_to_come_again(self):
        with serving("wsgi_app:app", threads=1) as server, fifo() as path:
            waiting = [connect(server) for _ in range(1100)]
            for connection in waiting:
                connection.sendall(request(f"/writes_and_waits?{path}"))
            for connection in waiting:
                connection.setblocking(False)
            until = time.monotonic() + DEADLINE
            busy = []
            while not busy and time.monotonic() < until:
                for connection in waiting:
                    with contextlib.suppress(BlockingIOError):
                        received = connection.recv(65536)
                        if received.startswith(b"HTTP/1.1 503 "):
                            busy.append(received)
            self.assertIn(b"Retry-After: 1\r\n", busy[0])
            for connection in waiting:
                connection.close()
            tell(path, b"x")


class Signals(unittest.TestCase):
    def test_the_request_under_way_is_answered(self):
        for threads in THREADS:
            for number in [signal.SIGTERM, signal.SIGINT]:
                with self.subTest(threads=threads, signal=number), serving("wsgi_app:app", threads=threads) as server:
                    with fifo() as path, connect(server) as connection:
                        connection.sendall(request(f"/waits?{path}"))
                        read_until(connection, b"one")
                        server.send(number)
                        tell(path, b"two")
                        read_until(connection, b"0\r\n\r\n")
                    self.assertEqual(server.wait(), 0, server.log)

    @unittest.skipUnless(os.sched_getscheduler(0) == os.SCHED_OTHER, "somebody has chosen another policy")
    def test_the_thread_that_serves_takes_the_processor_from_no_other(self):
        usual = os.SCHED_OTHER
        for threads, serves in [(0, usual), (1, os.SCHED_BATCH), (4, os.SCHED_BATCH)]:
            program = (
                f"import os, number8, wsgi_app; number8.serve(wsgi_app.app, bind='127.0.0.1:0', threads={threads}); "
                "print(os.sched_getscheduler(0))"
            )
            with self.subTest(threads=threads), running(["-c", program], stdout=subprocess.PIPE) as server:
                with server.process.stdout as stdout:
                    told = json.loads(Answer(server, "/policy").content)
                    self.assertEqual(server.stop(), 0, server.log)
                    told.append(int(stdout.read()))
                # Of the thread that calls, of a program, of the one that serves, and of that afterwards.
                self.assertEqual(told, [usual, usual, serves, usual])

    def test_a_second_signal_ends_it_at_once(self):
        for threads in THREADS:
            with self.subTest(threads=threads), serving("wsgi_app:app", threads=threads) as server, fifo() as path:
                with connect(server) as connection:
                    connection.sendall(request(f"/waits?{path}"))
                    read_until(connection, b"one")
                    began = time.monotonic()
                    # Of two signals of one kind the second may be lost.
                    server.send(signal.SIGTERM)
                    server.send(signal.SIGINT)
                    code = server.wait()
                    took = time.monotonic() - began
                    # The application waits longer than that.
                    self.assertLess(took, DEADLINE - 10, server.log)
                    self.assertEqual(code, 0, server.log)

    def test_a_call_that_outlives_the_grace_does_not_make_the_end_a_crash(self):
        app = """
import time

def app(environ, start_response):
    start_response("200 OK", [])
    yield b"begun"
    while True:
        time.sleep(0.001)
"""
        alone = "import atexit, number8, shop; atexit.register(print, 'at the end'); number8.serve(shop.app, bind='127.0.0.1:0', grace=0.1)"
        command = ["-m", "number8", "app", "-b", "127.0.0.1:0", "--grace", "100ms", "shop"]
        cases = [
            (["-c", alone], b"at the end\n", 0),
            (["-c", alone + "; import sys; sys.exit(3)"], b"at the end\n", 3),
            (["-c", alone + "; from number8 import _leaving; _leaving.leave(4)"], b"at the end\n", 4),
            (command, b"", 0),
            ([*command, "--no-respawn"], b"", 0),
        ]
        for arguments, said, code in cases:
            with self.subTest(arguments), folder(shop=app) as path:
                with running(arguments, cwd=path, stdout=subprocess.PIPE) as server, connect(server) as connection:
                    connection.sendall(request("/"))
                    read_until(connection, b"begun")
                    self.assertEqual(server.stop(), code, server.log)
                    self.assertEqual(server.process.stdout.read(), said)
                    server.process.stdout.close()
                    self.assertIn("calls of the application still go on", server.log)
                    self.assertNotIn("FATAL", server.log)

    def test_what_the_application_returned_is_closed_at_the_end_of_the_grace(self):
        app = """
import sys

def app(environ, start_response):
    start_response("200 OK", [])
    return Parts(environ["QUERY_STRING"])

class Parts:
    def __init__(self, path):
        self.parts = self.give(path)

    def __iter__(self):
        return self.parts

    def give(self, path):
        yield b"begun"
        with open(path, "rb") as file:
            yield file.read(1)

    def close(self):
        sys.stderr.write("closed\\n")
"""
        program = "import number8, shop; number8.serve(shop.app, bind='127.0.0.1:0', threads=1, grace=0.1)"
        with folder(shop=app) as path, fifo() as go, running(["-c", program], cwd=path) as server:
            with connect(server) as connection:
                connection.sendall(request(f"/?{go}"))
                read_until(connection, b"begun")
                server.send(signal.SIGTERM)
                # The grace is over when the answer is cut.
                while connection.recv(1024):
                    pass
            tell(go, b"x")
            self.assertEqual(server.wait(), 0, server.log)
            self.assertIn("closed", server.log)

    def test_the_grace_has_an_end(self):
        with serving("wsgi_app:app", threads=1, grace=0.1) as server:
            with connect(server) as connection:
                connection.sendall(request("/sleeps?3"))
                # It has begun once another one does not get its turn.
                threading.Event().wait(0.1)
                server.send(signal.SIGTERM)
                self.assertEqual(server.wait(), 0, server.log)


if __name__ == "__main__":
    unittest.main()
