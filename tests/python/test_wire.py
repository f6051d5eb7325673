"""The server of number 8 wire (rows N2 to N9 and N14 of the behaviours)."""

import contextlib
import http.client
import importlib.metadata
import io
import signal
import socket
import subprocess
import sys
import threading
import unittest
import unittest.mock

import number8
from number8 import wire

DEADLINE = 20

# A shell has what it runs in the background ignore SIGINT, and programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Wire(unittest.TestCase):
    def serve(self, server):
        """Serves on a thread until the test is over; what was printed first."""
        said, printed = io.StringIO(), threading.Event()

        class Out(io.StringIO):
            def write(self, text):
                said.write(text)
                if "\n" in text:
                    printed.set()
                return len(text)

        def run():
            server.serve()

        with contextlib.redirect_stdout(Out()):
            thread = threading.Thread(target=run)
            thread.start()
            self.addCleanup(thread.join, DEADLINE)
            self.addCleanup(server.close)
            self.assertTrue(printed.wait(DEADLINE))
        return said.getvalue()

    def ask(self, port, method, target, body=None, host="127.0.0.1"):
        connection = http.client.HTTPConnection(host, port, timeout=DEADLINE)
        try:
            connection.request(method, target, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def test_n2_n4_functions_answer(self):
        server = wire.Server("127.0.0.1", 0)

        @server.get("/")
        def hello(request):
            return "Hello, world."

        @server.post("/songs/{id}")
        def song(request, id: int):
            return {"id": id, "title": request.read().decode()}

        @server.route("/both", methods=["GET", "PUT"])
        def both(request):
            return "both"

        @server.error(404)
        def missing(request):
            return "nothing here"

        self.serve(server)
        port = server.port
        self.assertEqual(self.ask(port, "GET", "/"), (200, b"Hello, world."))
        self.assertEqual(self.ask(port, "POST", "/songs/8", b"Baa"), (200, b'{"id": 8, "title": "Baa"}'))
        self.assertEqual(self.ask(port, "PUT", "/both", b""), (200, b"both"))
        self.assertEqual(self.ask(port, "GET", "/x"), (404, b"nothing here"))

    def test_n4_n6_n8_an_address_is_empty_a_name_or_a_literal(self):
        for address, hosts in [("", ["127.0.0.1"]), ("localhost", ["127.0.0.1"]), ("127.0.0.1", ["127.0.0.1"])]:
            with self.subTest(address):
                server = wire.Server(address, 0)
                said = self.serve(server)
                self.assertEqual(said, f"Listening to {address}:{server.port}\n")
                for host in hosts:
                    self.assertEqual(self.ask(server.port, "GET", "/any", host=host), (200, b"Hello, world."))
                server.close()
        self.assertRaises(OSError, wire.Server("no.such.name.invalid", 0).serve)

    def test_n3_it_needs_no_other_package(self):
        needed = importlib.metadata.requires("number8") or []
        self.assertEqual([name for name in needed if "extra ==" not in name], [])

    def test_n9_a_server_without_functions_says_hello_and_ends_for_clients_of_1_0(self):
        server = wire.Server("127.0.0.1", 0)
        self.serve(server)
        for target in (b"/", b"/any?thing"):
            with self.subTest(target), socket.create_connection(("127.0.0.1", server.port), DEADLINE) as client:
                client.sendall(b"GET %s HTTP/1.0\r\n\r\n" % target)
                head, _, content = b"".join(iter(lambda: client.recv(4096), b"")).partition(b"\r\n\r\n")
                self.assertEqual(head.split(b" ")[1], b"200")
                self.assertIn(b"content-type: text/plain", head.lower())
                self.assertEqual(content, b"Hello, world.")

    def test_n5_the_port_can_be_had_again_at_once(self):
        first = wire.Server("127.0.0.1", 0)
        self.serve(first)
        port = first.port
        self.ask(port, "GET", "/")
        first.close()
        second = wire.Server("127.0.0.1", port)
        self.serve(second)
        self.assertEqual(self.ask(port, "GET", "/")[0], 200)

    def test_n2_the_first_request_may_close_it(self):
        server = wire.Server("127.0.0.1", 0)

        @server.get("/stop")
        def stop(request):
            server.close()
            return "stopped"

        answers, start = [], number8.Server._start

        def started(serving, *more):
            start(serving, *more)
            answers.append(self.ask(serving.port(), "GET", "/stop"))

        with unittest.mock.patch.object(wire._Serving, "_start", started), contextlib.redirect_stdout(io.StringIO()):
            serving = threading.Thread(target=server.serve, daemon=True)
            serving.start()
            serving.join(DEADLINE)
        self.assertFalse(serving.is_alive())
        self.assertEqual(answers, [(200, b"stopped")])

    def test_n2_nothing_is_answered_before_all_functions_are_there(self):
        server = wire.Server("127.0.0.1", 0)
        server.before(lambda request: ("refused", 403))
        server.get("/secret")(lambda request: "secret")
        serves, add_before = [], number8.Server._add_before

        def told(serving, function):
            serves.append(serving._is_running())
            add_before(serving, function)

        with unittest.mock.patch.object(number8.Server, "_add_before", told):
            self.serve(server)
        self.assertEqual(serves, [False])
        self.assertEqual(self.ask(server.port, "GET", "/secret"), (403, b"refused"))

    def test_n7_many_may_wait(self):
        server = wire.Server("127.0.0.1", 0)
        self.serve(server)
        clients = [socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) for _ in range(64)]
        for client in clients:
            self.addCleanup(client.close)
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        self.assertTrue(all(client.recv(1024).startswith(b"HTTP/1.1 200") for client in clients))

    def test_n12_n14_no_client_ends_it(self):
        server = wire.Server("127.0.0.1", 0)

        @server.get("/fail")
        def fail(request):
            raise SystemExit(1)

        self.serve(server)
        for garbage in (b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000):
            with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as client:
                client.sendall(garbage)
        self.assertEqual(self.ask(server.port, "GET", "/fail")[0], 500)
        self.assertEqual(self.ask(server.port, "GET", "/x")[0], 404)

    def test_n4_n8_a_script_serves_until_a_signal(self):
        script = "from number8.wire import Server\nServer('127.0.0.1', 0).serve()\nprint('over')"
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name):
                command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
                process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                self.addCleanup(process.kill)
                line = process.stdout.readline()
                self.assertRegex(line, r"^Listening to 127\.0\.0\.1:\d+\n$")
                self.assertEqual(self.ask(int(line.rpartition(":")[2]), "GET", "/"), (200, b"Hello, world."))
                process.send_signal(number)
                self.assertEqual((*process.communicate(timeout=DEADLINE), process.returncode), ("over\n", "", 0))


if __name__ == "__main__":
    unittest.main()
