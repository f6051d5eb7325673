"""People and programs log in: curl and requests by Basic, tokens by Bearer, passwords with odd characters."""

import os
import pathlib
import pty
import signal
import subprocess
import tempfile
import termios
import unittest

import requests

from number8 import BINARY, HELLO, Number8, environment, folder

# Every character that ends something somewhere.
PASSWORD = "a:b@c/d %41+ü"


def setUpModule():
    global server, root
    temporary, root, _ = folder()
    unittest.addModuleCleanup(temporary.cleanup)
    hashed = subprocess.run([BINARY, "passwd", "ann"], input=b"battery staple\n", env=environment(),
                            capture_output=True, check=True, timeout=60).stdout
    users = pathlib.Path(temporary.name) / "users"
    users.write_bytes(hashed)
    options = ["--allow", "ro", "--auth", f"joe:{PASSWORD}@/:up", "--auth", "ann@/:rw,/plain:none",
               "--auth-file", str(users), "--token", "ci:t0ken@/:rw"]
    server = unittest.enterModuleContext(Number8(root, *options))


class Requests(unittest.TestCase):
    def ask(self, method, path, **options):
        return requests.request(method, server.url + path, timeout=30, **options)

    def test_wish2_reading_takes_no_login(self):
        self.assertEqual(self.ask("GET", "/hello.txt").content, HELLO)

    def test_a1_writing_takes_one(self):
        refused = self.ask("PUT", "/new.txt", data=b"new")
        self.assertEqual(refused.status_code, 401)
        self.assertTrue(refused.headers["WWW-Authenticate"].startswith("Basic "))
        self.assertFalse((root / "new.txt").exists())

    def test_wish1_one_may_add_and_neither_replace_nor_delete(self):
        joe = ("joe", PASSWORD.encode())
        self.assertEqual(self.ask("PUT", "/joe.txt", data=b"1", auth=joe).status_code, 201)
        self.assertEqual(self.ask("PUT", "/joe.txt", data=b"2", auth=joe).status_code, 403)
        self.assertEqual(self.ask("DELETE", "/joe.txt", auth=joe).status_code, 403)
        self.assertEqual((root / "joe.txt").read_bytes(), b"1")

    def test_a2_a_hash_from_passwd(self):
        ann = ("ann", "battery staple")
        self.assertEqual(self.ask("PUT", "/ann.txt", data=b"1", auth=ann).status_code, 201)
        self.assertEqual(self.ask("DELETE", "/ann.txt", auth=ann).status_code, 204)
        self.assertEqual(self.ask("GET", "/plain/one.txt", auth=ann).status_code, 403)
        self.assertEqual(self.ask("GET", "/", auth=("ann", "staple")).status_code, 401)

    def test_a7_a_token(self):
        token = {"Authorization": "Bearer t0ken"}
        self.assertEqual(self.ask("PUT", "/ci.txt", data=b"1", headers=token).status_code, 201)
        self.assertEqual(self.ask("DELETE", "/ci.txt", headers=token).status_code, 204)


class Curl(unittest.TestCase):
    def curl(self, *options):
        with tempfile.NamedTemporaryFile() as body:
            done = subprocess.run(["curl", "-sS", "-o", body.name, "-w", "%{http_code}", *options],
                                  capture_output=True, check=True, timeout=30)
            return int(done.stdout)

    def test_a1_basic(self):
        upload = root / "index.html"
        for user, status in ((f"joe:{PASSWORD}", 201), ("joe:a:b", 401), ("nobody:", 401)):
            code = self.curl("-u", user, "-T", str(upload), server.url + "/curl.html")
            self.assertEqual(code, status, user)

    def test_a1_curl_waits_for_the_challenge_if_asked(self):
        code = self.curl("--anyauth", "-u", "ann:battery staple", "-X", "DELETE", server.url + "/text.html")
        self.assertEqual(code, 204)


class Passwd(unittest.TestCase):
    def test_a2_what_is_typed_is_shown_again_when_it_is_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                ours, terminal = pty.openpty()
                self.addCleanup(os.close, ours)
                self.addCleanup(os.close, terminal)
                asking = subprocess.Popen([BINARY, "passwd"], stdin=terminal, stderr=terminal, stdout=subprocess.DEVNULL,
                                          env=environment())
                self.addCleanup(asking.wait)
                self.addCleanup(asking.kill)
                while termios.tcgetattr(terminal)[3] & termios.ECHO:
                    self.assertIsNone(asking.poll())
                asking.send_signal(number)
                self.assertEqual(asking.wait(60), 128 + number)
                self.assertTrue(termios.tcgetattr(terminal)[3] & termios.ECHO)


if __name__ == "__main__":
    unittest.main()
