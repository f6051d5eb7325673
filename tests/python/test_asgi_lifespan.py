"""The start and the end of an ASGI application: https://asgi.readthedocs.io/en/latest/specs/lifespan.html."""

import contextlib
import itertools
import signal
import subprocess
import sys
import unittest

from hosting import DEADLINE, HERE, running
from test_asgi import LOOPS, Hosted, ask, connect, request


class Lifespan(Hosted):
    app = "asgi_lifespan_app:app"

    def test_d4_state_is_made_before_the_first_request_and_ends_after_the_last(self):
        for server in self.servers():
            self.assertEqual(ask(server, "/").json, {"started": True, "count": 1})
            self.assertEqual(ask(server, "/").json, {"started": True, "count": 2}, "what is in it is shared")
            self.assertEqual(server.stop(), 0)
            self.assertIn("shut down after 2 requests", server.log)

    def test_d4_who_fails_to_start_ends_the_server_and_says_why(self):
        cases = [
            ("failed", "the application failed to start: no database"),
            ("failed_silently", "the application failed to start"),
            ("failed_and_raises", "the application failed to start: no database"),
        ]
        for loop in LOOPS:
            for name, says in cases:
                with self.subTest(name, loop=loop):
                    ended = run(f"asgi_lifespan_app.{name}", loop)
                    self.assertEqual(ended.returncode, 1, ended.stderr)
                    self.assertIn(f"StartupFailed: {says}\n", ended.stderr)
                    self.assertNotIn("Listening", ended.stderr)

    def test_d4_nobody_has_to_know_of_lifespans(self):
        for app in ("raises", "returns"):
            with self.subTest(app):
                self.app = f"asgi_lifespan_app:{app}"
                for server in self.servers():
                    self.assertEqual(ask(server, "/").content, b"here")
                    self.assertEqual(server.stop(), 0)
                    self.assertNotIn("Traceback", server.log)

    def test_d4_a_failure_at_the_start_is_told(self):
        self.app = "asgi_lifespan_app:fails_to_start"
        for server in self.servers():
            self.assertEqual(ask(server, "/").content, b"here")
            server.wait_for("the application takes no part in its lifespan: OSError('no database')")

    def test_d4_failures_are_told_whoever_has_turned_off_loggers(self):
        self.app = "asgi_lifespan_app:turns_off_loggers"
        for server in self.servers():
            self.assertEqual(ask(server, "/").status, 500)
            server.wait_for("KeyError: 'a failure'")

    def test_d4_a_failure_at_the_end_is_told(self):
        for app, says in [
            ("fails_to_end", "the application failed to shut down: too late"),
            ("raises_at_the_end", "the application failed in its lifespan\nTraceback"),
        ]:
            with self.subTest(app):
                self.app = f"asgi_lifespan_app:{app}"
                for server in self.servers():
                    self.assertEqual(ask(server, "/").content, b"here")
                    self.assertEqual(server.stop(), 0)
                    self.assertIn(says, server.log)

    def test_d4_a_second_signal_ends_an_end_that_takes_long(self):
        self.app = "asgi_lifespan_app:never_ends"
        for server in self.servers():
            self.assertEqual(ask(server, "/").content, b"here")
            server.send(signal.SIGTERM)
            server.wait_for("ending")
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Traceback", server.log)

    def test_d4_a_second_signal_ends_it_whatever_goes_on(self):
        self.app = "asgi_lifespan_app:goes_on"
        for what, says in [("thread", "threads"), ("task", "tasks"), ("itself", "tasks")]:
            with self.subTest(what):
                for server in self.servers(grace=600):
                    self.assertEqual(ask(server, f"/{what}").content, b"here")
                    server.send(signal.SIGTERM)
                    # The server listens no more: the first has come.
                    while True:
                        try:
                            ask(server, "/")
                        except OSError:
                            break
                    self.assertEqual(server.stop(), 0, server.log)
                    self.assertIn(f"{says} of the application still go on", server.log)

    def test_d4_a_second_signal_ends_it_where_the_loop_is_blocked(self):
        self.app = "asgi_lifespan_app:blocks"
        for path in "/python", "/sleep":
            with self.subTest(path):
                for server in self.servers(grace=600):
                    with connect(server) as connection:
                        connection.sendall(request(path))
                        server.wait_for("blocked")
                        # One that comes just before it sleeps is not heard of before it wakes.
                        for number in itertools.islice(itertools.cycle([signal.SIGINT, signal.SIGTERM]), DEADLINE):
                            server.send(number)
                            with contextlib.suppress(subprocess.TimeoutExpired):
                                server.process.wait(1)
                                break
                        self.assertEqual(server.wait(), 0, server.log)
                        self.assertIn("the application blocks its event loop", server.log)

    def test_d4_it_ends_by_itself_after_the_grace_whatever_goes_on(self):
        self.app = "asgi_lifespan_app:goes_on"
        for server in self.servers(grace=0):
            for what in "thread", "task", "itself":
                self.assertEqual(ask(server, f"/{what}").content, b"here")
            self.assertEqual(server.stop(), 0, server.log)

    def test_d4_handlers_of_signals_are_afterwards_what_they_were(self):
        for loop in LOOPS:
            script = "import signal; handle = lambda *_: None; signal.signal(signal.SIGTERM, handle); " + program("asgi_lifespan_app.app", loop)
            with running(["-c", script + "; print(signal.getsignal(signal.SIGTERM) is handle)"], stdout=subprocess.PIPE) as server:
                with self.subTest(loop), server.process.stdout as stdout:
                    self.assertEqual(server.stop(), 0, server.log)
                    self.assertEqual(stdout.read(), b"True\n")

    def test_d4_a_signal_ends_a_start_that_takes_long(self):
        for loop in LOOPS:
            with self.subTest(loop), starting("asgi_lifespan_app.takes_long", loop) as process:
                self.assertEqual(process.stdout.readline(), b"starting\n")
                process.terminate()
                self.assertEqual(process.wait(DEADLINE), 0)
                self.assertNotIn(b"Listening", process.stderr.read())


class Detected(unittest.TestCase):
    """`interface="auto"`."""

    def test_d4_what_is_called_with_a_coroutine_speaks_asgi(self):
        import functools

        from number8._hosting import interface_of

        async def asgi(scope, receive, send):
            pass

        def wsgi(environ, start_response):
            pass

        class Asynchronous:
            async def __call__(self, scope, receive, send):
                pass

        class Plain:
            def __call__(self, environ, start_response):
                pass

        class Old:
            def __init__(self, scope):
                pass

            async def __call__(self, receive, send):
                pass

        class Iterable:
            def __init__(self, environ, start_response):
                pass

            def __iter__(self):
                return iter([])

        class Awaited:
            def __init__(self, scope, receive, send):
                pass

            def __await__(self):
                yield

        @functools.wraps(asgi)
        def wrapped(*arguments):
            return asgi(*arguments)

        for app, interface in [
            (asgi, "asgi"),
            (functools.partial(asgi), "asgi"),
            (Asynchronous(), "asgi"),
            (Asynchronous().__call__, "asgi"),
            (wrapped, "asgi"),
            (Awaited, "asgi"),
            (wsgi, "wsgi"),
            (Plain(), "wsgi"),
            (Iterable, "wsgi"),
        ]:
            with self.subTest(app):
                self.assertEqual(interface_of(app), interface)
        with self.assertRaisesRegex(TypeError, "ASGI 2"):
            interface_of(Old)

    def test_d4_arguments_that_cannot_be_are_errors(self):
        import number8

        async def app(scope, receive, send):
            pass

        for arguments, error in [
            ({"interface": "cgi"}, 'interface=\'cgi\': it is "auto", "asgi" or "wsgi"'),
            ({"loop": "fast"}, 'loop="fast": it is "auto", "asyncio" or "uvloop"'),
            ({"threads": -1}, "threads=-1: it is 0 or more"),
            ({"max_body": -1}, "max_body=-1: it is 0 or more"),
            ({"body_memory": -1}, "body_memory=-1: it is 0 or more"),
            ({"keep_free": -1}, "keep_free=-1: it is 0 or more"),
            ({"max_message": -1}, "max_message=-1: it is 0 or more"),
            ({"root_path": "shop"}, 'root_path="shop": a path starts with a slash and names something, such as /files'),
            ({"root_path": "/a//b"}, 'root_path="/a//b": a path has no empty part and no . or .. in it'),
        ]:
            with self.subTest(arguments), self.assertRaises(ValueError) as raised:
                number8.serve(app, bind="127.0.0.1:0", **arguments)
            self.assertEqual(str(raised.exception), error)
        for no_app in "module:app", 3:
            for interface in "auto", "wsgi", "asgi":
                with self.subTest([no_app, interface]), self.assertRaisesRegex(TypeError, "cannot be called: serve"):
                    number8.serve(no_app, bind="127.0.0.1:0", interface=interface)


def program(app, loop):
    module, name = app.split(".")
    return f"import number8, {module}; number8.serve({module}.{name}, bind='127.0.0.1:0', loop={loop!r})"


def run(app, loop):
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program(app, loop)]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=DEADLINE)


@contextlib.contextmanager
def starting(app, loop):
    command = [sys.executable, "-c", program(app, loop)]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    unittest.main()
