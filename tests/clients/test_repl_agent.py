"""The agent of the REPL, driven over a terminal and over pipes: what is on the wire, byte for byte."""

import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

AGENT = pathlib.Path(os.environ.get("AGENT") or pathlib.Path(__file__).parents[2] / "crates/number8/src/rooms/repl/agent.py")
BOOT = 'import sys; sys.path = list(filter(None, sys.path)); exec(compile(sys.argv[1], "<number8>", "exec"))'
RAW = b"raw REPL; CTRL-B to exit\r\n>"
PATIENCE_S = 20


class Agent:
    """One agent; what it writes is looked for, never slept for."""

    def __init__(self, over_terminal, folder=None, options=()):
        command = [sys.executable, "-u", "-c", BOOT, AGENT.read_text(), *options]
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONSAFEPATH="number8")
        if over_terminal:
            master, slave = pty.openpty()
            self.process = subprocess.Popen(
                command,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=environment,
                cwd=folder,
                preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0)),
            )
            os.close(slave)
            self.input = self.output = master
        else:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=folder
            )
            self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()
        self.got = b""

    def __enter__(self):
        banner = self.until(b">>> ")
        assert banner.startswith(b"MicroPython "), banner
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        if not self.process.stdin:
            os.close(self.input)

    def send(self, data):
        while data:
            readable, writable, _ = select.select([self.output], [self.input], [], PATIENCE_S)
            if self.output in readable or not writable:
                self.read()
            else:
                data = data[os.write(self.input, data[:512]) :]

    def read(self):
        ready, _, _ = select.select([self.output], [], [], PATIENCE_S)
        if not ready:
            raise TimeoutError(f"got {self.got[-500:]!r}")
        data = os.read(self.output, 65536)
        if not data:
            raise EOFError(f"got {self.got[-500:]!r}")
        self.got += data

    def until(self, end):
        while end not in self.got:
            self.read()
        at = self.got.index(end) + len(end)
        head, self.got = self.got[:at], self.got[at:]
        return head

    def ask(self, data, end):
        """Sends; returns what comes, up to there."""
        self.send(data)
        return self.until(end)

    def say(self, data, *expected):
        """Sends, and compares with all that is answered."""
        self.send(data)
        for one in expected:
            seen = self.until(one)
            if seen != one:
                raise AssertionError(f"{seen!r} is not {one!r}")

    def raw(self):
        self.ask(b"\r\x03", b">>> ")
        self.ask(b"\r\x01", RAW)


class Wire(unittest.TestCase):
    over_terminal = True

    def agent(self, folder=None, options=()):
        return Agent(self.over_terminal, folder, options)

    def test_u32_files_of_the_folder_are_modules_and_not_in_the_way(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("code", "linecache", "re", "select", "traceback"):
                pathlib.Path(folder, name + ".py").write_text("raise SystemExit('in the way')")
            pathlib.Path(folder, "lamp.py").write_text("on = 8")
            with self.agent(folder, ["imports"]) as agent:
                for _ in range(2):
                    agent.say(b"\x01", b"\r\n" + RAW)
                    agent.say(b"import lamp; print(lamp.on)\x04", b"OK8\r\n\x04\x04>")
                    agent.ask(b"\x02", b">>> ")
                    # A new interpreter.
                    agent.ask(b"\x04", b">>> ")
            with self.agent(folder) as agent:
                agent.ask(b"import lamp\r", b"No module named 'lamp'\r\n>>> ")
                # Python 3.13 looks for `linecache` before the first line runs: not in the folder, and no program hears of that.
                look = b"import os, sys; print(getattr(sys.flags, 'safe_path', True), os.getenv('PYTHONSAFEPATH'))\x04"
                for _ in range(2):
                    agent.say(b"\x01", b"\r\n" + RAW)
                    agent.say(look, b"OKTrue None\r\n\x04\x04>")
                    agent.ask(b"\x02", b">>> ")
                    agent.ask(b"\x04", b">>> ")

    def test_x7_raw_repl_byte_for_byte(self):
        with self.agent() as agent:
            agent.say(b"\x01", b"\r\n" + RAW)
            agent.say(b"print(1+1)\x04", b"OK2\r\n\x04\x04>")
            agent.say(b"x = 'h\xc3\xa9'\nprint(x)\x04", b"OKh\xc3\xa9\r\n\x04\x04>")
            agent.say(b"nonsense\x03print(3)\x04", b"OK3\r\n\x04\x04>")
            error = agent.ask(b"1/0\x04", b"\x04>")
            self.assertTrue(error.startswith(b"OK\x04Traceback (most recent call last):\r\n  File \"<stdin>\", line 1, in <module>\r\n"))
            self.assertTrue(error.endswith(b"ZeroDivisionError: division by zero\r\n\x04>"), error)
            self.assertIn(b"SyntaxError", agent.ask(b"def\x04", b"\x04>"))
            agent.say(b"raise SystemExit\x04", b"OK\x04\x04>")
            agent.say(b"import sys; print('e', file=sys.stderr)\x04", b"OKe\r\n\x04\x04>")
            agent.say(b"sys.stdout.buffer.write(bytes(range(9, 256))) and None\x04", b"OK" + bytes(range(9, 256)) + b"\x04\x04>")
            agent.say(b"\x01", RAW)
            self.assertTrue(agent.ask(b"\x02", b">>> ").startswith(b"\r\nMicroPython "))

    def test_x7_raw_paste_byte_for_byte(self):
        with self.agent() as agent:
            agent.raw()
            agent.say(b"\x05A\x01", b"R\x01\x00\x10")
            agent.say(b"print(1)\x04", b"\x041\r\n\x04\x04>")
            agent.say(b"\x05B\x01", b"R\x00>")
            agent.say(b"\x05A\x01", b"R\x01\x00\x10")
            agent.say(b"print(1)\x03", b"\x04\x04Traceback (most recent call last):\r\nKeyboardInterrupt: \r\n\x04>")
            agent.say(b"print(2)\x04", b"OK2\r\n\x04\x04>")

    def test_x7_a_script_of_100_kb(self):
        lines = [f"v{number} = '{number:_>50}'" for number in range(1700)]
        script = ("\n".join(lines) + "\nprint(len(v1699), 'é')\n").encode()
        self.assertGreater(len(script), 100_000)
        with self.agent() as agent:
            agent.raw()
            agent.say(script + b"\x04", "OK50 é\r\n\x04\x04>".encode())
            agent.say(b"\x05A\x01", b"R\x01\x00\x10")
            window = 4096
            rest = script
            left = window
            while rest:
                while not left:
                    self.assertEqual(agent.until(b"\x01"), b"\x01")
                    left += window
                piece, rest = rest[:left], rest[left:]
                left -= len(piece)
                agent.send(piece)
            self.assertEqual(agent.ask(b"\x04", b"\x04>").lstrip(b"\x01"), "\x0450 é\r\n\x04\x04>".encode())

    def test_x7_ctrl_c_interrupts(self):
        with self.agent() as agent:
            agent.raw()
            agent.ask(b"print('on')\nwhile True: pass\x04", b"OKon\r\n")
            self.assertTrue(agent.ask(b"\x03", b"\x04>").endswith(b"KeyboardInterrupt\r\n\x04>"))
            agent.ask(b"\x02", b">>> ")
            # Again and again: a signal that comes just before a sleep does not wake it.
            agent.ask(b"import time; print('o' + 'n'); [time.sleep(0.01) for _ in iter(int, 1)]\r", b"on\r\n")
            self.assertIn(b"KeyboardInterrupt", agent.ask(b"\x03", b">>> "))
            agent.say(b"1\r", b"1\r\n1\r\n>>> ")

    def test_x7_soft_reset(self):
        with self.agent() as agent:
            agent.say(b"x = 8\r", b"x = 8\r\n>>> ")
            reset = agent.ask(b"\x04", b">>> ")
            self.assertTrue(reset.startswith(b"\r\nMPY: soft reboot\r\nMicroPython "), reset)
            self.assertIn(b"NameError", agent.ask(b"x\r", b">>> "))
            agent.raw()
            agent.say(b"x = 8\x04", b"OK\x04\x04>")
            agent.say(b"\x04", b"OK\r\nMPY: soft reboot\r\n" + RAW)
            agent.say(b"print('x' in globals())\x04", b"OKFalse\r\n\x04\x04>")
            agent.ask(b"\x02", b">>> ")
            agent.ask(b"exit()\r", b"MPY: soft reboot\r\nMicroPython ")
            agent.until(b">>> ")

    def test_u32_the_friendly_prompt(self):
        with self.agent() as agent:
            agent.say(b"1 + 1\r", b"1 + 1\r\n2\r\n>>> ")
            agent.say("print('hé')\r".encode(), "print('hé')\r\nhé\r\n>>> ".encode())
            agent.say(b"for n in range(2):\r", b"for n in range(2):\r\n... ")
            agent.say(b"    print(n)\r", b"    print(n)\r\n... ")
            agent.say(b"\r", b"\r\n0\r\n1\r\n>>> ")
            agent.say(b"if 1:\r", b"if 1:\r\n... ")
            agent.say(b"\x03", b"\r\n>>> ")
            agent.say(b"2\r\n3\n", b"2\r\n2\r\n>>> 3\r\n3\r\n>>> ")
            agent.say(b"__name__\r", b"__name__\r\n'__main__'\r\n>>> ")
            agent.say(b"import sys; sys.ps1 = 'py> '\r", b"import sys; sys.ps1 = 'py> '\r\npy> ")
            agent.ask(b"input('name? ')\r", b"name? ")
            self.assertIn(b"'Ada'\r\n", agent.ask(b"Ada\r", b"py> "))

    def test_u32_code_that_loses_its_streams(self):
        with self.agent() as agent:
            agent.raw()
            agent.say(b"import io, sys; old, sys.stdout = sys.stdout, io.StringIO(); print(1)\x04", b"OK\x04\x04>")
            agent.say(b"sys.stdout = old; print(2)\x04", b"OK2\r\n\x04\x04>")
            agent.say(b"exit()\x04", b"OK\x04\x04>")
            agent.say(b"sys.stdout.close()\x04", b"OK\x04\x04>")
            agent.say(b"print(3)\x04", b"OK3\r\n\x04\x04>")
            agent.ask(b"\x02", b">>> ")
            agent.ask(b"print(input('name? ') * 2)\r", b"name? ")
            agent.ask(b"Ada\r", b"AdaAda\r\n>>> ")

    def test_u32_paste_mode(self):
        with self.agent() as agent:
            agent.say(b"\x05", b"\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
            agent.say(b"if 1:\r  print(1)\r\r  print(2)\r", b"if 1:\r\n===   print(1)\r\n=== \r\n===   print(2)\r\n=== ")
            agent.say(b"\x04", b"\r\n1\r\n2\r\n>>> ")
            agent.say(b"\x05", b"\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
            agent.say(b"x\x03", b"x\r\n>>> ")

    def test_x8_keys_edit_the_line(self):
        cases = {
            b"print(2)\x1b[D\x7f3\r": b"3\r\n>>> ",
            b"rint(4)\x1b[Hp\r": b"4\r\n>>> ",
            b"rint(5)\x01p\x05;\r": b"5\r\n>>> ",
            b"print(6)xyz\x1b[D\x1b[D\x1b[D\x0b\r": b"6\r\n>>> ",
            b"xyz\x15print(7)\r": b"7\r\n>>> ",
            b"\x1b[A\r": b"7\r\n>>> ",
            # The second 8, of the line that is drawn anew: what is typed before it has run is not for the editor.
            b"print(8)\r\x1b[A\x1b[A\x1b[B\r": b"print(8)\x1b[J\r\n8\r\n>>> ",
            b"print('\xc3\xa9\xc3\xa8'\x1b[D\x7fx')\x1b[3~\x1b[H\x1b[F\r": b"\xc3\xa9x\r\n>>> ",
            b"zebra = 9\rzeb\t\r": b"9\r\n>>> ",
            b"import sys\rsys.getrecurs\t\r": b"000\r\n>>> ",
        }
        with self.agent() as agent:
            for keys, end in cases.items():
                agent.send(keys)
                with self.subTest(keys):
                    agent.until(end)

    def test_u32_a_line_of_any_length_can_be_pasted(self):
        with self.agent() as agent:
            line = b"x = '" + b"a\xc3\xa9b " * 20_000 + b"'\r"
            echo = agent.ask(line, b">>> ")
            # Written as it comes, and not again with each key.
            self.assertLess(len(echo), 2 * len(line))
            agent.ask(b"len(x)\r", b"80000\r\n>>> ")

    def test_no_process_is_left_when_nobody_is_there(self):
        agent = Agent(self.over_terminal)
        agent.until(b">>> ")
        if self.over_terminal:
            os.close(agent.input)
        else:
            agent.process.stdin.close()
        self.assertIsNotNone(agent.process.wait(PATIENCE_S))
        if agent.process.stdout:
            agent.process.stdout.close()


class OverPipes(Wire):
    over_terminal = False


class OverATerminal(Wire):
    def test_u32_programs_that_the_code_starts_have_the_terminal(self):
        with self.agent() as agent:
            self.assertIn(b" icanon ", agent.ask(b"import os; _ = os.system('stty -a; echo a; echo b')\r", b"a\r\nb\r\n"))
            agent.until(b">>> ")
            agent.ask(b"_ = os.system('echo on; cat')\r", b"on\r\n")
            agent.ask(b"moo\r", b"moo\r\nmoo\r\n")
            agent.ask(b"\x03", b">>> ")


del Wire

if __name__ == "__main__":
    unittest.main()
