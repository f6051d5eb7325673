#!/usr/bin/env python3
"""Downloads large files that no cache holds from a slow disk, uploads others to it, and measures a small hot one.

Writes its files into the served folder, drops them from the page cache, lets the server use its
disk only at --rate, starts the downloads and --uploads, and asks for the small file again and again. Prints how
fast the downloads came and the latencies of the small file; removes everything. Exit code 1 when
the small file is served too slowly or not at all, or when the downloads were not slow, so that
the figures mean nothing. Needs root, for the limit.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.requests import exchange, request  # noqa: E402
from harness.throttle import DiskLimit  # noqa: E402
from harness.visitor import visit  # noqa: E402

HOT_BYTES = 1024
# A disk cannot be limited more exactly than by its read-ahead.
RATE_SLACK = 1.5
USAGE = 2
_CHUNK = 1 << 20


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int, help="of the server on 127.0.0.1")
    parser.add_argument("pid", type=int, help="of the process that serves")
    parser.add_argument("folder", type=Path, help="which it serves at /")
    parser.add_argument("--downloads", type=int, default=4, metavar="N", help="default 4")
    parser.add_argument(
        "--uploads", type=int, default=0, metavar="N",
        help="by PUT, each one after another; the server has to allow them; default 0",
    )
    parser.add_argument(
        "--rate", type=float, default=10, metavar="MB", help="megabytes a second; default 10"
    )
    parser.add_argument("--seconds", type=float, default=10, help="default 10")
    parser.add_argument(
        "--limit-ms", type=float, default=20, help="for the 99th percentile; default 20"
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    rate = int(options.rate * 1e6)
    try:
        if os.geteuid() != 0:
            raise LookupError("only root may limit the disk")
        limit = DiskLimit(options.pid, options.folder, rate)
    except LookupError as error:
        print(f"cold.py: {error}", file=sys.stderr)
        return USAGE
    own = Path(tempfile.mkdtemp(prefix="cold-", dir=options.folder))
    try:
        own.chmod(0o755)
        hot, cold = write_files(own, options.downloads, int(rate * options.seconds))
        # Everything, so that folders and inodes are cold too.
        Path("/proc/sys/vm/drop_caches").write_text("3")
        with limit:
            # It is hot when it has been asked for.
            exchange(options.port, request(options.port, hot))
            alone = visit(options.port, hot, options.seconds / 4)
            rates, beside = beside_downloads(options, hot, cold)
    finally:
        shutil.rmtree(own)

    print(f"limit: control group, version {limit.version}, {options.rate:g} MB/s")
    print(f"{hot} alone: {alone}")
    shares = ", ".join(f"{each / 1e6:.1f}" for each in rates)
    print(f"{len(cold)} cold downloads: {sum(rates) / 1e6:.1f} MB/s together ({shares})")
    print(f"{hot} beside them: {beside}")
    failures = []
    if beside.p99_ms > options.limit_ms:
        failures.append(f"p99 is over {options.limit_ms:g} ms")
    if beside.failed:
        failures.append(f"{beside.failed} requests failed")
    if not 0 < sum(rates) < rate * RATE_SLACK:
        failures.append("the downloads were not limited by the disk")
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


def write_files(own: Path, downloads: int, size: int) -> tuple[str, list[str]]:
    """URL paths of one small file and of large ones, each too large to arrive in time."""
    names = ["hot.bin", *(f"cold-{index}.bin" for index in range(downloads))]
    for name in names:
        left = HOT_BYTES if name == names[0] else size
        with (own / name).open("wb") as file:
            while left:
                left -= file.write(random.randbytes(min(left, _CHUNK)))
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    hot, *cold = (f"{own.name}/{name}" for name in names)
    return hot, cold


def beside_downloads(options: argparse.Namespace, hot: str, cold: list[str]):
    """Bytes a second that each download got, and the latencies of `hot` meanwhile.

    The downloads are processes: as threads they would hold up the one that measures.
    """
    counters = [multiprocessing.Value("Q", 0) for _ in cold]
    running = [
        multiprocessing.Process(target=download, args=(options.port, path, counter), daemon=True)
        for path, counter in zip(cold, counters)
    ]
    folder = hot.rsplit("/", 1)[0]
    running += [
        multiprocessing.Process(target=upload, args=(options, f"{folder}/up-{index}"), daemon=True)
        for index in range(options.uploads)
    ]
    for process in running:
        process.start()
    try:
        # A visit ends with its last answer, which may be late.
        started = time.monotonic()
        latencies = visit(options.port, hot, options.seconds)
        seconds = time.monotonic() - started
        rates = [counter.value / seconds for counter in counters]
    finally:
        for process in running:
            process.terminate()
            process.join()
    return rates, latencies


def download(port: int, path: str, received):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request(port, path))
        while part := connection.recv(_CHUNK):
            received.value += len(part)


def upload(options: argparse.Namespace, path: str):
    """Stores a file again and again, of a size that keeps the disk busy for seconds."""
    size = int(options.rate * 2e6)
    head = f"PUT /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", options.port)) as connection:
        while True:
            connection.sendall(head.encode())
            for _ in range(size // _CHUNK):
                connection.sendall(bytes(_CHUNK))
            connection.sendall(bytes(size % _CHUNK))
            if not connection.recv(_CHUNK).startswith(b"HTTP/1.1 20"):
                raise SystemExit("an upload was refused")


if __name__ == "__main__":
    sys.exit(main())
