"""A client of HTTP/2 that does what a test says, stream by stream."""

import contextlib
import json
import socket

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from hosting import DEADLINE

GOAWAY = 7


class Answer:
    """What has come on one stream."""

    def __init__(self):
        self.interim, self.status, self.fields, self.content, self.trailers = [], None, [], b"", []
        # How it has ended: well, or with an error.
        self.is_over, self.error = False, None

    @property
    def is_whole(self):
        return self.is_over and self.error is None

    @property
    def headers(self):
        return dict(self.fields)

    @property
    def json(self):
        return json.loads(self.content)

    def take(self, event):
        if isinstance(event, InformationalResponseReceived):
            self.interim.append(int(dict(event.headers)[b":status"]))
        elif isinstance(event, ResponseReceived):
            self.status = int(dict(event.headers)[b":status"])
            self.fields = text(event.headers[1:])
        elif isinstance(event, DataReceived):
            self.content += event.data
        elif isinstance(event, TrailersReceived):
            self.trailers = text(event.headers)
        elif isinstance(event, StreamEnded):
            self.is_over = True
        elif isinstance(event, StreamReset):
            self.is_over, self.error = True, event.error_code


def text(fields):
    return [(name.decode(), value.decode("latin-1")) for name, value in fields]


class Client:
    """A connection, plain and without asking first. With `takes=False` it gives no room for more content than it has at first."""

    def __init__(self, server, takes=True):
        self.socket = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        self._protocol = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._takes = takes
        self.answers, self._received = {}, b""
        self.is_told_to_end = False
        self._protocol.initiate_connection()
        self._flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def begin(self, path, *fields, method="GET", ends=True):
        """Asks; returns the number of the stream."""
        head = [(":method", method), (":scheme", "http"), (":authority", "farm.test"), (":path", path), *fields]
        stream = self._protocol.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self._protocol.send_headers(stream, head, end_stream=ends)
        self._flush()
        return stream

    def send(self, stream, content, ends=False):
        """Sends content as the server takes it."""
        while content:
            room = min(self._protocol.local_flow_control_window(stream), self._protocol.max_outbound_frame_size)
            if room == 0:
                self._receive()
                continue
            piece, content = content[:room], content[room:]
            self._protocol.send_data(stream, piece)
            self._flush()
        if ends:
            self._protocol.end_stream(stream)
            self._flush()

    def reset(self, stream):
        self._protocol.reset_stream(stream, ErrorCodes.CANCEL)
        self._flush()

    def until(self, stream, is_enough):
        """What has come on a stream, once that is enough."""
        answer = self.answers[stream]
        while not is_enough(answer):
            self._receive()
        return answer

    def answer(self, stream):
        return self.until(stream, lambda answer: answer.is_over)

    def ask(self, path, *fields, method="GET", content=None):
        """The answer to a request."""
        stream = self.begin(path, *fields, method=method, ends=content is None)
        if content is not None:
            self.send(stream, content, ends=True)
        return self.answer(stream)

    def _frames(self):
        """The whole frames that are there (RFC 9113 §4.1), but for GOAWAY: the protocol would take nothing after it, of streams that go on."""
        while len(self._received) >= 9 and len(self._received) >= (size := 9 + int.from_bytes(self._received[:3], "big")):
            frame, self._received = self._received[:size], self._received[size:]
            if frame[3] == GOAWAY:
                self.is_told_to_end = True
            else:
                yield frame

    def _flush(self):
        if data := self._protocol.data_to_send():
            self.socket.sendall(data)

    def _receive(self):
        received = self.socket.recv(65536)
        assert received, "the server has closed the connection"
        self._received += received
        for event in self._protocol.receive_data(b"".join(self._frames())):
            if isinstance(event, DataReceived) and self._takes:
                with contextlib.suppress(KeyError):
                    self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if answer := self.answers.get(getattr(event, "stream_id", None)):
                answer.take(event)
        self._flush()
