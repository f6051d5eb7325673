"""A WSGI application that does what a request asks for: the name of the function is the path."""

import json
import sys
import threading
import time

TEXT = [("Content-Type", "text/plain")]
CLOSED = []


class Closing:
    """An iterable that notes its end; it fails at the part that is an exception."""

    def __init__(self, *parts, name="closing"):
        self._parts = iter(parts)
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


def promises(environ, start_response):
    """What is promised, and what is given: `?5&3`, `?5&parts&3`."""
    promised, *how, given = environ["QUERY_STRING"].split("&")
    start_response("200 OK", [*TEXT, ("Content-Length", promised)])
    content = b"8" * int(given)
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


def says(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("said to errors\n")
    errors.writelines(["and ", "again\n"])
    errors.flush()
    return nothing(environ, start_response)


def thread(environ, start_response):
    start_response("200 OK", TEXT)
    return [str(threading.get_ident()).encode()]


def app(environ, start_response):
    name = environ["PATH_INFO"].lstrip("/").split("/")[0]
    return globals()[name](environ, start_response)
