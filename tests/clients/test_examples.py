"""Every example does what its head comment says.

The commands are those of the comment, word for word, so that a comment that changes needs a test that does.
"""

import pathlib
import re
import shlex
import signal
import subprocess
import tempfile
import time
import unittest

from number8 import BINARY, REPOSITORY, Running

SOURCES = REPOSITORY / "crates/number8/examples"
BUILT = pathlib.Path(BINARY).parent / "examples"

# For each example: the command of its comment, and what is in curl's output. A folder is the first argument of those that
# serve one.
COMMANDS = {
    "hello": [
        ("curl localhost:8080/", ["Hello, world."]),
        ("curl -i localhost:8080/elsewhere", ["HTTP/1.1 404"]),
    ],
    "routes": [
        ("curl localhost:8080/users/8", ["user 8\n"]),
        ("curl localhost:8080/users/me", ["you\n"]),
        ("curl -i localhost:8080/users/eight", ["HTTP/1.1 404"]),
        ("curl localhost:8080/wiki/a/b/c", ["page a/b/c\n"]),
        ("curl -X DELETE localhost:8080/users/8", ["user 8 is gone\n"]),
        ("curl -i -X PUT localhost:8080/users/8", ["HTTP/1.1 405", "Allow: DELETE, GET, HEAD, OPTIONS\r\n"]),
        ("curl localhost:8080/admin/folder", ["/"]),
    ],
    "json": [
        (
            """curl --json '{"title":"Bow-wow","minutes":3}' localhost:8080/songs""",
            ['{"id":0,"title":"Bow-wow","minutes":3}'],
        ),
        ("curl localhost:8080/songs", ['[{"id":0,"title":"Bow-wow","minutes":3}]']),
        ("curl localhost:8080/songs?longer_than=5", ["[]"]),
        ("""curl --json '{"title":"Bow-wow"}' localhost:8080/songs""", ["missing field `minutes`"]),
        ("curl -i -d '{}' localhost:8080/songs", ["HTTP/1.1 415"]),
    ],
    "form": [
        (
            "curl -i -d 'name=Ada&dish=pie&dish=tea' localhost:8080/orders",
            ["HTTP/1.1 303", "Location: /orders/1\r\n"],
        ),
        ("curl -i -d 'dish=pie' localhost:8080/orders", ["HTTP/1.1 422", "missing field `name`"]),
        ("curl localhost:8080/orders/1", ["pie and tea for Ada\n"]),
    ],
    "multipart": [
        (
            "curl -F from=Ada -F file=@song.wav -F file=@tune.wav localhost:8080/letters",
            ["Ada sent song.wav (8 bytes) and tune.wav (8 bytes)\n"],
        ),
        ("curl -i -F from=Ada localhost:8080/letters", ["HTTP/1.1 422", "nothing in the letter"]),
        ("curl -i -d from=Ada localhost:8080/letters", ["HTTP/1.1 415", "multipart/form-data"]),
    ],
    "echo": [
        (
            "curl -d 'name=Ada&dish=pie' 'localhost:8080/post?page=2'",
            ['"form":{"dish":"pie","name":"Ada"}', '"args":{"page":"2"}', '"url":"http://', '/post?page=2"', '"headers":{'],
        ),
        ("curl --json '[8]' localhost:8080/post", ['"data":"[8]"', '"json":[8]', '"form":{}']),
        ("curl localhost:8080/get", ['"data":""', '"json":null', '"origin":"127.0.0.1"']),
    ],
    "repl": [("curl -i localhost:8080/repl", ["HTTP/1.1 426"])],
    "chat": [("curl -i localhost:8080/chat", ["HTTP/1.1 426"])],
    "tower": [
        ("curl localhost:8080/", ["ours\n"]),
        ("curl localhost:8080/axum/theirs/8", ["theirs, number 8\n"]),
    ],
    "events": [("curl -d '' localhost:8080/bell", ["nobody is there\n"])],
    "cache": [
        ("curl -i localhost:8080/logo.svg", ["HTTP/1.1 200", "Cache-Control: public, max-age=31536000, immutable"]),
        ("curl -i localhost:8080/news", ["HTTP/1.1 200", 'ETag: "news-1"', "Cache-Control: no-cache", "Rain."]),
        ("""curl -i -H 'If-None-Match: "news-1"' localhost:8080/news""", ["HTTP/1.1 304", 'ETag: "news-1"']),
        ("curl -i localhost:8080/account", ["Cache-Control: no-store"]),
        ("curl localhost:8080/weather", ["Observed "]),
    ],
    "error_page": [
        ("curl -i localhost:8080/nowhere", ["HTTP/1.1 404", "Content-Type: text/html", "left the paddock"]),
        ("curl -i localhost:8080/halves/eight", ["HTTP/1.1 422", "only numbers have halves here"]),
        ("curl -i localhost:8080/broken", ["HTTP/1.1 503", "the shed is locked"]),
        ("curl -i localhost:8080/panic", ["HTTP/1.1 500", "the handler failed"]),
    ],
    "embed": [
        ("curl localhost:8080/", ["<title>Number 8 wire</title>"]),
        ("curl localhost:8080/style.css", ["color-scheme"]),
        (
            "curl -i localhost:8080/fence.svg",
            ["Content-Type: image/svg+xml", "Cache-Control: public, max-age=3600", "<svg"],
        ),
    ],
    "upload": [
        ("curl -i -T song.wav localhost:8080/files/", ["HTTP/1.1 201", "Location: /files/song.wav"]),
        ("curl -i -F file=@tune.wav localhost:8080/files/", ["HTTP/1.1 201", "tune.wav"]),
        ("curl localhost:8080/files/song.wav", ["la la la"]),
        ("curl -i -r 0-1 localhost:8080/files/song.wav", ["HTTP/1.1 206", "Content-Range: bytes 0-1/8"]),
        ("curl -i -X DELETE localhost:8080/files/song.wav", ["HTTP/1.1 403"]),
    ],
    "auth": [
        ("curl localhost:8080/files/", ["This folder is empty."]),
        ("curl -i -T song.wav localhost:8080/files/", ["HTTP/1.1 401", "WWW-Authenticate: Basic"]),
        ("curl -i -T song.wav -u ada:shear8 localhost:8080/files/", ["HTTP/1.1 201"]),
        ("curl -i -X DELETE -u ada:shear8 localhost:8080/files/song.wav", ["HTTP/1.1 403"]),
        (
            "curl -i -X DELETE -H 'Authorization: Bearer keys-to-the-shed' localhost:8080/files/song.wav",
            ["HTTP/1.1 204"],
        ),
        ("curl -i -u ada:wrong localhost:8080/files/", ["HTTP/1.1 401"]),
        ("curl -u ada:shear8 localhost:8080/me", ["You are ada."]),
    ],
}

# Those that serve a folder.
SERVES_FOLDER = {"auth", "multipart", "repl", "upload"}
# Those that listen on a second port.
LISTENS_TWICE = {"repl"}


def head_comment(name):
    lines = (SOURCES / f"{name}.rs").read_text().splitlines()
    return " ".join(line[3:].strip() for line in lines if line.startswith("//!"))


def run_curl(command, server, cwd):
    """Starts the command of a comment against a server."""
    words = shlex.split(command.replace("localhost:8080", server.url.removeprefix("http://")))
    return subprocess.Popen([words[0], "-sS", *words[1:]], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def curl(command, server, cwd):
    out, err = run_curl(command, server, cwd).communicate(timeout=30)
    assert not err, f"{command}: {err.decode()}"
    return out.decode()


class Secure(Running):
    scheme = "https"


class Examples(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="number8-example-")
        self.addCleanup(temporary.cleanup)
        self.here = pathlib.Path(temporary.name)
        for name in ["song.wav", "tune.wav"]:
            (self.here / name).write_text("la la la")

    def start(self, name, **more):
        folder = [tempfile.mkdtemp(dir=self.here)] if name in SERVES_FOLDER else []
        ports = ["0", "0"] if name in LISTENS_TWICE else ["0"]
        return Running([BUILT / name, *folder, *ports], **more)

    def test_n1_each_example_does_what_its_comment_says(self):
        for name, commands in COMMANDS.items():
            # Without a handler of its own, SIGTERM is what ends it.
            with self.subTest(name), self.start(name, ends_with=-signal.SIGTERM) as server:
                said = re.findall(r"`(curl [^`]*)`", head_comment(name))
                self.assertEqual([command for command, _ in commands], said, f"the comment of {name}")
                for command, wanted in commands:
                    answer = curl(command, server, self.here)
                    for part in wanted:
                        self.assertIn(part, answer, command)

    def test_l11_the_cache_keeps_a_report(self):
        with self.start("cache", ends_with=-signal.SIGTERM) as server:
            first, second = (curl("curl localhost:8080/weather", server, self.here) for _ in range(2))
            self.assertEqual(first, second)

    def test_h3_the_graceful_one_cuts_nobody_off(self):
        with self.start("graceful") as server:
            client = run_curl("curl localhost:8080/slow", server, self.here)
            self.assertIn("begun", server.said.get(timeout=60))
            server.process.send_signal(signal.SIGINT)
            self.assertEqual(client.communicate(timeout=60)[0], b"It was worth the wait.\n")
            self.assertIn("every request was answered", server.said.get(timeout=60))

    def test_h3_the_graceful_one_stops_from_within(self):
        with self.start("graceful") as server:
            self.assertEqual(curl("curl localhost:8080/stop", server, self.here), "The last answer.\n")
            self.assertIn("every request was answered", server.said.get(timeout=60))

    def test_g5_the_one_with_tls_does_what_its_comment_says(self):
        files = REPOSITORY / "crates/number8/tests/tls"
        command = [BUILT / "tls", files / "cert.pem", files / "key.pem", "0"]
        with Secure(command, ends_with=-signal.SIGTERM) as server:
            trusting, strange, plain = re.findall(r"`(curl [^`]*)`", head_comment("tls"))
            for command, wanted in [
                (trusting.replace("cert.pem", str(files / "cert.pem")), "Nobody listens in.\n"),
                (strange, ""),
                (plain, "HTTP/1.1 308 "),
            ]:
                command = command.replace("8443", str(server.port))
                done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60)
                self.assertTrue(done.stdout.startswith(wanted), f"{command}: {done}")
                self.assertEqual(done.returncode, 0 if wanted else 60, f"{command}: {done}")

    def wait_for(self, what, is_so):
        """Looks again and again; the machine may be slow."""
        for _ in range(2000):
            if is_so():
                return
            time.sleep(0.01)
        self.fail(what)

    def test_b14_b18_the_runner_does_what_its_comment_says(self):
        folder = tempfile.mkdtemp(dir=self.here)
        self.here.chmod(0o755)
        with Running([BUILT / "runner", folder, "0"], ends_with=-signal.SIGTERM) as server:
            start, output, stop = re.findall(r"`(curl [^`]*)`", head_comment("runner"))
            self.assertIn('>\nprint(6 * 7)</textarea>', curl("curl localhost:8080/", server, self.here))
            curl(start, server, self.here)
            self.wait_for("42", lambda: curl(output, server, self.here) == "42\n")
            self.wait_for("the end", lambda: "Running..." not in curl("curl localhost:8080/run", server, self.here))
            curl("curl -d 'code=input(%22<so far>%22)' localhost:8080/run", server, self.here)
            self.wait_for("its output", lambda: curl(output, server, self.here) == "<so far>")
            page = curl("curl localhost:8080/run", server, self.here)
            self.assertIn("<h1>Running...</h1>", page)
            self.assertIn("&lt;so far&gt;", page)
            curl(stop, server, self.here)
            self.wait_for("the end", lambda: "Running..." not in curl("curl localhost:8080/run", server, self.here))
            self.assertIn('input("&lt;so far>")</textarea>', curl("curl localhost:8080/", server, self.here))

    def test_x2_a_server_that_is_killed_takes_its_program_along(self):
        folder = tempfile.mkdtemp(dir=self.here)
        self.here.chmod(0o755)
        code = (
            "import os, signal, time\n"
            "for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork(): os._exit(0)\n"
            # In one piece, which print() without a buffer does not do: the other one writes at the same time.
            "os.write(1, b'%d\\n' % os.getpid())\n"
            "time.sleep(600)\n"
        )
        with Running([BUILT / "runner", folder, "0"], ends_with=-signal.SIGKILL) as server:
            text = ["-H", "Content-Type: text/plain", "--data-binary", code]
            subprocess.run(["curl", "-sS", *text, f"{server.url}/run"], check=True, timeout=30)
            output = "curl localhost:8080/run/output"
            self.wait_for("both", lambda: len(curl(output, server, self.here).split()) == 2)
            pids = curl(output, server, self.here).split()
            self.assertTrue(all(pathlib.Path("/proc", pid).exists() for pid in pids))
            server.process.kill()
            server.process.wait(timeout=60)
            self.wait_for("nothing is left", lambda: not any(pathlib.Path("/proc", pid).exists() for pid in pids))

    def test_every_example_is_tested_and_listed(self):
        page = (REPOSITORY / "examples/README.md").read_text()
        names = {path.stem for path in SOURCES.glob("*.rs")}
        self.assertEqual(names, {*COMMANDS, "graceful", "runner", "tls"})
        for name in names:
            self.assertIn(f"examples/{name}.rs", page)


if __name__ == "__main__":
    unittest.main()
