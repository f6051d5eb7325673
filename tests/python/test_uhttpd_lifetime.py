"""How long uhttpd's servers live: scripts that end, signals, forks (row U2 of the behaviours)."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import websockets.sync.client

DEADLINE = 20

# A shell has what it runs in the background ignore SIGINT, and programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# CPython's issue 113964.
begins_late = unittest.skipIf(
    (3, 12) <= sys.version_info < (3, 12, 3), "this Python lets no thread and no fork begin once the script has ended"
)

BEGIN = """
import number8 as uhttpd
httpd = uhttpd.Server(0)
httpd.route('/x', uhttpd.GET, lambda req: req.write('ok'))
"""
READY = "\nprint(httpd.port(), flush=True)\n"


class Started(unittest.TestCase):
    def start(self, script, *flags, **kwargs):
        command = [sys.executable, "-X", "dev", "-W", "error", *flags, "-c", script]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def port(self, process):
        # Byte by byte: what a buffer takes along, communicate() does not see.
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(process.stdout.fileno(), 1)
            if not byte:
                self.fail(process.communicate(timeout=DEADLINE)[1])
            line += byte
        return int(line)

    def get(self, port, target="/x"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        try:
            connection.request("GET", target)
            return connection.getresponse().read()
        finally:
            connection.close()

    def waits(self, process):
        """Goes on when the script has ended and the server waits for a signal: SIGTERM has a handler then."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            if int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) & 1 << signal.SIGTERM - 1:
                return
        self.fail("the script does not end")

    def ended(self, process):
        out, err = process.communicate(timeout=DEADLINE)
        return process.returncode, out, err


class Scripts(Started):
    def test_u2_a_script_that_ends_serves_until_a_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name):
                process = self.start(BEGIN + READY)
                port = self.port(process)
                self.assertEqual(self.get(port), b"ok")
                self.assertEqual(self.get(port), b"ok")
                self.waits(process)
                process.send_signal(number)
                self.assertEqual(self.ended(process), (0, "", ""))
                self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", port), 1)

    def test_u2_a_signal_is_heard_whenever_and_wherever_it_comes(self):
        # By another thread than the main one, as a signal that comes in the moment before the main thread waits: the wait is not interrupted.
        script = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})\n"
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name):
                process = self.start(BEGIN + READY + script)
                self.port(process)
                self.waits(process)
                process.send_signal(number)
                self.assertEqual(self.ended(process), (0, "", ""))

    def test_u2_who_reads_of_signals_hears_of_them_while_the_script_waits(self):
        script = """
import atexit, os, signal, threading
reads, writes = os.pipe()
os.set_blocking(writes, False)
signal.set_wakeup_fd(writes)
signal.signal(signal.SIGUSR1, lambda *_: None)
threading.Thread(target=lambda: print(os.read(reads, 1) == bytes([signal.SIGUSR1]), flush=True), daemon=True).start()
atexit.register(lambda: print(signal.set_wakeup_fd(-1) == writes))
"""
        process = self.start(BEGIN + READY + script)
        self.port(process)
        self.waits(process)
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.stdout.readline(), "True\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), (0, "True\n", ""))

    def test_u2_no_descriptor_is_told_of_signals_that_is_closed(self):
        script = """
import atexit, os, signal
reads, writes = os.pipe()
os.set_blocking(writes, False)
signal.set_wakeup_fd(writes)
httpd.route('/close', uhttpd.GET, lambda req: (os.close(writes), req.write('ok')))
atexit.register(lambda: print(signal.set_wakeup_fd(-1)))
"""
        process = self.start(BEGIN + READY + script)
        port = self.port(process)
        self.waits(process)
        self.assertEqual(self.get(port, "/close"), b"ok")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), (0, "-1\n", ""))

    @begins_late
    def test_n2_coroutines_go_on_when_the_script_has_ended(self):
        script = """
import asyncio
@httpd.get('/count')
async def count(request):
    for number in range(3):
        await asyncio.sleep(0)
        yield f'{number} '
@httpd.post('/read')
async def read(request):
    return await asyncio.to_thread(request.read)
@httpd.websocket('/echo')
async def echo(request, ws):
    async for message in ws:
        await ws.send(message)
"""
        process = self.start(BEGIN + script + READY)
        port = self.port(process)
        self.waits(process)
        self.assertEqual(self.get(port, "/count"), b"0 1 2 ")
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) as connection:
            connection.request("POST", "/read", b"content")
            self.assertEqual(connection.getresponse().read(), b"content")
        with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/echo", open_timeout=DEADLINE) as client:
            client.send("one")
            self.assertEqual(client.recv(DEADLINE), "one")
            # What waits for a client is no reason to stay.
            process.send_signal(signal.SIGTERM)
            self.assertEqual(self.ended(process), (0, "", ""))

    def test_u2_a_server_that_is_closed_or_dropped_holds_nobody(self):
        for end in ("httpd.close()", "del httpd", "httpd = None"):
            with self.subTest(end):
                process = self.start(BEGIN + READY + end)
                self.port(process)
                self.assertEqual(self.ended(process), (0, "", ""))

    def test_u2_a_callback_may_end_the_script(self):
        script = BEGIN + "httpd.route('/bye', uhttpd.GET, lambda req: (req.write('bye'), req.server().close()))"
        process = self.start(script + READY)
        self.assertEqual(self.get(self.port(process), "/bye"), b"bye")
        self.assertEqual(self.ended(process), (0, "", ""))

    def test_u2_a_script_that_fails_ends(self):
        process = self.start(BEGIN + READY + "raise ValueError('why')")
        self.port(process)
        code, _, err = self.ended(process)
        self.assertEqual(code, 1)
        self.assertIn("ValueError: why", err)

    def test_u2_a_script_that_exits_ends(self):
        cases = [
            ("import sys\nsys.exit(3)", 3),
            ("import sys\nsys.exit()", 0),
            ("import argparse\nargparse.ArgumentParser().parse_args(['--no-such'])", 2),
            ("import unittest\nunittest.main(argv=['x'])", 5 if sys.version_info >= (3, 12) else 0),
        ]
        for end, wanted in cases:
            with self.subTest(end):
                process = self.start(BEGIN + READY + end)
                self.port(process)
                self.assertEqual(self.ended(process)[0], wanted)

    def test_u2_an_exit_that_the_script_catches_is_none(self):
        for end in (
            "import sys\ntry: sys.exit(3)\nexcept SystemExit: pass",
            "import sys, threading\nthread = threading.Thread(target=sys.exit)\nthread.start()\nthread.join()",
        ):
            with self.subTest(end):
                process = self.start(BEGIN + READY + end)
                port = self.port(process)
                self.waits(process)
                self.assertEqual(self.get(port), b"ok")
                process.send_signal(signal.SIGTERM)
                self.assertEqual(self.ended(process), (0, "", ""))

    def test_u2_a_callback_that_does_not_return_holds_nobody(self):
        script = """
import atexit, threading
atexit.register(print, 'at the end')
@httpd.get('/hang')
def hang(request):
    request.send_chunk('begun')
    threading.Event().wait()
"""
        for end, code in [("", 0), ("\nimport sys\nsys.stdin.readline()\nsys.exit(3)", 3)]:
            with self.subTest(end):
                process = self.start(BEGIN + script + READY + end, stdin=subprocess.PIPE)
                port = self.port(process)
                with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
                    client.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertTrue(client.recv(1024))
                    if end:
                        process.stdin.write("\n")
                        process.stdin.flush()
                    else:
                        self.waits(process)
                        process.send_signal(signal.SIGTERM)
                    returned, out, err = self.ended(process)
                self.assertEqual((returned, out), (code, "at the end\n"), err)

    def test_u2_an_answer_that_has_begun_goes_on_where_no_more_calls_are_taken(self):
        script = """
import sys, threading
go_on = threading.Event()
pulled = []
@httpd.get('/hang')
def hang(request):
    go_on.wait()
    return 'ok'
@httpd.get('/pours')
def pours(request):
    return (pulled.append(None) or b'8' * 65536 for _ in range(400))
httpd.route('/pulled', uhttpd.GET, lambda req: req.write(str(len(pulled))))
"""
        process = self.start(BEGIN + script + READY + "sys.stdin.readline()\ngo_on.set()\n", stdin=subprocess.PIPE)
        port = self.port(process)
        with contextlib.ExitStack() as stack:
            def ask(target):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE))
                client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                return client

            begun = ask("/pours")
            received = begun.recv(1024)
            # Until the client has as much as it takes.
            counts = [self.get(port, "/pulled")]
            while counts[-50:] != counts[-1:] * 50:
                counts.append(self.get(port, "/pulled"))
            # As many as are taken, and one that is refused.
            others = [ask("/hang") for _ in range(1100)]
            with selectors.DefaultSelector() as selector:
                for client in others:
                    selector.register(client, selectors.EVENT_READ)
                answered = [key.fileobj.recv(1024) for key, _ in selector.select(DEADLINE)]
            self.assertTrue(answered and all(answer.startswith(b"HTTP/1.1 503 ") for answer in answered), answered)
            pieces = [received]
            # All that there is without another call.
            with selectors.DefaultSelector() as selector:
                selector.register(begun, selectors.EVENT_READ)
                while selector.select(1) and (piece := begun.recv(1 << 20)):
                    pieces.append(piece)
            process.stdin.write("\n")
            process.stdin.flush()
            while piece := begun.recv(1 << 20):
                pieces.append(piece)
        received = b"".join(pieces)
        self.assertTrue(received.endswith(b"\r\n0\r\n\r\n"), received[-100:])
        self.assertGreaterEqual(received.count(b"8"), 400 * 65536)

    def test_u2_where_nobody_asks_for_the_end_callbacks_are_waited_for(self):
        script = """
import sys, threading
begun, goes_on = threading.Event(), threading.Event()
def late(request):
    begun.set()
    goes_on.wait()
    print('callback', flush=True)
httpd.route('/late', uhttpd.GET, late)
def own():
    # As long as nothing is asked for, no other end comes first.
    threading.Event().wait(8)
    print('own', flush=True)
    goes_on.set()
"""
        end = "\nbegun.wait()\nthreading.Thread(target=own).start()\nhttpd.close()\nraise SystemExit(3)"
        process = self.start(BEGIN + script + READY + end)
        with socket.create_connection(("127.0.0.1", self.port(process)), timeout=DEADLINE) as client:
            client.sendall(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(self.ended(process)[:2], (3, "own\ncallback\n"))

    def test_u2_an_exit_is_shown_and_copied_as_what_it_is(self):
        script = "import pickle, sys\ntry: sys.exit(3)\nexcept SystemExit as error: kept = pickle.loads(pickle.dumps(error))"
        process = self.start(BEGIN + READY + script + "\nprint(repr(kept), type(kept) is SystemExit)\nhttpd.close()")
        self.port(process)
        self.assertEqual(self.ended(process), (0, "SystemExit(3) True\n", ""))

    def test_u2_nobody_at_a_prompt_is_held(self):
        process = self.start(BEGIN + READY, "-i", stdin=subprocess.PIPE)
        port = self.port(process)
        self.assertEqual(self.get(port), b"ok")
        process.stdin.write("print('typed', httpd.port() > 0, flush=True)\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "typed True\n")
        process.stdin.close()
        process.stdin = None
        self.assertEqual(self.ended(process)[0], 0)

    def test_ctrl_c_reaches_the_main_thread(self):
        for wait in ("while True: x = 1", "import time\nwhile True: time.sleep(3600)", "import threading\nthreading.Event().wait()"):
            for caught in (False, True):
                with self.subTest(wait, caught=caught):
                    # Who is told the port may interrupt at once: the script tells it where it is ready for that.
                    body = "\n    ".join((READY.strip() + "\n" + wait).split("\n"))
                    handler = f"try:\n    {body}\nexcept KeyboardInterrupt:\n    print('caught', flush=True)\n    httpd.close()"
                    process = self.start(BEGIN + (handler if caught else READY + wait))
                    port = self.port(process)
                    self.assertEqual(self.get(port), b"ok")
                    process.send_signal(signal.SIGINT)
                    code, out, err = self.ended(process)
                    if caught:
                        self.assertEqual((code, out, err), (0, "caught\n", ""))
                    else:
                        self.assertNotEqual(code, 0)
                        self.assertIn("KeyboardInterrupt", err)

    def test_handlers_of_the_script_stay(self):
        script = """
import signal
def handle(*_):
    print('handled', flush=True)
    raise SystemExit
signal.signal(signal.SIGTERM, handle)
"""
        # Before the script has ended its exception would end that, and of this the interpreter tells nobody.
        when_it_waits = f"""
import os, sys, threading, time
until = time.monotonic() + {DEADLINE}
def waits():
    frame = sys._current_frames()[threading.main_thread().ident]
    while frame and (frame.f_code.co_name != 'wait' or not frame.f_code.co_filename.endswith('_signals.py')):
        frame = frame.f_back
    return frame
def tell():
    while not waits():
        if time.monotonic() > until:
            os._exit(1)
    print(httpd.port(), flush=True)
threading.Thread(target=tell, daemon=True).start()
"""
        process = self.start(script + BEGIN + when_it_waits)
        self.get(self.port(process))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), (0, "handled\n", ""))

    def test_a_server_that_is_there_has_read_the_environment(self):
        """Whoever reads it while a script changes it may find what is gone; the runtime does as it is made, with what it polls."""
        script = """
import os, number8

def link(name):
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""

servers, made = [], []
for _ in range(50):
    servers.append(number8.Server(0))
    made.append(sum("eventpoll" in link(name) for name in os.listdir("/proc/self/fd")))
print(made[0] > 0, made == sorted(set(made)), flush=True)
os._exit(0)
"""
        process = self.start(script)
        self.assertEqual(process.communicate(timeout=DEADLINE)[0], "True True\n")

    def test_a_forked_child_has_no_server(self):
        script = """
import os, sys, warnings
warnings.simplefilter('ignore')
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    try:
        httpd.route('/y', uhttpd.GET, print)
        said = 'nothing'
    except RuntimeError as error:
        said = 'RuntimeError'
    httpd.close()
    links = []
    for fd in os.listdir('/proc/self/fd'):
        try:
            links.append(os.readlink('/proc/self/fd/' + fd))
        except OSError:
            pass
    inodes = {link[8:-1] for link in links if link.startswith('socket:')}
    listening = [line.split() for name in ('tcp', 'tcp6') for line in open('/proc/net/' + name) if line.split()[3] == '0A']
    held = [line for line in listening if line[9] in inodes]
    os.write(ready[1], (said + ' ' + str(len(held)) + '\\n').encode())
    os.read(go[0], 1)
    os._exit(0)
print(os.read(ready[0], 100).decode(), end='', flush=True)
sys.stdin.readline()
httpd.close()
os.write(go[1], b'x')
os.waitpid(child, 0)
"""
        process = self.start(BEGIN + READY + script, stdin=subprocess.PIPE)
        port = self.port(process)
        self.assertEqual(process.stdout.readline(), "RuntimeError 0\n")
        self.assertEqual(self.get(port), b"ok")
        out, err = process.communicate("\n", timeout=DEADLINE)
        self.assertEqual((process.returncode, out, err), (0, "", ""))

    @begins_late
    def test_a_forked_child_ends_by_a_signal(self):
        script = """
import multiprocessing, signal, warnings
warnings.simplefilter('ignore')
def child(request):
    child = multiprocessing.get_context('fork').Process(target=signal.pause)
    child.start()
    child.terminate()
    child.join(10)
    request.write(str(child.exitcode))
    child.kill()
httpd.get('/child')(child)
"""
        process = self.start(BEGIN + script + READY)
        port = self.port(process)
        self.waits(process)
        self.assertEqual(self.get(port, "/child"), b"-15")
        process.terminate()
        self.assertEqual(self.ended(process)[0], 0)

    def test_a_forked_child_has_a_loop_of_its_own(self):
        script = """
import os, sys, warnings
warnings.simplefilter('ignore')
async def later(request):
    return 'later'
httpd.get('/later')(later)
assert httpd.test().get('/later').text == 'later'
child = os.fork()
if child == 0:
    with uhttpd.Server(0) as own:
        own.get('/later')(later)
        print(own.test().get('/later').text, flush=True)
    sys.exit(0)
print(os.waitpid(child, 0)[1], httpd.test().get('/later').text, flush=True)
httpd.close()
"""
        process = self.start(BEGIN + script)
        self.assertEqual(self.ended(process), (0, "later\n0 later\n", ""))

    def test_a_forked_child_keeps_what_has_the_descriptors_of_a_closed_server(self):
        script = """
import os, warnings
warnings.simplefilter('ignore')
httpd.close()
opened = [os.open('/dev/null', os.O_RDONLY) for _ in range(64)]
child = os.fork()
if child == 0:
    try:
        for descriptor in opened:
            os.fstat(descriptor)
        os._exit(0)
    finally:
        os._exit(1)
print(os.waitpid(child, 0)[1], flush=True)
"""
        process = self.start(BEGIN + READY + script)
        self.port(process)
        self.assertEqual(self.ended(process), (0, "0\n", ""))

    def test_a_child_that_ends_on_its_own_leaves_the_parent_alone(self):
        script = """
import os, warnings
warnings.simplefilter('ignore')
child = os.fork()
if child:
    os.waitpid(child, 0)
    print('forked', flush=True)
"""
        process = self.start(BEGIN + READY + script)
        port = self.port(process)
        self.assertEqual(process.stdout.readline(), "forked\n")
        self.assertEqual(self.get(port), b"ok")
        self.waits(process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), (0, "", ""))

    @begins_late
    def test_a_process_that_a_callback_forks_ends_with_its_own_code(self):
        script = """
import multiprocessing, sys, warnings
warnings.simplefilter('ignore')
@httpd.get('/fork')
def fork(request):
    codes = []
    for code in (0, 4):
        process = multiprocessing.get_context('fork').Process(target=sys.exit, args=(code,))
        process.start()
        process.join()
        codes.append(process.exitcode)
    return str(codes)
"""
        process = self.start(BEGIN + script + READY)
        port = self.port(process)
        self.assertEqual(self.get(port, "/fork"), b"[0, 4]")
        self.waits(process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), (0, "", ""))

    def test_programs_that_callbacks_start_get_signals(self):
        script = """
import subprocess, sys
masked = 'import signal; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))'
httpd.route('/mask', uhttpd.GET, lambda req: req.write(subprocess.check_output([sys.executable, '-c', masked])))
"""
        process = self.start(BEGIN + script + READY)
        self.assertEqual(self.get(self.port(process), "/mask"), b"[]\n")
        self.waits(process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process)[0], 0)


#: What the documentation of uhttpd shows, but for the name of the module.
EXAMPLE = """
# import the module
import number8 as uhttpd

# setup the network connection
def setup_network():
    pass

# Custom url handler
def handle_my_url(req):
    req.write('Hello World', mime='text/plain')

# Setup the server
httpd = uhttpd.Server()
#  - register the custom handler
httpd.route('/my', uhttpd.GET, handle_my_url)
#  - initialize REPL
httpd.ws('/ws', None)
#  - initialize file server
httpd.serve()
"""


class Example(Started):
    @begins_late
    def test_u2_u3_the_example_runs(self):
        # Port 80 may be somebody else's.
        before = "import number8\nports = list(number8.Server.__init__.__defaults__)\nassert ports[0] == 80\n"
        before += "number8.Server.__init__.__defaults__ = (0, *ports[1:])\n"
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "hello.txt").write_text("hello")
            process = self.start(before + EXAMPLE + READY, cwd=folder)
            port = self.port(process)
            self.assertEqual(self.get(port, "/my"), b"Hello World")
            self.assertEqual(self.get(port, "/hello.txt"), b"hello")
            self.assertIn("hello.txt", [entry["path"] for entry in json.loads(self.get(port, "/"))["list"]])
            with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/ws", open_timeout=DEADLINE) as client:
                shown = client.recv(timeout=DEADLINE)
                client.send("handle_my_url\r")
                while "<function handle_my_url" not in shown:
                    shown += client.recv(timeout=DEADLINE)
            self.assertEqual(self.get(port, "/my"), b"Hello World")
            self.waits(process)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(self.ended(process), (0, "", ""))


if __name__ == "__main__":
    unittest.main()
