"""A WSGI application that does what a request asks for: the name of the function is the path."""

import contextlib
import contextvars
import gc
import gzip
import io
import itertools
import json
import os
import select
import subprocess
import sys
import threading
import time
import zlib

from hosting import ended_children

TEXT = [("Content-Type", "text/plain")]
CLOSED = []
KEPT = []
PULLED = []
TICKS = []
LOCAL = threading.local()
NAME = contextvars.ContextVar("name")


class Closing:
    """An iterable that notes its end; it fails at the part that is an exception."""

    def __init__(self, *parts, name="closing", then=None):
        self._parts = iter(parts) if then is None else itertools.chain(parts, itertools.repeat(then))
        self._name = name

    def __iter__(self):
        return self

    def __next__(self):
        part = next(self._parts)
        if isinstance(part, Exception):
            raise part
        return part

    def close(self):
        CLOSED.append(self._name)


def environ(environ, start_response):
    types = {name: type(value).__name__ for name, value in environ.items()}
    plain = {name: value for name, value in environ.items() if isinstance(value, (str, int, bool, tuple))}
    content = json.dumps({"exact": type(environ) is dict, "types": types, "environ": plain}).encode()
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(content)))])
    return [content]


def interned(environ, start_response):
    """The keys that Python keeps, in some versions for ever."""
    start_response("200 OK", TEXT)
    return [key.encode() + b"\n" for key in environ if sys.intern(key.encode().decode()) is key]


def deep(environ, start_response):
    # C calls Python, which calls C: on a small stack this ends the process.
    def again(number):
        return sorted([number], key=again)

    try:
        again(0)
    except RecursionError as error:
        start_response("200 OK", TEXT)
        return [type(error).__name__.encode()]


def echo(environ, start_response):
    content = environ["wsgi.input"].read()
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(content)))])
    return [content]


def reads(environ, start_response):
    source = environ["wsgi.input"]
    found = [source.read(3), source.readline(), source.readline(2), source.readlines(), source.read(9), source.read()]
    start_response("200 OK", TEXT)
    return [repr(found).encode()]


def iterates(environ, start_response):
    start_response("200 OK", TEXT)
    return [repr([*environ["wsgi.input"]]).encode()]


def compares(environ, start_response):
    """Does the same with what came and with a copy of it, in every way that a reader has."""
    source = environ["wsgi.input"]
    same = io.BytesIO(source.read())
    size = len(same.getvalue())
    steps = [
        ("seek", 0), ("read", 3), ("readline",), ("read", 70_000), ("tell",),
        ("seek", 100_000), ("readline", 7), ("readlines", 500_000), ("seek", -10, 2), ("read",), ("read",), ("tell",),
        ("seek", -5, 1), ("read", 2), ("seek", size + 9), ("read",), ("tell",), ("readline",), ("seek", -9, 1), ("tell",), ("seek", 65_536), ("__next__",), ("readable",), ("seekable",), ("seek", 1), ("read", size),
        ("seek", 0), *[("read", 65_536)] * 3, ("seek", 0), ("read", 65_536), ("read1", 65_536), ("readline", 65_536), ("read", 65_536),
        ("seek", 65_536), ("read", 65_536), ("read", None), ("seek", -70_000, 2), ("readlines", 1), ("readlines", 0), ("readlines",), ("isatty",), ("flush",),
    ]
    for name, *arguments in steps:
        mine, other = (getattr(reader, name)(*arguments) for reader in (source, same))
        assert mine == other, (name, arguments)
    for reader in source, same:
        reader.seek(size - 100_000)
    into = bytearray(200_000)
    assert source.readinto(into) == 100_000 and bytes(into[:100_000]) == same.read()
    assert isinstance(source, io.IOBase) and not source.writable() and not source.closed
    assert [*io.TextIOWrapper(source, "latin-1", newline="\n")] == []
    start_response("200 OK", TEXT)
    return [b"%d bytes" % size]


def compares_nothing(environ, start_response):
    """The same where nothing came."""
    source, same = environ["wsgi.input"], io.BytesIO()
    steps = [
        ("read",), ("read", 3), ("read1",), ("read1", 3), ("readline",), ("readline", 3), ("readlines",), ("readlines", 3), ("tell",), ("seek", 0),
        ("seek", 0, 1), ("seek", 0, 2), ("readinto", bytearray(3)), ("readinto1", bytearray(3)), ("readable",), ("seekable",), ("isatty",), ("flush",),
    ]
    for name, *arguments in steps:
        mine, other = (getattr(reader, name)(*arguments) for reader in (source, same))
        assert mine == other, (name, arguments)
    assert isinstance(source, io.IOBase) and not source.writable() and not source.closed
    with source:
        assert io.BufferedReader(source).read() == b""
        assert [*source] == [*io.TextIOWrapper(source)] == []
    # The next request has it, too.
    assert source.read() == b"" and not source.closed
    start_response("200 OK", TEXT)
    return [b"nothing"]


def limited(environ, start_response):
    """Reads lines of 64 bytes at most."""
    source = environ["wsgi.input"]
    count = sum(1 for _ in iter(lambda: source.readline(64), b""))
    start_response("200 OK", TEXT)
    return [b"%d parts" % count]


def rereads(environ, start_response):
    """Reads the content twice; says how many parts are the very object that they were before."""
    source = environ["wsgi.input"]
    first = [*iter(lambda: source.read(65_536), b"")]
    source.seek(0)
    second = [*iter(lambda: source.read(65_536), b"")]
    assert first == second
    same = sum(mine is other for mine, other in zip(first, second))
    start_response("200 OK", TEXT)
    return [b"%d of %d are the same" % (same, len(first))]


def policy(environ, start_response):
    """How the system gives time to this thread, to a program that it starts, and to the thread that serves."""
    program = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
    of_program = int(subprocess.run(program, capture_output=True, check=True).stdout)
    start_response("200 OK", TEXT)
    return [json.dumps([os.sched_getscheduler(0), of_program, os.sched_getscheduler(os.getpid())]).encode()]


def ignores(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"ignored"]


def status(environ, start_response):
    start_response("299 Odd Reason", [*TEXT, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Latin", "caf\xe9")])
    return [b"x"]


def parts(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing(b"one", b"", b"two", name="parts")


def listed(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"one", b"", b"two"]


def lazy(environ, start_response):
    start_response("201 Created", TEXT)
    yield b"lazy"


def writes(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"one")
    write(b"")
    write(b"two")
    return [b"three"]


def nothing(environ, start_response):
    start_response("200 OK", TEXT)
    return []


def without_content(environ, start_response):
    code = environ["QUERY_STRING"]
    start_response(f"{code} Empty", [("ETag", '"8"')])
    return []


def known(environ, start_response):
    """What the client has already, by its length: `?` one empty part, or `?parts`."""
    start_response("304 Not Modified", [("Content-Length", "5")])
    return iter([b""]) if environ["QUERY_STRING"] else [b""]


def promises(environ, start_response):
    """What is promised, and what is given: `?5&3`, `?5&parts&3`; `?5&none&0` gives no part."""
    promised, *how, given = environ["QUERY_STRING"].split("&")
    start_response("200 OK", [*TEXT, ("Content-Length", promised)])
    content = b"8" * int(given)
    if how == ["none"]:
        return []
    return Closing(content[:1], content[1:], name="promises") if how else [content]


def closed(environ, start_response):
    start_response("200 OK", TEXT)
    return [json.dumps([name for name in CLOSED if name == environ["QUERY_STRING"]]).encode()]


def replaced(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("502 Replaced", [*TEXT, ("X-Replaced", "yes")], sys.exc_info())
    return [b"replaced"]


def too_late(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"sent")
    try:
        raise ValueError("too late")
    except ValueError:
        start_response("500 Late", TEXT, sys.exc_info())
    return [b"never"]


def fails_within(environ, start_response):
    """Fails with half of the answer written, and somebody keeps what belongs to it."""
    write = start_response("200 OK", TEXT)
    KEPT.append(write)
    write(b"first")
    write(b"second")
    raise ValueError("secret")


def fails_later(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing(b"first", b"second", ValueError("secret"), name="fails_later")


def fails_at_once(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing(ValueError("secret"), name="fails_at_once")


def fails(environ, start_response):
    raise ValueError("secret")


def fails_after_start(environ, start_response):
    start_response("200 OK", TEXT)
    raise ValueError("secret")


def no_start(environ, start_response):
    return [b"x"]


def twice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b"x"]


def gives(environ, start_response):
    wrong = {"str": ["secret"], "int": [8], "none": None, "bare-str": "secret", "number": 8, "later": iter(["secret"])}
    start_response("200 OK", TEXT)
    return wrong[environ["QUERY_STRING"]]


def starts(environ, start_response):
    """Calls start_response with what cannot be."""
    wrong = {
        "field-crlf": ("200 OK", [("X-A", "a\r\nX-Injected: yes")]),
        "name-crlf": ("200 OK", [("X-A\r\nX-Injected", "yes")]),
        "reason-crlf": ("200 OK\r\nX-Injected: yes", []),
        "nul": ("200 OK", [("X-A", "a\0b")]),
        "beyond-latin-1": ("200 OK", [("X-A", "\u0434")]),
        "no-name": ("200 OK", [("", "a")]),
        "connection": ("200 OK", [("Connection", "close")]),
        "transfer-encoding": ("200 OK", [("Transfer-Encoding", "chunked")]),
        "upgrade": ("200 OK", [("Upgrade", "other")]),
        "no-length": ("200 OK", [("Content-Length", "many")]),
        "two-lengths": ("200 OK", [("Content-Length", "1"), ("Content-Length", "2")]),
        "bytes-status": (b"200 OK", []),
        "bytes-field": ("200 OK", [("X-A", b"secret")]),
        "no-digits": ("OK", []),
        "interim": ("103 Early Hints", []),
        "four-digits": ("2000 OK", []),
        "no-list": ("200 OK", None),
        "no-pairs": ("200 OK", ["X-A: a"]),
    }
    start_response(*wrong[environ["QUERY_STRING"]])
    return [b"x"]


def forks(environ, start_response):
    start_response("200 OK", TEXT)
    return [json.dumps(ended_children()).encode()]


def says(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("said to errors\n")
    errors.writelines(["and ", "again\n"])
    errors.flush()
    return nothing(environ, start_response)


def again(environ, start_response):
    """How often this thread was asked."""
    LOCAL.count = getattr(LOCAL, "count", 0) + 1
    start_response("200 OK", TEXT)
    return [str(LOCAL.count).encode()]


def named(environ, start_response):
    """10 MB of a name that is set where the content begins, and taken back where it ends."""

    def parts():
        token = NAME.set(environ["QUERY_STRING"].encode())
        try:
            for _ in range(100):
                yield NAME.get() * 100_000
        finally:
            NAME.reset(token)

    start_response("200 OK", TEXT)
    return parts()


def threads(environ, start_response):
    """Tells for each of many parts which thread makes it."""
    start_response("200 OK", TEXT)
    return (f"{threading.get_ident()}\n".encode() * 10_000 for _ in range(100))


def sleeps(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"]))
    return nothing(environ, start_response)


def endless(environ, start_response):
    start_response("200 OK", TEXT)
    while True:
        yield b"8" * 100


def idles(environ, start_response):
    """A part, and then again and again none."""
    start_response("200 OK", TEXT)
    return Closing(b"one", name="idles", then=b"")


def waits(environ, start_response):
    """Gives a part, then waits until the FIFO of that name has something to read, then gives what it is."""
    start_response("200 OK", TEXT)
    yield b"one"
    yield heard(environ["QUERY_STRING"])


def ok(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "2")])
    return [b"ok"]


def writes_and_waits(environ, start_response):
    """As `waits`, with the first part written."""
    write = start_response("200 OK", TEXT)
    write(b"one")
    return [heard(environ["QUERY_STRING"])]


def answers_and_waits(environ, start_response):
    """The whole answer, then waiting."""
    start_response("200 OK", [*TEXT, ("Content-Length", "3")])
    yield b"one"
    heard(environ["QUERY_STRING"])


def heard(path):
    fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            if not select.select([fifo], [], [], 30)[0]:
                raise TimeoutError("nothing was heard")
            with contextlib.suppress(BlockingIOError):
                # Others may listen, too.
                return os.read(fifo, 3)
    finally:
        os.close(fifo)


def pours(environ, start_response):
    """As many parts of 64 KiB as asked for; `pulled` tells how many were."""
    start_response("200 OK", TEXT)
    for _ in range(int(environ["QUERY_STRING"])):
        PULLED.append(None)
        yield b"8" * 65536


def pours_written(environ, start_response):
    write = start_response("200 OK", TEXT)
    for _ in range(int(environ["QUERY_STRING"])):
        PULLED.append(None)
        write(b"8" * 65536)
    return []


def pulled(environ, start_response):
    start_response("200 OK", TEXT)
    return [str(len(PULLED)).encode()]


def ticks(environ, start_response):
    """How often another thread of this process has had its turn; the first request starts it."""
    if not TICKS:
        TICKS.append(0)

        def tick():
            while True:
                TICKS[0] += 1
                time.sleep(0.0001)

        threading.Thread(target=tick, daemon=True).start()
    start_response("200 OK", TEXT)
    return [str(TICKS[0]).encode()]


def objects(environ, start_response):
    """How many objects the garbage collector knows of."""
    gc.collect()
    start_response("200 OK", TEXT)
    return [str(len(gc.get_objects())).encode()]


def kind(environ, start_response):
    """What the content of a request is kept in, and whether it is all there."""
    source = environ["wsgi.input"]
    content = source.read()
    start_response("200 OK", TEXT)
    return [f"{type(source).__name__} {len(content)} {zlib.crc32(content)}".encode()]


class Lines:
    """Something that is read, and is no file."""

    def __init__(self):
        self._blocks = [b"one", b"two"]

    def read(self, size):
        return self._blocks.pop(0)[:size] if self._blocks else b""

    def close(self):
        CLOSED.append("file")


class Noted(io.BufferedReader):
    """A file that is none of the standard library's classes."""

    def close(self):
        CLOSED.append("file")
        super().close()


def file(environ, start_response):
    """Files in a wrapper: of what kind, from where on, and how much is announced."""
    what, start, length = environ["QUERY_STRING"].split("&")
    path = environ["HTTP_X_PATH"]
    if what == "other":
        source = Lines()
    elif what == "noted":
        source = Noted(io.FileIO(path))
    elif what == "gzip":
        source = gzip.open(path)
    else:
        source = open(path, "rb", buffering=0 if what == "raw" else -1)
    if start:
        source.read(1)
        source.seek(int(start))
    start_response("200 OK", [*TEXT, *([("Content-Length", length)] if length else [])])
    return environ["wsgi.file_wrapper"](source, 8192)


def app(environ, start_response):
    name = environ["PATH_INFO"].lstrip("/").split("/")[0]
    return globals()[name](environ, start_response)
