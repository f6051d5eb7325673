"""Two hosts, each a network namespace, on one wire: number8 says its name on the first, zeroconf hears it on the second."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from number8 import BINARY, START_SECONDS, Running

LISTEN = """
import json, urllib.request
from zeroconf import Zeroconf
zeroconf = Zeroconf(interfaces=["10.88.0.2"])
info = zeroconf.get_service_info("_http._tcp.local.", "board._http._tcp.local.", timeout=30_000)
answer = None
if info:
    url = f"http://{info.parsed_addresses()[0]}:{info.port}" + info.decoded_properties["path"]
    request = urllib.request.Request(url, headers={"Host": "board.local"})
    answer = urllib.request.urlopen(request, timeout=60).read().decode()
zeroconf.close()
print(json.dumps(info and [info.server, info.parsed_addresses(), answer]))
"""


class Host:
    """A network namespace that lasts as long as a process in it."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        ours = os.readlink("/proc/self/ns/net")
        end = time.monotonic() + START_SECONDS
        while os.readlink(f"/proc/{self.process.pid}/ns/net") == ours:
            assert time.monotonic() < end, "no network namespace"
            time.sleep(0.01)

    def command(self, *command):
        return ["nsenter", "--target", str(self.process.pid), "--net", *map(str, command)]

    def run(self, *command):
        return subprocess.run(self.command(*command), check=True, capture_output=True, text=True).stdout

    def connect(self, device, address):
        self.run("ip", "address", "add", address, "dev", device)
        for name in ["lo", device]:
            self.run("ip", "link", "set", name, "up")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def wired():
    """Two hosts on one wire, or None where we may not make any."""
    if os.geteuid() or not all(map(shutil.which, ["ip", "nsenter", "unshare"])):
        return None
    hosts = Host(), Host()
    ends = [["netns", str(host.process.pid)] for host in hosts]
    wire = ["ip", "link", "add", "board", *ends[0], "type", "veth", "peer", "name", "phone", *ends[1]]
    if subprocess.run(wire, capture_output=True).returncode:
        for host in hosts:
            host.close()
        return None
    hosts[0].connect("board", "10.88.0.1/24")
    hosts[1].connect("phone", "10.88.0.2/24")
    return hosts


class Mdns(unittest.TestCase):
    def test_o2_a_board_is_found_by_its_name(self):
        hosts = wired()
        if not hosts:
            self.skipTest("needs root for network namespaces")
        board, phone = hosts
        self.addCleanup(board.close)
        self.addCleanup(phone.close)
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "index.html").write_text("hello")
            options = ["--bind", "127.0.0.1", "--bind", "10.88.0.1", "--port", "0", "--host", "other"]
            with Running(board.command(BINARY, *options, "--mdns=board", folder)):
                heard = json.loads(phone.run(sys.executable, "-c", LISTEN))
        self.assertEqual(heard, ["board.local.", ["10.88.0.1"], "hello"])
