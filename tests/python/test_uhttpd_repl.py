"""uhttpd's REPL: this very interpreter on a WebSocket, for the clients of WebREPL (row U32)."""

import __main__
import base64
import os
import pathlib
import socket
import struct
import sys
import tempfile
import threading
import unittest

import number8
import websockets.sync.client
from uhttpd import DEADLINE, Case
from webrepl import Webrepl

CONNECTED = "\r\nWebREPL connected\r\n>>> "


class Client:
    """A client that keeps to the standard."""

    def __init__(self, server, path="/ws", **kwargs):
        url = f"ws://127.0.0.1:{server.port()}{path}"
        connecting = websockets.sync.client.connect(url, open_timeout=DEADLINE, close_timeout=1, **kwargs)
        self.socket = connecting.__enter__()

    def until(self, end):
        shown = ""
        while not shown.endswith(end):
            message = self.socket.recv(timeout=DEADLINE)
            shown += message if isinstance(message, str) else message.decode()
        return shown

    def type(self, keys, end=">>> "):
        self.socket.send(keys)
        return self.until(end)


class Typed(Case):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name) / "root"
        self.root.mkdir()
        self.server = self.serve(root=self.root)

    def client(self, **kwargs):
        client = Client(self.server, **kwargs)
        self.addCleanup(client.socket.close)
        return client

    def test_u32_it_is_this_interpreter(self):
        self.server.ws("/ws", None)
        __main__.value_of_a_test = 8
        client = self.client()
        self.assertEqual(client.until(">>> "), CONNECTED)
        self.assertIn("\r\n64\r\n", client.type("value_of_a_test ** 2\r"))
        self.assertIn(f"\r\n{os.getpid()}\r\n", client.type("import os; print(os.getpid())\r"))
        client.type("value_of_a_test = 9\r")
        self.assertEqual(__main__.value_of_a_test, 9)
        self.assertIn("ZeroDivisionError", client.type("1 / 0\r"))
        self.assertIn("\r\nnumber8-repl\r\n", client.type("import threading; print(threading.current_thread().name)\r"))
        client.type("for n in range(3):\r", "... ")
        client.type("    print('n', n)\r", "... ")
        self.assertIn("n 0\r\nn 1\r\nn 2\r\n", client.type("\r"))

    def test_u32_input_reads_keys(self):
        self.server.ws("/ws", None)
        client = self.client()
        client.until(">>> ")
        client.type("name = input('who? ')\r", "who? ")
        client.type("joe\r")
        self.assertIn("'joe'", client.type("name\r"))

    def test_u32_what_others_print_stays_with_them(self):
        self.server.ws("/ws", None)
        client = self.client()
        client.until(">>> ")
        usual = sys.stdout
        done = threading.Event()
        self.server.route("/x", number8.GET, lambda request: (request.write(type(sys.stdout).__name__), done.set()))
        self.ask(self.server, "GET", "/x")
        self.assertTrue(done.is_set())
        self.assertNotIn("other", client.type("import sys; _ = sys.stdout.write('mine')\r"))
        client.socket.close()
        self.server.close()
        for thread in threading.enumerate():
            if thread.name == "number8-repl":
                thread.join(DEADLINE)
        self.assertIsNot(sys.stdout, None)
        self.assertEqual(type(sys.stdout), type(getattr(usual, "_usual", usual)))

    def test_u32_ctrl_c_interrupts_a_loop(self):
        self.server.ws("/ws", None)
        client = self.client()
        client.until(">>> ")
        client.type("print('begun')\nwhile True: pass\r".replace("\n", "\r"), "... ")
        client.type("\r", "\r\n")
        self.assertIn("KeyboardInterrupt", client.type("\x03"))
        self.assertIn("\r\n2\r\n", client.type("1 + 1\r"))

    def test_u32_raw_repl(self):
        self.server.ws("/ws", None)
        client = self.client()
        client.until(">>> ")
        client.type("\x01", "raw REPL; CTRL-B to exit\r\n>")
        self.assertEqual(client.type("print('raw')\x04", "\x04>"), "OKraw\r\n\x04\x04>")
        answer = client.type("raise ValueError('why')\x04", "\x04>")
        self.assertIn("ValueError: why", answer)
        self.assertTrue(answer.startswith("OK\x04"))
        client.type("\x04", "raw REPL; CTRL-B to exit\r\n>")
        client.type("\x02")

    def test_u32_a_password_is_asked_for(self):
        self.server.ws(b"/ws", b"shear8")
        client = self.client()
        self.assertEqual(client.until("Password: "), "Password: ")
        self.assertEqual(client.type("shear8\r"), CONNECTED)
        self.assertIn("\r\n2\r\n", client.type("1 + 1\r"))
        client.socket.close()
        wrong = self.client()
        wrong.until("Password: ")
        self.assertEqual(wrong.type("wrong\r", "denied\r\n"), "\r\nAccess denied\r\n")
        self.assertRaises(websockets.exceptions.ConnectionClosed, wrong.socket.recv, timeout=DEADLINE)

    def test_u32_files_are_put_and_got_below_the_root(self):
        self.server.ws("/", "shear8")
        client = Webrepl(host="127.0.0.1", port=self.server.port(), password="shear8")
        self.addCleanup(client.disconnect)
        content = bytes(range(256)) * 300
        local = self.root.parent / "local.bin"
        local.write_bytes(content)
        client.put_file(str(local), "/lib/remote.bin")
        self.assertEqual((self.root / "lib/remote.bin").read_bytes(), content)
        self.assertEqual(client.get_file_content("lib/remote.bin"), content)
        for missing in ("missing", "../local.bin", "/../local.bin"):
            with self.assertRaises(AssertionError):
                client.get_file_content(missing)
        self.assertEqual(client.get_file_content("lib/remote.bin"), content)

    def test_u32_one_session_at_a_time(self):
        self.server.ws("/ws", None)
        client = self.client()
        client.until(">>> ")
        with self.assertRaises(websockets.exceptions.InvalidStatus):
            self.client()
        client.socket.close()
        # The place is free once the server has seen it go.
        while True:
            try:
                second = self.client()
                break
            except websockets.exceptions.InvalidStatus:
                pass
        self.assertEqual(second.until(">>> "), CONNECTED)

    def test_u32_what_its_clients_send(self):
        self.server.ws("/ws", None)
        port = self.server.port()
        cases = [
            ("foreign Host", "Host: micropython.example", 101),
            ("no version", f"Host: 127.0.0.1:{port}", 101),
            ("own Origin", f"Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}", 101),
            ("foreign Origin", f"Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example", 403),
        ]
        for name, fields, status in cases:
            with self.subTest(name), socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
                key = base64.b64encode(b"foo").decode()
                head = f"GET /ws HTTP/1.1\r\n{fields}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n\r\n"
                client.sendall(head.encode())
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += client.recv(4096)
                self.assertEqual(answer[9:12].decode(), str(status))
                if status == 101:
                    while b">>> " not in answer:
                        answer += client.recv(4096)
                    keys = b"'un' + 'masked'\r"
                    client.sendall(struct.pack("BB", 0x81, len(keys)) + keys)
                    while b"unmasked" not in answer:
                        answer += client.recv(4096)
            self.wait_until_free()

    def wait_until_free(self):
        while True:
            try:
                client = self.client()
                client.until(">>> ")
                client.socket.close()
                return
            except websockets.exceptions.InvalidStatus:
                pass

    def test_u32_there_is_one_for_all_servers(self):
        self.server.ws("/ws", None)
        other = self.serve()
        for server in (self.server, other):
            self.assertRaises(RuntimeError, server.ws, "/again", None)
        self.server.close()
        other.ws("/ws", None)

    def test_u32_mistakes_are_errors(self):
        for arguments in [("ws", None), ("/w*", None), ("/ws", "")]:
            with self.subTest(arguments):
                self.assertRaises(ValueError, self.server.ws, *arguments)
        self.assertRaises(TypeError, self.server.ws, "/ws", 8)
        limited = self.serve(routes=1)
        self.assertRaises(ValueError, limited.ws, "/ws", None)
        self.server.ws("/ws", None)

    def test_u32_authentication_of_the_server_comes_first(self):
        server = self.serve(acl=number8.AUTH_BASIC, auth=b"Basic eDp5", root=self.root)
        server.ws("/ws", None)
        with self.assertRaises(websockets.exceptions.InvalidStatus):
            Client(server)
        client = Client(server, additional_headers={"Authorization": "Basic eDp5"})
        self.addCleanup(client.socket.close)
        client.until(">>> ")


if __name__ == "__main__":
    unittest.main()
