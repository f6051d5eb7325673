"""Decorators: functions that answer methods and paths, with what they return (rows N2 and L10 of the behaviours)."""

import asyncio
import contextlib
import functools
import http.client
import pathlib
import queue
import signal
import socket
import tempfile
import threading
import time
import unittest

import number8
import websockets.sync.client
from number8 import wire
from uhttpd import DEADLINE, Case


class Decorated(Case):
    def test_n2_each_method_has_a_decorator(self):
        server = self.serve()
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            getattr(server, method.lower())("/x")(lambda request, method=method: f"{method} {request.read().decode()}")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            with self.subTest(method):
                body = None if method == "GET" else b"body"
                self.assertEqual(self.ask(server, method, "/x", body).body.decode(), f"{method} {'' if body is None else 'body'}")
        self.assertEqual(self.ask(server, "HEAD", "/x").status, 200)
        self.assertEqual(self.ask(server, "GET", "/y").status, 404)

    def test_n2_route_is_a_decorator_too(self):
        server = self.serve()

        @server.route("/get")
        def get(request):
            return "get"

        @server.route("/both", methods=["GET", "POST"])
        def both(request):
            return request.method()

        self.assertEqual(self.ask(server, "GET", "/get").body, b"get")
        self.assertEqual(self.ask(server, "POST", "/get").status, 405)
        self.assertEqual(get("called as it is"), "get")
        self.assertRaises(ValueError, server.route, "/x", methods=["BREW"])
        self.assertRaises(ValueError, server.get("no slash"), get)
        self.assertRaises(ValueError, server.get("/get"), get)
        self.assertRaises(TypeError, server.get("/y"), "no function")

    def test_n2_values_of_the_path_have_types(self):
        server = self.serve()

        @server.get("/users/{id}")
        def user(request, id: int):
            return {"id": id}

        @server.get("/users/me")
        def me(request):
            return "me"

        @server.get("/at/{x}/{y}")
        def at(request, x: float, y):
            return [x, y]

        @server.get("/files/{*rest}")
        def files(request, rest: str):
            return rest

        @server.get("/args/{id}")
        def args(request, id):
            return request.args

        cases = [
            ("/users/8", 200, b'{"id": 8}'),
            ("/users/-8", 200, b'{"id": -8}'),
            ("/users/me", 200, b"me"),
            ("/users/+8", 200, b'{"id": 8}'),
            ("/users/joe", 404, None),
            # What Python's own `int` takes, too.
            ("/users/1_0", 404, None),
            ("/users/%208", 404, None),
            ("/users/%D9%A8", 404, None),
            ("/users/" + "8" * 5000, 404, None),
            ("/users/8.5", 404, None),
            ("/users/", 404, None),
            ("/at/1.5/caf%C3%A9", 200, b'[1.5, "caf\\u00e9"]'),
            ("/at/-.5e1/y", 200, b'[-5.0, "y"]'),
            ("/at/no/y", 404, None),
            ("/at/nan/y", 404, None),
            ("/at/inf/y", 404, None),
            ("/at/1e999/y", 404, None),
            ("/at/1_0/y", 404, None),
            ("/at/./y", 404, None),
            ("/files/a/b/c", 200, b"a/b/c"),
            ("/args/x", 200, b'{"id": "x"}'),
        ]
        for target, status, body in cases:
            with self.subTest(target):
                answer = self.ask(server, "GET", target)
                self.assertEqual(answer.status, status)
                if body is not None:
                    self.assertEqual(answer.body, body)

    def test_n2_annotations_for_type_checkers_alone_are_no_matter(self):
        # As with `from __future__ import annotations`, and names that are imported for a type checker.
        def song(request: "Request", id: "int", page: "float" = 1.0) -> "Response":
            return {"id": id}

        class Songs:
            def song(self, request: "Request", id: int):
                return {"id": id}

        def odd(request, id: "no type at all"):
            return {"id": id}

        for function, want in [(song, b'{"id": 8}'), (Songs().song, b'{"id": 8}'), (odd, b'{"id": "8"}')]:
            with self.subTest(function):
                server = self.serve()
                server.get("/songs/{id}")(function)
                self.assertEqual(self.ask(server, "GET", "/songs/8").body, want)

    def test_n2_annotations_are_found_through_partial_and_objects(self):
        def song(request, id: int, kind=None):
            return {"id": id}

        class Song:
            def __call__(self, request, id: "int"):
                return {"id": id}

        for function in (functools.partial(song, kind="x"), functools.partial(functools.partial(song)), Song(), Song().__call__):
            with self.subTest(function):
                server = self.serve()
                server.get("/songs/{id}")(function)
                self.assertEqual(self.ask(server, "GET", "/songs/8").body, b'{"id": 8}')
                self.assertEqual(self.ask(server, "GET", "/songs/x").status, 404)

    def test_n2_a_placeholder_of_one_segment_is_no_path(self):
        server = self.serve()
        server.error(404)(lambda request: "missing")
        server.get("/plain/{name}")(lambda request, name: name)

        @server.get("/str/{name}/x")
        def annotated(request, name: str):
            return name

        @server.get("/rest/{*rest}")
        def rest(request, rest):
            return rest

        for text, value in [("a%20b", b"a b"), ("..a", b"..a"), ("...", b"..."), ("a%5Cb", b"a\\b"), ("%2Fetc%2Fpasswd", None), ("a%2F", None),
                            ("%2E%2E%2Fa", None), ("a%00b", None)]:
            for target in (f"/plain/{text}", f"/str/{text}/x"):
                with self.subTest(target):
                    answer = self.ask(server, "GET", target)
                    if value is None:
                        # Where the server itself refuses a path, nothing is asked.
                        self.assertIn(answer.status, (400, 404))
                    else:
                        self.assertEqual((answer.status, answer.body), (200, value))
        answer = self.ask(server, "GET", "/plain/%2Fetc%2Fpasswd")
        self.assertEqual((answer.status, answer.body), (404, b"missing"))
        self.assertEqual(self.ask(server, "GET", "/rest/a%2Fb").body, b"a/b")

    def test_l10_returned_values_answer(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "page.css"
            file.write_text("p {}")
            html, js, raw = "text/html; charset=utf-8", "application/json", "application/octet-stream"
            line = "text/plain; charset=utf-8"
            cases = [
                ("text", 200, html, b"text"),
                (b"bytes", 200, raw, b"bytes"),
                (bytearray(b"array"), 200, raw, b"array"),
                ({"key": "value"}, 200, js, b'{"key": "value"}'),
                ([1, None], 200, js, b"[1, null]"),
                (None, 204, None, b""),
                ("", 200, html, b""),
                (("made", 201), 201, html, b"made"),
                (({"why": "not"}, 404), 404, js, b'{"why": "not"}'),
                (("x", "200 Fine", {"Content-Type": "text/plain", "X-A": "1"}), 200, "text/plain", b"x"),
                ((None, 304), 304, None, b""),
                (file, 200, "text/css", b"p {}"),
                (pathlib.Path(folder) / "missing", 404, line, None),
                (file / "below", 404, line, None),
                (pathlib.Path(folder) / ("x" * 300), 404, line, None),
                (pathlib.Path(folder) / "a\0b", 404, line, None),
                ((file, 200, {"Content-Type": "text/plain"}), 200, "text/plain", b"p {}"),
                (iter(["one ", b"two ", "", "three"]), 200, html, b"one two three"),
                ((piece for piece in "abc"), 200, html, b"abc"),
                (range(0), 200, html, b""),
                ((iter(["a", "b"]), 201, {"Content-Type": "text/plain"}), 201, "text/plain", b"ab"),
                (object(), 500, line, None),
                (("too", 200, {}, "many"), 500, line, None),
                (({1}, 200), 500, None, None),
            ]
            for number, (value, status, mime, body) in enumerate(cases):
                with self.subTest(repr(value)):
                    server = self.serve()
                    server.get("/x")(lambda request, value=value: value)
                    try:
                        answer = self.ask(server, "GET", "/x")
                    except http.client.IncompleteRead:
                        # A set of numbers is an iterable; what it gives is no text.
                        self.assertEqual(number, len(cases) - 1)
                        continue
                    self.assertEqual(answer.status, status)
                    if mime is not None:
                        self.assertEqual(answer.headers["Content-Type"].partition(";")[0], mime.partition(";")[0])
                    if body is not None:
                        self.assertEqual(answer.body, body)

    def test_an_iterator_is_asked_as_fast_as_the_client_reads(self):
        server = self.serve()
        given, closed = [], threading.Event()

        @server.get("/x")
        def numbers(request):
            try:
                while True:
                    given.append(threading.current_thread().name)
                    yield b"x" * 65536
            finally:
                closed.set()

        server.get("/y")(lambda request: "other")
        with socket.create_connection(("127.0.0.1", server.port()), timeout=DEADLINE) as client:
            client.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(1024)
            # The client reads no more, and others are answered.
            for _ in range(20):
                self.assertEqual(self.ask(server, "GET", "/y").body, b"other")
            self.assertLess(len(given), 200)
        self.assertTrue(closed.wait(DEADLINE))
        self.assertEqual(set(given), {"number8-callbacks"})

    def test_an_iterator_that_fails_cuts_the_answer(self):
        server = self.serve()

        @server.get("/x")
        def fail(request):
            yield "part"
            raise ValueError("secret")

        self.assertRaises(http.client.IncompleteRead, self.ask, server, "GET", "/x")
        self.assertEqual(len(self.logged), 1)

    def test_coroutines_answer(self):
        server = self.serve()
        barrier = []

        @server.get("/slow/{id}")
        async def slow(request, id: int):
            barrier.append(id)
            while len(barrier) < 3:
                await asyncio.sleep(0.001)
            return {"id": id}

        @server.get("/stream")
        async def stream(request):
            yield "one "
            await asyncio.sleep(0)
            yield b"two"

        @server.get("/fail")
        async def fail(request):
            raise ValueError("secret")

        @server.post("/body")
        async def body(request):
            return await asyncio.to_thread(request.read)

        answers = []
        clients = [
            threading.Thread(target=lambda n=n: answers.append(self.ask(server, "GET", f"/slow/{n}").body)) for n in range(3)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join(DEADLINE)
        self.assertCountEqual(answers, [b'{"id": 0}', b'{"id": 1}', b'{"id": 2}'])
        self.assertEqual(self.ask(server, "GET", "/stream").body, b"one two")
        self.assertEqual(self.ask(server, "POST", "/body", b"content").body, b"content")
        answer = self.ask(server, "GET", "/fail")
        self.assertEqual((answer.status, b"secret" in answer.body, len(self.logged)), (500, False, 1))

    def test_error_answers_in_place_of_errors(self):
        server = self.serve()

        @server.error(404)
        def missing(request):
            return f"no {request.path()}"

        @server.error(500)
        def failed(request):
            return {"sorry": True}, "503 Sorry"

        @server.get("/fail")
        def fail(request):
            raise ValueError("secret")

        @server.get("/users/{id}")
        def user(request, id: int):
            return id

        for method, target, status, body in [
            ("GET", "/a/b", 404, b"no /a/b"),
            ("GET", "/", 404, b"no /"),
            ("GET", "/users/joe", 404, b"no /users/joe"),
            ("GET", "/fail", 503, b'{"sorry": true}'),
            ("POST", "/fail", 405, None),
        ]:
            with self.subTest((method, target)):
                answer = self.ask(server, method, target)
                self.assertEqual(answer.status, status)
                if body is not None:
                    self.assertEqual(answer.body, body)
        self.assertRaises(ValueError, server.error, 418)

    def test_n2_status_and_headers_stand_beside_an_async_generator(self):
        server, ended = self.serve(), []

        async def pieces(*texts):
            try:
                for text in texts:
                    yield text
            finally:
                ended.append(texts)

        kind = {"Content-Type": "text/event-stream", "X-Two": ["one", "two"]}
        server.get("/plain")(lambda request: (pieces("a", "b"), 201))

        @server.get("/async")
        async def later(request):
            return pieces("a", "b"), "418 Teapot", kind

        server.get("/empty")(lambda request: (pieces(), None, kind))
        server.get("/wrong")(lambda request: (pieces("a"), 99))
        server.get("/four")(lambda request: (pieces("a"), 200, {}, "more"))
        for target, status, media_type, body in [
            ("/plain", 201, "text/html; charset=utf-8", b"ab"),
            ("/async", 418, "text/event-stream", b"ab"),
            ("/empty", 200, "text/event-stream", b""),
        ]:
            with self.subTest(target):
                answer = self.ask(server, "GET", target)
                self.assertEqual((answer.status, answer.headers["Content-Type"], answer.body), (status, media_type, body))
                self.assertEqual(answer.headers.get_all("X-Two"), None if target == "/plain" else ["one", "two"])
        self.assertEqual((ended, self.logged), ([("a", "b"), ("a", "b"), ()], []))
        for target in ("/wrong", "/four"):
            with self.subTest(target):
                self.assertEqual(self.ask(server, "GET", target).status, 500)
        self.assertEqual(len(self.logged), 2)

    def test_error_answers_whatever_raises_or_leads_nowhere(self):
        server = self.serve()
        server.error(404)(lambda request: f"no {request.path()}")
        server.error(500)(lambda request: f"sorry, {request.path()}")

        @server.before
        def check(request):
            if request.path() == "/before":
                raise ValueError("secret")
            if request.path() == "/before-path":
                return pathlib.Path("nowhere")

        @server.after
        def look(request, response):
            if request.path() == "/after":
                raise ValueError("secret")
            if request.path() == "/after-path":
                return pathlib.Path("nowhere")

        for path in ("/after", "/after-path"):
            server.get(path)(lambda request: "not this")
        server.get("/path")(lambda request: pathlib.Path("nowhere"))
        server.get("/tuple")(lambda request: (pathlib.Path("nowhere"), 201, {"X-Of": "the file"}))
        for target, status, body, failures in [
            ("/before", 500, "sorry, /before", 1),
            ("/after", 500, "sorry, /after", 1),
            ("/before-path", 404, "no /before-path", 0),
            ("/after-path", 404, "no /after-path", 0),
            ("/path", 404, "no /path", 0),
            ("/tuple", 404, "no /tuple", 0),
        ]:
            with self.subTest(target):
                self.logged.clear()
                answer = self.ask(server, "GET", target)
                found = (answer.status, answer.body.decode(), answer.headers.get("X-Of"), len(self.logged))
                self.assertEqual(found, (status, body, None, failures))

    def test_an_error_function_that_fails_itself_has_the_plain_page(self):
        server, wrong = self.serve(), iter([ZeroDivisionError, None])

        @server.error(500)
        @server.error(404)
        def failed(request):
            error = next(wrong)
            if error:
                raise error
            return pathlib.Path("nowhere")

        @server.get("/fail")
        def fail(request):
            raise ValueError("secret")

        for target, status in (("/fail", 500), ("/nothing", 404)):
            with self.subTest(target):
                answer = self.ask(server, "GET", target)
                self.assertEqual((answer.status, b"secret" in answer.body), (status, False))

    def test_before_sees_each_request_and_may_answer(self):
        server = self.serve()
        seen = []

        @server.before
        def check(request):
            seen.append(request.path())
            if request.headers.get("x-key") != "8":
                return "who are you?", 401

        server.route("/route", number8.GET, lambda request: request.write("route"))
        server.get("/get")(lambda request: "get")
        for target in ("/route", "/get", "/nothing"):
            with self.subTest(target):
                seen.clear()
                refused = self.ask(server, "GET", target)
                self.assertEqual((refused.status, refused.body, seen), (401, b"who are you?", [target]))
                answer = self.ask(server, "GET", target, headers={"X-Key": "8"})
                self.assertEqual(answer.status, 404 if target == "/nothing" else 200)

    def test_n2_a_coroutine_that_is_cancelled_has_failed(self):
        server = self.serve()
        server.error(500)(lambda request: "own")

        async def cancelled(*_):
            task = asyncio.create_task(asyncio.sleep(DEADLINE))
            task.cancel()
            await task

        server.get("/get")(cancelled)
        server.websocket("/talk")(cancelled)
        answer = self.ask(server, "GET", "/get")
        self.assertEqual((answer.status, answer.body, len(self.logged)), (500, b"own", 1))
        with self.connected(server, "/talk") as client:
            with self.assertRaises(websockets.exceptions.ConnectionClosed) as closed:
                client.recv(DEADLINE)
            self.assertEqual((closed.exception.rcvd.code, len(self.logged)), (1011, 2))

    def connected(self, server, path):
        return websockets.sync.client.connect(f"ws://127.0.0.1:{server.port()}{path}", open_timeout=DEADLINE)

    def test_n2_a_receive_that_is_cancelled_loses_nothing(self):
        server, failures = self.serve(), queue.SimpleQueue()

        @server.websocket("/talk")
        async def talk(request, ws):
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.put(context))
            for _ in range(3):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(ws.receive(), 0.001)
            await ws.send("waited")
            # This comes while nobody asks.
            while not ws._message.done():
                await asyncio.sleep(0)
            await ws.send(await ws.receive())
            task = asyncio.create_task(ws.receive())
            await asyncio.sleep(0)
            try:
                await ws.receive()
            except RuntimeError:
                await ws.send("two wait")
            await ws.send(await task)
            await ws.send(str([message async for message in ws]))

        @server.websocket("/leave")
        async def leave(request, ws):
            task = asyncio.create_task(ws.receive())
            await asyncio.sleep(0)
            task.cancel()
            kept.append(ws._message)

        kept = []
        with self.connected(server, "/talk") as client:
            self.assertEqual(client.recv(DEADLINE), "waited")
            client.send("one")
            self.assertEqual(client.recv(DEADLINE), "one")
            self.assertEqual(client.recv(DEADLINE), "two wait")
            client.send("two")
            self.assertEqual(client.recv(DEADLINE), "two")
        with self.connected(server, "/leave") as client:
            self.assertRaises(websockets.exceptions.ConnectionClosed, client.recv, DEADLINE)
        deadline = time.monotonic() + DEADLINE
        while not kept[0].done():
            self.assertLess(time.monotonic(), deadline)
        kept.clear()
        self.assertTrue(failures.empty())
        self.assertEqual(self.logged, [])

    def test_n2_a_websocket_whose_placeholder_does_not_fit_is_closed(self):
        server, asked = self.serve(), []
        server.error(404)(lambda request: asked.append("error"))
        server.after(lambda request, response: asked.append("after"))

        @server.websocket("/plain/{id}")
        def plain(request, ws, id: int):
            ws.send(repr(id))

        @server.websocket("/async/{id}")
        async def later(request, ws, id: int):
            await ws.send(repr(id))

        for path in ("/plain", "/async"):
            with self.subTest(path):
                with self.connected(server, f"{path}/8") as client:
                    self.assertEqual(client.recv(DEADLINE), "8")
                with self.connected(server, f"{path}/joe") as client:
                    with self.assertRaises(websockets.exceptions.ConnectionClosed) as closed:
                        client.recv(DEADLINE)
                    self.assertEqual(closed.exception.rcvd.code, 4404)
        self.assertEqual((asked, self.logged), ([], []))

    def test_n2_a_websockets_function_is_async_where_it_is_so_itself(self):
        server = self.serve()

        class Room:
            async def __call__(self, request, ws):
                await ws.send("async")

        async def room(request, ws):
            await ws.send("async")

        def plain(request, ws):
            ws.send("plain")

        @functools.wraps(plain)
        async def around_plain(request, ws):
            await ws.send("async")

        @functools.wraps(room)
        def passes(*arguments):
            return room(*arguments)

        @functools.wraps(room)
        def runs(*arguments):
            asyncio.run(room(*arguments))

        for number, (function, said) in enumerate([(Room(), "async"), (functools.partial(room), "async"), (around_plain, "async"),
                                                   (functools.partial(Room()), "async"), (passes, "async"), (runs, "async"), (plain, "plain")]):
            with self.subTest(function):
                server.websocket(f"/{number}")(function)
                with self.connected(server, f"/{number}") as client:
                    self.assertEqual(client.recv(DEADLINE), said)
        self.assertEqual(self.logged, [])

    def test_n2_the_websocket_of_coroutines_has_a_name(self):
        self.assertEqual(number8.AsyncWebSocket.__name__, "AsyncWebSocket")
        self.assertIn("AsyncWebSocket", number8.__all__)

    def test_n2_what_fails_after_a_part_of_its_answer_leaves_it_cut(self):
        def fail(request):
            request.send_chunk("half")
            raise ValueError("secret")

        before = self.serve()
        before.before(fail)
        for server in (before, self.serve(acl=number8.AUTH_CUSTOM, auth=fail)):
            self.assertRaises(http.client.IncompleteRead, self.ask, server, "GET", "/")
        self.assertEqual(len(self.logged), 2)

    def test_n2_websockets_talk(self):
        server = self.serve()
        ended = queue.Queue()

        @server.websocket("/echo/{name}")
        def echo(request, ws, name):
            ws.send(f"hello {name} {request.query('x')!r}")
            for message in ws:
                ws.send(message)
            ended.put(threading.current_thread().name)

        @server.websocket("/async")
        async def answer(request, ws):
            async for message in ws:
                await ws.send(message * 2)
                if message == "end":
                    return await ws.close(4000, "enough")

        @server.websocket("/fail")
        def fail(request, ws):
            ws.receive()
            raise ValueError("secret")

        def connect(path):
            url = f"ws://127.0.0.1:{server.port()}{path}"
            return websockets.sync.client.connect(url, open_timeout=DEADLINE)

        with connect("/echo/joe?x=1") as client:
            self.assertEqual(client.recv(DEADLINE), "hello joe b'1'")
            for message in ("text", b"bytes", "é" * 10_000, b""):
                client.send(message)
                self.assertEqual(client.recv(DEADLINE), message)
        self.assertEqual(ended.get(timeout=DEADLINE), "number8-websocket")
        with connect("/async") as client:
            client.send("one")
            self.assertEqual(client.recv(DEADLINE), "oneone")
            client.send("end")
            self.assertEqual(client.recv(DEADLINE), "endend")
            with self.assertRaises(websockets.exceptions.ConnectionClosed) as closed:
                client.recv(DEADLINE)
            self.assertEqual((closed.exception.rcvd.code, closed.exception.rcvd.reason), (4000, "enough"))
        with connect("/fail") as client:
            client.send("go on")
            with self.assertRaises(websockets.exceptions.ConnectionClosed) as closed:
                client.recv(DEADLINE)
            self.assertEqual((closed.exception.rcvd.code, len(self.logged)), (1011, 1))
        self.assertEqual(self.ask(server, "GET", "/echo/joe").status, 426)
        with connect("/echo/joe") as client:
            client.recv(DEADLINE)
            server.close()
            with self.assertRaises(websockets.exceptions.ConnectionClosed) as closed:
                client.recv(DEADLINE)
            self.assertEqual(closed.exception.rcvd.code, 1001)
        self.assertEqual(ended.get(timeout=DEADLINE), "number8-websocket")

    def test_n2_pages_by_another_name_talk_to_no_websocket(self):
        for ours in ({}, {"cors": True}, {"hosts": "evil.example"}, {"hosts": ["other.example", "evil.example"]}):
            server = self.serve(**ours)
            server.websocket("/talk")(lambda request, ws: None)
            port = server.port()
            named, rebound = (f"{name}:{port}" for name in (socket.gethostname(), "evil.example"))
            for host, origin, status in [
                (named, None, 101),
                (named, f"http://{named}", 101),
                (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}", 101),
                (named, "http://evil.example", 403),
                (rebound, None, 101),
                # A site has its name lead here.
                (rebound, f"http://{rebound}", 101 if ours else 403),
            ]:
                with self.subTest((ours, host, origin)):
                    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Host": host}
                    answer = self.ask(server, "GET", "/talk", headers=headers | ({"Origin": origin} if origin else {}))
                    self.assertEqual(answer.status, status)

    def test_n2_coroutines_that_wait_for_clients_hold_up_no_others(self):
        server = self.serve()

        @server.websocket("/echo")
        async def echo(request, ws):
            async for message in ws:
                await ws.send(message)

        with contextlib.ExitStack() as stack:
            url = f"ws://127.0.0.1:{server.port()}/echo"
            # More than asyncio has threads for, whatever the machine.
            clients = [stack.enter_context(websockets.sync.client.connect(url, open_timeout=DEADLINE)) for _ in range(40)]
            for client in clients:
                client.send("one")
                self.assertEqual(client.recv(DEADLINE), "one")
            for client in reversed(clients):
                client.send("two")
                self.assertEqual(client.recv(DEADLINE), "two")

    def test_n2_a_websocket_that_has_ended_makes_room_whoever_holds_it(self):
        server, kept = self.serve(), []

        @server.websocket("/once")
        def once(request, ws):
            kept.append(ws)
            ws.send("hello")

        for _ in range(257):
            url = f"ws://127.0.0.1:{server.port()}/once"
            with websockets.sync.client.connect(url, open_timeout=DEADLINE) as client:
                self.assertEqual(client.recv(DEADLINE), "hello")
                self.assertRaises(websockets.exceptions.ConnectionClosedOK, client.recv, DEADLINE)

    def test_n2_an_oserror_of_a_websockets_own_function_is_told(self):
        server, ended = self.serve(), queue.SimpleQueue()

        @server.websocket("/own")
        def own(request, ws):
            open("/no/such/file")

        @server.websocket("/own-later")
        async def own_later(request, ws):
            raise ConnectionRefusedError("the database is down")

        @server.websocket("/gone")
        def gone(request, ws):
            ws.receive()
            try:
                while True:
                    ws.send(b"x" * 65536)
            finally:
                ended.put("gone")

        def connect(path):
            url = f"ws://127.0.0.1:{server.port()}{path}"
            return websockets.sync.client.connect(url, open_timeout=DEADLINE)

        for number, path in enumerate(("/own", "/own-later"), 1):
            with self.subTest(path), connect(path) as client:
                with self.assertRaises(websockets.exceptions.ConnectionClosed) as closed:
                    client.recv(DEADLINE)
                self.assertEqual((closed.exception.rcvd.code, len(self.logged)), (1011, number))
        with connect("/gone") as client:
            client.send("go on")
            client.recv(DEADLINE)
            client.socket.close()
            self.assertEqual(ended.get(timeout=DEADLINE), "gone")
        server.close()
        self.assertEqual(len(self.logged), 2)

    def test_n2_a_server_that_is_closed_from_within_waits_for_nobody(self):
        closed = queue.SimpleQueue()

        def close(request, *_):
            began = time.monotonic()
            request.server().close()
            closed.put(time.monotonic() - began)

        async def close_later(request, *_):
            close(request)

        for kind, function in [("get", close), ("get", close_later), ("websocket", close), ("websocket", close_later)]:
            with self.subTest(kind, function=function):
                server = self.serve()
                getattr(server, kind)("/close")(function)
                if kind == "get":
                    self.assertEqual(self.ask(server, "GET", "/close").status, 204)
                else:
                    url = f"ws://127.0.0.1:{server.port()}/close"
                    with websockets.sync.client.connect(url, open_timeout=DEADLINE) as client:
                        self.assertRaises(websockets.exceptions.ConnectionClosed, client.recv, DEADLINE)
                # Three seconds are what it has to end.
                self.assertLess(closed.get(timeout=DEADLINE), 2)

    def test_n2_after_looks_at_answers(self):
        server = self.serve()
        order = []

        @server.after
        def first(request, response):
            order.append("first")
            response.headers["X-Path"] = request.path()
            if response.status == 500:
                response.status = 503

        @server.after
        def second(request, response):
            order.append("second")
            response.headers["Content-Type"] = "text/plain"
            if request.path() == "/fails":
                raise ValueError("secret")
            return ("other", 201) if request.path() == "/other" else response

        def fail(request):
            raise ValueError("secret")

        server.get("/get")(lambda request: "get")
        server.get("/other")(lambda request: "get")
        server.get("/fail")(fail)
        server.get("/fails")(lambda request: "get")
        server.route("/write", number8.GET, lambda request: request.write("write", headers={"X-A": "1"}))
        server.route("/chunk", number8.GET, lambda request: (request.send_chunk("chunk"), request.send_chunk(None)))
        for target, status, body in [
            ("/get", 200, b"get"),
            ("/other", 201, b"other"),
            ("/fail", 503, None),
            ("/fails", 500, None),
            ("/write", 200, b"write"),
            ("/chunk", 200, b"chunk"),
        ]:
            with self.subTest(target):
                order.clear()
                answer = self.ask(server, "GET", target)
                self.assertEqual((answer.status, order), (status, ["first", "second"]))
                if status == 200:
                    self.assertEqual((answer.headers["X-Path"], answer.headers.get_all("Content-Type")), (target, ["text/plain"]))
                if body is not None:
                    self.assertEqual(answer.body, body)
                self.assertNotIn(b"secret", answer.body)

    def test_n2_functions_whose_value_is_needed_at_once_are_plain(self):
        server = self.serve()

        async def later(*_):
            return None

        async def pieces(*_):
            yield "piece"

        for add in (server.before, server.after, server.error(404), server.error(500), server.file_acl, wire.Server().before):
            for function in (later, pieces, functools.partial(later), None):
                with self.subTest(add, function=function):
                    self.assertRaises(TypeError, add, function)

    def test_n2_a_plain_function_around_an_async_one_is_plain(self):
        server = self.serve()

        async def check(*_):
            return "checked", 403

        @server.before
        @functools.wraps(check)
        def blocking(*arguments):
            return asyncio.run(check(*arguments))

        answer = self.ask(server, "GET", "/")
        self.assertEqual((answer.status, answer.body), (403, b"checked"))

    def test_n2_a_coroutine_where_a_value_is_needed_lets_nobody_in(self):
        async def later(*_):
            return None

        def hidden(*_):
            # It cannot be seen that this is one.
            coroutine = later()
            self.addCleanup(coroutine.close)
            return coroutine

        allowing = self.serve(acl=number8.AUTH_CUSTOM, auth=hidden)
        cases = [(None, "/", 403), ("before", "/", 500), ("after", "/", 500), ("file_acl", "/f/x", 403)]
        for add, target, wanted in cases:
            with self.subTest(add):
                server = allowing if add is None else self.serve()
                server.get("/")(lambda request: "secret")
                if add == "file_acl":
                    server.serve(prefix="/f")
                if add is not None:
                    getattr(server, add)(hidden)
                self.logged.clear()
                self.assertEqual(self.ask(server, "GET", target).status, wanted)
                self.assertEqual(bool(self.logged), add != "file_acl")

    def test_n2_after_takes_headers_away_and_sees_all_of_one_name(self):
        server, seen = self.serve(), []

        @server.after
        def look(request, response):
            seen.append(dict(response.headers))
            del response.headers["X-A"], response.headers["Content-Type"]
            response.headers["Set-Cookie"].append("c=3")
            response.headers["Link"] = ["</a>", "</b>"]

        server.get("/")(lambda request: ("x", 200, {"X-A": "1", "X-B": "2", "Set-Cookie": ["a=1", "b=2"]}))
        answer = self.ask(server, "GET", "/")
        self.assertEqual(seen[0]["Set-Cookie"], ["a=1", "b=2", "c=3"])
        self.assertEqual(answer.headers.get_all("Set-Cookie"), ["a=1", "b=2", "c=3"])
        self.assertEqual(answer.headers.get_all("Link"), ["</a>", "</b>"])
        names = ("X-A", "X-B", "Content-Type")
        self.assertEqual([answer.headers[name] for name in names], [None, "2", None])

    def test_n2_after_writes_nothing_itself(self):
        server = self.serve()
        raised = []

        @server.after
        def look(request, response):
            for write in (request.write, request.send_chunk, request.send):
                try:
                    write("again")
                except RuntimeError as error:
                    raised.append(error)

        server.get("/get")(lambda request: "get")
        server.route("/chunk", number8.GET, lambda request: (request.send_chunk("chunk"), request.send_chunk(None)))
        for target, body in [("/get", b"get"), ("/chunk", b"chunk")]:
            with self.subTest(target):
                raised.clear()
                self.assertEqual(self.ask(server, "GET", target).body, body)
                self.assertEqual(len(raised), 3)

    def test_n2_a_coroutine_that_exits_ends_no_other(self):
        server = self.serve()

        @server.get("/exit")
        async def leave(request):
            raise SystemExit(1)

        @server.websocket("/exit-talk")
        async def leave_talk(request, ws):
            raise KeyboardInterrupt

        @server.get("/exit-task")
        async def leave_task(request):
            async def leave():
                raise SystemExit(1)

            tasks.append(asyncio.create_task(leave()))
            return "left"

        @server.get("/alive")
        async def alive(request):
            return "alive"

        tasks = []
        self.assertEqual(self.ask(server, "GET", "/exit").status, 500)
        self.assertEqual(self.ask(server, "GET", "/alive").body, b"alive")
        url = f"ws://127.0.0.1:{server.port()}/exit-talk"
        with websockets.sync.client.connect(url, open_timeout=DEADLINE) as client:
            self.assertRaises(websockets.exceptions.ConnectionClosed, client.recv, DEADLINE)
        self.assertEqual(self.ask(server, "GET", "/alive").body, b"alive")
        self.assertEqual(self.ask(server, "GET", "/exit-task").body, b"left")
        self.assertEqual(self.ask(server, "GET", "/alive").body, b"alive")
        self.assertIsInstance(tasks.pop().exception(), SystemExit)
        self.assertEqual(len(self.logged), 3)

    def test_d2_a_signal_ends_the_wait_for_an_answer(self):
        server = self.serve()
        answered = threading.Event()
        server.get("/late")(lambda request: answered.wait(DEADLINE) and "late")

        class Rung(Exception):
            pass

        def ring(number, frame):
            raise Rung

        before = signal.signal(signal.SIGALRM, ring)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            self.assertRaises(Rung, server.test().get, "/late")
            self.assertFalse(answered.is_set())
        finally:
            signal.signal(signal.SIGALRM, before)
            answered.set()

    def test_d2_a_test_client_needs_no_socket(self):
        server = self.serve()
        client = server.test()
        server.get("/hello/{name}")(lambda request, name: (f"hello {name}", 200, {"X-A": request.headers.get("x-a", "")}))
        server.post("/json")(lambda request: [request.json(), request.headers["content-type"]])
        server.route("/echo", number8.POST, lambda request: request.write(request.read()))
        server.get("/self")(lambda request: request.server().test().get("/hello/x").text)

        @server.get("/cut")
        def cut(request):
            yield "part"
            raise ValueError

        answer = client.get("/hello/joe", headers={"X-A": "1"})
        self.assertEqual((answer.status, answer.text, answer.headers["x-a"]), (200, "hello joe", "1"))
        self.assertEqual(client.post("/json", json={"a": 1}).json(), [{"a": 1}, "application/json"])
        self.assertEqual(client.post("/echo", body=b"x" * 300_000).body, b"x" * 300_000)
        self.assertEqual(client.request("HEAD", "/hello/joe").body, b"")
        self.assertEqual([client.delete("/json").status, client.put("/no").status, client.patch("/no").status], [405, 404, 404])
        self.assertRaises(OSError, client.get, "/cut")
        self.assertEqual(client.get("/self").status, 500)
        server.close()
        self.assertRaises(RuntimeError, client.get, "/hello/joe")

    def test_d2_a_coroutine_asks_from_another_thread(self):
        server = self.serve()
        client = server.test()

        @server.get("/later")
        async def later(request):
            return "later"

        @server.get("/blocks")
        async def blocks(request):
            with self.assertRaises(RuntimeError):
                client.get("/later")
            return (await asyncio.to_thread(client.get, "/later")).text

        self.assertEqual(client.get("/blocks").text, "later")

    def test_a_decorator_without_parentheses_is_a_mistake(self):
        server = self.serve()

        def shop(request):
            return "x"

        self.assertRaisesRegex(TypeError, r"@server.get\('/path'\)", server.get, functools.partial(shop))
        for decorator in server.get, server.delete, server.websocket:
            with self.subTest(decorator.__name__), self.assertRaisesRegex(TypeError, r"@server.get\('/shop'\)"):
                decorator(shop)

    def test_u10_decorators_take_room(self):
        server = self.serve(routes=2)
        server.get("/x")(lambda request: "x")
        self.assertRaises(ValueError, server.get("/y"), lambda request: "y")


if __name__ == "__main__":
    unittest.main()
