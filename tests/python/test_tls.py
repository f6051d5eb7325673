"""TLS in Python: `tls=` of every server, and `number8 app --tls-cert` (row G5 of the behaviours)."""

import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import requests
import websockets
from commanded import command, folder, until
from hosting import DEADLINE, HERE, running, serving
from uhttpd import Case

import number8 as uhttpd

FILES = HERE.parent.parent / "crates" / "number8" / "tests" / "tls"
CERTIFICATE, KEY = FILES / "cert.pem", FILES / "key.pem"
OTHER_CERTIFICATE, OTHER_KEY = FILES / "other-cert.pem", FILES / "other-key.pem"

# A certificate and its key that cannot be used, and what is said of them.
WRONG = [
    ((FILES / "none.pem", KEY), "none.pem: cannot be read"),
    ((CERTIFICATE, CERTIFICATE), "cert.pem: there is no private key in it"),
    ((CERTIFICATE, OTHER_KEY), "not that of the certificate"),
]


def get(port, path="/", host="localhost", trusted=CERTIFICATE):
    """The content of the answer to one request by https."""
    connection = http.client.HTTPSConnection(host, port, timeout=DEADLINE, context=trusting(trusted))
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def trusting(trusted=CERTIFICATE):
    return ssl.create_default_context(cafile=trusted)


WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.url_scheme"].encode()]
"""

ASGI = """
async def app(scope, receive, send):
    scheme = scope["scheme"]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scheme})
        await send({"type": "websocket.close"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": scheme.encode()})
    else:
        raise NotImplementedError
"""


class Tls(Case):
    def test_g5_uhttpd_serves_by_https(self):
        server = self.serve(tls=(str(CERTIFICATE), KEY))
        server.route("/", uhttpd.GET, lambda request: request.write("hello"))
        for host in "localhost", "127.0.0.1":
            with self.subTest(host):
                self.assertEqual(get(server.port(), host=host), "hello")
        url = f"https://localhost:{server.port()}/"
        self.assertEqual(requests.get(url, verify=str(CERTIFICATE), timeout=DEADLINE).text, "hello")
        with self.assertRaises(requests.exceptions.SSLError):
            requests.get(url, timeout=DEADLINE)

    def test_g5_plain_http_is_led_to_https(self):
        server = self.serve(tls=(CERTIFICATE, KEY))
        server.route("/a", uhttpd.GET, lambda request: self.fail("it was called"))
        answer = self.ask(server, "GET", "/a?b", headers={"Host": f"localhost:{server.port()}"})
        self.assertEqual((answer.status, answer.headers["Location"]), (308, f"https://localhost:{server.port()}/a?b"))

    def test_g5_what_is_wrong_is_said_and_nothing_is_served(self):
        for files, said in WRONG:
            with self.subTest(said):
                with self.assertRaisesRegex(ValueError, said):
                    self.serve(tls=files)
                with self.assertRaisesRegex(ValueError, said):
                    uhttpd.serve(lambda environ, start_response: [], bind="127.0.0.1:0", interface="wsgi", tls=files)

    def test_g5_the_command_says_what_is_wrong(self):
        program = [sys.executable, "-X", "dev", "-W", "error", "-m", "number8", "app", "shop", "-b", "127.0.0.1:0"]
        with folder() as path:
            for (certificate, key), said in WRONG:
                with self.subTest(said):
                    arguments = [*program, "--tls-cert", certificate, "--tls-key", key]
                    ended = subprocess.run(arguments, cwd=path, capture_output=True, text=True, timeout=DEADLINE)
                    self.assertNotEqual(ended.returncode, 0)
                    self.assertIn(said, ended.stderr)
                    self.assertNotIn("Traceback", ended.stderr)

    def test_g5_apps_of_the_command_are_told_the_scheme(self):
        with folder(farm=WSGI, field=ASGI) as path:
            for module in "farm", "field":
                for workers in "1", "2":
                    arguments = ["--tls-cert", CERTIFICATE, "--tls-key", KEY, "--workers", workers, f"{module}:app"]
                    with self.subTest(module=module, workers=workers), command(path, *arguments) as server:
                        # Whichever process gets it.
                        self.assertEqual({get(server.port) for _ in range(8)}, {"https"})

    def test_g5_a_key_that_everybody_may_read_is_told_of_once(self):
        # Each process leaves a file when it has read the configuration.
        code = "import os\nopen(f'loaded-{os.getpid()}', 'w').close()\n"
        with folder(farm=code + WSGI) as path:
            key = path / "key.pem"
            shutil.copy(KEY, key)
            key.chmod(0o644)
            for workers in 1, 3:
                arguments = ["--tls-cert", CERTIFICATE, "--tls-key", key, "--workers", workers, "farm"]
                with self.subTest(workers), command(path, *arguments) as server:
                    until("all processes", lambda workers=workers: len([*path.glob("loaded-*")]) == workers)
                    self.assertEqual(server.stop(), 0)
                    self.assertEqual(server.log.count("everybody on this machine may read the key"), 1, server.log)
                for loaded in path.glob("loaded-*"):
                    loaded.unlink()

    def test_g5_the_examples_of_the_documentation_answer_what_they_say(self):
        page = HERE.parents[1] / "docs" / "tls.md"
        examples = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
        self.assertEqual(len(examples), 2)
        # Anywhere, with a certificate that is there; and it says where.
        changed = (
            "import number8, sys\n"
            "serve, begin = number8.serve, number8.Server.__init__\n"
            f"there = dict(tls=({str(CERTIFICATE)!r}, {str(KEY)!r}))\n"
            "number8.serve = lambda app, bind, **_: serve(app, bind='127.0.0.1:0', **there)\n"
            "def __init__(self, port, bind, tls):\n"
            "    begin(self, 0, **there)\n"
            "    print(f'https://127.0.0.1:{self.port()}/', file=sys.stderr, flush=True)\n"
            "number8.Server.__init__ = __init__\n"
        )
        for example in examples:
            said = re.findall(r"^# curl https://farm.example:8443(\S+) → (.*)$", example, re.MULTILINE)
            self.assertEqual(len(said), 1)
            with self.subTest(example), running(["-c", changed + example]) as server:
                for path, text in said:
                    # A function is there a moment after its server.
                    until("the answer", lambda path=path, text=text: get(server.port, path) == text)

    def test_g5_serve_takes_a_certificate(self):
        files = str(CERTIFICATE), str(KEY)
        for threads in 0, 1:
            with self.subTest(threads), serving("wsgi_app:app", threads=threads, tls=files) as server:
                told = json.loads(get(server.port, "/environ"))["environ"]
                self.assertEqual(told["wsgi.url_scheme"], "https")

    def test_g5_websockets_of_an_app_are_wss(self):
        context = trusting()

        async def talk(port):
            url = f"wss://localhost:{port}/"
            async with websockets.connect(url, ssl=context, open_timeout=DEADLINE, proxy=None) as socket:
                return await asyncio.wait_for(socket.recv(), DEADLINE)

        with folder(field=ASGI) as path:
            arguments = ["--tls-cert", CERTIFICATE, "--tls-key", KEY, "field:app"]
            with command(path, *arguments) as server:
                self.assertEqual(asyncio.run(talk(server.port)), "wss")

    def test_g5_files_that_take_their_place_are_used(self):
        with tempfile.TemporaryDirectory(prefix="number8-") as name:
            place = pathlib.Path(name)
            certificate, key = place / "cert.pem", place / "key.pem"
            shutil.copy(CERTIFICATE, certificate)
            shutil.copy(KEY, key)
            with serving("wsgi_app:app", tls=(str(certificate), str(key))) as server:
                shown = ssl.get_server_certificate(("127.0.0.1", server.port), timeout=DEADLINE)
                self.assertEqual(shown.split(), CERTIFICATE.read_text().split())
                for source, target in (OTHER_CERTIFICATE, certificate), (OTHER_KEY, key):
                    shutil.copy(source, place / "new.pem")
                    os.replace(place / "new.pem", target)
                other = OTHER_CERTIFICATE.read_text().split()
                address = ("127.0.0.1", server.port)
                until(
                    "the other certificate",
                    lambda: ssl.get_server_certificate(address, timeout=DEADLINE).split() == other,
                )

    def test_g5_a_certificate_is_made_here(self):
        with tempfile.TemporaryDirectory(prefix="number8-") as state:
            with unittest.mock.patch.dict(os.environ, {"XDG_STATE_HOME": state}):
                os.environ.pop("STATE_DIRECTORY", None)
                server = self.serve(tls="self-signed")
                with self.assertRaisesRegex(ValueError, 'this is two files, or "self-signed"'):
                    self.serve(tls="lets-encrypt")
            server.route("/", uhttpd.GET, lambda request: request.write("hello"))
            authority = pathlib.Path(state, "number8", "tls", "ca.crt")
            for host in "localhost", "127.0.0.1":
                with self.subTest(host):
                    self.assertEqual(get(server.port(), host=host, trusted=authority), "hello")
            given = get(server.port(), "/.number8/ca.crt", trusted=authority)
            self.assertEqual(given, authority.read_text())

    def test_g5_processes_of_an_app_show_what_one_authority_has_signed(self):
        with folder(farm=WSGI) as path:
            arguments = [f"--tls-self-signed={path}/keys", "--workers", "2", "farm:app"]
            with command(path, *arguments) as server:
                authority = pathlib.Path(path, "keys", "ca.crt")
                self.assertEqual({get(server.port, trusted=authority) for _ in range(8)}, {"https"})
                self.assertEqual(get(server.port, "/.number8/ca.crt", trusted=authority), authority.read_text())
                self.assertIn("SHA-256 ", server.log)

    def test_g5_serve_makes_a_certificate(self):
        with tempfile.TemporaryDirectory(prefix="number8-") as state:
            with unittest.mock.patch.dict(os.environ, {"XDG_STATE_HOME": state}):
                os.environ.pop("STATE_DIRECTORY", None)
                with serving("wsgi_app:app", tls="self-signed") as server:
                    server.wait_for("SHA-256 ")
                    authority = pathlib.Path(state, "number8", "tls", "ca.crt")
                    told = json.loads(get(server.port, "/environ", trusted=authority))["environ"]
                    self.assertEqual(told["wsgi.url_scheme"], "https")
                    given = get(server.port, "/.number8/ca.crt", trusted=authority)
                    self.assertEqual(given, authority.read_text())


del Case

if __name__ == "__main__":
    unittest.main()
