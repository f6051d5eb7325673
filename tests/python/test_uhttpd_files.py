"""uhttpd's files and events: served, received, asked about, and listened to (rows U9 and U15 to U31)."""

import http.client
import json
import os
import pathlib
import socket
import tempfile
import threading
import unittest

import number8 as uhttpd
from uhttpd import DEADLINE, Case


class Folders(Case):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name) / "root"
        self.ext = pathlib.Path(folder.name) / "ext"
        for path, text in {
            "root/hello.txt": "hello",
            "root/index.html": "<p>",
            "root/page.html": "page",
            "root/var/my_folder/deep.txt": "deep",
            "root/var/hello.txt": "x" * 42,
            "root/www/data/subdir/hello.txt": "based",
            "root/both.txt": "internal",
            "root/sp ace/é.txt": "odd",
            "root/.hidden": "hidden",
            "secret.txt": "secret",
            "ext/both.txt": "external",
            "ext/card.txt": "card",
        }.items():
            file = pathlib.Path(folder.name) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        os.symlink("../secret.txt", self.root / "out")
        os.symlink("hello.txt", self.root / "in")

    def folder(self, **kwargs):
        return self.serve(root=self.root, **kwargs)

    def table(self, server, cases):
        for method, target, status, body in cases:
            with self.subTest((method, target)):
                answer = self.ask(server, method, target, b"new" if method == "POST" else None)
                statuses = status if isinstance(status, tuple) else (status,)
                self.assertIn(answer.status, statuses)
                if body is not None:
                    self.assertEqual(answer.body, body)


class Served(Folders):
    def test_u15_serve_bare_serves_the_root(self):
        server = self.folder()
        server.serve()
        self.table(
            server,
            [
                ("GET", "/hello.txt", 200, b"hello"),
                ("HEAD", "/hello.txt", 200, b""),
                ("GET", "/var/my_folder/deep.txt", 200, b"deep"),
                ("GET", "/sp%20ace/%C3%A9.txt", 200, b"odd"),
                ("GET", "/in", 200, b"hello"),
                ("GET", "/missing", 404, None),
                ("GET", "/page", 404, None),
                ("GET", "/hello.txt/", 404, None),
                ("GET", "/var", 404, None),
                ("POST", "/hello.txt", (404, 405), None),
                ("DELETE", "/hello.txt", (404, 405), None),
            ],
        )
        self.assertEqual((self.root / "hello.txt").read_text(), "hello")

    def test_u15_nothing_above_the_root_is_reached(self):
        server = self.folder()
        server.serve()
        server.serve("/fs", "/www")
        targets = ["/out", "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/..%5csecret.txt", "/a/../../secret.txt"]
        targets += ["/fs/../hello.txt", "/fs/%2e%2e/hello.txt", "/hello.txt%00", "/\\hello.txt", "//../secret.txt", "/.hidden"]
        for target in targets:
            with self.subTest(target):
                status, _, body = self.raw(server, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).partition(b"\r\n")
                self.assertEqual(status[9:10], b"4")
                self.assertNotIn(b"secret\r", body)
                self.assertNotIn(b"hello", body.split(b"\r\n\r\n")[-1].split(b"<h1>")[0][:5])

    def test_u16_a_prefix_goes_and_a_base_comes(self):
        cases = [
            (("/fs", "/www/data"), "/fs/subdir/hello.txt", 200, b"based"),
            (("/fs", "/www/data"), "/subdir/hello.txt", 404, None),
            (("/fs", "/www/data"), "/fs", 404, None),
            (("/fs", "/www/data"), "/fsx/subdir/hello.txt", 404, None),
            (("/fs/", "/www/data/"), "/fs/subdir/hello.txt", 200, b"based"),
            (("/fs",), "/fs/hello.txt", 200, b"hello"),
            ((b"/fs", b"/www"), "/fs/data/subdir/hello.txt", 200, b"based"),
            (("", "/sp ace"), "/%C3%A9.txt", 200, b"odd"),
            (("/a%25b", "/"), "/a%25b/hello.txt", 200, b"hello"),
            (("/a%20b", "/"), "/a%20b/hello.txt", 200, b"hello"),
        ]
        for arguments, target, status, body in cases:
            server = self.folder()
            server.serve(*arguments)
            self.table(server, [("GET", target, status, body)])
        with self.assertRaisesRegex(ValueError, "a % is written %25"):
            self.folder().serve("/a%b")

    def test_u17_u20_a_folder_is_a_document(self):
        server = self.folder()
        server.serve()
        server.serve("/fs", base="/var")
        for target, path in [("/var/", "/var/"), ("/var/?x=y", "/var/"), ("/var/my_folder/", "/var/my_folder/"), ("/", "/")]:
            for accept in ("*/*", "text/html"):
                with self.subTest((target, accept)):
                    answer = self.ask(server, "GET", target, headers={"Accept": accept})
                    self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/json"))
                    document = json.loads(answer.body)
                    self.assertEqual(set(document), {"path", "list"})
                    self.assertEqual(document["path"], path)
                    self.assertEqual(document["list"][0], {"path": "..", "type": "directory", "size": 0})
                    self.assertTrue(all(set(entry) == {"path", "type", "size"} for entry in document["list"]))
        document = json.loads(self.ask(server, "GET", "/var/").body)
        self.assertCountEqual(
            document["list"][1:],
            [{"path": "my_folder", "type": "directory", "size": 0}, {"path": "hello.txt", "type": "file", "size": 42}],
        )

    def test_u17_a_document_has_every_name(self):
        for number in range(1200):
            (self.root / "var" / str(number)).touch()
        server = self.folder()
        server.serve()
        self.assertEqual(len(json.loads(self.ask(server, "GET", "/var/").body)["list"]), 1203)

    def test_u18_without_dirs_a_folder_is_nothing(self):
        server = self.folder()
        server.serve(dirs=False)
        self.table(server, [("GET", "/var/", (403, 404), None), ("GET", "/", (403, 404), None), ("GET", "/hello.txt", 200, b"hello")])

    def test_u19_the_external_storage_comes_first(self):
        server = self.folder(ext_root=self.ext)
        server.serve("/ext", ext=True)
        server.serve("/int")
        self.table(
            server,
            [
                ("GET", "/ext/both.txt", 200, b"external"),
                ("GET", "/ext/card.txt", 200, b"card"),
                ("GET", "/ext/hello.txt", 200, b"hello"),
                ("GET", "/int/both.txt", 200, b"internal"),
                ("GET", "/int/card.txt", 404, None),
            ],
        )
        without = self.folder()
        without.serve(ext=True)
        self.table(without, [("GET", "/both.txt", 200, b"internal")])

    def test_u12_what_is_served_first_hides_later_routes(self):
        server = self.folder()
        server.serve()
        server.route("/hello.txt", uhttpd.GET, lambda r: r.write("route"))
        self.table(server, [("GET", "/hello.txt", 200, b"hello")])

    def test_u15_mistakes_are_errors(self):
        server = self.folder()
        for arguments, error in [
            (("fs",), ValueError),
            (("/fs", "www"), ValueError),
            (("/fs", "/www/../.."), ValueError),
            (("/f*",), ValueError),
            ((8,), TypeError),
        ]:
            with self.subTest(arguments):
                self.assertRaises(error, server.serve, *arguments)
        self.table(server, [("GET", "/hello.txt", 404, None)])
        lost = self.serve(root=self.root / "missing")
        for room in lost.serve, lost.receive:
            with self.assertRaises(FileNotFoundError) as raised:
                room()
            self.assertEqual(raised.exception.filename, str(self.root / "missing"))

    def test_u10_the_rooms_take_their_slots(self):
        server = self.folder(routes=5)
        server.serve()
        server.receive(True, "/up", delete=True)
        server.receive(True, "/more")
        self.assertRaises(ValueError, server.serve, "/again")
        self.assertRaises(ValueError, server.receive, True, "/again")
        server.event("/events")


class Received(Folders):
    def test_u21_u22_a_body_is_stored_as_it_is(self):
        server = self.folder()
        server.receive(True, "/up")
        body = os.urandom(300_000)
        form = {"Content-Type": "multipart/form-data; boundary=x"}
        plain = {"Content-Type": "application/x-www-form-urlencoded"}
        for target, headers in [("/up/new.bin", {}), ("/up/a/b/c.bin", {}), ("/up/form.bin", form), ("/up/hello.txt?delete", plain)]:
            with self.subTest(target):
                answer = self.ask(server, "POST", target, body, headers)
                self.assertEqual(answer.status // 100, 2)
                path = target.removeprefix("/up/").partition("?")[0]
                self.assertEqual((self.root / path).read_bytes(), body)
        self.ask(server, "POST", "/up/new.bin", b"")
        self.assertEqual((self.root / "new.bin").read_bytes(), b"")
        chunked = self.ask(server, "POST", "/up/chunked", iter([b"a", b"b"]), encode_chunked=True)
        self.assertEqual((chunked.status // 100, (self.root / "chunked").read_bytes()), (2, b"ab"))

    def test_u21_receive_is_dynamic_by_default(self):
        server = self.folder()
        server.receive()
        self.assertEqual(self.ask(server, "POST", "/x/y.txt", b"new").status // 100, 2)
        self.assertEqual((self.root / "x/y.txt").read_bytes(), b"new")
        self.table(server, [("DELETE", "/hello.txt", (404, 405), None), ("PUT", "/hello.txt", (404, 405), None)])
        self.assertTrue((self.root / "hello.txt").exists())

    def test_u22_nothing_outside_the_root_is_written(self):
        server = self.folder()
        server.receive(delete=True)
        for target in ["/../x", "/%2e%2e/x", "/..%2fx", "/out", "/a%00b", "/a\\b", "/out/x"]:
            for method in ("POST", "DELETE"):
                with self.subTest((method, target)):
                    request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ny"
                    self.raw(server, request.encode())
        self.assertEqual((self.root.parent / "secret.txt").read_text(), "secret")
        self.assertCountEqual(os.listdir(self.root.parent), ["root", "ext", "secret.txt"])

    def test_u21_pages_of_other_sites_change_nothing(self):
        for cors in (False, True):
            server = self.folder(cors=cors)
            server.receive(True, "/up", delete=True)
            server.receive(False, "/upload")
            port = server.port()
            name = {"Content-Disposition": 'attachment; filename="/hello.txt"'}
            foreign = [
                {"Origin": "http://evil.example"},
                {"Origin": "null"},
                {"Sec-Fetch-Site": "cross-site"},
                {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
            ]
            own = [
                {"Origin": f"http://127.0.0.1:{port}"},
                {"Sec-Fetch-Site": "same-origin"},
                {"Host": f"{socket.gethostname()}:{port}", "Origin": f"http://{socket.gethostname()}:{port}"},
                {"Host": "any.example"},
            ]
            for headers in foreign + own:
                is_let_in = cors or headers in own
                for method, target in [("POST", "/up/hello.txt"), ("POST", "/upload"), ("DELETE", "/up/hello.txt")]:
                    with self.subTest((cors, headers, method, target)):
                        (self.root / "hello.txt").write_text("hello")
                        answer = self.ask(server, method, target, b"new" if method == "POST" else None, name | headers)
                        self.assertEqual(answer.status // 100 if is_let_in else answer.status, 2 if is_let_in else 403)
                        if not is_let_in:
                            self.assertEqual((self.root / "hello.txt").read_text(), "hello")

    def test_u23_a_slash_makes_a_folder(self):
        server = self.folder()
        server.receive(True, "/up")
        self.assertEqual(self.ask(server, "POST", "/up/new/folder/").status // 100, 2)
        self.assertTrue((self.root / "new/folder").is_dir())
        self.assertGreaterEqual(self.ask(server, "POST", "/up/hello.txt/").status, 400)

    def test_u24_u25_delete_removes(self):
        server = self.folder()
        server.receive(True, "/up", delete=True)
        (self.root / "empty").mkdir()
        self.table(
            server,
            [
                ("DELETE", "/up/missing", 404, None),
                ("DELETE", "/up/hello.txt", (200, 204), None),
                ("DELETE", "/up/hello.txt", 404, None),
                ("DELETE", "/up/empty", (400, 403, 404, 409), None),
                ("DELETE", "/up/empty/", (200, 204), None),
                ("DELETE", "/up/var/", (400, 403, 409), None),
                ("DELETE", "/up/var/?force=0", (400, 403, 409), None),
                ("DELETE", "/up/var/?force", (400, 403, 409), None),
                ("DELETE", "/up/var/?force=1", (200, 204), None),
                ("GET", "/up/index.html", 405, None),
            ],
        )
        self.assertFalse((self.root / "var").exists())

    def test_u26_u27_content_disposition_names_the_file(self):
        server = self.folder()
        server.receive(False, "/upload")
        for value, path in [
            ('attachement; filename="/path/to/file"', "path/to/file"),
            ('attachment; filename="/other file.txt"', "other file.txt"),
        ]:
            with self.subTest(value):
                answer = self.ask(server, "POST", "/upload", b"new", {"Content-Disposition": value})
                self.assertEqual(answer.status // 100, 2)
                self.assertEqual((self.root / path).read_bytes(), b"new")
        for headers in [{}, {"Content-Disposition": "attachment"}, {"Content-Disposition": 'attachment; filename="/../x"'}]:
            with self.subTest(headers):
                self.assertEqual(self.ask(server, "POST", "/upload", b"new", headers).status // 100, 4)
        self.table(server, [("POST", "/upload/x", 404, None), ("DELETE", "/upload", 405, None)])

    def test_u26_the_endpoint_needs_a_prefix(self):
        server = self.folder()
        self.assertRaises(ValueError, server.receive, False)
        self.assertRaises(ValueError, server.receive, True, "up")
        self.assertRaises(ValueError, server.receive, False, "/up*")

    def test_u28_extonly_refuses_the_internal_storage(self):
        server = self.folder(ext_root=self.ext)
        server.receive(True, "/up", extonly=True)
        self.assertEqual(self.ask(server, "POST", "/up/new.txt", b"new").status // 100, 2)
        self.assertEqual((self.ext / "new.txt").read_bytes(), b"new")
        self.assertFalse((self.root / "new.txt").exists())
        without = self.folder()
        without.receive(True, "/up", extonly=True)
        self.assertGreaterEqual(self.ask(without, "POST", "/up/new.txt", b"new").status, 400)
        self.assertFalse((self.root / "new.txt").exists())


class Asked(Folders):
    def acl(self, function, **kwargs):
        server = self.folder(**kwargs)
        asked = []

        def callback(path):
            asked.append((path, threading.current_thread() is threading.main_thread()))
            return function(path)

        server.file_acl(callback)
        server.serve("/fs", base="/var")
        server.receive(True, "/up", delete=True)
        server.receive(False, "/upload")
        server.serve()
        return server, asked

    def test_u31_the_function_says_what_may_be_done(self):
        ro, wo, rw = uhttpd.ACL_RO, uhttpd.ACL_WO, uhttpd.ACL_RW
        requests = [("GET", "/hello.txt"), ("GET", "/var/"), ("POST", "/up/hello.txt"), ("POST", "/up/made/"), ("DELETE", "/up/index.html")]
        cases = [(rw, [200, 200, 2, 2, 2]), (ro, [200, 200, 403, 403, 403]), (wo, [403, 403, 2, 2, 2])]
        cases += [(code, [code] * 5) for code in (400, 404, 418, 451, 500)]
        cases += [(code, [403] * 5) for code in (0, 200, 399, -1, None, "1", True, 10**30)]
        for code, statuses in cases:
            for (method, target), status in zip(requests, statuses):
                with self.subTest((code, method, target)):
                    self.setUp_again()
                    server, asked = self.acl(lambda path, code=code: code)
                    answer = self.ask(server, method, target, b"new" if method == "POST" else None)
                    if status == 2:
                        self.assertEqual(answer.status // 100, 2)
                    else:
                        self.assertEqual(answer.status, status)
                    self.assertEqual(asked, [("/" + target[1:].removeprefix("up/"), False)])
                    server.close()
        self.assertTrue((self.root / "hello.txt").exists())

    def setUp_again(self):
        (self.root / "hello.txt").write_text("hello")
        (self.root / "index.html").write_text("<p>")
        if (self.root / "made").exists():
            (self.root / "made").rmdir()

    def test_u31_the_path_is_the_resolved_one(self):
        server, asked = self.acl(lambda path: uhttpd.ACL_RW)
        disposition = {"Content-Disposition": 'attachment; filename="/put/here.txt"'}
        for method, target, headers, path in [
            ("GET", "/fs/my_folder/", {}, "/var/my_folder/"),
            ("GET", "/fs/my_folder/deep.txt", {}, "/var/my_folder/deep.txt"),
            ("GET", "/sp%20ace/%C3%A9.txt", {}, "/sp ace/é.txt"),
            ("POST", "/up/new/file.txt", {}, "/new/file.txt"),
            ("POST", "/upload", disposition, "/put/here.txt"),
        ]:
            with self.subTest(target):
                asked.clear()
                self.assertEqual(self.ask(server, method, target, b"x" if method == "POST" else None, headers).status // 100, 2)
                self.assertEqual(asked, [(path, False)])

    def test_u31_a_function_that_fails_denies(self):
        def fail(path):
            raise ValueError("secret")

        server, _ = self.acl(fail)
        answer = self.ask(server, "GET", "/hello.txt")
        self.assertEqual(answer.status, 403)
        self.assertNotIn(b"secret", answer.body)
        self.assertEqual(len(self.logged), 1)
        self.assertRaises(TypeError, server.file_acl, "no function")


class Listened(Case):
    def listen(self, server, target="/events"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port(), timeout=DEADLINE)
        self.addCleanup(connection.close)
        connection.request("GET", target)
        return connection, connection.getresponse()

    def event(self, answer):
        """The lines of the next event, but its id."""
        lines = []
        while (line := answer.readline().decode()) != "\n" or not lines:
            if line.strip() and not line.startswith(("id:", ":", "retry:")):
                lines.append(line.rstrip("\n"))
            self.assertNotEqual(line, "", "the stream ended")
        return lines

    def test_u29_u30_everyone_who_listens_gets_events(self):
        server = self.serve(events=2)
        self.assertIs(server.dispatch("nobody"), False)
        server.event("/events")
        self.assertIs(server.dispatch("nobody"), False)
        listeners = [self.listen(server)[1] for _ in range(2)]
        for answer in listeners:
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "text/event-stream"))
        cases = [
            (("plain",), ["data: plain"]),
            (("named", "name"), ["event: name", "data: named"]),
            ((b"bytes", b"name"), ["event: name", "data: bytes"]),
            (("two\nlines",), ["data: two", "data: lines"]),
            (("a\r\nb\rc",), ["data: a", "data: b", "data: c"]),
            (("é",), ["data: é"]),
        ]
        for arguments, lines in cases:
            with self.subTest(arguments):
                self.assertIs(server.dispatch(*arguments), True)
                for answer in listeners:
                    self.assertEqual([line.replace("data:", "data: ").replace("  ", " ").replace("event:", "event: ").replace("  ", " ") for line in self.event(answer)], lines)

    def test_u9_one_too_many_is_503(self):
        for count in (0, 1):
            server = self.serve(events=count)
            server.event("/events")
            held = [self.listen(server) for _ in range(count)]
            self.assertEqual(self.listen(server)[1].status, 503)
            del held

    def test_u30_dispatch_is_false_once_the_last_has_left(self):
        server = self.serve(events=1)
        server.event("/events")
        connection, answer = self.listen(server)
        self.assertIs(server.dispatch("here"), True)
        self.event(answer)
        answer.close()
        connection.close()
        # Whoever comes next is let in when the other is gone.
        while self.listen(server)[1].status != 200:
            pass
        self.assertIs(server.dispatch("next"), True)

    def test_u29_mistakes_are_errors(self):
        server = self.serve(events=1)
        self.assertRaises(ValueError, server.event, "/ev*")
        self.assertRaises(ValueError, server.event, "events")
        server.event("/events")
        self.assertRaises(ValueError, server.event, "/more")
        for name in ("a\nb", "a\rb"):
            self.assertRaises(ValueError, server.dispatch, "data", name)
        self.assertRaises(TypeError, server.dispatch, 1)
        self.assertRaises(ValueError, self.serve, events=-1)
        self.assertEqual(self.ask(server, "POST", "/events", b"x").status, 405)

    def test_streams_end_when_the_server_stops(self):
        server = self.serve(events=1)
        server.event("/events")
        _, answer = self.listen(server)
        server.close()
        self.assertEqual(answer.read(), b"")


if __name__ == "__main__":
    unittest.main()
