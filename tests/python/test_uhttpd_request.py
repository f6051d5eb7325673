"""uhttpd's Request, row by row (R1 to R14 of the behaviours)."""

import http.client
import queue
import socket
import unittest

import number8
from uhttpd import DEADLINE, Case


class Asked(Case):
    def test_r1_server_is_the_server(self):
        server = self.serve()
        seen, _ = self.in_callback(lambda request: request.server() is server, server=server)
        self.assertIs(seen, True)

    def test_r2_method_is_the_number_of_the_verb(self):
        for method, number in [("GET", number8.GET), ("POST", number8.POST), ("DELETE", number8.DELETE), ("HEAD", number8.GET)]:
            with self.subTest(method):
                seen, _ = self.in_callback(lambda request: request.method(), method)
                self.assertEqual(seen, number)

    def test_r3_r4_uri_and_path_are_text(self):
        for target, path in [("/a/b?c=d&e", "/a/b"), ("/x?", "/x"), ("/a%20b?q=%41", "/a%20b"), ("/", "/")]:
            with self.subTest(target):
                seen, _ = self.in_callback(lambda request: (request.uri(), request.path()), target=target)
                self.assertEqual(seen, (target, path))

    def test_r5_length_is_what_the_client_says(self):
        for method, body, length in [("GET", None, 0), ("POST", b"", 0), ("POST", b"four", 4), ("DELETE", b"12", 2)]:
            with self.subTest((method, body)):
                seen, _ = self.in_callback(lambda request: request.length(), method, body=body)
                self.assertEqual(seen, length)

    def test_r6_query_finds_the_first_value(self):
        cases = [
            ("a=1&a=2", "a", b"1"),
            ("a=1", b"a", b"1"),
            ("a", "a", True),
            ("a=", "a", b""),
            ("b=1", "a", None),
            ("", "a", None),
            ("%61=%20x+y%FF", "a", b" x y\xff"),
            ("a&a=2", "a", True),
            ("caf%C3%A9=1", "café", b"1"),
        ]
        for query, key, value in cases:
            with self.subTest(query):
                seen, _ = self.in_callback(lambda request: (request.query(key),), target=f"/x?{query}")
                self.assertEqual(seen, (value,))

    def test_r7_parse_qs_keeps_the_last_value(self):
        cases = [
            ("a=1&a=2&b", {b"a": b"2", b"b": True}),
            ("a=2&a", {b"a": True}),
            ("a=", {b"a": b""}),
            ("", {}),
            ("%61=%62", {b"a": b"b"}),
        ]
        for query, pairs in cases:
            with self.subTest(query):
                seen, _ = self.in_callback(lambda request: request.parse_qs(), target=f"/x?{query}")
                self.assertEqual(seen, pairs)

    def test_r8_read_gives_at_most_so_many_bytes(self):
        cases = [
            ("all", lambda request: [request.read(), request.read()], [b"0123456789", b""]),
            ("negative", lambda request: [request.read(-5)], [b"0123456789"]),
            ("keyword", lambda request: [request.read(len=3)], [b"012"]),
            ("none", lambda request: [request.read(0), request.read(2)], [b"", b"01"]),
            ("pieces", lambda request: [request.read(4), request.read(4), request.read(4), request.read(4)], [b"0123", b"4567", b"89", b""]),
            ("more", lambda request: [request.read(1000)], [b"0123456789"]),
            ("rest", lambda request: [request.read(7), request.read(-1)], [b"0123456", b"789"]),
        ]
        for name, function, expected in cases:
            for chunked in (False, True):
                with self.subTest(name, chunked=chunked):
                    body = iter([b"01234", b"56789"]) if chunked else b"0123456789"
                    seen, _ = self.in_callback(function, "POST", body=body, encode_chunked=chunked)
                    self.assertEqual(seen, expected)

    def test_r8_read_waits_for_a_body_that_comes_late(self):
        server = self.serve()
        server.route("/x", number8.POST, lambda request: request.write(request.read(6)))
        with socket.create_connection(("127.0.0.1", server.port()), timeout=DEADLINE) as client:
            client.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n")
            self.assertTrue(client.recv(1024).startswith(b"HTTP/1.1 100"))
            client.sendall(b"abc")
            client.sendall(b"def")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            self.assertEqual(answer.read(), b"abcdef")

    def test_r8_a_callback_that_waits_for_a_client_holds_no_other_thread(self):
        server = self.serve()
        server.route("/x", number8.POST, lambda request: request.write(request.read()))
        with socket.create_connection(("127.0.0.1", server.port()), timeout=DEADLINE) as client:
            client.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
            client.recv(1024)
            # The callback waits now; this thread runs, and so does the server.
            self.assertEqual(self.ask(server, "GET", "/nothing").status, 404)
            client.sendall(b"!")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            self.assertEqual(answer.read(), b"!")

    def test_r8_a_body_that_is_too_large_is_413(self):
        server = self.serve(max_body=10)
        _, answer = self.in_callback(lambda request: request.read(), "POST", body=b"x" * 11, server=server)
        self.assertEqual(answer.status, 413)
        # Of a callback that lets that through, nothing is logged: it is the client's doing.
        server.route("/lets-through", number8.POST, lambda request: request.read())
        self.assertEqual(self.ask(server, "POST", "/lets-through", body=b"x" * 11).status, 413)
        self.assertEqual(self.logged, [])

    def test_r9_readinto_fills_a_buffer(self):
        def function(request):
            buffer = bytearray(4)
            counts = [request.readinto(buffer), bytes(buffer)]
            counts += [request.readinto(memoryview(buffer)[:2]), bytes(buffer)]
            return [*counts, request.readinto(buffer)]

        seen, _ = self.in_callback(function, "POST", body=b"012345")
        self.assertEqual(seen, [4, b"0123", 2, b"4523", 0])

    def test_r13_nobody_else_makes_a_request(self):
        self.assertRaises(TypeError, number8.Request)

    def test_r14_what_uhttpd_lacks(self):
        def function(request):
            return {
                "headers": (request.headers["X-Name"], request.headers.get("x-name"), "nothing" in request.headers),
                "cookies": request.cookies,
                "peer": (request.peer[0], request.remote_addr),
                "json": request.json(),
            }

        headers = {"X-Name": "joe", "Cookie": "a=1; b=2; a=3"}
        seen, _ = self.in_callback(function, "POST", body=b'{"key": [1]}', headers=headers)
        self.assertEqual(
            seen,
            {
                "headers": ("joe", "joe", False),
                "cookies": {"a": "1", "b": "2"},
                "peer": ("127.0.0.1", "127.0.0.1"),
                "json": {"key": [1]},
            },
        )
        form, _ = self.in_callback(lambda request: request.form(), "POST", body=b"a=1&b=%C3%A9&c=")
        self.assertEqual(form, {"a": "1", "b": "é", "c": ""})
        text, _ = self.in_callback(lambda request: request.text(), "POST", body="é".encode())
        self.assertEqual(text, "é")

    def test_r14_content_that_is_something_else_is_no_fault_of_the_callback(self):
        form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        parts = {"Content-Type": "multipart/form-data; boundary=b"}
        cases = [
            (lambda r: r.json(), b'{"a": 1', {}, 400),
            (lambda r: r.json(), b"\xff", {}, 400),
            (lambda r: r.json(), b"[" * 100_000, {}, 400),
            (lambda r: r.text(), b"\xff", {}, 400),
            (lambda r: r.form(), b"a=1", form, 200),
            (lambda r: r.form(), b"\xff", form, 400),
            (lambda r: r.form(), b"--b\r\n\r\n\r\n--b--", parts, 415),
            (lambda r: r.form(), b'{"a": 1}', {"Content-Type": "application/json"}, 415),
        ]
        for number, (function, body, headers, status) in enumerate(cases):
            with self.subTest(number), self.assertNoLogs("number8"):
                server = self.serve()
                server.route("/x", number8.POST, function)
                self.assertEqual(self.ask(server, "POST", "/x", body=body, headers=headers).status, status)

        def caught(request):
            try:
                request.json()
            except ValueError:
                return "caught"

        def otherwise(request):
            if caught(request) == "caught":
                raise ValueError("a fault of mine")

        for function, status in [(caught, 200), (otherwise, 500)]:
            with self.subTest(function.__name__):
                server = self.serve()
                server.route("/x", number8.POST, function)
                logs = self.assertLogs("number8") if status == 500 else self.assertNoLogs("number8")
                with logs:
                    self.assertEqual(self.ask(server, "POST", "/x", body=b"{").status, status)


class Answered(Case):
    def answer(self, function, method="GET", **kwargs):
        server = self.serve(**kwargs)
        server.route("/x", number8.GET | number8.POST, function)
        return self.ask(server, method, "/x")

    def test_r10_write_answers(self):
        cases = [
            (lambda r: r.write("text"), 200, "OK", "text/html", b"text"),
            (lambda r: r.write(b"bytes"), 200, "OK", "text/html", b"bytes"),
            (lambda r: r.write(bytearray(b"array")), 200, "OK", "text/html", b"array"),
            (lambda r: r.write(memoryview(b"view")), 200, "OK", "text/html", b"view"),
            (lambda r: r.write("é"), 200, "OK", "text/html", "é".encode()),
            (lambda r: r.write(""), 200, "OK", "text/html", b""),
            (lambda r: r.write("x", "404 Not Here", "text/plain"), 404, "Not Here", "text/plain", b"x"),
            (lambda r: r.write(b"x", status=b"299 Odd", mime=b"a/b"), 299, "Odd", "a/b", b"x"),
            (lambda r: r.write("x", status="418"), 418, None, "text/html", b"x"),
            (lambda r: r.write("x", status=500), 500, None, "text/html", b"x"),
            (lambda r: r.write("x", headers={"content-type": "text/css"}), 200, "OK", "text/css", b"x"),
            (lambda r: r.write(b"y" * 100_000), 200, "OK", "text/html", b"y" * 100_000),
        ]
        for number, (function, status, reason, mime, body) in enumerate(cases):
            with self.subTest(number):
                answer = self.answer(function)
                self.assertEqual((answer.status, answer.headers["Content-Type"], answer.body), (status, mime, body))
                self.assertEqual(answer.headers["Content-Length"], str(len(body)))
                if reason is not None:
                    self.assertEqual(answer.reason, reason)

    def test_r10_headers_are_text_or_bytes(self):
        answer = self.answer(lambda r: r.write("", headers={"X-A": "1", b"X-B": b"2", "Set-Cookie": ["a=1", b"b=2"]}))
        self.assertEqual((answer.headers["X-A"], answer.headers["X-B"]), ("1", "2"))
        self.assertEqual(answer.headers.get_all("Set-Cookie"), ["a=1", "b=2"])

    def test_r10_write_answers_once(self):
        raised = []

        def twice(first, second):
            def callback(request):
                first(request)
                try:
                    second(request)
                except Exception as error:
                    raised.append(type(error))
                    raise

            return callback

        write, chunk = (lambda r: r.write("first")), (lambda r: r.send_chunk("more"))
        for name, second in [("write", lambda r: r.write("second")), ("chunk", chunk), ("send", lambda r: r.send(b"raw"))]:
            with self.subTest(name):
                raised.clear()
                answer = self.answer(twice(write, second))
                self.assertEqual((answer.status, answer.body, raised), (200, b"first", [RuntimeError]))

    def test_r10_allow_cors_overrides_the_server(self):
        for cors, allow, expected in [(False, True, ["*"]), (False, False, None), (True, True, ["*"]), (True, False, ["*"])]:
            with self.subTest(cors=cors, allow=allow):
                answer = self.answer(lambda r: r.write("", allow_cors=allow), cors=cors)
                self.assertEqual(answer.headers.get_all("Access-Control-Allow-Origin"), expected)

    def test_r10_what_would_make_another_header_is_refused(self):
        cases = [
            {"status": "200 OK\r\nX: y"},
            {"status": "200 OK\nX: y"},
            {"status": "nothing"},
            {"mime": "text/html\r\nX: y"},
            {"headers": {"A": "b\r\nX: y"}},
            {"headers": {"A\r\nX": "y"}},
            {"headers": {"A": "b\nX: y"}},
            {"headers": {"Content-Length": "7"}},
        ]
        for case in cases:
            for call in ("write", "send_chunk"):
                with self.subTest(case, call=call):
                    raised = []

                    def callback(request, case=case, call=call, raised=raised):
                        try:
                            getattr(request, call)("data", **case)
                        except ValueError:
                            raised.append(True)
                            request.write("refused")

                    answer = self.answer(callback)
                    self.assertEqual((answer.body, raised), (b"refused", [True]))
                    self.assertNotIn("X", answer.headers)

    def test_r10_head_gives_the_head(self):
        for name, function in [
            ("write", lambda r: r.write("12345", headers={"X-A": "1"})),
            ("chunk", lambda r: (r.send_chunk("12345", headers={"X-A": "1"}), r.send_chunk("6"), r.send_chunk(None))),
        ]:
            with self.subTest(name):
                answer = self.answer(function, "HEAD")
                self.assertEqual((answer.status, answer.headers["X-A"], answer.body), (200, "1", b""))
                self.assertEqual(self.logged, [])

    def test_r11_send_chunk_sends_chunks(self):
        def callback(request):
            request.send_chunk("one ", "201 Made", "text/plain", {"X-A": "1"})
            request.send_chunk(b"")
            request.send_chunk(b"two", "500 Ignored", "x/y", {"X-B": "2"})
            request.send_chunk(None)

        answer = self.answer(callback)
        self.assertEqual((answer.status, answer.reason, answer.body), (201, "Made", b"one two"))
        self.assertEqual((answer.headers["Content-Type"], answer.headers["X-A"], answer.headers["X-B"]), ("text/plain", "1", None))
        self.assertEqual(answer.headers["Transfer-Encoding"], "chunked")

    def test_r11_each_chunk_goes_out_when_it_is_sent(self):
        server = self.serve()

        def callback(request):
            request.send_chunk("first")
            request.send_chunk(request.read(2))
            request.send_chunk(None)

        server.route("/x", number8.POST, callback)
        with socket.create_connection(("127.0.0.1", server.port()), timeout=DEADLINE) as client:
            client.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            self.assertEqual(answer.read(5), b"first")
            client.sendall(b"ok")
            self.assertEqual(answer.read(), b"ok")

    def test_r11_http_1_0_gets_no_chunked_coding(self):
        server = self.serve()
        server.route("/x", number8.GET, lambda r: (r.send_chunk("one"), r.send_chunk("two"), r.send_chunk(None)))
        head, _, body = self.raw(server, b"GET /x HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
        self.assertNotIn(b"chunked", head.lower())
        self.assertEqual(body, b"onetwo")

    def test_r11_a_callback_that_fails_after_a_chunk_cuts_the_answer(self):
        def callback(request):
            request.send_chunk("part")
            raise ValueError("secret")

        self.assertRaises(http.client.IncompleteRead, self.answer, callback)
        self.assertEqual(len(self.logged), 1)

    def test_r11_a_missing_end_is_made_up_for(self):
        answer = self.answer(lambda r: r.send_chunk("all"))
        self.assertEqual((answer.status, answer.body), (200, b"all"))
        self.assertEqual(len(self.logged), 1)

    def test_r11_nothing_follows_the_end(self):
        raised = []

        def callback(request):
            request.send_chunk("a")
            request.send_chunk(None)
            for call in (lambda: request.send_chunk("b"), lambda: request.write("c"), lambda: request.send("d")):
                try:
                    call()
                except RuntimeError:
                    raised.append(True)

        answer = self.answer(callback)
        self.assertEqual((answer.body, raised), (b"a", [True] * 3))

    def test_r11_a_client_that_is_gone_raises_oserror(self):
        raised = queue.SimpleQueue()
        server = self.serve()

        def callback(request):
            request.send_chunk("begin")
            try:
                # What a client had sent is lost where it leaves before it has read all.
                request.read()
                while True:
                    request.send_chunk(b"x" * 65536)
            except OSError as error:
                raised.put(error)
                raise

        server.route("/x", number8.POST, callback)
        client = socket.create_connection(("127.0.0.1", server.port()), timeout=DEADLINE)
        client.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
        client.recv(1024)
        client.sendall(b"!")
        client.close()
        # The server does not wait for who answers a client that is gone.
        self.assertIsInstance(raised.get(timeout=DEADLINE), OSError)
        server.close()
        self.assertTrue(raised.empty())
        # It is no fault of the callback.
        self.assertEqual(self.logged, [])

    def test_r11_who_sends_until_the_client_is_gone_ends_for_head_too(self):
        server, ended = self.serve(), queue.SimpleQueue()

        def ticks(request):
            try:
                while True:
                    request.send_chunk("tick")
            finally:
                ended.put("ticks")

        @server.get("/later")
        async def later(request):
            try:
                while True:
                    yield "tick"
            finally:
                ended.put("later")

        server.route("/ticks", number8.GET, ticks)
        for name in ("ticks", "later"):
            with self.subTest(name):
                self.assertEqual(self.ask(server, "HEAD", f"/{name}").status, 200)
                self.assertEqual(ended.get(timeout=DEADLINE), name)
        server.close()
        self.assertEqual(self.logged, [])

    def test_r12_send_is_verbatim(self):
        server = self.serve()

        def callback(request):
            request.send(b"HTTP/1.0 200\r\n")
            request.send("Content-Type: text/plain\r\n\r\nHello, world.")

        server.route("/x", number8.GET, callback)
        received = self.raw(server, b"GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(received, b"HTTP/1.0 200\r\nContent-Type: text/plain\r\n\r\nHello, world.")

    def test_a_callback_that_writes_nothing_ends_the_request(self):
        answer = self.answer(lambda request: None)
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_a_callback_that_raises_is_500_and_tells_nothing(self):
        for error in (ValueError("secret"), SystemExit("secret"), KeyboardInterrupt("secret"), BaseException("secret")):
            with self.subTest(type(error).__name__):
                self.logged.clear()

                def callback(request, error=error):
                    raise error

                answer = self.answer(callback)
                self.assertEqual(answer.status, 500)
                self.assertNotIn(b"secret", answer.body)
                self.assertEqual([record.exc_info[0] for record in self.logged], [type(error)])

    def test_returned_values_answer(self):
        cases = [
            ("text", 200, "text/html; charset=utf-8", b"text"),
            (b"bytes", 200, "application/octet-stream", b"bytes"),
            ({"a": 1}, 200, "application/json", b'{"a": 1}'),
            ([1, "é"], 200, "application/json", b'[1, "\\u00e9"]'),
            (("text", 201), 201, "text/html; charset=utf-8", b"text"),
            (({"a": 1}, "404 Gone Fishing", {"X-A": "1"}), 404, "application/json", b'{"a": 1}'),
            (("x", 200, {"Content-Type": "text/css"}), 200, "text/css", b"x"),
        ]
        for value, status, mime, body in cases:
            with self.subTest(repr(value)):
                answer = self.answer(lambda request, value=value: value)
                self.assertEqual((answer.status, answer.headers.get_all("Content-Type"), answer.body), (status, [mime], body))


if __name__ == "__main__":
    unittest.main()
