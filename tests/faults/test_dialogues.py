"""A client leaves at every byte of a dialogue: by a reset, by closing, by closing its half. The server is well after each, and
has let go of all of them; what was half sent is stored nowhere."""

import contextlib
import socket
import ssl
import struct
import unittest

import harness
from harness import WAITS, Server, await_bytes, connect, reset, rest

PASSWORD = "shear8"
HOST = b"Host: localhost\r\n"
UPGRADE = (
    b"GET %s HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bnVtYmVyODg4ODg4ODg4OA==\r\n\r\n"
)
FORM = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="form.txt"\r\n\r\nhello\r\n--cut--\r\n'


def frame(opcode, payload):
    """A frame of a client, with a mask that changes nothing."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def framed(kind, flags, stream, payload):
    """A frame of HTTP/2."""
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + framed(4, 0, 0, b"")
AUTHORITY = b"\x41\x09localhost"


# What a client sends, and what it waits for before it goes on.
DIALOGUES = {
    "get": [(b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n", b"hello, world\n")],
    "keep-alive": [
        (b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"\r\n", b"hello, world\n"),
        (b"HEAD /big.bin HTTP/1.1\r\n" + HOST + b"\r\n", b"\r\n\r\n"),
        (b"GET /missing HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", b" 404 "),
    ],
    "pipelined": [(b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"\r\nGET /plain/one.txt HTTP/1.1\r\n" + HOST + b"\r\n", b"one")],
    "range": [(b"GET /big.bin HTTP/1.1\r\n" + HOST + b"Range: bytes=7-11,100-\r\n\r\n", b" 206 ")],
    "upload": [(b"PUT /cut/sized HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\n0123456789", b" 201 ")],
    "chunked": [
        (
            b"PUT /cut/chunked HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
            b"5\r\n01234\r\n5;a=b\r\n56789\r\n0\r\nX-Trailer: a\r\n\r\n",
            b" 201 ",
        )
    ],
    "expect": [
        (b"PUT /cut/expected HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", b" 100 "),
        (b"01234", b" 201 "),
    ],
    "form": [
        (
            b"POST /cut/ HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; boundary=cut\r\n"
            b"Content-Length: %d\r\n\r\n" % len(FORM) + FORM,
            b" 201 ",
        )
    ],
    "events": [(b"GET /events HTTP/1.1\r\n" + HOST + b"Last-Event-ID: 1\r\n\r\n", b"\r\n\r\n")],
    "event": [(b"POST /events?event=a HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello", b" 200 ")],
    "websocket": [
        (UPGRADE % b"/.number8/repl", b" 101 "),
        (frame(1, b'{"resize":[80,24]}') + frame(2, b"hello") + frame(9, b"ping"), b"\x8a\x04ping"),
        (frame(8, struct.pack("!H", 1000)), b"\x88\x02\x03\xe8"),
    ],
    "http2": [
        (PREFACE + framed(1, 5, 1, b"\x82\x86\x44\x0a/hello.txt" + AUTHORITY), b"hello, world\n"),
        (framed(1, 1, 3, b"\x82\x86\x44\x07/events") + framed(9, 4, 3, AUTHORITY), framed(1, 4, 3, b"")[3:]),
        (framed(3, 0, 3, struct.pack("!I", 8)) + framed(6, 0, 0, b"the end."), framed(6, 1, 0, b"the end.")),
    ],
    "http2 upload": [
        (
            PREFACE + framed(1, 4, 1, b"\x42\x03PUT\x86\x44\x0b/cut/framed" + AUTHORITY)
            + framed(0, 0, 1, b"01234") + framed(0, 8, 1, b"\x0256\0\0") + framed(0, 1, 1, b"789"),
            framed(1, 5, 1, b"")[3:],
        )
    ],
    "webrepl": [
        (UPGRADE % b"/", b"Password: "),
        (frame(1, PASSWORD.encode() + b"\r"), b"WebREPL connected"),
        (frame(2, struct.pack("<2sBBQLH64s", b"WA", 1, 0, 0, 5, 10, b"cut/webrep")), b"WB\0\0"),
        (frame(2, b"01234"), b"WB\0\0"),
    ],
}


def close(client):
    client.close()


def half_close(client):
    """The server ends what it cannot finish, without waiting for its time-outs; what it can finish it answers."""
    with contextlib.suppress(OSError):  # it may have reset the connection already
        client.shutdown(socket.SHUT_WR)
    rest(client)
    client.close()


def trusting():
    """What a client that asks nobody who the server is does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Secured(Server):
    """The command behind TLS, asked for its health by it."""

    scheme = "https"

    def healthy(self):
        self.lives()
        with connect(self.port) as client, trusting().wrap_socket(client) as secured:
            secured.sendall(harness.HEALTH)
            assert rest(secured).startswith(b"HTTP/1.1 200 "), self.words()


class Dialogues(unittest.TestCase):
    def setUp(self):
        temporary, self.root, _ = harness.number8.folder()
        self.enterContext(temporary)
        (self.root / "cut").mkdir()
        self.server = self.enterContext(
            Server(
                self.root, "--auth", "@/:all", "--auth", f"joe:{PASSWORD}@/:all", "--repl=cat", "--webrepl=127.0.0.1:0",
                "--webrepl-password", f"joe:{PASSWORD}", "--webrepl-waiting-per-ip", "32", "--events", "/events",
                "--log", "off", "--min-body-rate", "0", *WAITS,
            )
        )  # fmt: skip
        # Where to log in is told first.
        while (line := self.server.said.get(timeout=harness.DEADLINE)).rstrip().endswith("/login"):
            pass
        self.webrepl = int(line.strip().rstrip("/").rsplit(":", 1)[1])
        # The program of the terminal starts when somebody looks; afterwards it is there.
        with connect(self.server.port) as client:
            client.sendall(UPGRADE % b"/.number8/repl" + frame(2, b"here\r"))
            await_bytes(client, b"here\r\n")

    def stored(self):
        return {path.name for path in (self.root / "cut").iterdir()}

    def play(self, name, length, leave):
        """Sends so many bytes of a dialogue and leaves."""
        with connect(self.webrepl if name == "webrepl" else self.server.port) as client:
            for sent, awaited in DIALOGUES[name]:
                client.sendall(sent[:length])
                if length < len(sent):
                    break
                length -= len(sent)
                await_bytes(client, awaited)
            leave(client)

    def test_g1_clients_leave_at_every_byte(self):
        dice = harness.chance(self)
        count = 0
        for name, steps in DIALOGUES.items():
            whole = sum(len(sent) for sent, _ in steps)
            self.play(name, whole, reset)
            for path in (self.root / "cut").iterdir():
                path.unlink()
            before = self.server.at_rest()
            lengths = range(whole) if harness.ROUNDS >= whole else sorted(dice.sample(range(whole), harness.ROUNDS))
            for leave in (reset, close, half_close):
                for length in lengths:
                    with self.subTest(name, length=length, leave=leave.__name__):
                        self.play(name, length, leave)
                count += len(lengths)
            with self.subTest(name):
                self.server.settled(before)
                self.assertEqual(self.stored(), set())
        print(f"{count} clients have left", flush=True)

    def test_g5_clients_leave_at_every_byte_of_tls(self):
        """The greeting, and what a client sends when it has heard the server's: the end of the handshake, with a request."""
        pair = harness.number8.REPOSITORY / "crates/number8/tests/tls"
        server = self.enterContext(
            Secured(self.root, "--tls-cert", pair / "cert.pem", "--tls-key", pair / "key.pem", "--log", "off", *WAITS)
        )
        dice = harness.chance(self)
        greeting, rest_of_it = self.leave_tls(server, 1 << 20, 1 << 20, reset)
        before = server.at_rest()
        lengths = [(length, 0) for length in range(greeting)] + [(greeting, length) for length in range(rest_of_it)]
        if harness.ROUNDS < len(lengths):
            lengths = sorted(dice.sample(lengths, harness.ROUNDS))
        for leave in (reset, close, half_close):
            for first, second in lengths:
                with self.subTest(first=first, second=second, leave=leave.__name__):
                    self.leave_tls(server, first, second, leave)
        server.settled(before)

    def leave_tls(self, server, first, second, leave):
        """Sends so many bytes of the greeting, then of the rest; returns how many there are of each."""
        with connect(server.port) as client:
            received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = trusting().wrap_bio(received, sent, server_hostname="localhost")
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            greeting, rest_of_it = sent.read(), b""
            client.sendall(greeting[:first])
            if first >= len(greeting):
                while True:
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        received.write(client.recv(1 << 16))
                tls.write(DIALOGUES["get"][0][0])
                rest_of_it = sent.read()
                client.sendall(rest_of_it[:second])
            leave(client)
            return len(greeting), len(rest_of_it)

    def test_g1_clients_leave_at_any_byte_of_an_answer(self):
        dice = harness.chance(self)
        sent = b"GET /big.bin HTTP/1.1\r\n" + HOST + b"\r\n"
        for _ in range(3):
            self.read_some(sent, 100_000)
        before = self.server.at_rest()
        for _ in range(harness.ROUNDS):
            self.read_some(sent, dice.choice([0, 1, dice.randrange(400), dice.randrange(3 << 20)]))
        self.server.settled(before)

    def read_some(self, sent, length):
        with connect(self.server.port) as client:
            client.sendall(sent)
            while length > 0 and (data := client.recv(min(length, 1 << 16))):
                length -= len(data)
            reset(client)

    def test_f9_uploads_cut_anywhere_change_nothing(self):
        dice = harness.chance(self)
        old = dice.randbytes(50_000)
        (self.root / "old").write_bytes(old)
        new = dice.randbytes(1_500_000)
        kinds = [
            [b"PUT /old HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(new), new],
            [b"PUT /old HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % len(new), new, b"\r\n0\r\n"],
            [
                b"POST / HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; boundary=cut\r\n",
                b"Content-Length: %d\r\n\r\n" % (len(new) + 100),
                b'--cut\r\nContent-Disposition: form-data; name="file"; filename="old"\r\n\r\n' + new,
            ],
        ]
        names = sorted(path.name for path in self.root.iterdir())
        for kind in kinds:
            self.cut(b"".join(kind)[:-10], reset)
        before = self.server.at_rest()
        for _ in range(harness.ROUNDS):
            sent = b"".join(dice.choice(kinds))
            self.cut(sent[: dice.randrange(len(sent))], dice.choice([reset, close, half_close]))
        self.server.settled(before)
        self.assertEqual((self.root / "old").read_bytes(), old)
        self.assertEqual(sorted(path.name for path in self.root.iterdir()), names)

    def cut(self, sent, leave):
        with connect(self.server.port) as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(sent)
            leave(client)


if __name__ == "__main__":
    unittest.main()
