"""The processes that run an app: how they are started, replaced, added, taken away and ended."""

import contextlib
import http.client
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from commanded import APP, Load, ask, command, folder, process_of, until
from hosting import DEADLINE
from test_wsgi_flow import fifo


def children(pid):
    """The processes that it has started."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        # It was gone before, or between opening and reading.
        return False


@contextlib.contextmanager
def served(*arguments, **modules):
    """The app `shop` in processes that are watched, and the folder it is in."""
    with folder(**modules) as path, command(path, "shop", "--log", "off", *arguments) as server:
        yield server, path


class Processes(unittest.TestCase):
    def test_wish13_a_killed_process_is_replaced(self):
        with served("--workers", "2", "--threads", "0") as (server, _):
            first = until("two processes", lambda: len(children(server.process.pid)) == 2 and children(server.process.pid))
            os.kill(first[0], signal.SIGKILL)
            server.wait_for("was ended by SIGKILL; another takes its place")
            now = until("two again", lambda: len(children(server.process.pid)) == 2 and children(server.process.pid))
            self.assertIn(first[1], now)
            self.assertEqual(ask(server.port)[0], 200)
            self.assertEqual(server.stop(), 0)

    def test_wish13_killed_under_load_a_process_loses_its_own_requests_alone(self):
        with served("--workers", "2") as (server, _):
            until("two processes", lambda: len(children(server.process.pid)) == 2)
            with Load(server.port, keep=4, fresh=4) as load:
                until("answers of both", lambda: len({answer.split()[0] for answer in load.answers}) == 2)
                os.kill(process_of(server.port), signal.SIGKILL)
                server.wait_for("another takes its place")
                # A client ends with its loss. Those of the other process have none.
                begun = len(load.answers)
                until("more answers", lambda: len(load.answers) > begun + 20)
                self.assertLess(len(load.lost), 8)
            self.assertEqual(ask(server.port)[0], 200)

    def test_d7_one_process_is_watched_too(self):
        with served() as (server, _):
            first = process_of(server.port)
            self.assertNotEqual(first, server.process.pid)
            os.kill(first, signal.SIGKILL)
            # The connection waits in the kernel for the next one.
            self.assertNotEqual(process_of(server.port), first)

    def test_d7_a_grace_may_be_longer_than_the_system_waits_at_once(self):
        with served("--grace", "30d") as (server, _):
            first = process_of(server.port)
            server.send(signal.SIGHUP)
            until("another process", lambda: process_of(server.port) != first)
            until("the end of the first", lambda: not lives(first))
            self.assertEqual(server.stop(), 0)

    def test_d7_a_process_that_cannot_be_started_now_is_started_later(self):
        for arguments in [], ["--metrics", "0"]:
            with self.subTest(arguments), served("--workers", "2", *arguments) as (server, _):
                until("two processes", lambda: len(children(server.process.pid)) == 2)
                killed, kept = children(server.process.pid)
                usual = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
                # Not one descriptor more, as where the system is short of them, or of memory.
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (3, usual[1]))
                os.kill(killed, signal.SIGKILL)
                server.wait_for("cannot be started, and is in a moment")
                self.assertEqual(process_of(server.port), kept)
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, usual)
                until("two again", lambda: len(children(server.process.pid)) == 2)
                self.assertEqual(server.stop(), 0)

    def test_d7_without_respawn_there_is_one_process_and_it_ends(self):
        with served("--no-respawn") as (server, _):
            self.assertEqual(process_of(server.port), server.process.pid)
            self.assertEqual(server.stop(), 0)
        with served("--no-respawn", "--workers", "2") as (server, _):
            os.kill(process_of(server.port), signal.SIGKILL)
            self.assertEqual(server.wait(), 1)

    def test_d7_one_process_alone_says_which_signals_are_for_a_supervisor(self):
        for threads in "0", "1":
            with self.subTest(threads=threads), served("--no-respawn", "--threads", threads) as (server, _):
                for number in signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU:
                    server.send(number)
                    server.wait_for(f"{number.name} is for a supervisor")
                    self.assertEqual(process_of(server.port), server.process.pid)
                self.assertEqual(server.stop(), 0)

    def test_d7_an_app_that_ends_at_once_again_and_again_is_given_up(self):
        # It serves, and then ends by itself.
        code = "import os, threading\nthreading.Timer(0.05, os._exit, (3,)).start()\n" + APP
        with served(shop=code) as (server, _):
            self.assertEqual(server.wait(), 1)
            self.assertIn("ended with exit code 3; another takes its place", server.log)
            self.assertIn("giving up", server.log)

    def test_d7_an_app_that_has_served_is_not_given_up(self):
        # Whoever can make its processes end cannot make the server end.
        code = "import os\n" + APP.replace("/slow", "/end").replace("time.sleep(0.2)", "os._exit(3)")
        with served("--threads", "0", shop=code) as (server, _):
            begun = time.monotonic()
            until("use", lambda: time.monotonic() > begun + 1.2)
            for _ in range(7):
                [child] = until("a process", lambda: children(server.process.pid))
                with contextlib.suppress(OSError, http.client.HTTPException):
                    ask(server.port, "/end")
                until("its end", lambda: not lives(child))
            self.assertEqual(ask(server.port)[0], 200)
            self.assertEqual(server.stop(), 0)

    def test_d7_an_asgi_app_that_exits_ends_no_process(self):
        code = """
import asyncio, os, sys

ERRORS = {"/exit": SystemExit(3), "/interrupt": KeyboardInterrupt(), "/other": BaseException("other")}

async def app(scope, receive, send):
    assert scope["type"] in ("http", "websocket")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    await asyncio.sleep(0)
    if error := ERRORS.get(scope["path"]):
        raise error
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
        with served(shop=code) as (server, _):
            first = process_of(server.port)
            for path in ["/exit", "/interrupt", "/other"]:
                self.assertEqual(ask(server.port, path)[0], 500)
                server.wait_for(f"the application failed at {path}")
                self.assertEqual(process_of(server.port), first, path)
                with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as client:
                    fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}{key}\r\n".encode())
                    self.assertIn(b"101 ", client.recv(65536))
                    # Internal error (RFC 6455 §7.4.1), or an end without a word.
                    client.recv(65536)
                self.assertEqual(process_of(server.port), first, path)
            self.assertEqual(server.stop(), 0)

    def test_sigterm_under_load_loses_nothing(self):
        for threads in ["0", "1"]:
            with self.subTest(threads), served("--workers", "2", "--threads", threads) as (server, _):
                with Load(server.port, path="/slow" if threads == "1" else "/") as load:
                    load.stopping.set()
                    server.send(signal.SIGTERM)
                    self.assertEqual(server.wait(), 0)
                    load.finish()
                self.assertEqual(load.lost, [])

    def test_a_second_signal_ends_it_now(self):
        code = APP.replace("time.sleep(0.2)", "open('begun', 'w').close(); time.sleep(600)")
        with served("--grace", "10m", shop=code) as (server, path):
            with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), DEADLINE)) as client:
                client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
                until("the request", (path / "begun").exists)
                workers = children(server.process.pid)
                server.send(signal.SIGTERM)
                server.send(signal.SIGINT)
                self.assertEqual(server.wait(), 0)
                self.assertFalse([pid for pid in workers if lives(pid)])

    def test_wish17_sighup_replaces_all_under_load(self):
        with served("--workers", "2") as (server, path):
            before = until("two processes", lambda: len(children(server.process.pid)) == 2 and children(server.process.pid))
            (path / "shop.py").write_text(APP.replace("one", "two"))
            with Load(server.port) as load:
                server.send(signal.SIGHUP)
                until("other processes", lambda: not any(lives(pid) for pid in before))
                load.more(20)
            self.assertEqual(load.lost, [])
            self.assertTrue(all(answer.endswith("two") for answer in load.answers[-5:]), load.answers[-5:])

    def test_wish17_sighup_with_broken_code_keeps_the_old_processes(self):
        with served() as (server, path):
            before = process_of(server.port)
            (path / "shop.py").write_text("import nothing_of_this_name\n")
            server.send(signal.SIGHUP)
            server.wait_for("the old one stays in use")
            self.assertIn("nothing_of_this_name", server.log)
            self.assertEqual(process_of(server.port), before)

    def test_wish17_what_was_to_be_replaced_still_is_after_a_sighup_with_broken_code(self):
        loaded = "import sys\nsys.stderr.write('loaded\\n')\n"
        with fifo() as go, served("--workers", "2", "--max-requests", "1", shop=APP + loaded) as (server, path):
            before = until("two processes", lambda: server.log.count("loaded") == 2 and children(server.process.pid))
            (path / "shop.py").write_text(f"open({str(go)!r}, 'rb', buffering=0).read(1)\n" + APP)
            with Load(server.port, keep=4, fresh=4):
                until("two that load", lambda: len(children(server.process.pid)) == 4)
            (path / "shop.py").write_text("import nothing_of_this_name\n")
            server.send(signal.SIGHUP)
            server.wait_for("the old one stays in use")
            (path / "shop.py").write_text(APP)
            until("others", lambda: not any(lives(pid) for pid in before))

    def test_wish17_a_replacement_that_fails_stops_no_sighup(self):
        code = APP + "GROWN = []\nfirst = app\ndef app(environ, start_response):\n"
        code += "    if environ['PATH_INFO'] == '/grow' and not GROWN:\n        GROWN.append(b'8' * (256 << 20))\n"
        code += "    return first(environ, start_response)\n"
        with fifo() as go, served("--workers", "3", "--max-rss", "192MiB", shop=code) as (server, path):
            before = until("three", lambda: len(children(server.process.pid)) == 3 and children(server.process.pid))
            until("all serve", lambda: len({process_of(server.port) for _ in range(30)}) == 3)
            (path / "shop.py").write_text(f"open({str(go)!r}, 'rb', buffering=0).read(1)\n" + APP)
            server.send(signal.SIGHUP)
            until("the first successor", lambda: len(children(server.process.pid)) == 4)
            # The one that started first has it coming.
            until("one of the others", lambda: int(ask(server.port, "/grow")[1].split()[0]) != min(before))
            until("a second successor", lambda: len(children(server.process.pid)) == 5)
            os.kill(max(children(server.process.pid)), signal.SIGKILL)
            server.wait_for("before it served; the old one stays in use")
            go.write_bytes(b"x" * 100)
            until("others", lambda: not any(lives(pid) for pid in before))

    def test_wish17_ttin_adds_a_process_and_ttou_takes_one_away(self):
        with served() as (server, _):
            count = lambda: len(children(server.process.pid))  # noqa: E731
            until("one process", lambda: count() == 1)
            for number, wanted in [(signal.SIGTTIN, 2), (signal.SIGTTIN, 3), (signal.SIGTTOU, 2), (signal.SIGTTOU, 1)]:
                server.send(number)
                until(f"{wanted} processes", lambda: count() == wanted)
            # One is the least. Signals that wait come in no order: a reload shows that this one has come.
            before = children(server.process.pid)
            server.send(signal.SIGTTOU)
            server.send(signal.SIGHUP)
            until("another process alone", lambda: count() == 1 and children(server.process.pid) != before)
            server.send(signal.SIGTTIN)
            until("two processes", lambda: count() == 2)

    def test_wish17_ttou_counts_while_a_process_is_replaced(self):
        shop = APP + "import sys\nsys.stderr.write('loaded\\n')\n"
        with fifo() as go, served("--workers", "2", "--max-requests", "1", shop=shop) as (server, path):
            until("two processes", lambda: server.log.count("loaded") == 2)
            waits = f"open({str(go)!r}, 'rb', buffering=0).read(1)\n"
            (path / "shop.py").write_text(waits + APP)
            with Load(server.port, keep=4, fresh=4):
                until("two that load", lambda: len(children(server.process.pid)) == 4)
            server.send(signal.SIGTTOU)
            until("one process less", lambda: len(children(server.process.pid)) == 3)
            go.write_bytes(b"xx")
            until("one process", lambda: len(children(server.process.pid)) == 1)

    def test_d7_standard_error_that_takes_nothing_is_no_reason_not_to_serve(self):
        for redirect in ("2>/dev/full", "2>&-"):
            with self.subTest(redirect), folder() as path, socket.socket() as listening:
                listening.bind(("127.0.0.1", 0))
                listening.listen()
                number, port = listening.fileno(), listening.getsockname()[1]
                command = f'exec "$0" -m number8 app -b fd:{number} shop {redirect}'
                process = subprocess.Popen(["sh", "-c", command, sys.executable], cwd=path, pass_fds=[number])
                try:
                    self.assertEqual(ask(port)[0], 200)
                    process.send_signal(signal.SIGTERM)
                    self.assertEqual(process.wait(DEADLINE), 0)
                finally:
                    process.kill()
                    process.wait()

    def test_d7_ttin_has_an_end(self):
        with served("--max-workers", "2") as (server, _):
            server.send(signal.SIGTTIN)
            until("two processes", lambda: len(children(server.process.pid)) == 2)
            server.send(signal.SIGTTIN)
            server.wait_for("there are to be 2 processes, and no more (--max-workers)")
            self.assertEqual(len(children(server.process.pid)), 2)
        # What --workers asks for is not more than may be.
        with served("--workers", "2", "--max-workers", "1") as (server, _):
            until("two processes", lambda: len(children(server.process.pid)) == 2)

    def test_d7_a_process_that_has_grown_is_replaced_and_no_request_is_lost(self):
        code = APP + "GROWN = []\nfirst = app\ndef app(environ, start_response):\n"
        code += "    if environ['PATH_INFO'] == '/grow':\n        GROWN.append(b'8' * (256 << 20))\n    return first(environ, start_response)\n"
        with served("--max-rss", "192MiB", shop=code) as (server, _):
            before = process_of(server.port)
            with Load(server.port) as load:
                ask(server.port, "/grow")
                server.wait_for(f"process {before} of the app has ")
                until("another process", lambda: not lives(before))
                load.more(20)
            self.assertEqual(load.lost, [])
            self.assertIn("more than --max-rss: another takes its place", server.log)
            self.assertNotEqual(process_of(server.port), before)

    def test_d7_a_process_that_is_too_large_from_the_start_is_not_replaced_again_and_again(self):
        with served("--max-rss", "1MiB") as (server, _):
            before = process_of(server.port)
            server.wait_for("more than --max-rss: it is not replaced for that")
            self.assertEqual(process_of(server.port), before)

    def test_wish16_a_process_is_replaced_after_so_many_requests_and_none_is_lost(self):
        with served("--max-requests", "20", "--max-requests-jitter", "10") as (server, _):
            with Load(server.port) as load:
                until("a third process", lambda: len({answer.split()[0] for answer in load.answers}) >= 3)
            self.assertEqual(load.lost, [])

    def test_o4_metrics_are_those_of_all_processes_also_of_those_that_have_ended(self):
        with served("--workers", "2", "--metrics", "0") as (server, _):
            server.wait_for("/metrics\n")
            port = int(re.search(r"Metrics: http://127.0.0.1:(\d+)/metrics\n", server.log)[1])

            def counted():
                lines = re.findall(r"^number8_requests_total\{.*\} (\d+)$", ask(port, "/metrics")[1], re.MULTILINE)
                return sum(map(int, lines))

            for _ in range(10):
                last = process_of(server.port)
            until("the requests are counted", lambda: counted() == 10)
            until("both are ready", lambda: "\nnumber8_ready 2\n" in ask(port, "/metrics")[1])
            self.assertIn("\nnumber8_build_info{version=", ask(port, "/metrics")[1])
            os.kill(last, signal.SIGKILL)
            server.wait_for("another takes its place")
            for _ in range(5):
                process_of(server.port)
            until("the others are counted", lambda: counted() == 15)
            self.assertEqual(ask(server.port, "/metrics")[1].split()[1], "one")

    def test_o4_what_a_process_has_counted_since_it_was_asked_last_stays_when_it_ends(self):
        with served("--metrics", "0", "--max-requests", "20") as (server, _):
            server.wait_for("/metrics\n")
            port = int(re.search(r"Metrics: http://127.0.0.1:(\d+)/metrics\n", server.log)[1])
            count = 0
            pids = set()
            while len(pids) < 3:
                pids.add(process_of(server.port))
                count += 1

            def counted():
                lines = re.findall(r"^number8_requests_total\{.*\} (\d+)$", ask(port, "/metrics")[1], re.MULTILINE)
                return sum(map(int, lines))

            until("all are counted", lambda: counted() >= count)
            self.assertEqual(counted(), count)

    def test_o4_one_process_alone_has_metrics(self):
        with served("--no-respawn", "--metrics", "0") as (server, _):
            server.wait_for("/metrics\n")
            port = int(re.search(r"Metrics: http://127.0.0.1:(\d+)/metrics\n", server.log)[1])
            process_of(server.port)
            line = 'number8_requests_total{method="GET",status="2xx"} 1\n'
            until("the request is counted", lambda: line in ask(port, "/metrics")[1])

    def test_o4_an_app_has_a_path_that_says_whether_it_is_ready(self):
        for arguments, path in [([], "/.number8/ready"), (["--ready", "/up"], "/up")]:
            with self.subTest(path), served(*arguments) as (server, _):
                self.assertEqual(ask(server.port, path), (200, "ready\n"))

    def test_the_log_is_opened_again(self):
        with folder() as path, command(path, "shop", "--log-file", "a.log") as server:
            log = path / "a.log"
            ask(server.port, "/before")
            until("the line", lambda: "/before" in log.read_text())
            log.rename(path / "b.log")
            server.send(signal.SIGUSR1)
            until("the new file", log.exists)
            ask(server.port, "/after")
            until("the line", lambda: "/after" in log.read_text())

    def test_a_process_that_is_starting_when_the_log_is_opened_again_writes_to_the_new_file(self):
        code = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        open("starting", "w").close()
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
"""
        with folder(shop=code) as path, contextlib.ExitStack() as stack:
            (path / "go").touch()
            server = stack.enter_context(command(path, "shop", "--log-file", "a.log"))
            first = process_of(server.port)
            (path / "go").unlink()
            (path / "starting").unlink()
            server.send(signal.SIGHUP)
            until("the next one starts", (path / "starting").exists)
            (path / "a.log").rename(path / "b.log")
            server.send(signal.SIGUSR1)
            until("the new file", (path / "a.log").exists)
            (path / "go").touch()
            until("the next one serves", lambda: process_of(server.port) != first)
            until("a line in the new file", lambda: ask(server.port, "/after") and "/after" in (path / "a.log").read_text())

    def test_nobody_waits_for_whoever_reads_standard_error(self):
        with folder() as path, contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
            port = listening.getsockname()[1]
            reader, writer = os.pipe()
            os.set_blocking(writer, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, b"." * 4096)
            os.set_blocking(writer, True)
            program = [sys.executable, "-m", "number8", "app", "-b", f"fd:{listening.fileno()}", "shop", "--log", "off"]
            process = subprocess.Popen(program, pass_fds=[listening.fileno()], cwd=path, stderr=writer)
            try:
                first = process_of(port)
                os.kill(first, signal.SIGKILL)
                self.assertNotEqual(process_of(port), first)
                process.terminate()
                self.assertEqual(process.wait(DEADLINE), 0)
            finally:
                process.kill()
                process.wait()
                os.close(reader)
                os.close(writer)

    def test_a_service_manager_hears_that_it_is_ready_once_the_app_is_served(self):
        with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"{name}/notify")
            manager.settimeout(DEADLINE)
            environment = {**os.environ, "NOTIFY_SOCKET": f"{name}/notify"}
            code = "open('imported', 'w').close()\nimport os\nassert 'NOTIFY_SOCKET' not in os.environ\n" + APP
            with folder(shop=code) as path, command(path, "shop", env=environment) as server:
                self.assertIn(b"READY=1", manager.recv(4096))
                self.assertTrue((path / "imported").exists())
                server.send(signal.SIGHUP)
                self.assertIn(b"RELOADING=1", manager.recv(4096))
                self.assertIn(b"READY=1", manager.recv(4096))
                server.send(signal.SIGTERM)
                self.assertIn(b"STOPPING=1", manager.recv(4096))

    def test_a_killed_supervisor_leaves_nothing_behind(self):
        with served("--workers", "2") as (server, _):
            workers = until("two processes", lambda: len(children(server.process.pid)) == 2 and children(server.process.pid))
            process_of(server.port)
            server.stop(signal.SIGKILL)
            until("their end", lambda: not any(lives(pid) for pid in workers))

    def test_a_socket_of_the_service_manager_is_served(self):
        with folder() as path, socket.create_server(("127.0.0.1", 0)) as listening:
            program = (
                "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
                "os.execv(sys.executable, [sys.executable, '-m', 'number8', 'app', 'shop'])"
            )
            process = subprocess.Popen(
                [sys.executable, "-c", program, str(listening.fileno())],
                pass_fds=[listening.fileno()],
                cwd=path,
                stderr=subprocess.DEVNULL,
            )
            try:
                self.assertEqual(ask(listening.getsockname()[1])[0], 200)
                process.terminate()
                self.assertEqual(process.wait(DEADLINE), 0)
            finally:
                process.kill()
                process.wait()


class Reload(unittest.TestCase):
    def test_d9_new_code_is_served_and_no_request_is_lost(self):
        with served("--reload") as (server, path):
            with Load(server.port) as load:
                (path / "shop.py").write_text(APP.replace("one", "number two"))
                server.wait_for("shop.py changed: the app is loaded again")
                until("the new code", lambda: load.answers[-1].endswith("two"))
            self.assertEqual(load.lost, [])

    def test_d9_two_changes_within_a_second_are_two(self):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with folder() as path, command(path, "shop", "--log", "off", "--reload", env=environment) as server:
            second = int(time.time()) * 10**9
            for number, word in enumerate(["two", "six"], 1):
                (path / "new").write_text(APP.replace("one", word))
                os.utime(path / "new", ns=(second, second + number))
                os.replace(path / "new", path / "shop.py")
                until("the new code", lambda: ask(server.port)[1].endswith(word))

    def test_d9_code_that_cannot_be_loaded_changes_nothing_until_it_can(self):
        with served("--reload", other="WORD = 'one'\n", shop=APP + "import other\nVERSION = other.WORD\n") as (server, path):
            (path / "other.py").write_text("WORD = (\n")
            server.wait_for("the old one stays in use")
            self.assertIn("SyntaxError", server.log)
            self.assertTrue(ask(server.port)[1].endswith("one"))
            (path / "other.py").write_text("WORD = 'other'\n")
            until("the new code", lambda: ask(server.port)[1].endswith("other"))

    def test_d9_an_app_that_is_broken_at_the_start_is_waited_for(self):
        with folder(shop="import nothing_of_this_name\n") as path:
            process = subprocess.Popen(
                [sys.executable, "-m", "number8", "app", "-b", "127.0.0.1:0", "shop", "--reload"],
                cwd=path, stderr=subprocess.PIPE, text=True,
            )
            try:
                lines = iter(process.stderr.readline, "")
                self.assertTrue(any("waiting until the code changes" in line for line in lines))
                (path / "shop.py").write_text(APP)
                self.assertTrue(any("http://127.0.0.1:" in line for line in lines))
                process.terminate()
                self.assertEqual(process.wait(DEADLINE), 0)
            finally:
                process.kill()
                process.communicate()


if __name__ == "__main__":
    unittest.main()
