"""number8 as the first process of a container: it inherits the children of others and has to collect them."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from number8 import BINARY, START_SECONDS, environment

CHILDREN = 128
# The shell starts children that outlive it, then becomes number8: process 1 of its own namespace.
SCRIPT = f"for i in $(seq {CHILDREN}); do (read line < go) & done; exec \"$0\" -q -b unix:socket ."


def children(pid):
    """The states of the processes whose parent this is, as one letter each."""
    states = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            state, parent = pathlib.Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid:
            states.append(state)
    return states


def eventually(what, is_so):
    end = time.monotonic() + START_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.01)


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "needs root for a namespace")
class FirstProcess(unittest.TestCase):
    def test_w12_children_of_others_are_collected(self):
        with tempfile.TemporaryDirectory() as folder:
            go = pathlib.Path(folder) / "go"
            os.mkfifo(go)
            outer = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT, BINARY],
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
            )
            try:
                eventually("number8 listens", (pathlib.Path(folder) / "socket").exists)
                inner = int(pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
                eventually("all children are there", lambda: len(children(inner)) == CHILDREN)
                # All of them read the end of the pipe and end at once.
                go.open("w").close()
                eventually("none is left, not even as a zombie", lambda: children(inner) == [])
                os.kill(inner, signal.SIGTERM)
                self.assertEqual(outer.wait(START_SECONDS), 0)
            finally:
                outer.kill()
                outer.wait()


if __name__ == "__main__":
    unittest.main()
