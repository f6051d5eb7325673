"""Clients that are slow, that are many, that stop in the middle: the others are served meanwhile, and nothing of them stays."""

import contextlib
import os
import resource
import signal
import threading
import unittest

import harness
from harness import WAITS, Server, ask, await_bytes, connect, reset, rest, until

BIG = b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"
HELLO = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
UPLOAD = b"PUT /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
SLOW = min(2_000, 10 * harness.ROUNDS)


class Clients(unittest.TestCase):
    def setUp(self):
        temporary, self.root, _ = harness.number8.folder()
        self.enterContext(temporary)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        # As many clients at once as there are descriptors and ports for.
        self.many = min(10_000, 10 * SLOW, hard // 4)

    def serve(self, *options):
        return self.enterContext(Server(self.root, "-A", "--log", "off", *WAITS, *options))

    def hold(self, server, count, sent):
        """So many clients, all of which have sent this and say no more."""
        clients = [self.enterContext(connect(server.port)) for _ in range(count)]
        for client in clients:
            client.sendall(sent)
        return clients

    def test_g1_slow_clients_end_by_the_time_outs_and_delay_nobody(self):
        cases = [
            ("--timeout-first", b""),
            ("--timeout-head", HELLO[:-1]),
            ("--timeout-body", UPLOAD),
            ("--timeout-idle", HELLO.replace(b"close", b"keep-alive")),
            ("--timeout-write", BIG.replace(b"big.bin", b"huge.bin")),
        ]
        with open(self.root / "huge.bin", "wb") as file:
            file.truncate(16 << 20)  # more than what fits between the two ends
        os.utime(self.root / "huge.bin", (harness.number8.LONG_AGO,) * 2)
        for option, sent in cases:
            with self.subTest(option), contextlib.ExitStack() as one:
                server = one.enter_context(Server(self.root, "-A", "--log", "off", option, "1s"))
                for name in (b"hello.txt", b"huge.bin"):  # which are kept, the second one open
                    ask(server.port, HELLO.replace(b"hello.txt", name))
                before = server.at_rest()
                clients = [one.enter_context(connect(server.port)) for _ in range(SLOW)]
                for client in clients:
                    client.sendall(sent)
                until("a client is served", lambda: ask(server.port, HELLO).endswith(b"hello, world\n"))  # noqa: B023
                server.settled(before)
        self.assertFalse((self.root / "slow").exists())

    def test_g1_requests_that_come_byte_by_byte_are_answered(self):
        server = self.serve()
        dice = harness.chance(self)
        before = server.at_rest()
        clients = [self.enterContext(connect(server.port)) for _ in range(harness.ROUNDS)]
        places = [0] * len(clients)
        while left := [number for number, place in enumerate(places) if place < len(HELLO)]:
            number = dice.choice(left)
            clients[number].sendall(HELLO[places[number] : places[number] + 1])
            places[number] += 1
        for client in clients:
            self.assertTrue(rest(client).endswith(b"hello, world\n"))
        server.settled(before)

    def test_g1_a_flood_of_connections_passes(self):
        limit = self.many // 10
        server = self.serve("--max-connections", str(limit))
        before = server.at_rest()
        flood = []
        for _ in range(self.many):
            with contextlib.suppress(OSError):
                flood.append(connect(server.port))
        # As many as may are held; the others are told, or closed.
        until("the limit is reached", lambda: server.descriptors() >= before[0] + limit)
        self.assertLessEqual(server.descriptors(), before[0] + limit + 300)
        for client in flood:
            reset(client)
        server.settled(before)

    def test_g1_connections_that_come_and_go_leave_nothing(self):
        server = self.serve()
        before = server.at_rest()

        def come_and_go():
            for number in range(self.many // 4):
                with contextlib.suppress(OSError):
                    client = connect(server.port)
                    client.sendall(HELLO[: number % len(HELLO)])
                    reset(client)

        threads = [threading.Thread(target=come_and_go) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.settled(before)

    def test_g1_a_stopped_server_goes_on_where_it_was(self):
        """As a laptop that sleeps, or a debugger: every clock has jumped when it goes on."""
        server = self.serve("--timeout-idle", "1s")
        ask(server.port, HELLO.replace(b"hello.txt", b"big.bin"))  # which is kept open
        listener = self.enterContext(connect(server.port))
        listener.sendall(BIG)
        before = server.at_rest()
        for _ in range(3):
            server.process.send_signal(signal.SIGSTOP)
            clients = self.hold(server, harness.ROUNDS, HELLO)
            server.process.send_signal(signal.SIGCONT)
            for client in clients:
                self.assertTrue(rest(client).endswith(b"hello, world\n"))
        answer = await_bytes(listener, b"\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))
        server.settled(before)


if __name__ == "__main__":
    unittest.main()
