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
    "a disk that sets no room aside": "fallocate=EOPNOTSUPP",
    "Linux 5.10": NO_LANDLOCK,
    "Linux 5.4": f"{NO_LANDLOCK},openat2=ENOSYS,close_range=ENOSYS,faccessat2=ENOSYS",
}


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

    def test_b5_l6_programs_run_on_older_kernels(self):
        for lack in ("Linux 5.10", "Linux 5.4"):
            with self.subTest(lack):
                temporary, root, _ = number8.folder()
                self.enterContext(temporary)
                os.chmod(temporary.name, 0o755)  # where the tests run as root, programs run as nobody
                options = ["--allow", "all", "--run", "py=python3 -u", "--log", "off"]
                with Server(root, *options, through=[sys.executable, LACKING, SYSTEMS[lack]]) as server:
                    self.program(server)

    def program(self, server):
        json_fields = "Accept: application/json", "Content-Type: text/plain"
        code = b"print(6 * 7)\n"
        started = Answer(server, "POST", "/.number8/run?language=py", code, *json_fields)
        self.assertEqual(started.status, 201, started.content)

        def ended():
            state = json.loads(Answer(server, "GET", "/.number8/run", b"", *json_fields).content)
            return state if state["state"] == "ended" else None

        self.assertEqual(until("the end of the program", ended)["exit"], {"code": 0})
        self.assertEqual(Answer(server, "GET", "/.number8/run/output?plain").content, b"42\n")


if __name__ == "__main__":
    unittest.main()
