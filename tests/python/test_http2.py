"""Applications that are asked by HTTP/2: what they see is what HTTP/1.1 has them see, but for its name."""

import signal
import unittest

import httpx
from commanded import until
from hosting import DEADLINE, HERE, serving
from http2 import Client
from test_asgi import NOT_WHOLE, Hosted, ask
from test_tls import CERTIFICATE, KEY, trusting
from test_wsgi import THREADS
from test_wsgi_flow import fifo, tell


class Scope(Hosted):
    def test_g7_the_scope_says_all_of_a_request(self):
        fields = [("x-two", "1"), ("cookie", "a=1"), ("x-two", "2"), ("cookie", "b=2"), ("x-latin", b"\xe9"), ("content-type", "text/plain")]
        for server in self.servers(root_path="/below"):
            with Client(server) as client:
                port = client.socket.getsockname()[1]
                scope = client.ask("/scope/%C3%A9%2F%20+?q=%20&r", *fields, method="POST", content=b"x").json
            headers = [(name["bytes"], value["bytes"]) for name, value in scope.pop("headers")]
            self.assertEqual(
                scope,
                {
                    "type": "http",
                    "asgi": {"version": "3.0", "spec_version": "2.5"},
                    "http_version": "2",
                    "method": "POST",
                    "scheme": "http",
                    "path": "/below/scope/é/ +",
                    "raw_path": {"bytes": "/below/scope/%C3%A9%2F%20+"},
                    "query_string": {"bytes": "q=%20&r"},
                    "root_path": "/below",
                    "client": ["127.0.0.1", port],
                    "server": ["127.0.0.1", server.port],
                    "extensions": {"http.response.trailers": {}, "http.response.pathsend": {}},
                    "state": {},
                },
            )
            # The host comes first, and what a client has in its jar is one field (RFC 9113 §8.2.3).
            self.assertEqual(headers[0], ("host", "farm.test"))
            self.assertEqual([value for name, value in headers if name == "x-two"], ["1", "2"])
            self.assertEqual([value for name, value in headers if name == "cookie"], ["a=1; b=2"])
            self.assertEqual(dict(headers)["x-latin"], "\xe9")
            self.assertFalse([name for name, _ in headers if name.startswith(":") or name != name.lower()])

    def test_g7_a_host_beside_the_authority_is_not_told_twice(self):
        for server in self.servers():
            with Client(server) as client:
                headers = client.ask("/scope", ("host", "farm.test")).json["headers"]
                self.assertEqual([value["bytes"] for name, value in headers if name["bytes"] == "host"], ["farm.test"])

    def test_g7_inside_tls_the_scheme_is_https(self):
        for server in self.servers(tls=(str(CERTIFICATE), str(KEY))):
            with httpx.Client(http2=True, verify=trusting(), timeout=DEADLINE) as client:
                answer = client.get(f"https://localhost:{server.port}/scope")
                self.assertEqual(answer.http_version, "HTTP/2")
                scope = answer.json()
                self.assertEqual((scope["scheme"], scope["http_version"]), ("https", "2"))
                self.assertIn([{"bytes": "host"}, {"bytes": f"localhost:{server.port}"}], scope["headers"])


class Receive(Hosted):
    def test_g7_content_comes_in_messages_and_ends(self):
        cases = [("none", None, 0), ("empty", b"", 0), ("a little", b"eight", 5), ("much", b"8" * 3_000_000, 3_000_000)]
        for server in self.servers():
            with Client(server) as client:
                for name, content, length in cases:
                    with self.subTest(name):
                        said = client.ask("/content", method="POST", content=content).json
                        self.assertEqual(sum(count for count, _ in said), length)
                        self.assertEqual([more for _, more in said], [True] * (len(said) - 1) + [False])

    def test_g7_content_is_neither_gathered_nor_spooled(self):
        for server in self.servers():
            with Client(server) as client:
                stream = client.begin("/echo", method="POST", ends=False)
                for piece in b"one", b"two":
                    client.send(stream, piece)
                    client.until(stream, lambda answer, piece=piece: answer.content.endswith(piece))
                client.send(stream, b"", ends=True)
                self.assertEqual(client.answer(stream).content, b"onetwo")

    def test_g7_who_expects_to_be_asked_is_asked_when_the_application_wants_it(self):
        expects = [("expect", "100-continue"), ("content-length", "5")]
        for server in self.servers():
            with Client(server) as client:
                stream = client.begin("/refuse", *expects, method="POST", ends=False)
                refused = client.until(stream, lambda answer: answer.status)
                self.assertEqual((refused.interim, refused.status), ([], 403))
                stream = client.begin("/content", *expects, method="POST", ends=False)
                client.until(stream, lambda answer: answer.interim == [100])
                client.send(stream, b"eight", ends=True)
                self.assertEqual(sum(length for length, _ in client.answer(stream).json), 5)

    def test_g7_content_that_is_too_large_is_refused(self):
        for server in self.servers(max_body=10):
            with Client(server) as client:
                self.assertEqual(client.ask("/content", method="POST", content=b"x" * 11).status, 413)
                self.assertEqual(client.ask("/content", method="POST", content=b"x" * 10).status, 200)

    def test_g7_receive_tells_the_end(self):
        for server in self.servers():
            with Client(server) as client:
                self.assertEqual(client.ask("/after").content, b"done")
            self.notes(server, "after: http.disconnect http.disconnect")

    def test_g7_a_client_that_takes_its_request_back_wakes_who_waits_for_it(self):
        for server in self.servers():
            with Client(server) as client:
                stream = client.begin("/wait")
                self.notes(server, "wait: begun")
                client.reset(stream)
                self.notes(server, "wait: http.disconnect")
                self.notes(server, "wait: ClientDisconnected")
                # The others of the connection go on.
                self.assertEqual(client.ask("/length").content, b"eight")
            self.assertNotIn("Traceback", server.log)

    def test_g7_a_client_that_leaves_wakes_who_waits_for_it(self):
        for server in self.servers():
            with Client(server) as client:
                client.begin("/wait")
                self.notes(server, "wait: begun")
            self.notes(server, "wait: http.disconnect")
            self.notes(server, "wait: ClientDisconnected")
            self.assertNotIn("Traceback", server.log)

    def test_g7_content_that_is_cut_is_a_client_that_has_left(self):
        for server in self.servers():
            with Client(server) as client:
                stream = client.begin("/echo", method="POST", ends=False)
                client.send(stream, b"one")
                client.until(stream, lambda answer: answer.content == b"one")
                client.reset(stream)
                self.assertEqual(client.ask("/length").content, b"eight")


class Send(Hosted):
    def test_g7_answers_are_framed_as_the_application_says(self):
        cases = [
            # path, method, status, content, fields
            ("/length", "GET", 200, b"eight", {"content-length": "5"}),
            ("/length", "HEAD", 200, b"", {"content-length": "5"}),
            ("/length-parts", "GET", 200, b"eight", {"content-length": "5"}),
            ("/length-parts", "HEAD", 200, b"", {"content-length": "5"}),
            ("/empty", "GET", 200, b"", {"content-length": "0"}),
            ("/many-empty", "GET", 200, b"x", {"content-length": None}),
            ("/parts", "GET", 200, b"onetwo", {"content-length": None}),
            ("/parts", "HEAD", 200, b"", {}),
            ("/no-content", "GET", 204, b"", {"content-length": None}),
            ("/not-modified", "GET", 304, b"", {"etag": '"8"'}),
            ("/not-modified-length", "GET", 304, b"", {"content-length": "8"}),
            ("/not-modified-parts", "GET", 304, b"", {"content-length": "8"}),
            ("/framing", "GET", 200, b"content", {"content-length": "7", "transfer-encoding": None, "connection": None, "x": "y"}),
            ("/tuples", "GET", 200, b"x", {"x-from": "a generator"}),
            ("/array", "GET", 200, b"one two", {}),
            ("/nothing-after", "GET", 200, b"whole", {}),
            ("/raises-after", "GET", 200, b"whole", {}),
            ("/file", "GET", 200, (HERE / "asgi_app.py").read_bytes(), {"x": "y"}),
            ("/file", "HEAD", 200, b"", {"x": "y"}),
        ]
        for server in self.servers():
            with Client(server) as client:
                for path, method, status, content, fields in cases:
                    with self.subTest(path, method=method):
                        answer = client.ask(path, method=method)
                        self.assertEqual((answer.status, answer.content, answer.error), (status, content, None))
                        self.assertEqual({name: answer.headers.get(name) for name in fields}, fields)

    def test_g7_an_application_may_name_its_server(self):
        for server in self.servers():
            with Client(server) as client:
                for path, names in [("/length", ["number8"]), ("/named", ["me"])]:
                    fields = client.ask(path).fields
                    self.assertEqual([value for name, value in fields if name == "server"], names)
                    self.assertEqual(ask(server, path).headers.get_all("server"), names)

    def test_g7_fields_keep_their_order_and_their_bytes(self):
        for server in self.servers():
            with Client(server) as client:
                fields = client.ask("/cookies").fields
                self.assertEqual([value for name, value in fields if name == "set-cookie"], ["a=1", "b=2"])
                self.assertIn(("x-latin", "\xe9"), fields)

    def test_g7_what_is_not_whole_is_500_or_cut(self):
        for server in self.servers():
            with Client(server) as client:
                for path, expected in NOT_WHOLE:
                    with self.subTest(path):
                        answer = client.ask(path)
                        self.assertEqual(answer.status if answer.is_whole else "cut", expected)
                        server.wait_for(f"at {path}\n")

    def test_g7_each_part_is_sent_before_the_next_is_made(self):
        for server in self.servers():
            with Client(server) as client:
                stream = client.begin("/stream")
                for part in range(3):
                    client.until(stream, lambda answer, part=part: answer.content.endswith(b"part %d\n" % part))
                    client.ask(f"/got?{part}")
                self.assertTrue(client.answer(stream).content.endswith(b"end\n"))

    def test_g7_a_client_that_is_behind_is_waited_for(self):
        for server in self.servers():
            with Client(server, takes=False) as client:
                stream = client.begin("/endless")
                client.until(stream, lambda answer: answer.content)
                self.assertLess(int(ask(server, "/how-much").content), 8_000_000, "what the windows take, and one of ours")
                client.reset(stream)
                self.notes(server, "endless: ClientDisconnected")

    def test_g7_who_streams_for_head_learns_that_nobody_takes_it(self):
        for server in self.servers():
            with Client(server) as client:
                for path, said in [("/ticks", "nobody takes it"), ("/quiet", "nobody is there")]:
                    self.assertEqual(client.ask(path, method="HEAD").content, b"")
                    # The client is there still.
                    self.notes(server, said)
                client.ask("/announced", method="HEAD")
                self.notes(server, "announced: whole")
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("number8", server.log)

    def test_g7_trailers_go_to_who_reads_them(self):
        for server in self.servers():
            with Client(server) as client:
                self.assertEqual(client.ask("/trailers", ("te", "trailers")).trailers, [("x-one", "1"), ("x-two", "2")])
                answer = client.ask("/trailers")
                self.assertEqual((answer.content, answer.trailers, answer.is_whole), (b"content", [], True))

    def test_g7_many_at_once_do_not_wait_for_one_another(self):
        for server in self.servers():
            with Client(server) as client:
                client.begin("/stuck")
                self.notes(server, "stuck: begun")
                streams = [client.begin("/length") for _ in range(50)]
                self.assertEqual({client.answer(stream).content for stream in streams}, {b"eight"})

    def test_g7_a_signal_lets_requests_end(self):
        for server in self.servers():
            with Client(server) as client:
                stream = client.begin("/slow")
                self.notes(server, "slow: begun")
                server.send(signal.SIGTERM)
                self.assertEqual(client.answer(stream).content, b"slow")
                self.assertTrue(client.is_told_to_end)
            self.assertEqual(server.wait(), 0)
            self.assertNotIn("Traceback", server.log)


class Wsgi(unittest.TestCase):
    def clients(self, **arguments):
        for threads in THREADS:
            with self.subTest(threads=threads), serving("wsgi_app:app", threads=threads, **arguments) as server:
                with Client(server) as client:
                    yield server, client

    def test_g7_environ_describes_the_request(self):
        for _, client in self.clients():
            fields = [("content-type", "a/b"), ("cookie", "a=1"), ("cookie", "b=2"), ("x-two", "1"), ("x-two", "2")]
            answer = client.ask("/environ/caf%C3%A9?x=1", *fields, method="POST", content=b"abcd")
            seen = answer.json["environ"]
            expected = {
                "REQUEST_METHOD": "POST",
                "PATH_INFO": "/environ/caf\xc3\xa9",
                "QUERY_STRING": "x=1",
                "REQUEST_URI": "/environ/caf%C3%A9?x=1",
                "SERVER_PROTOCOL": "HTTP/2",
                "HTTP_HOST": "farm.test",
                "HTTP_COOKIE": "a=1; b=2",
                "HTTP_X_TWO": "1,2",
                "CONTENT_TYPE": "a/b",
                # The client has not told it.
                "CONTENT_LENGTH": "4",
                "HTTP_TRANSFER_ENCODING": None,
                "wsgi.url_scheme": "http",
            }
            self.assertEqual({name: seen.get(name) for name in expected}, expected)

    def test_g7_inside_tls_the_scheme_is_https(self):
        for threads in THREADS:
            tls = (str(CERTIFICATE), str(KEY))
            with serving("wsgi_app:app", threads=threads, tls=tls) as server:
                with httpx.Client(http2=True, verify=trusting(), timeout=DEADLINE) as client:
                    answer = client.get(f"https://localhost:{server.port}/environ")
                    seen = answer.json()["environ"]
                    self.assertEqual((answer.http_version, seen["wsgi.url_scheme"], seen["SERVER_PROTOCOL"]), ("HTTP/2", "https", "HTTP/2"))

    def test_g7_content_goes_both_ways(self):
        content = bytes(range(256)) * 12_000
        for _, client in self.clients():
            self.assertEqual(client.ask("/echo", method="POST", content=content).content, content)
            self.assertEqual(client.ask("/echo", method="POST", content=b"").content, b"")
            self.assertEqual(client.ask("/echo").content, b"")
            # Six at once, as a page has them, sent in turns.
            streams = [client.begin("/echo", method="POST", ends=False) for _ in range(6)]
            for stream in streams:
                client.send(stream, content[:100_000])
            for stream in streams:
                client.send(stream, content[100_000:300_000], ends=True)
            self.assertEqual({client.answer(stream).content for stream in streams}, {content[:300_000]})

    def test_g7_content_that_is_too_large_is_refused(self):
        for _, client in self.clients(max_body=10):
            self.assertEqual(client.ask("/echo", method="POST", content=b"x" * 11).status, 413)
            self.assertEqual(client.ask("/echo", method="POST", content=b"x" * 10).status, 200)

    def test_g7_answers_come_as_the_application_gives_them(self):
        cases = [
            ("/ok", "GET", 200, b"ok", {"content-length": "2"}),
            ("/ok", "HEAD", 200, b"", {"content-length": "2"}),
            ("/parts", "GET", 200, b"onetwo", {"content-length": None}),
            ("/parts", "HEAD", 200, b"", {}),
            ("/writes", "GET", 200, b"onetwothree", {}),
            ("/nothing", "GET", 200, b"", {}),
            ("/lazy", "GET", 201, b"lazy", {}),
            ("/without_content?204", "GET", 204, b"", {"etag": '"8"'}),
            ("/known", "GET", 304, b"", {"content-length": "5"}),
            ("/status", "GET", 299, b"x", {"x-latin": "caf\xe9"}),
            ("/replaced", "GET", 502, b"replaced", {"x-replaced": "yes"}),
            ("/fails", "GET", 500, None, {}),
        ]
        for _, client in self.clients():
            for path, method, status, content, fields in cases:
                with self.subTest(path, method=method):
                    answer = client.ask(path, method=method)
                    self.assertEqual((answer.status, answer.error), (status, None))
                    if content is not None:
                        self.assertEqual(answer.content, content)
                    self.assertEqual({name: answer.headers.get(name) for name in fields}, fields)
            for path in "/promises?5&3", "/promises?5&parts&3", "/fails_later":
                with self.subTest(path):
                    self.assertIsNotNone(client.ask(path).error, "it is cut")
            self.assertEqual(client.ask("/promises?3&5").content, b"888")

    def test_g7_each_part_is_sent_before_the_next_one_is_asked_for(self):
        for _, client in self.clients():
            with fifo() as path:
                stream = client.begin(f"/waits?{path}")
                client.until(stream, lambda answer: answer.content == b"one")
                tell(path, b"two")
                self.assertEqual(client.answer(stream).content, b"onetwo")

    def test_g7_what_a_client_takes_back_is_closed(self):
        for _, client in self.clients():
            stream = client.begin("/idles")
            client.until(stream, lambda answer: answer.content == b"one")
            self.assertEqual(client.ask("/closed?idles").json, [])
            client.reset(stream)
            until("the end", lambda: client.ask("/closed?idles").json == ["idles"])  # noqa: B023

    def test_g7_a_signal_lets_requests_end(self):
        for server, client in self.clients():
            with fifo() as path:
                stream = client.begin(f"/waits?{path}")
                client.until(stream, lambda answer: answer.content == b"one")
                server.send(signal.SIGTERM)
                tell(path, b"two")
                self.assertEqual(client.answer(stream).content, b"onetwo")
            self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    unittest.main()
