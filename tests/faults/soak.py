#!/usr/bin/env python3
"""Half an hour of everything at once: `tests/faults/soak.py [--minutes 30] [--out FILE]`.

Files, ranges, 304s, listings, uploads, forms, HTTP/2, events, WebSockets, slow clients and faults go on together. A table of
requests, memory and descriptors is written as it grows; the last line judges: memory in the last quarter is what it was
in the second, every descriptor is given back, no answer was another than it should be.
"""

import argparse
import contextlib
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import harness
from harness import WAITS, Server, await_bytes, connect, reset, rest

GROWTH_MAX_KIB = 4 << 10
SAMPLES = 60
PAUSE_SECONDS = 0.005
WEBSOCKET = (
    b"GET /.number8/repl HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bnVtYmVyODg4ODg4ODg4OA==\r\n\r\n"
)


def request(method, path, *fields, body=b""):
    lines = [b"%s %s HTTP/1.1" % (method, path), b"Host: localhost", *fields]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Load:
    def __init__(self, server, root, files):
        self.server, self.root, self.files = server, root, files
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.done = 0
        self.wrong = []

    def keep(self, kind):
        """Does one thing until it is told to stop."""
        dice = random.Random(kind.__name__)
        while not self.stop.wait(PAUSE_SECONDS):
            try:
                count = kind(self, dice)
            except Exception as error:  # noqa: BLE001: whatever it is, it stands in the verdict
                self.expect(False, f"{kind.__name__}: {error!r}")
            else:
                with self.lock:
                    self.done += count

    def expect(self, holds, what):
        if not holds:
            with self.lock:
                self.wrong.append(what)

    def answer(self, client, sent, status):
        """Status and content of an answer with a length, on a connection that goes on."""
        client.sendall(sent)
        got = await_bytes(client, b"\r\n\r\n")
        head, _, body = got.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = 0 if status == 304 or sent.startswith(b"HEAD") else int(fields.get(b"content-length", 0))
        while len(body) < length:
            part = client.recv(1 << 16)
            if not part:
                break
            body += part
        if b"transfer-encoding" in fields:
            while not body.endswith(b"0\r\n\r\n"):
                body += client.recv(1 << 16)
            length = len(body)
        self.expect(head.split(b" ")[1] == b"%d" % status, f"{sent[:60]}: {head[:60]}")
        self.expect(len(body) == length, f"{sent[:60]}: {len(body)} of {length} bytes")
        return fields, body


def files(load, dice):
    with connect(load.server.port) as client:
        for _ in range(20):
            name = dice.choice(list(load.files))
            content = load.files[name]
            path = b"/" + name.encode()
            fields, body = load.answer(client, request(b"GET", path), 200)
            load.expect(body == content, f"{name} is another")
            load.answer(client, request(b"GET", path, b"If-None-Match: " + fields[b"etag"]), 304)
            load.answer(client, request(b"HEAD", path), 200)
            start = dice.randrange(len(content))
            _, body = load.answer(client, request(b"GET", path, b"Range: bytes=%d-" % start), 206)
            load.expect(body == content[start:], f"{name} from {start} is another")
        load.answer(client, request(b"GET", b"/text.html", b"Accept-Encoding: br, gzip"), 200)
        load.answer(client, request(b"GET", b"/missing"), 404)
        load.answer(client, request(b"GET", b"/plain/?json"), 200)
    return 83


def uploads(load, dice):
    name = b"/in/%d" % dice.randrange(10)
    data = dice.randbytes(dice.choice([0, 10, 5_000, 500_000]))
    with connect(load.server.port) as client:
        load.answer(client, request(b"PUT", name, body=data) if data else request(b"PUT", name, b"Content-Length: 0"), 201)
        load.expect((load.root / name.decode()[1:]).read_bytes() == data, f"{name} is another")
        body = b'--cut\r\nContent-Disposition: form-data; name="f"; filename="form"\r\n\r\n' + data + b"\r\n--cut--\r\n"
        load.answer(client, request(b"POST", b"/in/", b"Content-Type: multipart/form-data; boundary=cut", body=body), 201)
        load.answer(client, request(b"DELETE", name), 204)
        load.answer(client, request(b"DELETE", b"/in/form"), 204)
    return 4


def cut_uploads(load, dice):
    with connect(load.server.port) as client:
        client.sendall(request(b"PUT", b"/in/never", b"Content-Length: 900000") + dice.randbytes(dice.randrange(800_000)))
        reset(client)
    load.expect(not (load.root / "in/never").exists(), "a part of an upload is there")
    return 1


def events(load, dice):
    topic = b"/events/%d" % dice.randrange(4)
    with connect(load.server.port) as listener, connect(load.server.port) as sender:
        listener.sendall(request(b"GET", topic))
        await_bytes(listener, b"\r\n\r\n")
        for number in range(dice.randrange(20)):
            load.answer(sender, request(b"POST", topic, body=b"event %d." % number), 200)
            await_bytes(listener, b"event %d." % number)
    return 20


def websockets(load, dice):
    with connect(load.server.port) as client:
        client.sendall(WEBSOCKET)
        await_bytes(client, b"\r\n\r\n")
        for _ in range(dice.randrange(1, 20)):
            client.sendall(b"\x89\x80\0\0\0\0")  # a ping, masked
            await_bytes(client, b"\x8a\x00")
        if dice.random() < 0.5:
            client.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
            rest(client)
    return 1


def slow_readers(load, dice):
    with connect(load.server.port) as client:
        client.sendall(request(b"GET", b"/big.bin"))
        for _ in range(dice.randrange(40)):
            client.recv(8192)
            load.stop.wait(0.05)
    return 1


def http2(load, dice):
    """A file and an upload by curl, each on a connection of its own: curl 7.88 cannot use one again, with nginx neither."""
    name, data = dice.choice(list(load.files)), dice.randbytes(dice.choice([0, 10, 500_000]))
    address = f"http://127.0.0.1:{load.server.port}/"
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "file")
        _curl("-o", file, address + name)
        load.expect(file.read_bytes() == load.files[name], f"{name} by HTTP/2 is another")
        file.write_bytes(data)
        _curl("-T", file, address + "in/http2")
    load.expect((load.root / "in/http2").read_bytes() == data, "an upload by HTTP/2 is another")
    return 2


def _curl(*arguments):
    subprocess.run(["curl", "-sS", "--fail", "--http2-prior-knowledge", "--max-time", "60", *arguments], check=True, capture_output=True)


def slow_writers(load, dice):
    sent = request(b"GET", b"/hello.txt", b"Connection: close")
    with connect(load.server.port) as client:
        for at in range(len(sent)):
            client.sendall(sent[at : at + 1])
            load.stop.wait(0.01)
        load.expect(b"200 OK" in rest(client), "a slow request has no answer")
    return 1


FAULTS = [
    (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    (b"BREW / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", b"400"),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"414"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40000 + b"\r\n\r\n", b"431"),
    (b"GET / HTTP/3.1\r\nHost: localhost\r\n\r\n", b"505"),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", b"501"),
]


def faults(load, dice):
    sent, status = dice.choice(FAULTS)
    with connect(load.server.port) as client:
        with contextlib.suppress(OSError):
            client.sendall(sent)
        got = rest(client)
        load.expect(got.startswith(b"HTTP/1.1 " + status), f"{sent[:40]}: {got[:40]}")
    with connect(load.server.port) as client:
        client.sendall(sent[: dice.randrange(len(sent))])
        reset(client)
    return 2


def _terminals(server):
    return [name for name in server.open_files() if name.startswith(("/dev/pts/", "/dev/ptmx"))]


KINDS = [files, files, http2, uploads, cut_uploads, events, events, websockets, slow_readers, slow_readers, slow_writers, faults]


def soak(minutes, write, malloc_keeps=False):
    temporary, root, content = harness.number8.folder()
    if not malloc_keeps:
        # Large pieces of memory go back to the system at once, so that what is seen is what is used.
        os.environ["MALLOC_MMAP_THRESHOLD_"] = str(128 << 10)
    options = "--allow", "all", "--repl=cat", "--events", "/events", "--log", "json", "--log-file", root.parent / "log", *WAITS
    with temporary, Server(root, *options) as server:
        load = Load(server, root, content)
        (root / "in").mkdir()
        # What stays open for itself: large files, and the terminal once its program has started.
        files(load, random.Random(0))
        websockets(load, random.Random(0))
        harness.until("a terminal", lambda: "/dev/ptmx" in _terminals(server))
        before, _ = server.at_rest()
        threads = [threading.Thread(target=load.keep, args=(kind,)) for kind in KINDS]
        for thread in threads:
            thread.start()
        write("| seconds | requests | memory, KiB | descriptors |")
        write("|---|---|---|---|")
        started, resident = time.monotonic(), []
        for sample in range(1, SAMPLES + 1):
            load.stop.wait(max(0, started + minutes * 60 * sample / SAMPLES - time.monotonic()))
            resident.append(server.resident() >> 10)
            write(f"| {time.monotonic() - started:.0f} | {load.done} | {resident[-1]} | {server.descriptors()} |")
        load.stop.set()
        for thread in threads:
            thread.join()
        quarter = SAMPLES // 4
        growth = statistics.median(resident[-quarter:]) - statistics.median(resident[quarter : 2 * quarter])
        with contextlib.suppress(AssertionError):
            harness.until("descriptors", lambda: server.descriptors() <= before)
        findings = [f"wrong: {what}" for what in load.wrong[:20]]
        if growth > GROWTH_MAX_KIB:
            findings.append(f"memory has grown by {growth} KiB")
        if server.descriptors() > before:
            findings.append(f"{server.descriptors()} descriptors, {before} before")
        server.healthy()
    for fault in findings:
        write(fault)
    verdict = "not well" if findings else "well"
    write(f"\n{verdict}: {load.done} requests, memory {growth:+.0f} KiB from the second quarter to the last, {before} descriptors before and after")
    return not findings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--malloc-keeps", action="store_true", help="leave malloc as it is: it keeps memory, in steps")
    parser.add_argument("--out", type=pathlib.Path, help="also write the table there")
    arguments = parser.parse_args()
    with arguments.out.open("w") if arguments.out else contextlib.nullcontext() as out:

        def write(line):
            print(line, flush=True)
            if out:
                print(line, file=out, flush=True)

        sys.exit(not soak(arguments.minutes, write, arguments.malloc_keeps))


if __name__ == "__main__":
    main()
