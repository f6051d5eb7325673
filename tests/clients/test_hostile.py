"""Paths that try to leave the folder, to hang the server or to reach what is
no file: each is answered 4xx and without waiting for anything, and nothing leaks."""

import os
import socket
import time
import unittest

from number8 import HELLO, Number8, folder

SECRET = b"the-secret-outside-the-root"
# Nothing here is waited for but a busy machine; what waits for a device or a FIFO waits for ever.
ANSWER_SECONDS = 20

# Row H12. What a case is about, and the request target as it is sent.
DOT_SEGMENTS = [
    b"/../secret.txt",
    b"/../../secret.txt",
    b"/sub/../../secret.txt",
    b"/./../secret.txt",
    b"/sub/./../../secret.txt",
    b"//../secret.txt",
    b"/..//secret.txt",
    b"/hello.txt/../../secret.txt",
    b"../secret.txt",
    b"/.../secret.txt",
    b"/..;/secret.txt",
    b"http://x/../secret.txt",
]
ENCODED = [
    b"/%2e%2e/secret.txt",
    b"/%2E%2E/secret.txt",
    b"/.%2e/secret.txt",
    b"/%2e./secret.txt",
    b"/%2e%2e%2fsecret.txt",
    b"/..%2fsecret.txt",
    b"/..%2Fsecret.txt",
    b"/sub%2f..%2f..%2fsecret.txt",
    b"/..%3b/secret.txt",
    b"/%c0%ae%c0%ae/secret.txt",
    b"/..%c0%afsecret.txt",
    b"/..%ef%bc%8fsecret.txt",
    b"/..%u2215secret.txt",
]
DOUBLE_ENCODED = [
    b"/%252e%252e/secret.txt",
    b"/%252e%252e%252fsecret.txt",
    b"/..%252fsecret.txt",
    b"/%25252e%25252e/secret.txt",
]
BACKSLASH = [
    b"/..\\secret.txt",
    b"/sub\\..\\..\\secret.txt",
    b"/..%5csecret.txt",
    b"/%5c..%5c..%5csecret.txt",
]
CONTROLS = [
    b"/%00",
    b"/hello.txt%00",
    b"/hello.txt%00.html",
    b"/..%2fsecret.txt%00.txt",
    b"/hello.txt\0",
    b"/hello.txt%0a",
    b"/hello.txt%0d%0aSet-Cookie:%20a=b",
]
BROKEN_ESCAPES = [b"/%", b"/%2", b"/%zz", b"/hello%2gtxt"]
LONG = [
    b"/" + b"a" * 255 + b"b",
    b"/" + b"a/" * 2500,
    b"/" + b"%61" * 2000,
    b"/" + b"a" * 9000,
    b"/" + b"../" * 2000 + b"secret.txt",
]
HIDDEN = [b"/.secret", b"/%2esecret", b"/.git/config", b"/sub/.secret"]
LINKS_OUT = [
    b"/link-up.txt",
    b"/link-absolute.txt",
    b"/link-folder/secret.txt",
    b"/link-folder/",
    b"/link-folder/root/hello.txt",
    b"/link-loop",
    b"/link-passwd",
]
PROC = [
    b"/proc/self/environ",
    b"/link-proc/environ",
    b"/link-proc/cwd/Cargo.toml",
    b"/link-root/etc/passwd",
    b"/link-stdin",
]
NO_FILES = [b"/fifo", b"/fifo/", b"/socket", b"/device", b"/link-zero", b"/sub/fifo"]
OTHER_SYSTEMS = [
    b"/hello.txt/",
    b"/hello.txt::$DATA",
    b"/C:/Windows/win.ini",
    b"//etc/passwd",
    b"/file:///etc/passwd",
    b"/~root/",
]


def setUpModule():
    global server
    temporary, root, _ = folder()
    unittest.addModuleCleanup(temporary.cleanup)
    hostile_entries(root)
    server = unittest.enterModuleContext(Number8(root))


def hostile_entries(root):
    (root.parent / "secret.txt").write_bytes(SECRET)
    (root / ".git").mkdir()
    for hidden in (".secret", "sub/.secret", ".git/config"):
        (root / hidden).write_bytes(SECRET)
    links = {
        "link-up.txt": "../secret.txt",
        "link-absolute.txt": root.parent / "secret.txt",
        "link-folder": "..",
        "link-loop": "link-loop",
        "link-passwd": "/etc/passwd",
        "link-proc": "/proc/self",
        "link-root": "/proc/self/root",
        "link-stdin": "/proc/self/fd/0",
        "link-zero": "/dev/zero",
        "link-inside.txt": "sub/../hello.txt",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    os.mkfifo(root / "sub/fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(root / "socket"))
    listener.close()
    try:
        os.mknod(root / "device", 0o20666, os.makedev(1, 5))  # as /dev/zero
    except PermissionError:
        (root / "device").symlink_to("/dev/zero")


def ask(target):
    """All that the server says to one request, until it closes."""
    started = time.monotonic()
    answer = b""
    with server.connect(ANSWER_SECONDS) as client:
        client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
        while time.monotonic() - started < ANSWER_SECONDS:
            try:
                part = client.recv(65536)
            except ConnectionResetError:
                break
            if not part:
                break
            answer += part
    return answer, time.monotonic() - started


class Hostile(unittest.TestCase):
    def refuse(self, targets):
        for target in targets:
            with self.subTest(target=target[:60]):
                answer, seconds = ask(target)
                self.assertRegex(answer, rb"\AHTTP/1\.[01] 4\d\d[ \r]")
                self.assertLess(seconds, ANSWER_SECONDS)
                self.assertNotIn(SECRET, answer)
                self.assertNotIn(b"root:", answer)
                self.assertNotIn(b"\r\nSet-Cookie:", answer)
                self.assertEqual(answer.count(b"HTTP/1."), 1)

    def tearDown(self):
        answer, _ = ask(b"/hello.txt")
        self.assertTrue(answer.endswith(HELLO), "a normal request fails after the hostile ones")

    def test_h12_dot_segments(self):
        self.refuse(DOT_SEGMENTS)

    def test_h12_encoded_dot_segments(self):
        self.refuse(ENCODED)

    def test_h12_double_encoded_dot_segments(self):
        self.refuse(DOUBLE_ENCODED)

    def test_h12_backslashes(self):
        self.refuse(BACKSLASH)

    def test_h12_control_characters(self):
        self.refuse(CONTROLS)

    def test_h12_broken_escapes(self):
        self.refuse(BROKEN_ESCAPES)

    def test_f3_hidden_files(self):
        self.refuse(HIDDEN)

    def test_f3_links_out_of_the_root(self):
        self.refuse(LINKS_OUT)

    def test_f3_links_to_proc(self):
        self.refuse(PROC)

    def test_f3_what_is_no_file_never_blocks(self):
        self.refuse(NO_FILES)

    def test_f3_names_of_other_systems(self):
        self.refuse(OTHER_SYSTEMS)

    def test_g2_long_names(self):
        self.refuse(LONG)

    def test_f3_a_link_inside_the_root_is_served(self):
        self.assertTrue(ask(b"/link-inside.txt")[0].endswith(HELLO))

    def test_h12_dots_in_the_query_are_data(self):
        self.assertTrue(ask(b"/hello.txt?x=/../../etc/passwd")[0].endswith(HELLO))

    def test_f7_a_listing_hides_what_it_does_not_serve(self):
        answer, _ = ask(b"/plain/")
        self.assertIn(b"one.txt", answer)
        listing, _ = ask(b"/sub/?json")
        self.assertNotIn(b".secret", listing)
        self.assertNotIn(b"fifo", listing)

    def test_w10_descriptors_return_to_the_baseline(self):
        before = server.descriptors()
        for _ in range(5):
            for target in NO_FILES + LINKS_OUT + PROC:
                ask(target)
        # The server learns a moment later than we do that a client is gone.
        deadline = time.monotonic() + ANSWER_SECONDS
        while server.descriptors() > before and time.monotonic() < deadline:
            ask(b"/hello.txt")
        self.assertLessEqual(server.descriptors(), before)


if __name__ == "__main__":
    unittest.main()
