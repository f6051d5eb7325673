"""The command that comes with the Python package is the command."""

import importlib.metadata
import pathlib
import subprocess
import sys
import sysconfig
import unittest

import number8

SCRIPT = pathlib.Path(sys.executable).with_name("number8")
COMMANDS = {"module": [sys.executable, "-m", "number8"], "script": [str(SCRIPT)]}


def run(command, *arguments):
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=30)


class Command(unittest.TestCase):
    def test_b3_both_ways_to_call_it_are_the_command(self):
        for name, command in COMMANDS.items():
            with self.subTest(name):
                version = run(command, "--version")
                self.assertEqual(version.stdout.split(), ["number8", number8.__version__])
                self.assertEqual(version.returncode, 0)

    @unittest.skipUnless(sysconfig.get_config_var("Py_GIL_DISABLED"), "this Python has its lock always")
    def test_a_free_threaded_build_takes_its_lock_back(self):
        ended = run([sys.executable, "-W", "ignore", "-c", "import sys, number8; print(sys._is_gil_enabled())"])
        self.assertEqual((ended.returncode, ended.stdout), (0, "True\n"), ended.stderr)

    def test_the_package_has_its_licences(self):
        names = {path.name for path in importlib.metadata.files("number8")}
        self.assertLessEqual({"LICENSE-APACHE", "LICENSE-MIT"}, names)

    def test_its_exit_codes_are_those_of_the_command(self):
        for arguments, code in [(["--port", "no"], 2), (["--config", "/no/such/file"], 78), (["/no/such/folder"], 2)]:
            with self.subTest(arguments):
                ended = run(COMMANDS["module"], *arguments)
                self.assertEqual(ended.returncode, code, ended.stderr)
                self.assertNotIn("Traceback", ended.stderr)


if __name__ == "__main__":
    unittest.main()
