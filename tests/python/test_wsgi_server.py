"""The server of those who build one by hand (row W2 of the behaviours)."""

import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import unittest

from number8.wsgi import WSGIServer, make_server

DEADLINE = 30
HERE = ("127.0.0.1", 0)

SCRIPT = """
import sys
from number8.wsgi import make_server

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, world."]

server = make_server(("127.0.0.1", 0), app)
print(server.server_port, flush=True)
METHOD
print("over", flush=True)
"""


def greet(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def get(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


class Object(unittest.TestCase):
    def test_w2_it_listens_from_the_start_and_says_where(self):
        with WSGIServer(HERE) as server:
            self.assertEqual(server.server_name, "127.0.0.1")
            self.assertGreater(server.server_port, 0)
            self.assertEqual(WSGIServer.request_queue_size, 1024)
            socket.create_connection(("127.0.0.1", server.server_port), DEADLINE).close()
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", server.server_port), DEADLINE).close()

    def test_w2_one_request_is_answered_and_the_next_waits(self):
        for threads in [0, 1, 4]:
            with self.subTest(threads=threads), make_server(HERE, greet) as server:
                server.threads = threads
                for path in ["/one", "/two", "/three"]:
                    answers = []
                    client = threading.Thread(target=lambda: answers.append(get(server.server_port, path)))
                    client.start()
                    server.handle_one_request()
                    client.join(DEADLINE)
                    self.assertEqual(answers, [path.encode()])

    def test_w2_the_application_can_be_another_one(self):
        with WSGIServer(HERE) as server:
            self.assertIsNone(server.get_app())
            with self.assertRaisesRegex(RuntimeError, "set_app"):
                server.handle_one_request()
            for name in [b"first", b"second"]:
                server.set_app(lambda environ, start: (start("200 OK", []), [name])[1])
                answers = []
                client = threading.Thread(target=lambda: answers.append(get(server.server_port)))
                client.start()
                server.handle_one_request()
                client.join(DEADLINE)
                self.assertEqual(answers, [name])

    def test_w2_what_is_no_listening_socket_is_an_error(self):
        with make_server(HERE, greet) as server:
            pass
        with self.assertRaises(OSError):
            server.serve_forever()
        read, written = os.pipe()
        try:
            from number8 import _native

            with self.assertRaisesRegex(OSError, f"descriptor {read}"):
                _native.serve_at(greet, read, threads=1, requests_max=1)
        finally:
            os.close(read)
            os.close(written)


class Script(unittest.TestCase):
    def script(self, method):
        process = self.run_python(SCRIPT.replace("METHOD", method))
        return process, int(process.stdout.readline())

    def run_python(self, text):
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", text]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_w2_the_example_of_the_documentation_serves(self):
        page = pathlib.Path(__file__).parents[2] / "docs" / "python" / "wsgi.md"
        (example,) = re.findall(r"```python\n([^`]*number8\.wsgi[^`]*)```", page.read_text())
        process = self.run_python(example.replace("8888", "0", 1))
        port = int(re.search(r"port (\d+)", process.stdout.readline())[1])
        self.assertEqual(get(port), b"Hello, world.")

    def test_w2_it_serves_until_a_signal(self):
        for number in [signal.SIGTERM, signal.SIGINT]:
            with self.subTest(number=number):
                process, port = self.script("server.serve_forever()\nserver.server_close()")
                for _ in range(3):
                    self.assertEqual(get(port), b"Hello, world.")
                process.send_signal(number)
                said, errors = process.communicate(timeout=DEADLINE)
                self.assertEqual((process.returncode, said, errors), (0, "over\n", ""))

    def test_w2_a_signal_ends_the_wait_for_one_request(self):
        loop = "while True:\n    server.handle_one_request()\n    print('one', flush=True)"
        process, port = self.script(loop)
        self.assertEqual(get(port), b"Hello, world.")
        self.assertEqual(process.stdout.readline(), "one\n")
        # It may be between two calls, where Python itself raises the same.
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE)
        self.assertIn("KeyboardInterrupt", errors)
        self.assertNotEqual(process.returncode, 0)


if __name__ == "__main__":
    unittest.main()
