"""Clients of MicroPython's WebREPL from the package registry, against the example `repl`.

`webrepl` behaves as the official `webrepl_cli.py`, whose code it is; Thonny's connection class is what the IDE talks through, on
the library `websockets`. Two pages, as browsers keep them, look at the same session.
"""

import asyncio
import json
import os
import pathlib
import re
import tempfile
import unittest

import websockets
from number8 import REPOSITORY, Running
from webrepl import Webrepl

try:
    from thonny.plugins.micropython.webrepl_connection import WebReplConnection
except ImportError:  # it needs much of Thonny
    WebReplConnection = None

EXAMPLE = pathlib.Path(os.environ.get("NUMBER8_EXAMPLES", REPOSITORY / "target/debug/examples")) / "repl"
CONTENT = bytes(range(256)) * 300 + b"\r\nthe end"
RAW = b"raw REPL; CTRL-B to exit\r\n>"
SCRIPT = "".join(f"v{n} = '{n:_>50}'\n" for n in range(1700)) + "print(len(v1699))\n"


class Clients(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="number8-webrepl-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.folder.chmod(0o777)
        self.server = Running([EXAMPLE, self.folder, "0", "0"], ends_with=-15)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__, None, None, None)
        line = self.server.said.get(timeout=60)
        self.webrepl = re.search(r"ws://127\.0\.0\.1:(\d+)/", line)

    def test_x6_webrepl_puts_and_gets_files(self):
        client = Webrepl(host="127.0.0.1", port=int(self.webrepl[1]), password="shear8")
        self.addCleanup(client.disconnect)
        self.assertTrue(client.connected)
        self.assertEqual(client.get_ver(), (1, 22, 0))
        local = self.folder / "local.bin"
        local.write_bytes(CONTENT)
        client.put_file(str(local), "/lib/remote.bin")
        self.assertEqual((self.folder / "lib/remote.bin").read_bytes(), CONTENT)
        self.assertEqual(client.get_file_content("lib/remote.bin"), CONTENT)
        client.get_file("/lib/remote.bin", str(self.folder / "back.bin"))
        self.assertEqual((self.folder / "back.bin").read_bytes(), CONTENT)
        with self.assertRaises(AssertionError):
            client.get_file_content("missing")
        client.ws.writetext(b"print('go' + 'es on')\r")
        shown = b""
        while not shown.endswith(b"goes on\r\n>>> "):
            shown += client.ws.read(1024, text_ok=True, size_match=False)

    def test_x6_webrepl_with_a_wrong_password(self):
        client = Webrepl(host="127.0.0.1", port=int(self.webrepl[1]), password="wrong")
        self.addCleanup(client.disconnect)
        self.assertFalse(client.connected)

    @unittest.skipUnless(WebReplConnection, "Thonny is not there: pip install --no-deps thonny")
    def test_x7_thonny_runs_code(self):
        connection = WebReplConnection(self.webrepl[0], "shear8")
        connection.read_until(b"WebREPL connected\r\n>>> ", timeout=60)
        connection.write(b"\r\x03")
        connection.read_until(b">>> ", timeout=60)
        connection.write(b"\r\x01")
        connection.read_until(RAW, timeout=60)
        for at in range(0, len(SCRIPT), 255):
            connection.write(SCRIPT[at : at + 255].encode())
        connection.write(b"\x04")
        self.assertEqual(bytes(connection.read_until(b"\x04>", timeout=60)), b"OK50\r\n\x04\x04>")
        connection.write(b"\x05A\x01")
        self.assertEqual(bytes(connection.read(4, timeout=60)), b"R\x01\x00\x10")
        connection.write(b"print('pasted')\x04")
        self.assertEqual(bytes(connection.read_until(b"\x04>", timeout=60)), b"\x04pasted\r\n\x04\x04>")
        connection.write(b"\x02")
        self.assertIn(b"\r\nMicroPython ", bytes(connection.read_until(b">>> ", timeout=60)))

    def test_x8_two_pages_see_the_same_session(self):
        asyncio.run(asyncio.wait_for(self.two_pages(), 60))

    async def two_pages(self):
        url = self.server.url.replace("http", "ws") + "/repl"
        async with websockets.connect(url, origin=self.server.url) as page:
            seen = await until(page, b">>> ")
            async with websockets.connect(url + "?view") as watching:
                await page.send(b"import time\r")
                seen += await until(page, b"time\r\n>>> ")
                self.assertEqual(await until(watching, b"time\r\n>>> "), seen)
            await page.send(b"time.sleep(0.3); print('long', 'job')\r")
        async with websockets.connect(url) as page:
            self.assertIn(seen, await until(page, b"long job\r\n>>> "))
            await page.send(json.dumps({"restart": True}))
            await until(page, b"MicroPython ")
        with self.assertRaises(websockets.exceptions.InvalidStatus):
            await websockets.connect(url, origin="http://evil.example")


async def until(page, end):
    """What the terminal shows, up to `end`."""
    shown = b""
    while end not in shown:
        message = await page.recv()
        if isinstance(message, bytes):
            shown += message
    return shown


if __name__ == "__main__":
    unittest.main()
