"""WebSockets of ASGI applications, by raw frames."""

import json
import signal
import socket
import unittest

from test_asgi import Answer, Hosted, ask, connect, rest, until

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


def asked(server, path, *fields):
    """A connection that has asked for a WebSocket."""
    upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", KEY]
    connection = connect(server)
    connection.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: farm.test", *upgrade, *fields, "", ""]).encode())
    return connection


def opened(server, path, *fields):
    """A connection that talks WebSocket, and the head of its answer."""
    connection = asked(server, path, *fields)
    return connection, until(connection, b"\r\n\r\n")


def frame(kind, content=b""):
    """A client's frame: kind 1 is text, 2 bytes, 8 a close."""
    key = b"\1\2\3\4"
    length = len(content)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return bytes([0x80 | kind]) + size + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(content))


def heard(kind, content=b""):
    """A server's frame."""
    length = len(content)
    size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
    return bytes([0x80 | kind]) + size + content


def close(code, reason=b""):
    return code.to_bytes(2, "big") + reason


class WebSocket(Hosted):
    app = "asgi_websocket_app:app"

    def test_d4_messages_go_to_and_fro(self):
        for server in self.servers():
            connection, head = opened(server, "/echo")
            with connection:
                self.assertTrue(head.startswith(b"HTTP/1.1 101 "), head)
                self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)
                for kind, content in [(1, "h\xe9llo".encode()), (2, b"\0\xff"), (1, b""), (2, b""), (2, b"8" * 60_000)]:
                    connection.sendall(frame(kind, content))
                    until(connection, heard(kind, content))
                connection.sendall(frame(9, b"ping"))
                until(connection, heard(10, b"ping"))
                connection.sendall(frame(8, close(1000)))
                self.assertEqual(rest(connection), heard(8, close(1000)))

    def test_d4_a_message_has_at_most_so_many_bytes(self):
        for server in self.servers(max_message=1000):
            connection, _ = opened(server, "/echo")
            with connection:
                connection.sendall(frame(2, b"8" * 1000))
                until(connection, heard(2, b"8" * 1000))
                connection.sendall(frame(2, b"8" * 1001))
                self.assertEqual(rest(connection)[2:4], (1009).to_bytes(2, "big"))

    def test_d4_a_silent_client_is_asked_whether_it_is_there(self):
        for server in self.servers(websocket_ping=0.05):
            connection, _ = opened(server, "/echo")
            with connection:
                # It is asked, says nothing, and counts as gone.
                self.assertTrue(until(connection, heard(9)))
                rest(connection)

    def test_d4_the_scope_says_all_of_it(self):
        for server in self.servers():
            fields = ["Sec-WebSocket-Protocol: chat, news", "Origin: http://elsewhere.example"]
            connection, head = opened(server, "/told?x=1", *fields)
            with connection:
                port = connection.getsockname()[1]
                self.assertIn(b"Sec-WebSocket-Protocol: chat\r\n", head)
                self.assertIn(b"x-one: 1\r\nx-one: 2\r\n", head)
                scope = json.loads(rest(connection)[4:].partition(b"\x88")[0])
            self.assertEqual(
                scope,
                {
                    "type": "websocket",
                    "asgi": {"version": "3.0", "spec_version": "2.5"},
                    "http_version": "1.1",
                    "scheme": "ws",
                    "path": "/told",
                    "raw_path": "/told",
                    "query_string": "x=1",
                    "root_path": "",
                    "headers": 7,
                    "client": ["127.0.0.1", port],
                    "server": ["127.0.0.1", server.port],
                    "subprotocols": ["chat", "news"],
                    "extensions": {"websocket.http.response": {}},
                    "state": {},
                },
            )

    def test_d4_an_application_may_refuse(self):
        cases = [("/refuses", 403, None), ("/silent", 500, None), ("/fails-early", 500, None)]
        for server in self.servers():
            for path, status, _ in cases:
                with self.subTest(path), asked(server, path, "Connection: close") as connection:
                    answer = Answer(rest(connection))
                    self.assertEqual(answer.status, status)
                    self.assertNotIn(b"secret", answer.wire)
            with asked(server, "/refuses-in-words", "Connection: close") as connection:
                answer = Answer(rest(connection))
            self.assertEqual((answer.status, answer.content, answer.headers["x-why"]), (402, b"pay first", "money"))

    def test_d4_a_request_that_opens_none_does_not_reach_the_application(self):
        for server in self.servers():
            with connect(server) as connection:
                lines = ["GET /echo HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade, close", KEY, "", ""]
                connection.sendall("\r\n".join(lines).encode())
                answer = Answer(rest(connection))
                self.assertEqual((answer.status, answer.headers["Sec-WebSocket-Version"]), (426, "13"))

    def test_d4_the_end_of_an_application_closes(self):
        cases = [
            ("/returns", heard(1, b"that was all") + heard(8, close(1000))),
            ("/fails-late", heard(8, close(1011))),
            ("/closes", heard(1, b"before") + heard(8, close(4001, b"enough"))),
        ]
        for server in self.servers():
            for path, said in cases:
                with self.subTest(path):
                    connection, _ = opened(server, path)
                    with connection:
                        self.assertEqual(rest(connection), said)
            server.wait_for("KeyError: 'a secret'")
            self.assertEqual(server.log.count("Traceback"), 1, server.log)

    def test_d4_the_application_learns_how_it_was_closed(self):
        cases = [
            ("reason", frame(8, close(4000, b"why")), 4000, "why"),
            ("code", frame(8, close(1001)), 1001, ""),
            ("nothing", frame(8), 1005, ""),
            ("fault", b"\x81\x01x", 1002, None),
            ("lost", None, 1006, ""),
        ]
        for server in self.servers():
            for name, said, code, reason in cases:
                with self.subTest(name):
                    connection, _ = opened(server, f"/ends?{name}")
                    if said is not None:
                        connection.sendall(said)
                        rest(connection)
                    connection.close()
                    message, error = ask(server, f"/ended?{name}").json
                    self.assertEqual((message["type"], message["code"]), ("websocket.disconnect", code))
                    if reason is not None:
                        self.assertEqual(message["reason"], reason)
                    self.assertEqual(error, "ClientDisconnected")

    def test_d4_who_leaves_before_the_decision_has_left(self):
        for server in self.servers():
            asked(server, "/waits").close()
            message, _ = ask(server, "/ended?waits").json
            self.assertEqual(message, {"type": "websocket.disconnect", "code": 1006, "reason": ""})

    def test_d4_who_leaves_before_the_decision_leaves_no_connection_behind(self):
        for server in self.servers():
            for what in "accept", "body":
                with self.subTest(what), asked(server, f"/watches?{what}") as connection:
                    # It still reads.
                    connection.shutdown(socket.SHUT_WR)
                    self.assertEqual(Answer(rest(connection)).status, 403)
                    self.assertEqual(ask(server, f"/ended?watches-{what}").json, [None, "ClientDisconnected"])
            server.stop()
            self.assertNotIn("Traceback", server.log)

    def test_d4_who_listens_before_it_accepts_hears_all(self):
        for server in self.servers():
            connection, _ = opened(server, "/listens")
            with connection:
                for text in b"one", b"two":
                    connection.sendall(frame(1, text))
                    until(connection, heard(1, text))
                connection.sendall(frame(8, close(4000, b"why")))
                message, _ = ask(server, "/ended?listens").json
                self.assertEqual(message, {"type": "websocket.disconnect", "code": 4000, "reason": "why"})

    def test_d4_who_accepts_twice_has_a_connection_still(self):
        for server in self.servers():
            connection, _ = opened(server, "/accepts-twice")
            with connection:
                self.assertEqual(rest(connection), heard(1, b"still here") + heard(8, close(1000)))

    def test_d4_a_client_that_is_behind_is_waited_for(self):
        for server in self.servers():
            connection, _ = opened(server, "/floods")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            with connection:
                sent = int(ask(server, "/flood").content)
                self.assertLess(sent, 800, "what the system takes, and a window")
                self.assertEqual(len(rest(connection)), 800 * 10_004 + 4, server.log)

    def test_d4_mistakes_are_errors_of_the_application(self):
        cases = {
            "send-first": "RuntimeError",
            "accept-twice": "RuntimeError",
            "both": "TypeError",
            "neither": "TypeError",
            "not-offered": "ValueError",
            "protocol-header": "ValueError",
            "crlf": "ValueError",
            "bad-code": "ValueError",
            "http": "RuntimeError",
            "refuse-late": "RuntimeError",
            "body-first": "RuntimeError",
            "close-twice": "RuntimeError",
        }
        for server in self.servers():
            for name, error in cases.items():
                with self.subTest(name), asked(server, f"/{name}?{name}", "Sec-WebSocket-Protocol: chat"):
                    self.assertEqual(ask(server, f"/ended?{name}").json, f"wrong {error}")

    def test_d4_the_end_of_the_server_closes(self):
        for server in self.servers():
            connection, _ = opened(server, "/echo")
            with connection:
                server.send(signal.SIGTERM)
                self.assertEqual(rest(connection), heard(8, close(1001)))
            self.assertEqual(server.wait(), 0)
            self.assertNotIn("Traceback", server.log)


if __name__ == "__main__":
    unittest.main()
