"""Python's own client, requests and a hand-driven socket get what they ask for."""

import http.client
import unittest

import requests

from number8 import BIG, HELLO, TEXT, Number8, folder


def setUpModule():
    global server
    temporary, root, _ = folder()
    unittest.addModuleCleanup(temporary.cleanup)
    server = unittest.enterModuleContext(Number8(root))


class HttpClient(unittest.TestCase):
    def setUp(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.addCleanup(self.connection.close)

    def ask(self, method, path, **options):
        self.connection.request(method, path, **options)
        answer = self.connection.getresponse()
        return answer, answer.read()

    def test_g1_keep_alive(self):
        self.ask("GET", "/hello.txt")
        socket = self.connection.sock
        for path, body in (("/big.bin", BIG), ("/text.html", TEXT), ("/hello.txt", HELLO)):
            self.assertEqual(self.ask("GET", path)[1], body)
            self.assertIs(self.connection.sock, socket, f"{path} came on a new connection")

    def test_g1_head_leaves_the_connection_in_step(self):
        answer, body = self.ask("HEAD", "/big.bin")
        self.assertEqual((answer.status, answer.length, body), (200, 0, b""))
        self.assertEqual(answer.getheader("Content-Length"), str(len(BIG)))
        self.assertEqual(self.ask("GET", "/hello.txt")[1], HELLO)

    def test_g12_chunked_post_is_refused_and_the_connection_stays_in_step(self):
        for _ in range(3):
            answer, _ = self.ask("POST", "/hello.txt", body=iter([b"GET / HTTP/1.1\r\n", b"x" * 5000]), encode_chunked=True,
                                 headers={"Transfer-Encoding": "chunked"})
            self.assertEqual(answer.status, 405)
            # Where the server closed, http.client opens a new connection here.
            self.assertEqual(self.ask("GET", "/hello.txt")[1], HELLO)

    def test_h13_form_post_is_refused_with_its_body_read(self):
        answer, _ = self.ask("POST", "/form.php", body="name=John&surname=Doe",
                             headers={"Content-Type": "application/x-www-form-urlencoded"})
        self.assertIn(answer.status, (404, 405))
        self.assertEqual(self.ask("GET", "/hello.txt")[1], HELLO)

    def test_g12_options(self):
        answer, body = self.ask("OPTIONS", "/hello.txt")
        self.assertIn(answer.status, (200, 204))
        self.assertEqual(body, b"")
        self.assertLessEqual({"GET", "HEAD", "OPTIONS"}, set(answer.getheader("Allow").replace(",", " ").split()))


class Pipelined(unittest.TestCase):
    def test_g1_answers_come_in_order_also_after_a_half_close(self):
        paths = ["/hello.txt", "/missing", "/big.bin", "/plain/one.txt", "/hello.txt"]
        with server.connect() as client:
            client.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode() for path in paths))
            client.shutdown(1)
            reader = client.makefile("rb")
            answers = [self.read_answer(reader) for _ in paths]
            self.assertEqual(reader.read(), b"")
        self.assertEqual([status for status, _ in answers], [200, 404, 200, 200, 200])
        bodies = [body for status, body in answers if status == 200]
        self.assertEqual(bodies, [HELLO, BIG, b"one", HELLO])

    @staticmethod
    def read_answer(reader):
        status = int(reader.readline().split()[1])
        fields = http.client.parse_headers(reader)
        return status, reader.read(int(fields["Content-Length"]))


class Requests(unittest.TestCase):
    def setUp(self):
        self.session = requests.Session()
        self.session.trust_env = False
        self.addCleanup(self.session.close)

    def get(self, path, **options):
        return self.session.get(server.url + path, timeout=60, **options)

    def test_f6_content_is_decoded(self):
        for _ in range(20):
            self.assertEqual(self.get("/text.html").content, TEXT)

    def test_b8_type_and_charset(self):
        answer = self.get("/text.html")
        self.assertEqual(answer.headers["Content-Type"].lower(), "text/html; charset=utf-8")
        self.assertEqual(self.get("/big.bin").headers["Content-Type"], "application/octet-stream")

    def test_f1_redirect_to_the_folder(self):
        answer = self.get("/sub")
        self.assertEqual((answer.status_code, answer.url), (200, server.url + "/sub/"))
        self.assertEqual(len(answer.history), 1)

    def test_f4_conditional(self):
        first = self.get("/hello.txt")
        etag = first.headers["ETag"]
        self.assertFalse(etag.startswith("W/"))
        again = self.get("/hello.txt", headers={"If-None-Match": etag})
        self.assertEqual((again.status_code, again.content), (304, b""))
        ranged = self.get("/hello.txt", headers={"Range": "bytes=0-4", "If-Range": etag})
        self.assertEqual((ranged.status_code, ranged.content), (206, b"hello"))
        changed = self.get("/hello.txt", headers={"Range": "bytes=0-4", "If-Range": '"old"'})
        self.assertEqual((changed.status_code, changed.content), (200, HELLO))
        failed = self.get("/hello.txt", headers={"If-Match": '"old"'})
        self.assertEqual(failed.status_code, 412)

    def test_g3_a_stream_left_half_way_harms_nobody(self):
        for _ in range(20):
            with self.get("/big.bin", stream=True) as answer:
                self.assertEqual(next(answer.iter_content(1000)), BIG[:1000])
        self.assertEqual(self.get("/hello.txt").content, HELLO)

    def test_u17_listing_as_json(self):
        by_query = self.get("/plain/?json").json()
        by_accept = self.get("/plain/", headers={"Accept": "application/json"}).json()
        self.assertEqual(by_query, by_accept)
        self.assertEqual(by_query["path"], "/plain/")
        entries = {entry["path"]: (entry["type"], entry["size"]) for entry in by_query["list"]}
        self.assertEqual(entries, {"..": ("directory", 0), "one.txt": ("file", 3), "two.txt": ("file", 7)})


if __name__ == "__main__":
    unittest.main()
