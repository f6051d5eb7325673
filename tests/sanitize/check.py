"""Calls the unsafe code of the Python package with all that may come; run it by `run`. With an argument it is wrong on purpose."""

import array
import contextvars
import os
import sys
import threading

import sanitized

if len(sys.argv) > 1:
    sanitized.wrong()
    sys.exit("nobody has seen it")

for size in (0, 1, 7, 4096, 100_000):
    buffer = bytearray(size)
    for start in (0, 1, size // 2, size, size + 1, 2**63):
        for count in (0, 1, size, max(0, size - start), size + 1):
            assert sanitized.put(buffer, start, b"8" * count) == (start + count <= size), (size, start, count)
view = memoryview(bytearray(10))
assert sanitized.put(view[2:8], 0, b"123456") and not sanitized.put(view[2:8], 1, b"123456")
assert not sanitized.put(view[::2], 0, b"12"), "what is not in one piece"
assert not sanitized.put(b"abc", 0, b"x"), "what cannot be written to"
assert sanitized.put(array.array("B", bytes(8)), 0, b"12345678")

for length in (0, 1, 100, 65_536):
    for size in (0, 1, length, length + 5):
        for at_once in (1, 7, 65_536):
            whole, part = sanitized.filled(length, bytes(range(256)) * (size // 256 + 1), at_once)
            assert part == (bytes(range(256)) * (size // 256 + 1))[:length], (length, size)
            assert whole == (part if len(part) == length else None) and (whole is None or hash(whole) == hash(part))
sanitized.forgotten(1000)

for number in (-1, 10**6):
    try:
        sanitized.duplicate(number)
    except OSError:
        continue
    raise AssertionError(f"{number} is no descriptor")
sanitized.duplicate(0)

ended = threading.Event()


def spin():
    while not ended.is_set():
        [object() for _ in range(100)]


others = [threading.Thread(target=spin) for _ in range(3)]
for other in others:
    other.start()
for _ in range(300):
    sanitized.park()

local, seen = threading.local(), []


def count():
    local.calls = getattr(local, "calls", 0) + 1
    seen.append(local.calls)


for _ in range(20):
    seen.clear()
    sanitized.settled(count, 50)
    assert seen == list(range(1, 51)), seen

name = contextvars.ContextVar("name", default="nobody")


def named(new, fails=None):
    def call():
        old = name.get()
        name.set(new)
        if fails:
            raise fails
        return old

    return call


def fails_with(error, call):
    try:
        call()
    except error:
        return True
    return False


for _ in range(200):
    one, two = sanitized.copied(), sanitized.copied()
    assert sanitized.called_in(one, named("one"), 1) == "nobody"
    assert sanitized.called_in(two, named("two"), 1) == "nobody", "each has its own"
    # Who is in it already calls without, and leaves it once.
    assert sanitized.called_in(one, named("deep"), 5) == "one"
    # One within another.
    assert sanitized.called_in(one, lambda: sanitized.called_in(two, named("inside"), 1), 1) == "two"  # noqa: B023
    assert fails_with(KeyError, lambda: sanitized.called_in(one, named("failed", KeyError(8)), 3))
    assert sanitized.panics_in(one) and sanitized.panics_in(one)
    assert sanitized.called_in(one, named("after"), 1) == "failed", "it was left each time"
    sanitized.called_elsewhere(one, named("elsewhere"))
    assert fails_with(KeyError, lambda: sanitized.called_elsewhere(two, named("elsewhere", KeyError(8))))
    assert sanitized.called_in(two, named("here"), 1) == "elsewhere"
    sanitized.called_elsewhere(sanitized.copied(), named("alone"))
    # What is no context is none.
    assert sanitized.called_in(object(), named("nobody"), 2) == "nobody"
    assert name.get() == "nobody"

readable, written = os.pipe()
os.write(written, b"x")
sanitized.watch(readable)

ended.set()
for other in others:
    other.join()
