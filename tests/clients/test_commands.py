"""curl and wget get what they ask for."""

import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from number8 import BIG, HELLO, TEXT, Number8, folder


def setUpModule():
    global server, files
    temporary, root, files = folder()
    unittest.addModuleCleanup(temporary.cleanup)
    server = unittest.enterModuleContext(Number8(root))


class Command(unittest.TestCase):
    def setUp(self):
        self.here = pathlib.Path(tempfile.mkdtemp(prefix="number8-client-"))
        self.addCleanup(shutil.rmtree, self.here)

    def run_here(self, *command):
        done = subprocess.run(command, cwd=self.here, capture_output=True, timeout=30)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr.decode()}")
        return done.stdout

    def curl(self, path, *options):
        return self.run_here("curl", "-sS", "--path-as-is", *options, server.url + path)

    def curl_head(self, path, *options):
        """Status and fields (names in lower case) of one answer, its body set aside."""
        head = self.curl(path, "-D", "-", "-o", "body", *options).decode()
        status, *lines = head.strip().split("\r\n")
        return int(status.split()[1]), dict((k.lower(), v) for k, v in (line.split(": ", 1) for line in lines))


class Curl(Command):
    def test_f4_range(self):
        self.assertEqual(self.curl("/hello.txt", "-r", "0-4"), b"hello")
        self.assertEqual(self.curl("/hello.txt", "-r", "-6"), b"world\n")
        status, fields = self.curl_head("/hello.txt", "-r", "7-")
        self.assertEqual((status, fields["content-range"]), (206, "bytes 7-12/13"))

    def test_f4_several_ranges(self):
        status, fields = self.curl_head("/big.bin", "-r", "0-9,1000-1009")
        self.assertEqual(status, 206)
        self.assertTrue(fields["content-type"].startswith("multipart/byteranges; boundary="))
        body = (self.here / "body").read_bytes()
        self.assertIn(BIG[:10], body)
        self.assertIn(BIG[1000:1010], body)

    def test_f4_range_past_the_end(self):
        status, fields = self.curl_head("/hello.txt", "-r", "99-")
        self.assertEqual((status, fields["content-range"]), (416, "bytes */13"))

    def test_f4_resume(self):
        (self.here / "big.bin").write_bytes(BIG[: 1 << 20])
        self.curl("/big.bin", "-C", "-", "-o", "big.bin")
        self.assertEqual((self.here / "big.bin").read_bytes(), BIG)

    def test_g7_http_2(self):
        option = "--http2-prior-knowledge"
        self.assertEqual(self.curl("/hello.txt", option, "-w", "%{http_version}"), HELLO + b"2")
        self.curl("/big.bin", option, "-o", "big.bin")
        self.assertEqual((self.here / "big.bin").read_bytes(), BIG)
        self.assertEqual(self.curl("/hello.txt", option, "-r", "0-4"), b"hello")

    def test_g1_head(self):
        head = self.curl("/hello.txt", "-I").decode().lower()
        self.assertIn("\r\ncontent-length: 13\r\n", head)
        self.assertIn("\r\naccept-ranges: bytes\r\n", head)
        self.assertIn("\r\ncontent-type: text/plain", head)
        self.assertIn("\r\nlast-modified: ", head)
        self.assertTrue(head.endswith("\r\n\r\n"))

    def test_f4_if_modified_since(self):
        self.curl("/hello.txt", "-R", "-o", "hello.txt")
        status, _ = self.curl_head("/hello.txt", "-z", "hello.txt")
        self.assertEqual(status, 304)
        status, _ = self.curl_head("/hello.txt", "-z", "Thu, 01 Jan 1998 00:00:00 GMT")
        self.assertEqual(status, 200)

    def test_f4_if_none_match(self):
        _, fields = self.curl_head("/hello.txt")
        status, again = self.curl_head("/hello.txt", "-H", f"If-None-Match: {fields['etag']}")
        self.assertEqual((status, again["etag"]), (304, fields["etag"]))
        status, _ = self.curl_head("/hello.txt", "-H", 'If-None-Match: "another"')
        self.assertEqual(status, 200)

    def test_h5_http_1_0(self):
        status, fields = self.curl_head("/hello.txt", "--http1.0")
        self.assertEqual(status, 200)
        self.assertNotIn("transfer-encoding", fields)
        self.assertEqual((self.here / "body").read_bytes(), HELLO)
        self.assertEqual(self.curl("/big.bin", "--http1.0"), BIG)

    def test_f6_compressed(self):
        # The first answers may be identity while the text is being compressed.
        deadline = time.monotonic() + 60
        encoding = None
        while encoding is None and time.monotonic() < deadline:
            status, fields = self.curl_head("/text.html", "--compressed")
            encoding = fields.get("content-encoding")
            self.assertEqual((status, (self.here / "body").read_bytes()), (200, TEXT))
        self.assertIn(encoding, ("gzip", "br", "zstd"))
        self.assertIn("accept-encoding", fields["vary"].lower())
        self.assertLess(int(fields["content-length"]), len(TEXT))

    def test_g1_connection_is_used_again(self):
        connects = self.run_here(
            "curl", "-sS", "-o", "1", "-o", "2", "-w", "%{num_connects} ", server.url + "/hello.txt", server.url + "/big.bin"
        )
        self.assertEqual(connects.split(), [b"1", b"0"])

    def test_g12_upload_is_refused_before_its_body(self):
        (self.here / "big.bin").write_bytes(BIG)
        status, fields = self.curl_head("/new.bin", "-T", "big.bin", "-H", "Expect: 100-continue")
        self.assertEqual(status, 405)
        self.assertIn("GET", fields["allow"])
        self.assertIn("HEAD", fields["allow"])

    def test_h8_folder_is_redirected_with_its_query(self):
        status, fields = self.curl_head("/sub?x=1")
        self.assertIn(status, (301, 302, 307, 308))
        self.assertTrue(fields["location"].endswith("/sub/?x=1"))


class Wget(Command):
    def test_b5_recursive(self):
        self.run_here("wget", "-q", "-r", "-nH", "-np", server.url + "/")
        for name in ("index.html", "hello.txt", "big.bin", "sub/index.html", "sub/page.html"):
            self.assertEqual((self.here / name).read_bytes(), files[name], name)

    def test_f7_recursive_through_a_listing(self):
        self.run_here("wget", "-q", "-r", "-l", "1", "-nH", "-np", server.url + "/plain/")
        for name in ("plain/one.txt", "plain/two.txt"):
            self.assertEqual((self.here / name).read_bytes(), files[name], name)

    def test_f4_continue(self):
        (self.here / "big.bin").write_bytes(BIG[:12345])
        self.run_here("wget", "-q", "-c", server.url + "/big.bin")
        self.assertEqual((self.here / "big.bin").read_bytes(), BIG)

    def test_f4_timestamping(self):
        self.run_here("wget", "-q", "-N", server.url + "/hello.txt")
        done = subprocess.run(
            ["wget", "-N", server.url + "/hello.txt"], cwd=self.here, capture_output=True, text=True, timeout=30
        )
        self.assertIn("304 Not Modified", done.stderr)


if __name__ == "__main__":
    unittest.main()
