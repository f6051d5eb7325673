"""The server is killed while files come in: afterwards each is whole, the old one or the new, nothing that was promised
is lost, and the next start removes what is left of the others."""

import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from harness import Server, await_bytes, connect, mounted, until

UPLOADERS = 4
LIFE_SECONDS_MAX = 0.25
LENGTHS = [0, 1, 100, 4_096, 70_000, 300_000, 1_200_000]
# What follows the first 32 MiB of a file goes to the disk past memory, where it is waited for.
THROUGH_MEMORY = 32 << 20
LARGE_LENGTHS = [40 << 20, (40 << 20) + 512 * 1024 + 5]
LARGE_ROUNDS_MAX = 10
NAMES = 3  # each uploader replaces these again and again


def content(name, number, length):
    """A file that says who it is, and whether it is whole."""
    start = f"{name} {number} {length}\n".encode()
    middle = random.Random(number).randbytes(length)
    return start + middle + hashlib.sha256(start + middle).digest()


def read(path):
    """Name and number of a file, or None where it is not whole."""
    data = path.read_bytes()
    start, _, _ = data.partition(b"\n")
    words = start.split()
    if len(words) != 3 or hashlib.sha256(data[:-32]).digest() != data[-32:]:
        return None
    name, number, length = words
    return (name.decode(), int(number)) if len(data) == len(start) + 1 + int(length) + 32 else None


def sized(name, data):
    return [b"PUT /%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (name, len(data)), data]


def chunked(name, data):
    head = b"PUT /%s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" % name
    return [head, b"%x\r\n" % len(data), data, b"\r\n0\r\n\r\n"]


def form(name, data):
    folder, _, leaf = name.rpartition(b"/")
    body = (
        b'--cut\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n' % leaf + data + b"\r\n--cut--\r\n"
    )
    head = b"POST /%s/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=cut\r\nContent-Length: %d\r\n\r\n"
    return [head % (folder, len(body)), body]


class Uploader(threading.Thread):
    """Sends files on one connection until it breaks. Its files are its own."""

    def __init__(self, who, port, dice, sent, kept, lengths):
        super().__init__(daemon=True)
        self.who, self.port, self.dice, self.sent, self.kept, self.lengths = who, port, dice, sent, kept, lengths
        self.refused = None

    def run(self):
        with contextlib.suppress(OSError), connect(self.port) as client:
            while not self.refused:
                self.upload(client)

    def upload(self, client):
        name = f"in{self.who}/{self.dice.randrange(NAMES)}"
        if self.dice.random() < 0.2:  # a name that is new
            name = f"in{self.who}/new/{len(self.sent)}"
        number = self.sent[name] = self.sent.get(name, 0) + 1
        how = self.dice.choice([sized, chunked, form])
        data = content(name, number, self.dice.choice(self.lengths))
        for part in how(name.encode(), data):
            client.sendall(part)
        answer = await_bytes(client, b"\r\n\r\n")
        status = answer.split(b" ")[1]
        if status not in (b"201", b"204"):
            self.refused = answer
            return
        if how is form and b"}" not in answer.partition(b"\r\n\r\n")[2]:
            await_bytes(client, b"}")  # the JSON that names the files
        self.kept[name] = number


def hidden(root):
    return [path.name for path in root.rglob(".*")]


def unfinished(server, root):
    """Bytes that there are of each file below the folder that the server has open."""
    lengths = []
    for descriptor in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(descriptor).startswith(f"{root}/"):
                lengths.append(descriptor.stat().st_size)
    return lengths


class Kills(unittest.TestCase):
    def kill_again_and_again(self, root, rounds, lengths=LENGTHS):
        dice = harness.chance(self)
        sent = [{} for _ in range(UPLOADERS)]
        kept = [{} for _ in range(UPLOADERS)]
        left = cut = 0
        for number in range(rounds):
            # As a kill leaves it on a disk without files without a name.
            (root / f".number8-upload-{dice.getrandbits(64):016x}").write_bytes(b"half")
            is_large = min(lengths) > THROUGH_MEMORY
            sync = [] if is_large or dice.random() < 0.5 else ["--no-fsync"]
            server = Server(root, "-A", "--log", "off", *sync)
            try:
                until("no temporary file", lambda: not hidden(root))
                uploaders = [
                    Uploader(who, server.port, random.Random(dice.random()), sent[who], kept[who], lengths)
                    for who in range(UPLOADERS)
                ]
                for uploader in uploaders:
                    uploader.start()
                if not number:
                    until("an upload is promised", lambda: any(kept))
                if is_large:
                    until("a file goes past memory", lambda: max(unfinished(server, root), default=0) > THROUGH_MEMORY)
                time.sleep(dice.random() * LIFE_SECONDS_MAX)  # the moment is by chance; nothing depends on it
            finally:
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
                server.reader.join()
            for uploader in uploaders:
                uploader.join(harness.DEADLINE)
                self.assertIsNone(uploader.refused)
            left += 1 + len(hidden(root))
            cut += sum(sent[who][name] != kept[who].get(name) for who in range(UPLOADERS) for name in sent[who])
            self.check(root, sent, kept, number)
        with Server(root, "-A"):
            until("no temporary file", lambda: not hidden(root))
        stored = sum(sum(names.values()) for names in kept)
        print(f"{rounds} kills, {stored} uploads promised, {cut} cut, {left} temporary files left and removed", flush=True)

    def check(self, root, sent, kept, number):
        for who in range(UPLOADERS):
            for name in sent[who]:
                path = root / name
                if not path.exists():
                    self.assertNotIn(name, kept[who], f"round {number}: {name} was promised")
                    continue
                found = read(path)
                self.assertIsNotNone(found, f"round {number}: {name} is torn")
                self.assertEqual(found[0], name)
                self.assertLessEqual(kept[who].get(name, 0), found[1], f"round {number}: {name} is too old")
                self.assertLessEqual(found[1], sent[who][name])
                # What was cut and is there all the same was stored before its answer.
                kept[who][name] = found[1]
            # New names are looked at once: thousands of them would be read a thousand times.
            for name in [name for name in sent[who] if "/new/" in name]:
                (root / name).unlink(missing_ok=True)
                kept[who].pop(name, None)
                sent[who].pop(name)

    def test_f9_files_are_whole_after_kill_9(self):
        with tempfile.TemporaryDirectory(prefix="number8-kills-") as folder:
            self.kill_again_and_again(pathlib.Path(folder), harness.ROUNDS)

    def test_f9_large_files_are_whole_after_kill_9(self):
        with tempfile.TemporaryDirectory(prefix="number8-kills-") as folder:
            rounds = max(1, min(harness.ROUNDS // 4, LARGE_ROUNDS_MAX))
            self.kill_again_and_again(pathlib.Path(folder), rounds, LARGE_LENGTHS)

    def test_f9_files_are_whole_after_kill_9_on_vfat(self):
        """No files without a name there: each upload has a hidden one, which the next start removes."""
        with tempfile.TemporaryDirectory(prefix="number8-image-") as folder:
            image = pathlib.Path(folder) / "disk"
            with open(image, "wb") as file:
                file.truncate(256 << 20)
            tool = shutil.which("mkfs.vfat", path=os.environ["PATH"] + ":/usr/sbin")
            if tool is None:
                self.skipTest("mkfs.vfat is missing")
            subprocess.run([tool, image], check=True, capture_output=True)
            with mounted("-o", "loop", str(image)) as root:
                if root is None:
                    self.skipTest("disks cannot be mounted here")
                self.kill_again_and_again(root, max(1, harness.ROUNDS // 4))


if __name__ == "__main__":
    unittest.main()
