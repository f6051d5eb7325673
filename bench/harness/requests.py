"""The requests that the load sends, as bytes, and one plain exchange to look at the answer."""

import socket
import ssl
from dataclasses import dataclass

OWN_HEAD = ()
"""What wrk sends by itself: Host and nothing else."""

BROWSER_HEAD = (
    ("Connection", "keep-alive"),
    ("sec-ch-ua", '"Chromium";v="126", "Not.A/Brand";v="24"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/126.0.0.0 Safari/537.36",
    ),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-NZ,en;q=0.9"),
)
"""With Host, the twelve fields of a browser's navigation."""

HEADS = {"wrk": OWN_HEAD, "browser": BROWSER_HEAD}

_TIMEOUT_S = 10


@dataclass(frozen=True)
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes


def request(port: int, path: str, fields=OWN_HEAD) -> bytes:
    """A GET for `path` with Host first and then `fields`."""
    lines = [f"GET /{path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join([*lines, "", ""]).encode()


def exchange(port: int, head: bytes, trust: ssl.SSLContext | None = None) -> Answer:
    """Sends `head` on a connection of its own, by TLS where `trust` says whom to believe, and reads the one answer to it.

    Raises OSError when the server refuses, closes early or stays silent.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as connection:
        if trust is not None:
            connection = trust.wrap_socket(connection, server_hostname="localhost")
        connection.sendall(head)
        with connection.makefile("rb") as stream:
            return read_answer(stream)


def read_answer(stream) -> Answer:
    """Reads one answer that has a Content-Length, or that has no body, from a binary file.

    Raises ConnectionError when the stream ends before the answer does: ConnectionAbortedError
    when not one byte of it came.
    """
    line = stream.readline()
    if not line:
        raise ConnectionAbortedError("closed before any byte of an answer")
    parts = line.split(b" ", 2)
    if len(parts) != 3 or not parts[1].isdigit():
        raise ConnectionError(f"a status line cut short or wrong: {line!r}")
    fields = {}
    while (line := stream.readline()) != b"\r\n":
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not line.endswith(b"\r\n"):
            raise ConnectionError(f"a head cut short or wrong: {line!r}")
        fields[name.lower()] = value.strip()
    status = int(parts[1])
    length = 0 if status in (204, 304) else int(fields.get("content-length", 0))
    body = stream.read(length)
    if len(body) != length:
        raise ConnectionError(f"{len(body)} of {length} bytes came")
    return Answer(status, fields, body)
