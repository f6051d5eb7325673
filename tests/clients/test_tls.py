"""curl and Python are answered by https, over HTTP/1.1 and HTTP/2."""

import http.client
import ssl
import subprocess
import unittest

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

    def test_g5_who_does_not_know_the_certificate_is_warned(self):
        command = ["curl", "-sS", server.url + "/hello.txt"]
        done = subprocess.run(command, capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (60, b""))
        self.assertEqual(self.curl("/hello.txt"), HELLO)
