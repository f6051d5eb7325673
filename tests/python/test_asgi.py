"""What ASGI 3 asks of a host, by raw requests: https://asgi.readthedocs.io/en/latest/specs/www.html."""

import http.client
import io
import json
import os
import signal
import socket
import sys
import tempfile
import unittest
from urllib.parse import quote

from hosting import DEADLINE, HERE, serving

CHANCES = 200
LOOPS = ["asyncio", "uvloop"]

#: What an application does that gives no whole answer, and what its client sees: the status, or that it is cut.
NOT_WHOLE = [
    ("/none", 500),
    ("/raises", 500),
    ("/raises-after-start", 500),
    ("/short", 500),
    ("/long", 500),
    ("/raises-within", "cut"),
    ("/ends-within", "cut"),
    ("/short-parts", "cut"),
    ("/long-parts", "cut"),
]


def request(path, *fields, method="GET", version="1.1", content=None, closes=True):
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/{version}", "Host: farm.test", *fields]
    if content is not None:
        lines.append(f"Content-Length: {len(content)}")
    if closes:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (content or b"")


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), DEADLINE)


def rest(connection):
    """All that comes before the other side closes; a reset is an end, too."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def until(connection, end):
    received = b""
    while not received.endswith(end):
        piece = connection.recv(1)
        assert piece, received
        received += piece
    return received


HEADERS, RST_STREAM, SETTINGS = 1, 3, 4


def frame(kind, flags=0, stream=0, payload=b""):
    """A frame of HTTP/2 (RFC 9113 §4.1)."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


class Answer:
    """An answer as http.client reads it."""

    class Wire:
        def __init__(self, wire):
            self._wire = wire

        def makefile(self, _mode):
            return io.BytesIO(self._wire)

    def __init__(self, wire, method="GET"):
        self.wire = wire
        response = http.client.HTTPResponse(self.Wire(wire), method=method)
        response.begin()
        self.status, self.headers = response.status, response.headers
        try:
            self.content, self.is_whole = response.read(), True
        except http.client.IncompleteRead as cut:
            self.content, self.is_whole = cut.partial, False

    @property
    def json(self):
        return json.loads(self.content)


def ask(server, path, *fields, method="GET", **options):
    with connect(server) as connection:
        connection.sendall(request(path, *fields, method=method, **options))
        return Answer(rest(connection), method)


class Hosted(unittest.TestCase):
    """Tests that ask servers, one for each loop."""

    app = "asgi_app:app"

    def servers(self, **arguments):
        for loop in LOOPS:
            with serving(self.app, interface="asgi", loop=loop, **arguments) as server:
                try:
                    yield server
                except GeneratorExit:
                    # The test has failed, and does not know in which loop.
                    print(f"in the loop of {loop}, where the server says:\n{server.log}", file=sys.stderr)
                    raise

    def notes(self, server, text):
        """Waits until the application has noted that; returns all notes."""
        return ask(server, f"/notes?{quote(text)}").json


class Scope(Hosted):
    def test_d4_the_scope_says_all_of_a_request(self):
        for server in self.servers(root_path="/below"):
            fields = ["X-Two: 1", "x-tWO: 2", "Cookie: a=1", "X-Latin: \xe9", "Content-Type: text/plain"]
            with connect(server) as connection:
                port = connection.getsockname()[1]
                sent = request("/scope/%C3%A9%2F%20+?q=%20&r", *fields, method="POST", content=b"x")
                connection.sendall(sent)
                scope = Answer(rest(connection)).json
            self.assertEqual(
                scope,
                {
                    "type": "http",
                    "asgi": {"version": "3.0", "spec_version": "2.5"},
                    "http_version": "1.1",
                    "method": "POST",
                    "scheme": "http",
                    "path": "/below/scope/é/ +",
                    "raw_path": {"bytes": "/below/scope/%C3%A9%2F%20+"},
                    "query_string": {"bytes": "q=%20&r"},
                    "root_path": "/below",
                    "headers": [
                        [{"bytes": name}, {"bytes": value}]
                        for name, value in [
                            ("host", "farm.test"),
                            ("x-two", "1"),
                            ("x-two", "2"),
                            ("cookie", "a=1"),
                            ("x-latin", "\xe9"),
                            ("content-type", "text/plain"),
                            ("content-length", "1"),
                            ("connection", "close"),
                        ]
                    ],
                    "client": ["127.0.0.1", port],
                    "server": ["127.0.0.1", server.port],
                    "extensions": {"http.response.trailers": {}, "http.response.pathsend": {}},
                    "state": {},
                },
            )

    def test_d4_what_clients_send_in_odd_ways(self):
        cases = [
            ("absolute", "http://other.test/scope/x?y", "1.1", {"path": "/scope/x", "raw_path": {"bytes": "/scope/x"}}),
            ("1.0", "/scope", "1.0", {"http_version": "1.0"}),
            ("no UTF-8", "/scope/%FF", "1.1", {"path": "/scope/\ufffd", "raw_path": {"bytes": "/scope/%FF"}}),
            ("two slashes", "/scope//x", "1.1", {"path": "/scope//x"}),
            ("no query", "/scope?", "1.1", {"query_string": {"bytes": ""}}),
        ]
        for server in self.servers():
            for name, target, version, expected in cases:
                with self.subTest(name):
                    scope = ask(server, target, version=version).json
                    self.assertEqual({key: scope[key] for key in expected}, expected)

    def test_b6_the_host_of_an_absolute_target_is_the_only_one(self):
        for server in self.servers():
            headers = dict((name["bytes"], value["bytes"]) for name, value in ask(server, "http://other.test/scope").json["headers"])
            self.assertEqual(headers["host"], "other.test")

    def test_d4_a_root_path_has_no_slash_at_its_end(self):
        for given, seen in [("/below/", "/below"), ("/", "")]:
            for server in self.servers(root_path=given):
                scope = ask(server, "/scope/x").json
                self.assertEqual((scope["root_path"], scope["path"]), (seen, f"{seen}/scope/x"))

    def test_d4_state_is_a_copy_for_each(self):
        for server in self.servers():
            for _ in range(2):
                self.assertEqual(ask(server, "/state").json, ["mine"])


class Receive(Hosted):
    def test_d4_content_comes_in_messages_and_ends(self):
        chunked = b"POST /content HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        cases = [
            ("none", request("/content"), 0),
            ("empty", request("/content", method="POST", content=b""), 0),
            ("a little", request("/content", method="POST", content=b"eight"), 5),
            ("much", request("/content", method="POST", content=b"8" * 3_000_000), 3_000_000),
            ("chunks", chunked, 5),
        ]
        for server in self.servers():
            for name, sent, length in cases:
                def told(sent=sent):
                    with connect(server) as connection:
                        connection.sendall(sent)
                        return Answer(rest(connection)).json

                with self.subTest(name):
                    said = told()
                    self.assertEqual(sum(count for count, _ in said), length)
                    self.assertEqual([more for _, more in said], [True] * (len(said) - 1) + [False])
                    if length <= 5 and name != "chunks":
                        # A server that runs beside the loop may tell of the end a moment later.
                        self.assertTrue(any(len(told()) == 1 for _ in range(20)), "nothing has to be waited for")

    def test_d4_content_is_neither_gathered_nor_spooled(self):
        for server in self.servers():
            with connect(server) as connection:
                head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                connection.sendall(head + b"3\r\none\r\n")
                until(connection, b"\r\n\r\n3\r\none\r\n")
                connection.sendall(b"3\r\ntwo\r\n")
                until(connection, b"3\r\ntwo\r\n")
                connection.sendall(b"0\r\n\r\n")
                until(connection, b"0\r\n\r\n")

    def test_d4_who_expects_to_be_asked_is_asked_when_the_application_wants_it(self):
        for server in self.servers():
            with connect(server) as connection:
                connection.sendall(request("/refuse", "Expect: 100-continue", "Content-Length: 5", method="POST"))
                self.assertIn(b" 403 ", rest(connection).split(b"\r\n")[0])
            with connect(server) as connection:
                connection.sendall(request("/content", "Expect: 100-continue", "Content-Length: 5", method="POST"))
                self.assertIn(b" 100 ", until(connection, b"\r\n\r\n"))
                connection.sendall(b"eight")
                *whole, (last, is_more) = json.loads(rest(connection).split(b"\r\n\r\n")[1])
                # That all has come may be known only after it was given out.
                self.assertEqual((sum(length for length, _ in whole) + last, is_more), (5, False))

    def test_d4_content_that_is_too_large_is_refused(self):
        for server in self.servers(max_body=10):
            self.assertEqual(ask(server, "/content", method="POST", content=b"x" * 11).status, 413)
            self.assertEqual(ask(server, "/content", method="POST", content=b"x" * 10).status, 200)

    def test_d4_receive_tells_the_end(self):
        for server in self.servers():
            self.assertEqual(ask(server, "/after").content, b"done")
            self.notes(server, "after: http.disconnect http.disconnect")
            # Whatever the client still has to send.
            with connect(server) as connection:
                connection.sendall(request("/after-refusing", "Content-Length: 5", method="POST", closes=False))
                self.assertIn(b" 403 ", until(connection, b"\r\n\r\n"))
                self.notes(server, "after refusing: http.disconnect")

    def test_d4_a_client_that_leaves_wakes_who_waits_for_it(self):
        for server in self.servers():
            connection = connect(server)
            connection.sendall(request("/wait"))
            self.notes(server, "wait: begun")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
            self.notes(server, "wait: http.disconnect")
            self.notes(server, "wait: ClientDisconnected")
            self.assertNotIn("Traceback", server.log)

    def test_d4_a_request_that_is_taken_back_as_its_answer_begins_keeps_nobody_waiting(self):
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS)
        with tempfile.TemporaryDirectory() as folder:
            for server in self.servers():
                # Whether the answer begins first or the server hears of the client is by chance.
                for _ in range(CHANCES):
                    gate = os.path.join(folder, "gate")
                    os.mkfifo(gate)
                    path = f"/late?{gate}".encode()
                    # Fields by RFC 7541 §6.2.2: named as in the table, and not to be remembered.
                    fields = b"\x82\x86\x01\x09farm.test\x04" + bytes([len(path)]) + path
                    with connect(server) as connection:
                        connection.sendall(preface + frame(HEADERS, 0x5, 1, fields))
                        with open(gate, "wb"):  # opens when the application has the request
                            connection.sendall(frame(RST_STREAM, 0, 1, b"\0\0\0\x08"))
                    os.unlink(gate)
                self.notes(server, f"late: ClientDisconnected {CHANCES}")

    def test_d4_a_client_that_has_ended_its_half_gets_what_is_sent(self):
        for server in self.servers():
            with connect(server) as connection:
                connection.sendall(request("/wait"))
                self.notes(server, "wait: begun")
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(Answer(rest(connection)).content, b"for whoever still reads")
            self.notes(server, "wait: sent")

    def test_d4_work_goes_on_when_the_client_has_left(self):
        for server in self.servers():
            connection = connect(server)
            connection.sendall(request("/work"))
            self.notes(server, "work: begun")
            connection.close()
            ask(server, "/go-on")
            self.notes(server, "work: done")

    def test_d4_a_receive_that_is_cancelled_loses_nothing(self):
        for server in self.servers():
            with connect(server) as connection:
                connection.sendall(request("/cancelled", "Content-Length: 5", method="POST"))
                self.notes(server, "cancelled: now")
                connection.sendall(b"eight")
                self.assertEqual(Answer(rest(connection)).json, [False, "eight"])

    def test_d4_a_receive_that_is_cancelled_leaves_nothing_behind(self):
        for server in self.servers():
            self.assertLess(int(ask(server, "/polls").content), 10)

    def test_d4_two_tasks_share_a_request(self):
        for server in self.servers():
            self.assertEqual(ask(server, "/both").content, b"part\npart\npart\nend\n")
            self.assertLessEqual(int(ask(server, "/leaks").content), 3)


class Send(Hosted):
    def test_d4_answers_are_framed_as_the_application_says(self):
        cases = [
            # path, method, version, status, content, fields
            ("/length", "GET", "1.1", 200, b"eight", {"content-length": "5"}),
            ("/length", "HEAD", "1.1", 200, b"", {"content-length": "5"}),
            ("/length-parts", "GET", "1.1", 200, b"eight", {"content-length": "5", "transfer-encoding": None}),
            ("/length-parts", "HEAD", "1.1", 200, b"", {"content-length": "5"}),
            ("/empty", "GET", "1.1", 200, b"", {"content-length": "0"}),
            ("/many-empty", "GET", "1.1", 200, b"x", {"transfer-encoding": "chunked"}),
            ("/parts", "GET", "1.1", 200, b"onetwo", {"transfer-encoding": "chunked", "content-length": None}),
            ("/parts", "HEAD", "1.1", 200, b"", {}),
            ("/parts", "GET", "1.0", 200, b"onetwo", {"transfer-encoding": None, "connection": "close"}),
            ("/no-content", "GET", "1.1", 204, b"", {"content-length": None, "transfer-encoding": None}),
            ("/not-modified", "GET", "1.1", 304, b"", {"etag": '"8"', "transfer-encoding": None}),
            ("/not-modified-length", "GET", "1.1", 304, b"", {"content-length": "8", "transfer-encoding": None}),
            ("/not-modified-parts", "GET", "1.1", 304, b"", {"content-length": "8", "transfer-encoding": None}),
            ("/framing", "GET", "1.1", 200, b"content", {"content-length": "7", "transfer-encoding": None, "x": "y"}),
            ("/tuples", "GET", "1.1", 200, b"x", {"x-from": "a generator"}),
            ("/array", "GET", "1.1", 200, b"one two", {}),
            ("/nothing-after", "GET", "1.1", 200, b"whole", {}),
            ("/raises-after", "GET", "1.1", 200, b"whole", {}),
        ]
        for server in self.servers():
            for path, method, version, status, content, fields in cases:
                with self.subTest(path, method=method, version=version):
                    answer = ask(server, path, method=method, version=version)
                    self.assertEqual((answer.status, answer.content), (status, content), answer.wire)
                    self.assertTrue(answer.is_whole)
                    self.assertEqual({name: answer.headers.get(name) for name in fields}, fields)

    def test_d4_who_streams_for_head_learns_that_nobody_takes_it(self):
        for server in self.servers():
            with connect(server) as connection:
                for path, said in [("/ticks", "nobody takes it"), ("/quiet", "nobody is there")]:
                    connection.sendall(request(path, method="HEAD", closes=False))
                    until(connection, b"\r\n\r\n")
                    # The client is there still.
                    self.notes(server, said)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("number8", server.log)

    def test_d4_who_announces_a_length_comes_to_the_end_for_head(self):
        for server in self.servers():
            with connect(server) as connection:
                connection.sendall(request("/announced", method="HEAD", closes=False))
                until(connection, b"\r\n\r\n")
                self.notes(server, "announced: whole")
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("number8", server.log)

    def test_d4_who_fails_when_a_client_has_left_is_logged(self):
        for server in self.servers():
            with connect(server) as connection:
                connection.sendall(request("/cleanup"))
                until(connection, b"tick")
            server.wait_for("KeyError: 'no such order'")

    def test_d4_a_file_is_sent_as_it_is(self):
        content = (HERE / "asgi_app.py").read_bytes()
        for server in self.servers():
            for method, expected in [("GET", content), ("HEAD", b"")]:
                answer = ask(server, "/file", method=method)
                self.assertEqual((answer.status, answer.content, answer.headers["x"]), (200, expected, "y"))
                self.assertEqual(answer.headers["content-length"], str(len(content)))
            self.assertEqual(ask(server, "/file", version="1.0").content, content)

    def test_d4_fields_keep_their_order_and_their_bytes(self):
        for server in self.servers():
            wire = ask(server, "/cookies").wire.lower()
            self.assertIn(b"set-cookie: a=1\r\nset-cookie: b=2\r\nx-latin: \xe9\r\n", wire)

    def test_d4_a_connection_goes_on_unless_the_application_ends_it(self):
        for server in self.servers():
            with connect(server) as connection:
                connection.sendall(request("/length", closes=False) + request("/parts", closes=False))
                until(connection, b"0\r\n\r\n")
                connection.sendall(request("/framing", closes=False))
                self.assertTrue(rest(connection).endswith(b"content"))

    def test_d4_what_is_not_whole_is_500_or_cut(self):
        cases = [*NOT_WHOLE, ("/start-only", 500), ("/no-file", 500), ("/folder", 500)]
        for server in self.servers():
            for path, expected in cases:
                with self.subTest(path):
                    answer = ask(server, path)
                    self.assertEqual(answer.status if answer.is_whole else "cut", expected, answer.wire)
                    for secret in (b"secret", b"Traceback"):
                        self.assertNotIn(secret, answer.wire)
                    server.wait_for(f"at {path}\n")
            server.wait_for("KeyError: 'a secret'")

    def test_d4_mistakes_are_errors_of_the_application(self):
        cases = {
            "body-first": "RuntimeError",
            "start-twice": "RuntimeError",
            "start-later": "RuntimeError",
            "trailers-unannounced": "RuntimeError",
            "unknown": "RuntimeError",
            "websocket-message": "RuntimeError",
            "no-type": "TypeError",
            "text": "TypeError",
            "crlf": "ValueError",
            "bad-name": "ValueError",
            "text-header": "TypeError",
            "bad-length": "ValueError",
            "two-lengths": "ValueError",
            "no-status": "TypeError",
            "interim": "ValueError",
            "file-first": "RuntimeError",
            "file-within": "RuntimeError",
            "file-of-another-length": "RuntimeError",
            "half-a-path": "ValueError",
            "no-path": "TypeError",
        }
        for server in self.servers():
            for name, error in cases.items():
                with self.subTest(name):
                    answer = ask(server, f"/{name}")
                    self.assertTrue(answer.status == 500 or not answer.is_whole, answer.wire)
                    self.notes(server, f"{name}: {error}")
                    self.assertNotIn(b"set-cookie", answer.wire)

    def test_d4_each_part_is_sent_before_the_next_is_made(self):
        for server in self.servers():
            with connect(server) as connection:
                connection.sendall(request("/stream"))
                for part in range(3):
                    until(connection, b"part %d\n\r\n" % part)
                    ask(server, f"/got?{part}")
                self.assertIn(b"end\n", rest(connection))

    def test_d4_a_client_that_is_behind_is_waited_for(self):
        for server in self.servers():
            connection = connect(server)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request("/endless"))
            until(connection, b"8")
            sent = int(ask(server, "/how-much").content)
            self.assertLess(sent, 8_000_000, "what the system takes, and a window")
            until(connection, b"8" * 10_000)
            connection.close()
            self.notes(server, "endless: ClientDisconnected")

    def test_d4_trailers_go_to_who_reads_them(self):
        for server in self.servers():
            wire = ask(server, "/trailers", "TE: trailers").wire
            self.assertTrue(wire.endswith(b"content\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n"), wire)
            self.assertTrue(ask(server, "/trailers").wire.endswith(b"content\r\n0\r\n\r\n"))


class Loops(Hosted):
    def test_d4_what_else_runs_in_the_loop_goes_on(self):
        for server in self.servers():
            done = ask(server, "/loop").json
            kind = done.pop("kind")
            self.assertIn(kind, LOOPS)
            self.assertEqual(done, {"thread": True, "threadsafe": "called", "reads": 10, "process": "hello\n"})

    def test_d4_many_at_once_do_not_wait_for_one_another(self):
        for server in self.servers():
            slow = connect(server)
            slow.sendall(request("/stuck"))
            self.notes(server, "stuck: begun")
            connections = [connect(server) for _ in range(50)]
            for connection in connections:
                connection.sendall(request("/length", closes=False) * 3)
            for connection in connections:
                for _ in range(3):
                    until(connection, b"eight")
                connection.close()
            slow.close()


class Stop(Hosted):
    def test_d4_a_signal_lets_requests_end_and_tasks_that_go_on(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            for server in self.servers():
                with connect(server) as slow, connect(server) as background:
                    background.sendall(request("/background"))
                    self.notes(server, "background: begun")
                    slow.sendall(request("/slow"))
                    self.notes(server, "slow: begun")
                    server.send(number)
                    self.assertEqual(Answer(rest(slow)).content, b"slow")
                self.assertEqual(server.wait(), 0)
                self.assertEqual(server.log.count("Traceback"), 0, server.log)

    def test_d4_a_forked_child_ends_by_a_signal_and_its_server_does_not(self):
        for server in self.servers():
            self.assertEqual(ask(server, "/forks").json, [-signal.SIGTERM] * 5)
            self.assertEqual(ask(server, "/pid").status, 200)
            self.assertEqual(server.stop(), 0, server.log)

    def test_d4_an_application_that_is_cancelled_by_itself_has_failed(self):
        for server in self.servers():
            self.assertEqual(ask(server, "/cancels").status, 500)
            server.send(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)
            self.assertIn("the application failed at /cancels", server.log)

    def test_d4_what_does_not_end_is_cancelled(self):
        cases = [("the grace is over", {"grace": 0.3}, 1), ("a second signal", {"grace": 60}, 2)]
        for name, arguments, signals in cases:
            with self.subTest(name):
                for server in self.servers(**arguments):
                    with connect(server) as stuck:
                        stuck.sendall(request("/stuck"))
                        self.notes(server, "stuck: begun")
                        server.send(signal.SIGTERM)
                        if signals == 2:
                            # The server listens no more: the first has come.
                            while True:
                                try:
                                    connect(server).close()
                                except OSError:
                                    break
                            server.send(signal.SIGTERM)
                        self.assertEqual(rest(stuck), b"")
                    self.assertEqual(server.wait(), 0)
                    self.assertNotIn("Traceback", server.log)


if __name__ == "__main__":
    unittest.main()
