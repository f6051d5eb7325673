"""Many connections at once, opened from one thread and then left alone."""

import errno
import resource
import select
import selectors
import socket
import time

_OPENING_MAX = 256
"""How many are on their way at once: less than any server's backlog."""
_PER_ADDRESS = 100
"""Servers limit the connections of one client; 127.0.0.0/8 holds many clients."""
_IP_BIND_ADDRESS_NO_PORT = 24
_READ_BYTES = 65536


class Held:
    """Connections to a port of 127.0.0.1 that are kept open until `close`.

    On each, `first` is sent as far as the kernel takes it; with `answered`, one whole answer
    (with a Content-Length or without a body) is then read. What does not come that far in
    `limit_s` seconds counts as failed and is closed.
    """

    def __init__(
        self, port: int, count: int, first: bytes, *,
        answered: bool = False, receive_buffer: int | None = None, limit_s: float = 30,
    ):
        self.sockets: list[socket.socket] = []
        self.failed = 0
        self._port, self._first, self._answered = port, first, answered
        self._receive_buffer = receive_buffer
        self._selector = selectors.EpollSelector()
        self._open(count, time.monotonic() + limit_s)

    def still_open(self) -> int:
        """How many the server has not closed."""
        watched = select.poll()
        for held in self.sockets:
            watched.register(held, select.POLLRDHUP)
        return len(self.sockets) - len(watched.poll(0))

    def close(self):
        for held in self.sockets:
            held.close()
        self.sockets.clear()

    def _open(self, count: int, deadline: float):
        started = 0
        while started < count or self._selector.get_map():
            while started < count and len(self._selector.get_map()) < _OPENING_MAX:
                self._start(started)
                started += 1
            for key, _ in self._selector.select(timeout=0.1):
                self._advance(key)
            if time.monotonic() > deadline:
                self.failed += count - started
                for key in list(self._selector.get_map().values()):
                    self._fail(key.fileobj)
                break
        self._selector.close()

    def _start(self, index: int):
        opening = socket.socket()
        opening.setblocking(False)
        if self._receive_buffer is not None:
            opening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        # A port is chosen only at connect, so that two addresses may use the same one.
        opening.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        block, host = divmod(index // _PER_ADDRESS, 250)
        opening.bind((f"127.0.{block}.{host + 2}", 0))
        if opening.connect_ex(("127.0.0.1", self._port)) not in (0, errno.EINPROGRESS):
            opening.close()
            self.failed += 1
            return
        self._selector.register(opening, selectors.EVENT_WRITE, bytearray())

    def _advance(self, key: selectors.SelectorKey):
        """Connected: send. Readable: read on until the answer is whole."""
        connection, received = key.fileobj, key.data
        try:
            if key.events == selectors.EVENT_WRITE:
                connection.send(self._first)
                if self._answered:
                    self._selector.modify(connection, selectors.EVENT_READ, received)
                else:
                    self._keep(connection)
                return
            part = connection.recv(_READ_BYTES)
        except OSError:
            self._fail(connection)
            return
        received += part
        if not part:
            self._fail(connection)
        elif _is_whole(received):
            self._keep(connection)

    def _keep(self, connection: socket.socket):
        self._selector.unregister(connection)
        self.sockets.append(connection)

    def _fail(self, connection: socket.socket):
        self._selector.unregister(connection)
        connection.close()
        self.failed += 1


def raise_descriptor_limit() -> int:
    """Allows this process, and those it starts, as many descriptors as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _is_whole(received: bytearray) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return len(body) >= int(value)
    return True
