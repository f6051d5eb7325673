"""Kernels and disks that cannot do all that ours can: what is asked for is done all the same, or refused with a word."""

import json
import os
import pathlib
import sys
import unittest

import harness
import lacking
from harness import Server, ask, number8, until

LACKING = pathlib.Path(__file__).resolve().parent / "lacking.py"
NO_UNNAMED = f"openat&{os.O_TMPFILE:#x}=EOPNOTSUPP"
NO_LANDLOCK = "landlock_create_ruleset=ENOSYS"

# What is lacking, and the calls that fail for it.
SYSTEMS = {
    "a disk whose files sendfile does not take": "sendfile=EINVAL",
    "a sandbox without sendfile": "sendfile=ENOSYS",
    "a disk without locks": "flock=ENOLCK",
    "a disk with neither locks nor files without names": f"flock=EOPNOTSUPP,{NO_UNNAMED}",
    "a disk without files without names": NO_UNNAMED,
    "a disk that cannot move to free names only": f"renameat2=EINVAL,{NO_UNNAMED}",
    "a disk that cannot tell what is in memory": "preadv2=EOPNOTSUPP",
    "a sandbox that does not let one ask": "preadv2=EPERM",
    "a disk that sets no room aside": "fallocate=EOPNOTSUPP",
    "Linux 5.10": NO_LANDLOCK,
    "Linux 5.4": f"{NO_LANDLOCK},openat2=ENOSYS,close_range=ENOSYS,faccessat2=ENOSYS",
}

OLD_SANDBOXES = {
    "a sandbox that knows no descriptors of processes": "pidfd_open=EPERM",
    "a sandbox that sends no signals to them": "pidfd_send_signal=EPERM",
    "a machine without descriptors": "pidfd_open=ENFILE",
}

JSON = "Accept: application/json", "Content-Type: text/plain"

# Ends when it is asked, and leaves a process that does not.
STUBBORN = b"""
import os, signal, subprocess, sys
child = subprocess.Popen(["sleep", "300"], start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
signal.signal(signal.SIGINT, lambda *_: os._exit(3))
signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
print(child.pid)
while True:
    signal.pause()
"""


def request(method, path, content=b"", *fields):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(content)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + content


class Answer:
    def __init__(self, server, method, path, *rest):
        head, _, self.content = ask(server.port, request(method, path, *rest)).partition(b"\r\n\r\n")
        self.status = int(head.split(b" ")[1])


@unittest.skipUnless(lacking.is_known(), "the numbers of this machine's system calls are not known")
class Systems(unittest.TestCase):
    def test_f9_g2_what_a_system_lacks_is_done_another_way(self):
        for lack, calls in SYSTEMS.items():
            with self.subTest(lack):
                temporary, root, files = number8.folder()
                self.enterContext(temporary)
                with Server(root, "-A", "--log", "off", through=[sys.executable, LACKING, calls]) as server:
                    self.files(server, root, files)
                    server.healthy()

    def test_f9_what_is_written_and_may_be_lost_is_told_so(self):
        temporary, root, _ = number8.folder()
        self.enterContext(temporary)
        with Server(root, "-A", "--log", "off", through=[sys.executable, LACKING, "fsync=EIO"]) as server:
            answer = Answer(server, "PUT", "/new.txt", b"new")
            self.assertEqual(answer.status, 500)
            self.assertIn(b"it is written, but may be lost", answer.content)
            self.assertEqual(Answer(server, "GET", "/new.txt").content, b"new")

    def files(self, server, root, files):
        for name in ("hello.txt", "big.bin", "text.html"):
            answer = Answer(server, "GET", f"/{name}")
            self.assertEqual((answer.status, len(answer.content)), (200, len(files[name])), name)
            self.assertTrue(answer.content == files[name], name)
        part = Answer(server, "GET", "/big.bin", b"", "Range: bytes=100000-2999999")
        self.assertTrue((part.status, part.content) == (206, files["big.bin"][100_000:3_000_000]))
        self.assertIn(b"hello.txt", Answer(server, "GET", "/?json").content)
        large = files["big.bin"] * 2
        for path, content, status in (
            ("/new.txt", b"new", 201),
            ("/new.txt", b"newer", 204),
            ("/below/new.bin", large, 201),
            ("/below/new.bin", large[1:], 204),
        ):
            with self.subTest(path, status=status):
                self.assertEqual(Answer(server, "PUT", path, content).status, status)
                self.assertTrue(Answer(server, "GET", path).content == content)
        moved = Answer(server, "MOVE", "/new.txt", b"", "Destination: /moved.txt", "Overwrite: F")
        self.assertEqual(moved.status, 201)
        taken = Answer(server, "MOVE", "/moved.txt", b"", "Destination: /hello.txt", "Overwrite: F")
        self.assertEqual(taken.status, 412)
        self.assertEqual(Answer(server, "DELETE", "/moved.txt").status, 204)
        self.assertEqual(Answer(server, "DELETE", "/below/?force=1").status, 204)
        left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        self.assertEqual(left, sorted(files))

    def test_b5_l6_programs_run_on_older_kernels_and_in_sandboxes_and_can_be_stopped(self):
        for lack in ("Linux 5.10", "Linux 5.4", *OLD_SANDBOXES):
            with self.subTest(lack):
                temporary, root, _ = number8.folder()
                self.enterContext(temporary)
                os.chmod(temporary.name, 0o755)  # where the tests run as root, programs run as nobody
                options = ["--allow", "all", "--run", "py=python3 -u", "--log", "off"]
                calls = SYSTEMS[lack] if lack in SYSTEMS else OLD_SANDBOXES[lack]
                with Server(root, *options, through=[sys.executable, LACKING, calls]) as server:
                    self.start(server, b"print(6 * 7)\n")
                    self.assertEqual(self.ended(server)["exit"], {"code": 0})
                    self.assertEqual(self.output(server), b"42\n")
                    self.start(server, STUBBORN)
                    until("the program's child", lambda: self.output(server).endswith(b"\n"))
                    child = int(self.output(server))
                    Answer(server, "DELETE", "/.number8/run", b"", *JSON)
                    self.assertEqual(self.ended(server)["exit"], {"code": 3})
                    self.assertFalse(pathlib.Path(f"/proc/{child}").exists(), "it was left")

    def start(self, server, code):
        started = Answer(server, "POST", "/.number8/run?language=py", code, *JSON)
        self.assertEqual(started.status, 201, started.content)

    def ended(self, server):
        def ended():
            state = json.loads(Answer(server, "GET", "/.number8/run", b"", *JSON).content)
            return state if state["state"] == "ended" else None

        return until("the end of the program", ended)

    def output(self, server):
        return Answer(server, "GET", "/.number8/run/output?plain").content


if __name__ == "__main__":
    unittest.main()
