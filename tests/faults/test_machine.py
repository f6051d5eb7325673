"""What the machine does to a server: a full disk, no descriptors, no memory, a clock that jumps."""

import contextlib
import glob
import itertools
import os
import pathlib
import resource
import tempfile
import unittest

import harness
from harness import Server, ask, connect, mounted, reset, rest, until

HELLO = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
DELETE = b"DELETE /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CHUNKED = b"PUT /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
DISK_BYTES = 8 << 20
FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)


def put(path, data, length=None):
    head = b"PUT %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    return head % (path, len(data) if length is None else length) + data


def status(answer):
    return int(answer.split(b" ")[1]) if answer else None


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


# The preface of HTTP/2, and windows of 0 (RFC 9113 §3.4, §6.5.2).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"\0\4\0\0\0\0")


def get_by_http2(stream, path):
    """A request in one frame: GET and http of the static table, the others as literals (RFC 7541 §6.1, §6.2.2)."""
    literal = b"\x04" + bytes([len(path)]) + path + b"\x01" + bytes([9]) + b"localhost"
    return frame(1, 0x5, stream, b"\x82\x86" + literal)


def seen_by_http2(client, answers):
    """The status codes of so many answers."""
    codes, received = [], b""
    while len(codes) < answers:
        while len(received) < 9 or len(received) < 9 + int.from_bytes(received[:3], "big"):
            more = client.recv(65536)
            assert more, "the connection has ended"
            received += more
        length, kind = int.from_bytes(received[:3], "big"), received[3]
        payload, received = received[9 : 9 + length], received[9 + length :]
        if kind == 1:
            # 200 stands in the static table (RFC 7541 Appendix A); nothing else is expected than 503.
            codes.append(200 if payload[0] == 0x88 else 503)
    return codes


class Machine(unittest.TestCase):
    def folder(self):
        temporary, root, _ = harness.number8.folder()
        self.enterContext(temporary)
        return root

    def test_f9_a_full_disk(self):
        dice = harness.chance(self)
        root = self.enterContext(mounted("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs"))
        if root is None:
            self.skipTest("disks cannot be mounted here")
        (root / "hello.txt").write_bytes(b"hello, world\n")
        old = dice.randbytes(10_000)
        (root / "old").write_bytes(old)
        # The log is on the full disk, too: that it cannot be written stops nobody.
        options = "-A", "--keep-free", "0", "--log", "combined", "--log-file", root / "access.log"
        with Server(root, *options) as server:
            before = server.at_rest()
            refused = 0
            for number in itertools.count():
                if number >= harness.ROUNDS and refused:
                    break
                data = dice.randbytes(dice.randrange(1, DISK_BYTES // 2))
                path = dice.choice([b"old", b"new%d" % number])
                whole = CHUNKED % path + b"%x\r\n" % len(data) + data + b"\r\n0\r\n\r\n"
                with connect(server.port) as client:
                    with contextlib.suppress(OSError):  # it need not take what it has refused
                        client.sendall(dice.choice([whole, put(b"/" + path, data)]))
                    code = status(rest(client))
                name = path.decode()
                if code in (201, 204):
                    self.assertEqual((root / name).read_bytes(), data)
                    old = data if name == "old" else old
                else:
                    refused += 1
                    self.assertIn(code, (507, None), f"round {number}")
                self.assertEqual((root / "old").read_bytes(), old)
                self.assertEqual([entry for entry in os.listdir(root) if entry.startswith(".")], [])
                self.assertTrue(ask(server.port, HELLO).endswith(b"hello, world\n"))
            for path in root.glob("new*"):
                gone = ask(server.port, DELETE % path.name.encode())
                self.assertEqual(status(gone), 204)
            # As soon as there is room, it is used.
            self.assertEqual(status(ask(server.port, put(b"/after", b"after"))), 201)
            server.settled(before)

    def test_w10_out_of_descriptors(self):
        root = self.folder()
        server = self.enterContext(Server(root, "-A", "--log", "off"))
        before = server.at_rest()
        # Below what it took for itself at the start: as if something else had used them up.
        limit = len(os.listdir(f"/proc/{server.process.pid}/fd")) + 20
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, hard))
        dice = harness.chance(self)
        for _ in range(3):
            clients = []
            for _ in range(min(500, 10 * harness.ROUNDS)):
                client = connect(server.port)
                clients.append(client)
                with contextlib.suppress(OSError):
                    client.sendall(dice.choice([b"", HELLO[:20], HELLO.replace(b"close", b"keep-alive"), put(b"/a", b"a", 100)]))
            server.lives()
            for client in clients:
                reset(client)
            until("a client is served again", lambda: ask(server.port, HELLO).endswith(b"hello, world\n"))
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        server.settled(before)
        self.assertFalse((root / "a").exists())

    def test_w10_answers_that_wait_leave_descriptors(self):
        """By HTTP/2 one client has a hundred files open at once, and takes nothing of them."""
        server = self.enterContext(Server(self.folder(), "--log", "off", "--timeout-write", "60s"))
        before = server.at_rest()
        limit = 150
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, hard))
        clients = [connect(server.port) for _ in range(3)]
        for client in clients:
            # Two slashes: none of these is the one that is kept.
            client.sendall(PREFACE + b"".join(get_by_http2(1 + 2 * number, b"//big.bin") for number in range(100)))
        seen = [seen_by_http2(client, 100) for client in clients]
        self.assertEqual(sum(codes.count(200) + codes.count(503) for codes in seen), 300)
        self.assertIn(503, seen[-1])
        self.assertTrue(ask(server.port, HELLO).endswith(b"hello, world\n"))
        self.assertLess(len(os.listdir(f"/proc/{server.process.pid}/fd")), limit)
        for client in clients:
            reset(client)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        server.settled(before)

    def test_g2_a_memory_limit(self):
        """What clients can make it keep stays below --max-buffered: an address space with little more than that is enough."""
        server = self.enterContext(Server(self.folder(), "-A", "--log", "off", "--max-buffered", "8M", "--max-connections", "4000"))
        ask(server.port, HELLO.replace(b"hello.txt", b"big.bin"))  # which is kept open
        ask(server.port, put(b"/a", b"a" * 300_000))
        before = server.at_rest()
        pages = int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[0])
        # Each thread that is still to come takes 2 MiB for its stack, and what malloc sets aside for it.
        limit = pages * resource.getpagesize() + (192 << 20)
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (limit, limit))
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 30_000
        sent = [head, put(b"/b", b"b" * 200_000, 1_000_000), HELLO.replace(b"hello.txt", b"big.bin")]
        dice = harness.chance(self)
        clients = []
        for _ in range(min(1000, 20 * harness.ROUNDS)):
            client = connect(server.port)
            client.settimeout(0.2)  # it may stop taking what comes, and then we do something else
            with contextlib.suppress(OSError):
                client.sendall(dice.choice(sent))
            clients.append(client)
        server.lives()
        for client in clients:
            reset(client)
        server.settled(before, growth_max=32 << 20)

    @unittest.skipUnless(FAKETIME, "libfaketime is missing")
    def test_g1_the_clock_jumps(self):
        """Far and both ways, for what asks the C library: how old files are, the ids of events. Deadlines and the Date field
        come from the kernel directly, where libfaketime does not reach; a stop (test_clients) has every clock jump."""
        root = self.folder()
        with tempfile.NamedTemporaryFile("w") as clock:
            kept = dict(os.environ)
            os.environ |= {
                "LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": clock.name, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }  # fmt: skip
            try:
                self.jump(clock, "+0")
                server = self.enterContext(Server(root, "--allow", "all", "--events", "/events", "--log", "off", "--timeout-idle", "1h"))
            finally:
                os.environ.clear()
                os.environ.update(kept)
            before = server.at_rest()
            with connect(server.port) as client:
                for days in ("+1d", "-1d", "+4000d", "-20000d", "+0"):
                    self.jump(clock, days)
                    with self.subTest(days):
                        self.serves_all(server, client, days.encode())
            server.settled(before)

    def jump(self, clock, days):
        clock.seek(0)
        clock.truncate()
        clock.write(days + "\n")
        clock.flush()

    def serves_all(self, server, client, name):
        """A connection outlives the jump, and what is stored is read."""
        client.sendall(HELLO.replace(b"close", b"keep-alive"))
        harness.await_bytes(client, b"hello, world\n")
        self.assertEqual(status(ask(server.port, put(b"/" + name, b"then"))), 201)
        self.assertTrue(ask(server.port, b"GET /%s HTTP/1.0\r\n\r\n" % name).endswith(b"then"))
        event = b"POST /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\na"
        self.assertEqual(status(ask(server.port, event)), 200)
        self.assertEqual(status(ask(server.port, b"GET /?json HTTP/1.0\r\n\r\n")), 200)


if __name__ == "__main__":
    unittest.main()
