"""curl and Python (http.client, httpx) are answered by https, over HTTP/1.1 and HTTP/2."""

import http.client
import random
import ssl
import subprocess
import unittest

import httpx
from number8 import BIG, HELLO, REPOSITORY, Number8, folder

KEYS = REPOSITORY / "crates/number8/tests/tls"
CERTIFICATE = str(KEYS / "cert.pem")
OPTIONS = ["--tls-cert", CERTIFICATE, "--tls-key", str(KEYS / "key.pem")]


class Secure(Number8):
    scheme = "https"


def setUpModule():
    global server
    temporary, root, _ = folder()
    unittest.addModuleCleanup(temporary.cleanup)
    server = unittest.enterModuleContext(Secure(root, *OPTIONS))


class Https(unittest.TestCase):
    def curl(self, path, *options):
        command = ["curl", "-sS", "--cacert", CERTIFICATE, *options, server.url + path]
        done = subprocess.run(command, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr.decode()}")
        return done.stdout

    def test_g5_g7_curl_speaks_both_versions(self):
        for option, version in [("--http2", b"2"), ("--http1.1", b"1.1")]:
            with self.subTest(option):
                self.assertEqual(self.curl("/hello.txt", option, "-w", "%{http_version}"), HELLO + version)
                self.assertEqual(self.curl("/big.bin", option), BIG)
                self.assertEqual(self.curl("/hello.txt", option, "-r", "0-4"), b"hello")

    def test_g5_both_versions_of_tls(self):
        for option in [["--tls-max", "1.2"], ["--tlsv1.3"]]:
            with self.subTest(option):
                self.assertEqual(self.curl("/hello.txt", *option), HELLO)

    def test_g5_python_asks(self):
        trust = ssl.create_default_context(cafile=CERTIFICATE)
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=60, context=trust)
        for path, content in [("/hello.txt", HELLO), ("/big.bin", BIG), ("/hello.txt", HELLO)]:
            connection.request("GET", path)
            self.assertEqual(connection.getresponse().read(), content)
        connection.close()

    def test_g7_python_asks_by_http2(self):
        content = random.Random(7).randbytes(10 << 20)
        temporary, root, _ = folder()
        trust = ssl.create_default_context(cafile=CERTIFICATE)
        with temporary, Secure(root, *OPTIONS, "--allow", "rw") as server, httpx.Client(http2=True, verify=trust, timeout=60) as client:
            for path, expected in [("/hello.txt", HELLO), ("/big.bin", BIG)]:
                answer = client.get(server.url + path)
                self.assertEqual((answer.http_version, answer.status_code), ("HTTP/2", 200))
                self.assertTrue(answer.content == expected, path)
            self.assertEqual(client.get(server.url + "/hello.txt", headers={"Range": "bytes=0-4"}).content, b"hello")
            self.assertEqual(client.put(server.url + "/new.bin", content=content).status_code, 201)
            self.assertTrue((root / "new.bin").read_bytes() == content)
            self.assertTrue(client.get(server.url + "/new.bin").content == content)
            # Content whose length nobody has told, in pieces.
            pieces = (content[start : start + 100_000] for start in range(0, len(content), 100_000))
            self.assertEqual(client.put(server.url + "/pieces.bin", content=pieces).status_code, 201)
            self.assertTrue((root / "pieces.bin").read_bytes() == content)

    def test_g5_who_does_not_know_the_certificate_is_warned(self):
        command = ["curl", "-sS", server.url + "/hello.txt"]
        done = subprocess.run(command, capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (60, b""))
        self.assertEqual(self.curl("/hello.txt"), HELLO)
