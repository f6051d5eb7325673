"""The command that comes with the Python package is the command."""

import pathlib
import subprocess
import sys
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

    def test_its_exit_codes_are_those_of_the_command(self):
        for arguments, code in [(["--port", "no"], 2), (["--config", "/no/such/file"], 78), (["/no/such/folder"], 2)]:
            with self.subTest(arguments):
                ended = run(COMMANDS["module"], *arguments)
                self.assertEqual(ended.returncode, code, ended.stderr)
                self.assertNotIn("Traceback", ended.stderr)


if __name__ == "__main__":
    unittest.main()
