"""What PEP 3333 asks of a host, by raw requests."""

import http.client
import io
import json
import signal
import socket
import unittest

from hosting import DEADLINE, running, serving

THREADS = [0, 1, 4]


def talk(server, *requests):
    """Sends bytes over one connection; returns all that comes back before the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        for request in requests:
            connection.sendall(request)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


def request(path, method="GET", fields="", content=b"", version="1.1"):
    """A request, the last of its connection."""
    length = f"Content-Length: {len(content)}\r\n" if content else ""
    head = f"{method} {path} HTTP/{version}\r\nHost: farm.test:8080\r\nConnection: close\r\n{fields}{length}\r\n"
    return head.encode("latin-1") + content


class Answer:
    """The answer to one request."""

    def __init__(self, server, *arguments, **options):
        method = options.get("method", "GET")
        wire = talk(server, request(*arguments, **options))
        response = http.client.HTTPResponse(Wire(wire), method=method)
        response.begin()
        self.status, self.reason, self.headers = response.status, response.reason, response.headers
        self.wire = wire
        try:
            self.content = response.read()
            self.is_whole = True
        except http.client.IncompleteRead as cut:
            self.content = cut.partial
            self.is_whole = False


class Wire:
    """Bytes that came from a socket, for http.client."""

    def __init__(self, wire):
        self._wire = wire

    def makefile(self, _mode):
        return io.BytesIO(self._wire)


class Wsgi(unittest.TestCase):
    servers = {}

    @classmethod
    def setUpClass(cls):
        for threads in THREADS:
            server = serving("wsgi_app:app", threads=threads)
            cls.servers[threads] = server.__enter__()
            cls.addClassCleanup(server.__exit__, None, None, None)

    def each(self, cases=(None,)):
        """Each case, with each kind of host, and the test to run it in."""
        for threads, server in self.servers.items():
            for case in cases:
                yield self.subTest(case, threads=threads), server, case

    def environ(self, server, *arguments, **options):
        answer = Answer(server, *arguments, **options)
        self.assertEqual(answer.status, 200)
        return json.loads(answer.content)

    def test_w3_environ_describes_the_request(self):
        cases = [
            (("/environ/a%20b%2Fc/caf%C3%A9?x=1&y=%20",), {}, {
                "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/environ/a b/c/caf\xc3\xa9",
                "QUERY_STRING": "x=1&y=%20", "REQUEST_URI": "/environ/a%20b%2Fc/caf%C3%A9?x=1&y=%20",
                "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1",
                "HTTP_HOST": "farm.test:8080", "wsgi.version": [1, 0], "wsgi.url_scheme": "http",
                "wsgi.multiprocess": False, "wsgi.run_once": False,
                "wsgi.input_terminated": True, "CONTENT_LENGTH": None, "CONTENT_TYPE": None,
            }),
            (("http://other.test/environ?q",), {}, {"PATH_INFO": "/environ", "QUERY_STRING": "q", "HTTP_HOST": "other.test"}),
            (("/environ",), {"version": "1.0"}, {"SERVER_PROTOCOL": "HTTP/1.0"}),
            (("/environ/100%",), {}, {"PATH_INFO": "/environ/100%"}),
            (("/environ",), {"method": "BREW"}, {"REQUEST_METHOD": "BREW"}),
            (("/environ",), {"method": "POST", "content": b"abcd", "fields": "Content-Type: a/b\r\n"}, {
                "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "4", "CONTENT_TYPE": "a/b",
                "HTTP_CONTENT_LENGTH": None, "HTTP_CONTENT_TYPE": None,
            }),
        ]
        for test, server, (arguments, options, expected) in self.each(cases):
            with test:
                seen = self.environ(server, *arguments, **options)
                self.assertTrue(seen["exact"])
                self.assertEqual({name: seen["environ"].get(name) for name in expected}, expected)
                self.assertEqual(seen["environ"]["SERVER_PORT"], str(server.port))
                self.assertEqual(seen["environ"]["wsgi.multithread"], server is self.servers[4])
                self.assertFalse({"NoneType", "bytes"} & set(seen["types"].values()))

    def test_w3_fields_are_variables(self):
        cases = [
            ("X-A: one\r\nx-a: two\r\n", "HTTP_X_A", "one,two"),
            ("Cookie: a=1\r\nCookie: b=2\r\n", "HTTP_COOKIE", "a=1; b=2"),
            ("X-Latin: caf\xe9\r\n", "HTTP_X_LATIN", "caf\xe9"),
            # What a proxy vouches for must not be what a client says.
            ("X-A: good\r\nX_A: bad\r\n", "HTTP_X_A", "good"),
            ("X_A: bad\r\n", "HTTP_X_A", None),
            ("X-Forwarded-For: 10.1.1.1\r\n", "REMOTE_ADDR", "127.0.0.1"),
        ]
        for test, server, (fields, name, value) in self.each(cases):
            with test:
                self.assertEqual(self.environ(server, "/environ", fields=fields)["environ"].get(name), value)

    def test_w3_names_of_fields_are_not_kept_without_end(self):
        for test, server, _ in self.each():
            with test:
                for first in range(0, 1200, 60):
                    fields = "".join(f"X-N{number}: {number}\r\n" for number in range(first, first + 60))
                    seen = self.environ(server, "/environ", fields=fields)["environ"]
                    self.assertEqual(seen[f"HTTP_X_N{first}"], str(first))
                # Nor does Python keep the others, which 3.12 would do for ever.
                fields = f"X-Of-This-Test-{server.port}: last\r\nX-{'Long-' * 20}: 1\r\n"
                kept = Answer(server, "/interned", fields=fields).content.decode().split()
                self.assertIn("HTTP_HOST", kept)
                self.assertEqual([name for name in kept if "LONG" in name or "TEST" in name], [])

    def test_w4_input_is_the_content_and_has_an_end(self):
        lines = b"abcde\nsecond\nlast"
        chunked = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n"
        cases = [
            ("/echo", {"content": b"hello"}, b"hello"),
            ("/echo", {"method": "POST"}, b""),
            ("/reads", {"content": lines}, repr([b"abc", b"de\n", b"se", [b"cond\n", b"last"], b"", b""]).encode()),
            ("/reads", {}, repr([b"", b"", b"", [], b"", b""]).encode()),
            ("/iterates", {"content": lines}, repr([b"abcde\n", b"second\n", b"last"]).encode()),
            ("/iterates", {}, b"[]"),
            ("/ignores", {"content": b"x" * 100_000}, b"ignored"),
        ]
        for test, server, (path, options, content) in self.each(cases):
            with test:
                answer = Answer(server, path, **{"method": "POST", **options})
                self.assertEqual((answer.status, answer.content), (200, content))
        for test, server, path in self.each(["/echo", "/environ"]):
            with test:
                head = request(path, "POST", "Transfer-Encoding: chunked\r\n")
                answer = talk(server, head + chunked)
                if path == "/echo":
                    self.assertTrue(answer.endswith(b"abcde"), answer)
                else:
                    seen = json.loads(answer.partition(b"\r\n\r\n")[2])["environ"]
                    self.assertEqual(seen["CONTENT_LENGTH"], "5")
                    self.assertNotIn("HTTP_TRANSFER_ENCODING", seen)

    def test_w4_large_input_is_read_like_any_file(self):
        content = b"".join(b"line %d\n" % number for number in range(40_000))
        chunked = b"".join(
            b"%x\r\n%s\r\n" % (len(part), part)
            for part in (content[start:start + 99_991] for start in range(0, len(content), 99_991))
        ) + b"0\r\n\r\n"
        for test, server, _ in self.each():
            with test:
                # Once more with the memory that the one before has left.
                for _ in range(3):
                    answer = Answer(server, "/compares", method="POST", content=content)
                    self.assertEqual(answer.content, b"%d bytes" % len(content))
                answer = talk(server, request("/compares", "POST", "Transfer-Encoding: chunked\r\n") + chunked)
                self.assertTrue(answer.endswith(b"\r\n%d bytes" % len(content)), answer)

    def test_w4_no_input_is_read_like_any_file(self):
        for test, server, method in self.each(["GET", "POST"]):
            with test:
                for _ in range(2):
                    self.assertEqual(Answer(server, "/compares_nothing", method=method).content, b"nothing")

    def test_w4_large_content_is_received_where_the_application_finds_it(self):
        for test, server, _ in self.each():
            with test:
                # The first one makes room for the next ones.
                found = [Answer(server, "/rereads", method="POST", content=bytes(1 << 20)).content for _ in range(3)]
                self.assertEqual(found[1:], [b"16 of 16 are the same"] * 2)

    def test_w4_a_long_line_is_looked_at_once(self):
        for test, server, _ in self.each():
            with test:
                # Were all of it looked at for each part, this took minutes.
                answer = Answer(server, "/limited", method="POST", content=bytes(4 << 20))
                self.assertEqual(answer.content, b"65536 parts")

    def test_w4_input_stops_before_the_next_request(self):
        for test, server, path in self.each(["/echo", "/ignores"]):
            with test:
                first = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\nGET /x HTTP/1.1\r\n".encode()
                answer = talk(server, first + request("/nothing"))
                self.assertEqual(answer.count(b"HTTP/1.1 200 OK\r\n"), 2, answer)

    def test_w4_a_client_that_asks_is_told_to_send(self):
        for test, server, _ in self.each():
            with test:
                with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
                    fields = "Expect: 100-continue\r\nContent-Length: 5\r\n"
                    connection.sendall(request("/echo", "POST", fields))
                    self.assertEqual(connection.recv(25), b"HTTP/1.1 100 Continue\r\n\r\n")
                    connection.sendall(b"hello")
                    answer = b""
                    while received := connection.recv(65536):
                        answer += received
                self.assertTrue(answer.endswith(b"hello"), answer)

    def test_w4_status_and_fields_are_sent_as_given(self):
        for test, server, _ in self.each():
            with test:
                answer = Answer(server, "/status")
                self.assertEqual((answer.status, answer.reason), (299, "Odd Reason"))
                self.assertEqual(answer.headers.get_all("Set-Cookie"), ["a=1", "b=2"])
                self.assertIn(b"\r\nX-Latin: caf\xe9\r\n", answer.wire)
                self.assertIn("Date", answer.headers)

    def test_w4_content_comes_in_every_way(self):
        cases = [("/parts", b"onetwo"), ("/listed", b"onetwo"), ("/lazy", b"lazy"), ("/writes", b"onetwothree"),
                 ("/nothing", b""), ("/replaced", b"replaced")]
        for version in ["1.1", "1.0"]:
            for test, server, (path, content) in self.each(cases):
                with test:
                    answer = Answer(server, path, version=version)
                    self.assertEqual(answer.content, content)
                    if version == "1.0":
                        self.assertNotIn("Transfer-Encoding", answer.headers)
                    answer = Answer(server, path, method="HEAD", version=version)
                    self.assertEqual(answer.wire.partition(b"\r\n\r\n")[2], b"")

    def test_w4_some_statuses_have_no_content(self):
        for test, server, code in self.each([204, 304]):
            with test:
                answer = Answer(server, f"/without_content?{code}")
                self.assertEqual(answer.status, code)
                self.assertEqual(answer.wire.partition(b"\r\n\r\n")[2], b"")
                for name in ["Transfer-Encoding", "Content-Length"]:
                    self.assertNotIn(name, answer.headers)
                self.assertEqual(answer.headers["ETag"], '"8"')

    def test_w4_what_the_client_has_is_not_missed(self):
        for test, server, query in self.each(["", "parts"]):
            with test:
                less, more = "less content than it announced", "more content than it announced"
                before = {kind: server.log.count(kind) for kind in (less, more)}
                answer = Answer(server, f"/known?{query}")
                self.assertEqual((answer.status, answer.headers["Content-Length"], answer.content), (304, "5", b""))
                # What is said of this comes behind what is said of the other.
                self.assertEqual(Answer(server, "/promises?3&5").status, 200)
                server.wait_for(more, before[more] + 1)
                self.assertEqual(server.log.count(less), before[less])

    def test_w4_the_length_is_a_promise(self):
        cases = [
            ("3&3", b"888", True), ("3&5", b"888", True), ("5&3", b"888", False), ("5&0", b"", False),
            ("3&parts&3", b"888", True), ("3&parts&5", b"888", True), ("5&parts&3", b"888", False), ("5&none&0", b"", False),
        ]
        for test, server, (query, content, is_whole) in self.each(cases):
            with test:
                promised, *_, given = query.split("&")
                complaint = f"{given} bytes instead of {promised}"
                before = server.log.count(complaint)
                answer = Answer(server, f"/promises?{query}")
                if given != promised:
                    server.wait_for(complaint, before + 1)
                self.assertEqual((answer.content, answer.is_whole), (content, is_whole))
                self.assertEqual(answer.wire.partition(b"\r\n\r\n")[2], content)
                head = Answer(server, f"/promises?{query}", method="HEAD")
                self.assertEqual(head.headers["Content-Length"], query[0])

    def test_w4_unsent_heads_are_replaced_and_sent_ones_are_not(self):
        for test, server, _ in self.each():
            with test:
                answer = Answer(server, "/replaced")
                self.assertEqual((answer.status, answer.headers["X-Replaced"]), (502, "yes"))
                self.assertNotIn(b"never", talk(server, request("/too_late")))

    def test_w4_close_is_called_once_whatever_happens(self):
        cases = [("parts", {}), ("parts", {"method": "HEAD"}), ("fails_later", {}), ("fails_at_once", {}),
                 ("promises", {"query": "?3&parts&5"}), ("promises", {"query": "?5&parts&3"})]
        for test, server, (name, options) in self.each(cases):
            with test:
                query = options.pop("query", "") if (options := dict(options)) else ""
                before = len(json.loads(Answer(server, f"/closed?{name}").content))
                talk(server, request(f"/{name}{query}", **options))
                closed = json.loads(Answer(server, f"/closed?{name}").content)
                self.assertEqual(len(closed), before + 1)

    def test_w4_what_goes_wrong_is_a_500_that_tells_nothing(self):
        cases = ["/fails", "/fails_after_start", "/fails_at_once", "/no_start", "/twice", "/no-such-function"]
        cases += [f"/gives?{what}" for what in ["str", "int", "none", "bare-str", "number", "later"]]
        wrong = ["field-crlf", "name-crlf", "reason-crlf", "nul", "beyond-latin-1", "no-name", "connection",
                 "transfer-encoding", "upgrade", "no-length", "two-lengths", "bytes-status", "bytes-field", "no-digits",
                 "interim", "four-digits", "no-list", "no-pairs"]
        cases += [f"/starts?{what}" for what in wrong]
        for test, server, path in self.each(cases):
            with test:
                wire = talk(server, request(path))
                self.assertTrue(wire.startswith(b"HTTP/1.1 500 "), wire)
                for text in [b"Traceback", b"secret", b"Injected", b"Error:"]:
                    self.assertNotIn(text, wire.replace(b"Internal Server Error:", b""))

    def test_w4_what_goes_too_deep_is_an_error_and_not_the_end(self):
        for test, server, path in self.each(["/deep"]):
            with test:
                wire = talk(server, request(path))
                self.assertTrue(wire.endswith(b"RecursionError"), wire)

    def test_w4_what_goes_wrong_later_cuts_the_answer(self):
        for test, server, version in self.each(["1.1", "1.0"]):
            with test:
                with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
                    connection.sendall(request("/fails_later", version=version))
                    answer = b""
                    is_reset = False
                    try:
                        while received := connection.recv(65536):
                            answer += received
                    except ConnectionResetError:
                        is_reset = True
                self.assertIn(b"second", answer)
                self.assertNotIn(b"secret", answer)
                # Where only the end of the connection tells the end of the content, it is not a plain end.
                self.assertTrue(is_reset if version == "1.0" else not answer.endswith(b"0\r\n\r\n"), answer)

    def test_w4_what_is_half_written_is_cut_where_the_application_fails(self):
        for test, server, _ in self.each():
            with test:
                answer = talk(server, request("/fails_within"))
                self.assertFalse(answer.endswith(b"0\r\n\r\n"), answer)
                self.assertNotIn(b"secret", answer)

    def test_w4_errors_go_to_the_log(self):
        for test, server, _ in self.each():
            with test:
                talk(server, request("/fails"))
                server.wait_for("ValueError: secret")
                server.wait_for("the application failed: GET \"/fails\"")
                talk(server, request("/says"))
                server.wait_for("said to errors\nand again\n")


    def test_w4_there_is_always_something_to_write_errors_to(self):
        program = "import sys; sys.stderr = None; import number8, wsgi_app; number8.serve(wsgi_app.app, bind='127.0.0.1:0')"
        with running(["-c", program]) as server:
            self.assertEqual(Answer(server, "/says").status, 200)


class Signals(unittest.TestCase):
    def test_signals_end_it_gracefully(self):
        for threads in THREADS:
            for number in [signal.SIGTERM, signal.SIGINT]:
                with self.subTest(threads=threads, signal=number), serving("wsgi_app:app", threads=threads) as server:
                    self.assertEqual(Answer(server, "/nothing").status, 200)
                    self.assertEqual(server.stop(number), 0, server.log)
                    self.assertNotIn("Traceback", server.log)


if __name__ == "__main__":
    unittest.main()

    def test_a_forked_child_ends_by_a_signal_and_its_server_does_not(self):
        for threads in THREADS:
            with self.subTest(threads=threads), serving("wsgi_app:app", threads=threads) as server:
                self.assertEqual(json.loads(Answer(server, "/forks").content), [-signal.SIGTERM] * 5)
                self.assertEqual(Answer(server, "/nothing").status, 200)
                self.assertEqual(server.stop(), 0, server.log)
