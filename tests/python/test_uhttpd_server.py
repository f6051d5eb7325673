"""uhttpd's Server: what it is made with, and whom it asks (rows U2 to U14 and U33 of the behaviours)."""

import base64
import errno
import functools
import gc
import http.client
import itertools
import socket
import threading
import unittest
import weakref

import number8
import number8 as uhttpd
import requests
from uhttpd import DEADLINE, Case

EVERY = uhttpd.GET | uhttpd.POST | uhttpd.DELETE


def ok(request):
    request.write("ok")


class Made(Case):
    def test_u2_u3_the_constructor_starts_it(self):
        server = self.serve(port=0)
        self.assertEqual(self.ask(server, "GET", "/").status, 404)

    def test_u1_callbacks_run_on_one_thread_that_is_not_the_main_one(self):
        server = self.serve()
        threads, running, most = [], [], []

        def callback(request):
            running.append(1)
            most.append(len(running))
            threads.append(threading.get_ident())
            request.read()
            running.pop()

        server.route("/x", EVERY, callback)
        clients = [
            threading.Thread(target=lambda: [self.ask(server, "POST", "/x", b"body") for _ in range(20)]) for _ in range(8)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join(DEADLINE)
        self.assertEqual(len(threads), 160)
        self.assertEqual(len(set(threads)), 1)
        self.assertNotEqual(threads[0], threading.main_thread().ident)
        self.assertEqual(set(most), {1})

    def test_u33_constants_are_distinct(self):
        verbs = [uhttpd.GET, uhttpd.POST, uhttpd.DELETE, uhttpd.PUT, uhttpd.PATCH, uhttpd.OPTIONS]
        self.assertTrue(all(verb.bit_count() == 1 for verb in verbs))
        self.assertEqual(len(set(verbs)), len(verbs))
        self.assertEqual(len({uhttpd.AUTH_OPEN, uhttpd.AUTH_BASIC, uhttpd.AUTH_CUSTOM}), 3)
        self.assertEqual(len({uhttpd.ACL_RO, uhttpd.ACL_WO, uhttpd.ACL_RW}), 3)
        self.assertLess(max(uhttpd.ACL_RO, uhttpd.ACL_WO, uhttpd.ACL_RW), 400)

    def test_u13_port_is_the_one_that_was_found(self):
        server = self.serve(0)
        self.assertGreater(server.port(), 0)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            free = taken.getsockname()[1]
        self.assertEqual(self.serve(free).port(), free)

    def test_a_port_that_is_taken_is_an_oserror(self):
        server = self.serve()
        place = f"127.0.0.1:{server.port()}"
        for listen in (
            lambda: self.serve(server.port()),
            lambda: number8.serve(ok, interface="wsgi", bind=place),
        ):
            with self.assertRaisesRegex(OSError, str(server.port())) as raised:
                listen()
            self.assertEqual(raised.exception.errno, errno.EADDRINUSE)
        for listen in (
            lambda: self.serve(bind="192.0.2.1", port=0),
            lambda: number8.serve(ok, interface="wsgi", bind="192.0.2.1:0"),
        ):
            with self.assertRaises(OSError) as raised:
                listen()
            self.assertEqual(raised.exception.errno, errno.EADDRNOTAVAIL)
        self.assertEqual(self.ask(server, "GET", "/").status, 404)

    def test_mistakes_are_errors(self):
        cases = [
            ({"routing": 1}, TypeError),
            ({"port": 65536}, ValueError),
            ({"port": -1}, ValueError),
            ({"port": "8080"}, TypeError),
            ({"acl": uhttpd.AUTH_BASIC}, ValueError),
            ({"acl": uhttpd.AUTH_CUSTOM}, ValueError),
            ({"acl": uhttpd.AUTH_CUSTOM, "auth": b"Basic x"}, ValueError),
            ({"acl": 77}, ValueError),
            ({"auth": b"Basic x"}, ValueError),
            ({"auth": print}, ValueError),
            ({"routes": -1}, ValueError),
            ({"routes": [("/x", uhttpd.GET)]}, ValueError),
            ({"routes": [("/x", uhttpd.GET, None)]}, TypeError),
            ({"tls": ("no-such-cert", "no-such-key")}, ValueError),
            ({"tls": ("no-such-cert",)}, ValueError),
            ({"tls": ("no-such-cert", None)}, TypeError),
            ({"bind": "no such place"}, ValueError),
        ]
        for arguments, error in cases:
            with self.subTest(arguments):
                self.assertRaises(error, self.serve, **{"port": 0, **arguments})

    def test_with_and_close_stop_it(self):
        for stop in ("close", "stop", "shutdown", "__exit__"):
            with self.subTest(stop):
                server = self.serve()
                port = server.port()
                with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    answer = http.client.HTTPResponse(client)
                    answer.begin()
                    answer.read()
                    getattr(server, stop)(*([None] * 3 if stop == "__exit__" else []))
                    self.assertEqual(client.recv(1), b"")
                self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", port), 1)
                server.close()
                self.assertRaises(RuntimeError, server.port)
                self.assertRaises(RuntimeError, server.route, "/x", uhttpd.GET, ok)
        with number8.Server(0) as server:
            self.assertEqual(self.ask(server, "GET", "/").status, 404)

    def test_dropping_the_last_reference_stops_it(self):
        for cycle in (False, True):
            with self.subTest(cycle=cycle):
                server = number8.Server(0)
                server.route("/x", uhttpd.GET, (lambda request, held=server: ok(request)) if cycle else ok)
                port, gone = server.port(), weakref.ref(server)
                self.assertEqual(self.ask(server, "GET", "/x").status, 200)
                del server
                if cycle:
                    gc.collect()
                self.assertIsNone(gone())
                self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", port), 1)

    def test_a_callback_may_close_its_server(self):
        server = self.serve()
        port = server.port()

        def callback(request):
            request.write("bye")
            request.server().close()

        server.route("/x", uhttpd.GET, callback)
        self.assertEqual(self.ask(server, "GET", "/x").body, b"bye")
        server.close()
        for thread in threading.enumerate():
            if thread.name == "number8-callbacks":
                thread.join(DEADLINE)
        self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", port), 1)


class Routed(Case):
    def test_u6_a_table_of_routes(self):
        table = ([url, uhttpd.GET, lambda r, url=url: r.write(url)] for url in ("/a", b"/b", "/c/*"))
        server = self.serve(0, routes=table)
        for target, body in [("/a", b"/a"), ("/b", b"/b"), ("/c/d", b"/c/*")]:
            self.assertEqual(self.ask(server, "GET", target).body, body)
        self.assertRaises(RuntimeError, server.route, "/x", uhttpd.GET, ok)
        self.assertEqual(self.ask(server, "GET", "/x").status, 404)

    def test_u6_u10_there_is_room_for_so_many_verbs(self):
        cases = [
            (1, [], [uhttpd.GET]),
            (2, [uhttpd.GET], [uhttpd.GET]),
            (4, [EVERY], [uhttpd.GET]),
            (4, [uhttpd.GET], [EVERY]),
            (4, [uhttpd.GET | uhttpd.POST, uhttpd.GET], [uhttpd.GET]),
        ]
        for routes, fits, refused in cases:
            with self.subTest(routes=routes, fits=fits):
                server = self.serve(0, routes=routes)
                for number, verbs in enumerate(fits):
                    server.route(f"/{number}", verbs, ok)
                for verbs in refused:
                    self.assertRaises(ValueError, server.route, "/refused", verbs, ok)
                self.assertEqual(self.ask(server, "GET", "/refused").status, 404)

    def test_u10_a_refused_handler_takes_no_room(self):
        server = self.serve(0, routes=3)
        self.assertRaises(ValueError, server.route, "/x", EVERY, ok)
        self.assertRaises(ValueError, server.route, "no slash", uhttpd.GET, ok)
        server.route("/x", uhttpd.GET | uhttpd.POST, ok)
        self.assertRaises(ValueError, server.route, "/y", uhttpd.GET, ok)

    def test_u6_without_a_number_there_is_room_enough(self):
        server = self.serve()
        for number in range(20):
            server.route(f"/{number}", EVERY, ok)
        self.assertEqual(self.ask(server, "GET", "/19").status, 200)

    def test_u11_u12_the_first_that_fits_answers(self):
        cases = [
            (["/a", "/*"], "/a", b"/a"),
            (["/*", "/a"], "/a", b"/*"),
            (["/a/*/c", "/a/*"], "/a/b/c", b"/a/*/c"),
            (["/a/*/c", "/a/*"], "/a/b/d", b"/a/*"),
            (["*"], "/anything", b"*"),
            (["/a/*"], "/a/", b"/a/*"),
            (["/a", "/a"], "/a", b"/a"),
        ]
        for urls, target, body in cases:
            with self.subTest(urls):
                server = self.serve()
                for url in urls:
                    server.route(url, uhttpd.GET, lambda r, url=url: r.write(url))
                self.assertEqual(self.ask(server, "GET", target).body, body)

    def test_u14_one_url_has_a_callback_for_each_verb(self):
        server = self.serve()
        for method in ("GET", "POST", "DELETE"):
            server.route("/x", getattr(uhttpd, method), lambda r, method=method: r.write(method))
        for method in ("GET", "POST", "DELETE"):
            self.assertEqual(self.ask(server, method, "/x").body, method.encode())

    def test_u14_other_methods_are_405_and_options_says_which(self):
        server = self.serve()
        server.route("/x", uhttpd.GET | uhttpd.POST, ok)
        for method, status in [("DELETE", 405), ("PUT", 405), ("PATCH", 405), ("OPTIONS", 204)]:
            with self.subTest(method):
                answer = self.ask(server, method, "/x")
                self.assertIn(answer.status, {status, 200} if method == "OPTIONS" else {status})
                allowed = {name.strip() for name in answer.headers["Allow"].split(",")}
                self.assertTrue({"GET", "POST"} <= allowed and "DELETE" not in allowed, allowed)

    def test_u14_mistakes_are_errors(self):
        server = self.serve()
        cases = [
            (("x", uhttpd.GET, ok), ValueError),
            (("", uhttpd.GET, ok), ValueError),
            (("/x", 0, ok), ValueError),
            (("/x", 1 << 20, ok), ValueError),
            (("/x", "GET", ok), ValueError),
            (("/x", uhttpd.GET, "ok"), TypeError),
            ((1, uhttpd.GET, ok), TypeError),
        ]
        for arguments, error in cases:
            with self.subTest(arguments):
                self.assertRaises(error, server.route, *arguments)
        self.assertEqual(self.ask(server, "GET", "/x").status, 404)

    def test_a_late_route_is_served_from_the_next_request_on(self):
        server = self.serve()
        with_client = http.client.HTTPConnection("127.0.0.1", server.port(), timeout=DEADLINE)
        self.addCleanup(with_client.close)
        statuses = []
        for number in range(3):
            with_client.request("GET", "/x")
            answer = with_client.getresponse()
            answer.read()
            statuses.append(answer.status)
            if number == 0:
                server.route("/x", uhttpd.GET, ok)
        self.assertEqual(statuses, [404, 200, 200])


class Allowed(Case):
    BASIC = b"Basic " + base64.b64encode(b"answer:42")

    def test_u4_u7_basic_compares_the_whole_value(self):
        for auth in (self.BASIC, self.BASIC.decode(), bytearray(self.BASIC), memoryview(self.BASIC)):
            server = self.serve(0, uhttpd.AUTH_BASIC, auth=auth)
            server.route("/x", uhttpd.GET, ok)
            given = self.BASIC.decode()
            cases = [(given, 200), (None, 401), (given + "x", 401), (given.lower(), 401), (given[6:], 401), ("", 401)]
            for value, status in cases:
                with self.subTest((type(auth).__name__, value)):
                    headers = {} if value is None else {"Authorization": value}
                    answer = self.ask(server, "GET", "/x", headers=headers)
                    self.assertEqual(answer.status, status)
                    if status == 401:
                        self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Basic"))
            self.assertEqual(self.ask(server, "GET", "/unknown").status, 401)

    def test_u7_requests_logs_in(self):
        server = self.serve(0, uhttpd.AUTH_BASIC, auth=self.BASIC, events=1)
        server.route("/x", EVERY, lambda request: {"got": request.form()})
        server.route("/pieces", uhttpd.GET, lambda r: [r.send_chunk(piece) for piece in ("one ", "two", None)])
        server.event("/events")
        with requests.Session() as session:
            url = f"http://127.0.0.1:{server.port()}"
            self.assertEqual(session.get(url + "/x", timeout=DEADLINE).status_code, 401)
            session.auth = ("answer", "42")
            posted = session.post(url + "/x", data={"a": "é"}, timeout=DEADLINE)
            self.assertEqual((posted.status_code, posted.json()), (200, {"got": {"a": "é"}}))
            self.assertEqual(session.get(url + "/pieces", timeout=DEADLINE).text, "one two")
            with session.get(url + "/events", stream=True, timeout=DEADLINE) as events:
                self.assertIs(server.dispatch("hello"), True)
                self.assertIn("hello", next(line for line in events.iter_lines(decode_unicode=True) if line.startswith("data")))

    def test_u8_custom_is_asked_once_for_each_request(self):
        asked = []

        def auth(request):
            asked.append((request.method(), request.path(), request.headers.get("x-key")))
            return request.headers.get("x-key") == "8"

        server = self.serve(0, uhttpd.AUTH_CUSTOM, auth=auth)
        server.route("/x", EVERY, lambda r: r.write(r.read()))
        for method, target, key, status in [
            ("GET", "/x", "8", 200),
            ("POST", "/x", "8", 200),
            ("POST", "/x", None, 403),
            ("GET", "/unknown", "8", 404),
            ("GET", "/unknown", None, 403),
            ("DELETE", "/x", "9", 403),
        ]:
            with self.subTest((method, target, key)):
                asked.clear()
                headers = {"X-Key": key} if key else {}
                answer = self.ask(server, method, target, b"body" if method == "POST" else None, headers)
                self.assertEqual(answer.status, status)
                self.assertEqual(asked, [(getattr(uhttpd, method), target, key)])
                if (method, status) == ("POST", 200):
                    self.assertEqual(answer.body, b"body")

    def test_u8_what_custom_returns_is_true_or_not(self):
        def fail(request):
            raise ValueError("secret")

        cases = [(lambda r: True, 200), (lambda r: "yes", 200), (lambda r: 0, 403), (lambda r: None, 403), (fail, 403)]
        cases.append((lambda r: r.write("my own words", "401 Who"), 401))
        for auth, status in cases:
            with self.subTest(status=status):
                server = self.serve(0, uhttpd.AUTH_CUSTOM, auth=auth)
                server.route("/x", uhttpd.GET, ok)
                answer = self.ask(server, "GET", "/x")
                self.assertEqual(answer.status, status)
                self.assertNotIn(b"secret", answer.body)
        self.assertEqual(answer.body, b"my own words")

    def test_u8_a_coroutine_lets_nobody_in(self):
        async def auth(request):
            return True

        class Asked:
            async def __call__(self, request):
                return True

        for function in (auth, functools.partial(auth), Asked(), Asked().__call__):
            with self.subTest(function):
                self.assertRaises(TypeError, self.serve, 0, uhttpd.AUTH_CUSTOM, auth=function)
        coroutines = []

        def later(request):
            coroutines.append(auth(request))
            return coroutines[-1]

        server = self.serve(0, uhttpd.AUTH_CUSTOM, auth=later)
        server.route("/x", uhttpd.GET, ok)
        self.assertEqual(self.ask(server, "GET", "/x").status, 403)
        self.assertEqual(len(self.logged), 1)
        coroutines.pop().close()

    def test_u5_cors_is_on_every_answer_once(self):
        def fail(request):
            raise ValueError

        own = {"Access-Control-Allow-Origin": "https://a.example"}
        basic = {"acl": uhttpd.AUTH_BASIC, "auth": self.BASIC}
        asked = [("GET", "/x", 200), ("GET", "/no", 404), ("PUT", "/x", 405), ("GET", "/fail", 500), ("OPTIONS", "/x", 204)]
        for cors, origin in itertools.product((True, False), (True, False)):
            server = self.serve(0, cors=cors)
            server.route("/x", uhttpd.GET, ok)
            server.route("/fail", uhttpd.GET, fail)
            server.route("/own", uhttpd.GET, lambda r: r.write("", headers=own))
            for method, target, status in asked:
                with self.subTest((cors, origin, method, target)):
                    headers = {"Origin": "https://b.example"} if origin else {}
                    answer = self.ask(server, method, target, headers=headers)
                    self.assertEqual(answer.status, status)
                    self.assertEqual(answer.headers.get_all("Access-Control-Allow-Origin"), ["*"] if cors else None)
            answer = self.ask(server, "GET", "/own")
            self.assertEqual(answer.headers.get_all("Access-Control-Allow-Origin"), ["https://a.example"])
        refused = self.ask(self.serve(0, cors=True, **basic), "GET", "/x")
        self.assertEqual((refused.status, refused.headers.get_all("Access-Control-Allow-Origin")), (401, ["*"]))

    def test_u5_a_preflight_names_the_methods(self):
        server = self.serve(0, cors=True, acl=uhttpd.AUTH_BASIC, auth=self.BASIC)
        server.route("/x", uhttpd.GET | uhttpd.DELETE, ok)
        asked = {"Origin": "https://b.example", "Access-Control-Request-Method": "DELETE"}
        answer = self.ask(server, "OPTIONS", "/x", headers=asked)
        self.assertIn(answer.status, (200, 204))
        self.assertIn("DELETE", answer.headers["Access-Control-Allow-Methods"])
        self.assertEqual(answer.headers.get_all("Access-Control-Allow-Origin"), ["*"])


if __name__ == "__main__":
    unittest.main()
