"""`number8 app`: which app it runs, what it says where there is none, and what stands beside it."""

import http.client
import json
import os
import subprocess
import sys
import unittest

from commanded import APP, ask, command, folder, until
from hosting import DEADLINE
from test_wsgi import talk

# Says which of several apps it is.
NAMED = """
def _app(name):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [name.encode()]
    return app
"""


def refused(path, *arguments):
    """How the command ends where there is nothing to run."""
    program = [sys.executable, "-X", "dev", "-W", "error", "-m", "number8", "app", "-b", "127.0.0.1:0", *arguments]
    return subprocess.run(program, cwd=path, capture_output=True, text=True, timeout=DEADLINE)


class Loading(unittest.TestCase):
    def test_w1_the_app_is_found_by_its_name(self):
        modules = {
            "plain": NAMED + "app, application = _app('app'), _app('application')\n",
            "usual": NAMED + "application = _app('application')\n",
            "nested": NAMED + "class box:\n    inner = staticmethod(_app('inner'))\n",
            "made": NAMED + "def make():\n    return _app('made')\n",
        }
        cases = [
            (["plain"], "app"),
            (["plain:application"], "application"),
            (["usual"], "application"),
            (["nested:box.inner"], "inner"),
            (["made:make", "--factory"], "made"),
        ]
        with folder(**modules) as path:
            for arguments, name in cases:
                with self.subTest(arguments), command(path, *arguments, "--no-respawn") as server:
                    self.assertEqual(ask(server.port), (200, name))
            with self.subTest("another folder"), command("/", "plain", "--app-dir", str(path)) as server:
                self.assertEqual(ask(server.port), (200, "app"))

    def test_w1_what_cannot_be_run_is_told_in_a_line_and_ends_with_1(self):
        modules = {
            "empty": "",
            "word": "app = 'a word'",
            "broken": "def inner():\n    raise RuntimeError('no\\nluck')\ninner()",
            "unfinished": "app = (",
            "leaves": "import sys\nsys.exit(0)",
            "needs": "import nothing_of_this_name",
            "fails": "def make():\n    raise RuntimeError('no luck')\ndef none():\n    pass",
        }
        cases = [
            (["nowhere"], "number8: there is no module nowhere in ", False),
            (["empty"], "number8: empty has neither app nor application: write empty:ATTRIBUTE", False),
            (["empty:site"], "number8: empty has no attribute site", False),
            (["word"], "number8: what word has under that name is no app: str cannot be called", False),
            (["broken"], "number8: broken cannot be imported: RuntimeError: no luck", True),
            (["unfinished"], "number8: unfinished cannot be imported: SyntaxError: ", True),
            (["leaves"], "number8: leaves cannot be imported: SystemExit: 0", True),
            (["needs"], "number8: needs cannot be imported: ModuleNotFoundError: ", True),
            (["fails:make", "--factory"], "number8: the factory of fails failed: RuntimeError: no luck", True),
            (["fails:none", "--factory"], "number8: the factory of fails returned no app: NoneType", False),
        ]
        with folder(**modules) as path:
            for arguments, line, traces in cases:
                for more in [], ["--no-respawn"]:
                    with self.subTest([*arguments, *more]):
                        ended = refused(path, *arguments, *more)
                        *before, last = ended.stderr.splitlines()
                        self.assertEqual((ended.returncode, last[: len(line)]), (1, line), ended.stderr)
                        self.assertEqual(bool(before), traces, ended.stderr)
                        # Of the app, and of nobody else.
                        self.assertNotIn("importlib", ended.stderr)
                        self.assertNotIn("_loading.py", ended.stderr)


    def test_a_process_that_ends_without_a_word_is_spoken_for(self):
        modules = {
            "killed": "import os\nos.kill(os.getpid(), 9)",
            "left": "import os\nos._exit(7)",
        }
        cases = [("killed", "was ended by SIGKILL before it served"), ("left", "ended with exit code 7 before it served")]
        with folder(**modules) as path:
            for module, how in cases:
                with self.subTest(module):
                    ended = refused(path, module)
                    self.assertEqual(ended.returncode, 1)
                    self.assertRegex(ended.stderr, f"^number8: process [0-9]+ of the app {how}\n$")


class Beside(unittest.TestCase):
    def test_d10_a_folder_beside_the_app_is_served_by_the_rules_of_files_and_logged(self):
        with folder() as path:
            (path / "static").mkdir()
            (path / "static" / "a.css").write_text("body { color: red }")
            with command(path, "shop", "--mount", "/static=static", "--log", "json", "--log-file", "log") as server:
                status, content = ask(server.port, "/static/a.css")
                self.assertEqual((status, content), (200, "body { color: red }"))
                self.assertEqual(ask(server.port, "/static/none")[0], 404)
                self.assertEqual(ask(server.port, "/statics")[0], 200)
                self.assertEqual(ask(server.port, "/.number8/health")[0], 200)
                self.assertEqual(server.stop(), 0)
            lines = [json.loads(line) for line in (path / "log").read_text().splitlines()]
            self.assertEqual([line["target"] for line in lines], ["/static/a.css", "/static/none", "/statics"])

    def test_options_of_the_command_hold_for_an_app(self):
        code = APP.replace('f"{os.getpid()} {VERSION}"', "environ['REMOTE_ADDR']")
        environment = {**os.environ, "FORWARDED_ALLOW_IPS": "127.0.0.1"}
        with folder(shop=code) as path, command(path, "shop", "--header", "X-A: b", env=environment) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
            connection.request("GET", "/", headers={"X-Forwarded-For": "192.0.2.7"})
            answer = connection.getresponse()
            self.assertEqual((answer.read(), answer.headers["X-A"]), (b"192.0.2.7", "b"))
            connection.close()

    def test_g11_the_host_is_what_a_trusted_proxy_says(self):
        asgi = """
async def app(scope, receive, send):
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b" and ".join(hosts)})
"""
        wsgi = APP.replace('f"{os.getpid()} {VERSION}"', "environ['HTTP_HOST']")
        cases = [
            ("one.test", {"X-Forwarded-Host": "two.test"}, "two.test"), ("one.test", {"Forwarded": "host=two.test"}, "two.test"),
            ("one.test", {}, "one.test"), (None, {"X-Forwarded-Host": "two.test"}, "two.test"),
        ]
        with folder(asgi=asgi, wsgi=wsgi) as path:
            for name in "asgi", "wsgi":
                with command(path, name, "--trusted-proxy", "127.0.0.1") as server:
                    for host, fields, seen in cases:
                        with self.subTest([name, host, fields]):
                            fields = {**fields, "Host": host} if host else fields
                            version = "1.1" if host else "1.0"
                            head = f"GET / HTTP/{version}\r\nConnection: close\r\n" + "".join(f"{field}: {value}\r\n" for field, value in fields.items())
                            answer = talk(server, head.encode() + b"\r\n")
                            self.assertEqual(answer.partition(b"\r\n\r\n")[2].decode(), seen, answer)

    def test_large_content_leaves_room_on_the_disk(self):
        with folder(shop=APP) as path, command(path, "shop", "--keep-free", "1000000G") as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
            connection.request("POST", "/", body=bytes((32 << 20) + 1))
            self.assertEqual(connection.getresponse().status, 507)
            connection.close()
            self.assertEqual(ask(server.port, "/")[0], 200)

    def test_the_app_is_told_where_it_stands(self):
        names = "SCRIPT_NAME", "PATH_INFO", "wsgi.multithread", "wsgi.multiprocess"
        code = APP.replace('f"{os.getpid()} {VERSION}"', f"repr([environ[name] for name in {names}])")
        cases = [
            ([], ["", "/a", False, False]),
            (["--root-path", "/shop"], ["/shop", "/a", False, False]),
            (["--threads", "2", "--workers", "2"], ["", "/a", True, True]),
        ]
        with folder(shop=code) as path:
            for arguments, told in cases:
                with self.subTest(arguments), command(path, "shop", *arguments) as server:
                    self.assertEqual(ask(server.port, "/a"), (200, repr(told)))

    def test_d4_what_it_speaks_is_found_out(self):
        code = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        open("stopped", "w").close()
        return await send({"type": "lifespan.shutdown.complete"})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["root_path"].encode()})
"""
        with folder(speaks=code) as path:
            for arguments in [], ["--interface", "asgi", "--no-respawn"]:
                with self.subTest(arguments):
                    with command(path, "speaks", "--root-path", "/x", *arguments) as server:
                        self.assertEqual(ask(server.port), (200, "/x"))
                        self.assertEqual(server.stop(), 0)
                    (path / "stopped").unlink()

    def test_failures_of_the_app_are_told_and_the_client_learns_nothing(self):
        code = "def app(environ, start_response):\n    raise RuntimeError('a secret')\n"
        with folder(shop=code) as path, command(path, "shop") as server:
            status, content = ask(server.port)
            self.assertEqual(status, 500)
            self.assertNotIn("secret", content)
            until("the traceback", lambda: "RuntimeError: a secret" in server.log)


if __name__ == "__main__":
    unittest.main()
