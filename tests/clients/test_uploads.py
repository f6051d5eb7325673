"""curl and requests store, form, move and remove files."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import requests

from number8 import BIG, STOP_SECONDS, Number8

MEMORY_KIB = 24 << 10


class Uploads(unittest.TestCase):
    def setUp(self):
        self.here = pathlib.Path(tempfile.mkdtemp(prefix="number8-client-"))
        self.addCleanup(shutil.rmtree, self.here)
        self.root = self.here / "root"
        self.root.mkdir()

    def serve(self, *options):
        return self.enterContext(Number8(self.root, *options))

    def curl(self, server, path, *options):
        """Status and content of one answer."""
        command = ["curl", "-sS", "--path-as-is", "-w", "\n%{http_code}", *options, server.url + path]
        done = subprocess.run(command, cwd=self.here, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        content, status = done.stdout.rsplit(b"\n", 1)
        return int(status), content

    def names(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))

    def test_f9_curl_uploads_to_a_folder_and_to_a_name(self):
        server = self.serve("-A")
        (self.here / "big.bin").write_bytes(BIG)
        self.assertEqual(self.curl(server, "/", "-T", "big.bin")[0], 201)
        self.assertEqual(self.curl(server, "/big.bin", "-T", "big.bin")[0], 204)
        self.assertEqual(self.curl(server, "/new/folder/name", "-T", "big.bin")[0], 201)
        # From a pipe, so that the length is not known.
        send = f"cat big.bin | curl -sS -T - {server.url}/piped"
        subprocess.run(send, shell=True, cwd=self.here, check=True, timeout=60)
        for name in ("big.bin", "new/folder/name", "piped"):
            self.assertEqual((self.root / name).read_bytes(), BIG, name)
        self.assertEqual(self.names(), ["big.bin", "new", "new/folder", "new/folder/name", "piped"])

    def test_f9_curl_sends_a_form(self):
        server = self.serve("-A")
        (self.here / "a b.txt").write_text("one")
        (self.here / "é.txt").write_text("two")
        status, content = self.curl(server, "/in/", "-F", "file=@a b.txt", "-F", "file=@é.txt")
        self.assertEqual(status, 201, content)
        places = [file["location"] for file in json.loads(content)["files"]]
        self.assertEqual(places, ["/in/a%20b.txt", "/in/%C3%A9.txt"])
        self.assertEqual((self.root / "in/a b.txt").read_text(), "one")
        self.assertEqual((self.root / "in/é.txt").read_text(), "two")

    def test_f9_requests_does_all_of_it(self):
        server = self.serve("-A")
        session = self.enterContext(requests.Session())
        url = server.url + "/music/song.mp3"
        answer = session.put(url, data=BIG)
        self.assertEqual((answer.status_code, answer.headers["Location"]), (201, "/music/song.mp3"))
        tag = answer.headers["ETag"]
        self.assertEqual(session.put(url, data=b"x", headers={"If-None-Match": "*"}).status_code, 412)
        self.assertEqual(session.put(url, data=b"new", headers={"If-Match": tag}).status_code, 204)
        self.assertEqual(session.put(url, data=b"late", headers={"If-Match": tag}).status_code, 412)
        self.assertEqual(session.get(url).content, b"new")
        files = [("file", ("one.txt", b"1")), ("file", ("two.txt", b"2"))]
        self.assertEqual(session.post(server.url + "/texts/", files=files).status_code, 201)
        self.assertEqual(session.post(server.url + "/empty/").status_code, 201)
        moved = session.request("MOVE", url, headers={"Destination": server.url + "/song.mp3"})
        self.assertEqual((moved.status_code, moved.headers["Location"]), (201, "/song.mp3"))
        for path, status in (("/music", 409), ("/music/", 204), ("/texts/", 409), ("/texts/?force=1", 204)):
            self.assertEqual(session.delete(server.url + path).status_code, status, path)
        self.assertEqual(self.names(), ["empty", "song.mp3"])

    def test_f9_generated_content_comes_in_chunks(self):
        server = self.serve("--allow", "up")
        answer = requests.put(server.url + "/x", data=(BIG[at : at + 99_999] for at in range(0, len(BIG), 99_999)))
        self.assertEqual(answer.status_code, 201)
        self.assertEqual((self.root / "x").read_bytes(), BIG)

    def test_f9_what_is_refused_is_not_sent(self):
        server = self.serve("--allow", "up", "--max-upload", "1M")
        (self.here / "big.bin").write_bytes(BIG)
        done = subprocess.run(
            ["curl", "-sS", "-o", "out", "-w", "%{http_code} %{size_upload}", "-T", "big.bin", server.url + "/"],
            cwd=self.here, capture_output=True, timeout=60,
        )
        self.assertEqual(done.stdout, b"413 0")
        self.assertEqual(self.names(), [])

    def unfinished(self, server):
        """Whether the server has a file below the folder open: one without a name, since nothing was asked for."""
        below = f"{self.root}/"
        for descriptor in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
            try:
                if os.readlink(descriptor).startswith(below):
                    return True
            except FileNotFoundError:
                continue
        return False

    def until(self, is_so):
        end = time.monotonic() + STOP_SECONDS
        while not is_so():
            self.assertLess(time.monotonic(), end, "waited in vain")
            time.sleep(0.01)

    def test_design_6_a_client_that_is_killed_leaves_nothing(self):
        server = self.serve("-A")
        (self.root / "x").write_text("old")
        (self.here / "big.bin").write_bytes(BIG)
        slow = ["curl", "-s", "--limit-rate", "1M", "-T", "big.bin", server.url + "/x"]
        client = subprocess.Popen(slow, cwd=self.here)
        self.until(lambda: self.unfinished(server))
        client.kill()
        client.wait()
        self.until(lambda: not self.unfinished(server))
        self.assertEqual((self.names(), (self.root / "x").read_text()), (["x"], "old"))

    def test_line_7_a_large_upload_takes_little_memory(self):
        server = self.serve("-A", "--no-fsync")
        with (self.here / "large").open("wb") as file:
            file.truncate(256 << 20)
        self.assertEqual(self.curl(server, "/", "-T", "large")[0], 201)
        self.assertEqual((self.root / "large").stat().st_size, 256 << 20)
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
        self.assertLess(peak, MEMORY_KIB)

    def test_design_6_a_full_disk_is_507_and_keeps_the_old_file(self):
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", self.root]
        if subprocess.run(mount, capture_output=True).returncode != 0:
            self.skipTest("only root may mount a small disk")
        self.addCleanup(subprocess.run, ["umount", "-l", self.root])
        (self.root / "x").write_text("old")
        (self.here / "big.bin").write_bytes(BIG)
        server = self.serve("-A", "--keep-free", "0")
        for options in (["-T", "big.bin"], ["-T", "big.bin", "-H", "Transfer-Encoding: chunked"]):
            self.assertEqual(self.curl(server, "/x", *options)[0], 507, options)
        status, _ = self.curl(server, "/y/z/", "-F", "file=@big.bin")
        self.assertEqual(status, 507)
        self.assertEqual((self.names(), (self.root / "x").read_text()), (["x"], "old"))
        self.assertEqual(self.curl(server, "/x", "-d", "new")[0], 204)
        self.assertEqual(self.curl(server, "/x")[1], b"new")


if __name__ == "__main__":
    unittest.main()
