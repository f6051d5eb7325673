"""What `number8 service install` writes for an app starts it, and stops it, as systemd would."""

import pathlib
import shlex
import subprocess
import sys
import unittest

from commanded import ask, folder
from hosting import running


def units(path, *arguments):
    """The values in the units that would be written, by their keys, with the name of the file that each is in."""
    command = [sys.executable, "-m", "number8", "service", "install", "--dry-run", *arguments]
    shown = subprocess.run(command, cwd=path, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown
    values = {}
    for line in shown.stdout.splitlines():
        if line.startswith("write "):
            file = pathlib.Path(line.removeprefix("write ")).name
        elif line.startswith("    ") and "=" in line:
            key, _, value = line.strip().partition("=")
            values.setdefault((file, key), []).append(value)
    return values


class Service(unittest.TestCase):
    def test_o5_d10_the_unit_of_an_app_runs_it(self):
        with folder() as path:
            written = units(path, "app", "shop:app", "--workers", "2", "-b", "127.0.0.1:0", "--log", "off")
            [started] = written["number8.service", "ExecStart"]
            words = shlex.split(started)
            # By the interpreter of this environment, also where its name is a link.
            self.assertEqual(words[:4], [sys.executable, "-m", "number8", "app"])
            [where] = written["number8.service", "WorkingDirectory"]
            self.assertEqual(pathlib.Path(where).resolve(), path.resolve())
            self.assertEqual(written["app.conf", "KillMode"], ["mixed"])
            self.assertNotIn(("number8.socket", "ListenStream"), written)
            # With nothing of our environment.
            with running(words[1:], cwd=where, env={"PATH": "/usr/bin:/bin"}) as server:
                self.assertIn(" one", ask(server.port)[1])
                self.assertEqual(server.stop(), 0)

    def test_o5_a_folder_is_served_by_the_package(self):
        with folder() as path:
            written = units(path, ".", "--port", "80")
            [started] = written["number8.service", "ExecStart"]
            self.assertEqual(shlex.split(started), [sys.executable, "-m", "number8", ".", "--port", "80"])
            self.assertEqual(written["number8.socket", "ListenStream"], ["80"])
            self.assertFalse(any(file == "app.conf" for file, _ in written))

    def test_d10_an_app_is_reached_from_this_machine_unless_it_is_bound_elsewhere(self):
        with folder() as path:
            listens = units(path, "app", "shop:app", "--port", "8000")["number8.socket", "ListenStream"]
            self.assertEqual(listens, ["127.0.0.1:8000", "[::1]:8000"])


if __name__ == "__main__":
    unittest.main()
