"""The REPL of number8: CPython behind the prompts of MicroPython.

People get a prompt with line editing, history and completion. Programs get what MicroPython's raw REPL says, byte for byte:
Ctrl-A enters it, Ctrl-B leaves it, Ctrl-D runs what was sent, Ctrl-E A Ctrl-A asks for raw paste. Ctrl-E is paste mode,
Ctrl-C interrupts, Ctrl-D on an empty line starts a new interpreter.

stdin and stdout are a terminal or two pipes; what goes over them is the same. A terminal is switched as GNU readline does: at
a prompt every byte comes as it is, while code runs Ctrl-C is a signal, also for programs that the code has started. Over
pipes a thread looks for Ctrl-C.
"""

import builtins
import code
import codecs
import io
import os
import re
import select
import signal
import sys
import threading
import traceback
import types
import unicodedata

try:
    import fcntl
    import termios
except ImportError:
    termios = None

BOOT = 'import sys; sys.path = list(filter(None, sys.path)); exec(compile(sys.argv[1], "<number8>", "exec"))'
# What a new interpreter is told by the one before it: whether it begins in raw mode, and bytes that were not used yet.
STATE = "NUMBER8_REPL_STATE"
# SECURITY: without it Python 3.13 and later look for `linecache` in the folder before the first line of ours runs. Of this value, it is
# not the user's: code and what it starts know nothing of it.
SAFE_PATH, OURS = "PYTHONSAFEPATH", "number8"
BANNER = "MicroPython REPL by number8; CPython %s on %s\r\nCtrl-C interrupts, Ctrl-D starts anew, Ctrl-E pastes.\r\n"
RAW_BANNER = "raw REPL; CTRL-B to exit\r\n>"
# Bytes that a client may send before it hears that there is room for as many again.
WINDOW = 4096
SOURCE_MAX = 16 << 20
PENDING_MAX = 32 << 10
HISTORY_MAX = 500
CTRL_A, CTRL_B, CTRL_C, CTRL_D, CTRL_E = 1, 2, 3, 4, 5


class Gone(Exception):
    """Nobody is at the other end."""


class Again(Exception):
    """A new interpreter is asked for."""


class Wire:
    """The bytes of stdin and stdout, and whether a Ctrl-C among them is a key or an interrupt."""

    def __init__(self, pending):
        self.pending = bytearray(pending)
        self.running = False
        self.ended = False
        self.at_prompt = self.at_work = self.at_machine = None
        self.room = threading.Condition()
        self.is_terminal = termios is not None and os.isatty(0)
        self.woken, self.waker = os.pipe()
        os.set_blocking(self.waker, False)
        signal.signal(signal.SIGINT, self.interrupt)
        if self.is_terminal:
            signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
            self.modes()
        else:
            threading.Thread(target=self.listen, daemon=True).start()

    def modes(self):
        """How the terminal is: at a prompt, while typed code runs, while a program's code runs."""
        iflag, oflag, cflag, lflag, ispeed, ospeed, cc = termios.tcgetattr(0)
        iflag &= ~(termios.IXON | termios.ISTRIP | termios.INLCR | termios.IGNCR | termios.ICRNL)
        lflag |= termios.NOFLSH
        off = b"\0"
        for key in (termios.VQUIT, termios.VSUSP):
            cc[key] = off
        cc[termios.VINTR], cc[termios.VEOF] = b"\x03", b"\x04"
        raw_cc = list(cc)
        raw_cc[termios.VMIN], raw_cc[termios.VTIME] = 1, 0
        keys = termios.ISIG | termios.ICANON | termios.ECHO | termios.IEXTEN
        plain = lflag & ~keys
        self.at_prompt = [iflag, oflag & ~termios.OPOST, cflag, plain, ispeed, ospeed, raw_cc]
        self.at_machine = [iflag, oflag & ~termios.OPOST, cflag, plain | termios.ISIG, ispeed, ospeed, raw_cc]
        lines = [iflag | termios.ICRNL, oflag | termios.OPOST | termios.ONLCR, cflag, lflag | keys, ispeed, ospeed, cc]
        self.at_work = lines
        self.switch(self.at_prompt)

    def switch(self, mode):
        if self.at_prompt is not None:
            termios.tcsetattr(0, termios.TCSANOW, mode)

    def begin(self, mode):
        """Has code run in this mode: a Ctrl-C interrupts it, also one that came while it was a key, after what was taken."""
        self.switch(mode)
        self.running = True
        if self.is_terminal:
            count = int.from_bytes(fcntl.ioctl(0, termios.FIONREAD, bytes(4)), sys.byteorder)
            self.pending += os.read(0, count) if count else b""
        with self.room:
            at = self.pending.rfind(CTRL_C)
            # What came before it was for what is interrupted.
            del self.pending[: at + 1]
        if at >= 0:
            raise KeyboardInterrupt

    def interrupt(self, *_):
        if self.running:
            raise KeyboardInterrupt
        self.pending.append(CTRL_C)

    def listen(self):
        """Reads from a pipe, on a thread of its own: a Ctrl-C is seen also while code runs."""
        main = threading.main_thread().ident
        while True:
            try:
                data = os.read(0, 4096)
            except OSError:
                data = b""
            if self.running and CTRL_C in data:
                # What came before it was for what is interrupted.
                data = data[data.rindex(CTRL_C) + 1 :]
                signal.pthread_kill(main, signal.SIGINT)
            elif not data:
                self.ended = True
            with self.room:
                self.pending += data
                self.wake()
                self.room.wait_for(lambda: len(self.pending) < PENDING_MAX)
            if self.ended:
                return

    def wake(self):
        try:
            os.write(self.waker, b"\0")
        except BlockingIOError:
            pass

    def fill(self):
        """Waits until there is a byte."""
        while not self.pending:
            if self.ended:
                raise Gone
            ready, _, _ = select.select([self.woken, 0] if self.is_terminal else [self.woken], [], [])
            if self.woken in ready:
                os.read(self.woken, 4096)
            if 0 in ready:
                try:
                    data = os.read(0, 4096)
                except OSError:
                    data = b""
                self.ended = not data
                self.pending += data

    def byte(self):
        self.fill()
        return self.take(1)[0]

    def take(self, count):
        with self.room:
            data = bytes(self.pending[:count])
            del self.pending[:count]
            self.room.notify()
        return data

    def text(self):
        """Bytes that are no keys, as far as they are here: what is pasted is taken at once."""
        return self.take(re.match(rb"[^\0-\x1f\x7f]*", bytes(self.pending[:4096])).end())

    def until(self, *ends):
        """Bytes up to one of `ends`, as far as they are here, and that one, or None."""
        self.fill()
        found = [at for at in map(self.pending.find, map(bytes, ([end] for end in ends))) if at >= 0]
        count = min(found) if found else len(self.pending)
        return self.take(count), self.byte() if found else None

    def send(self, text):
        data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
        while data:
            data = data[os.write(1, data) :]

    def columns(self):
        try:
            return os.get_terminal_size(1).columns or 80
        except OSError:
            return 1 << 30


class Typed(io.RawIOBase):
    """stdin for the code: what came early first."""

    def __init__(self, wire):
        self.wire = wire

    def readable(self):
        return True

    def fileno(self):
        return 0

    def isatty(self):
        return self.wire.is_terminal

    def readinto(self, target):
        wire = self.wire
        if not wire.pending and wire.is_terminal:
            data = os.read(0, len(target))
        else:
            try:
                wire.fill()
            except Gone:
                return 0
            data = wire.take(len(target))
        target[: len(data)] = data.replace(b"\r", b"\n")
        return len(data)


class AtOnce(io.BufferedWriter):
    def write(self, data):
        count = super().write(data)
        self.flush()
        return count


class Editor:
    """Reads a line that somebody types."""

    # What keys send after ESC.
    KEYS = {
        "[A": "up", "[B": "down", "[C": "right", "[D": "left", "[H": "home", "[F": "end",
        "OA": "up", "OB": "down", "OC": "right", "OD": "left", "OH": "home", "OF": "end",
        "[1~": "home", "[3~": "delete", "[4~": "end", "[7~": "home", "[8~": "end",
        "[1;5C": "word right", "[1;5D": "word left", "f": "word right", "b": "word left",
    }  # fmt: skip
    CONTROLS = {
        1: "home", 2: "left", 4: "delete", 5: "end", 6: "right", 8: "backspace", 9: "tab", 11: "kill end", 12: "clear",
        14: "down", 16: "up", 21: "kill start", 23: "kill word", 127: "backspace",
    }  # fmt: skip

    def __init__(self, wire, names):
        self.wire = wire
        self.names = names
        self.history = []
        self.after_cr = False

    def line(self, prompt, controls=False, keeps=True):
        """A line without its end; or, where `controls` are asked for, the number of one that came first."""
        self.prompt, self.text, self.at, self.row = prompt, "", 0, 0
        self.draft, self.place = "", len(self.history)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.wire.send(prompt)
        while True:
            byte = self.wire.byte()
            after_cr, self.after_cr = self.after_cr, byte == 13
            if byte == 10 and after_cr:
                continue
            if byte in (10, 13):
                self.move(len(self.text))
                self.wire.send("\r\n")
                if keeps and self.text.strip() and self.history[-1:] != [self.text]:
                    self.history = self.history[1 - HISTORY_MAX :] + [self.text]
                return self.text
            if byte == CTRL_C or (controls and not self.text and byte <= CTRL_E):
                return byte
            if byte == 4 and not self.text:
                return byte
            if byte == 27:
                self.key(self.KEYS.get(self.escape()))
            elif byte in self.CONTROLS:
                self.key(self.CONTROLS[byte])
            elif byte >= 32:
                self.insert(decoder.decode(bytes([byte]) + self.wire.text()))

    def escape(self):
        sequence = chr(self.wire.byte())
        if sequence in "[O":
            sequence += chr(self.wire.byte())
            while sequence[0] == "[" and sequence[-1] in "0123456789;" and len(sequence) < 16:
                sequence += chr(self.wire.byte())
        return sequence

    def insert(self, new):
        if not new:
            return
        self.text = self.text[: self.at] + new + self.text[self.at :]
        self.at += len(new)
        if self.at < len(self.text):
            return self.draw()
        width, columns = self.width(self.prompt + self.text), self.wire.columns()
        self.row = width // columns
        self.wire.send(new + self.wrap(width, columns))

    def key(self, name):
        text, at = self.text, self.at
        words = [match.span() for match in re.finditer(r"\w+", text)]
        word_left = max([start for start, _ in words if start < at], default=0)
        moves = {
            "left": max(at - 1, 0),
            "right": min(at + 1, len(text)),
            "home": 0,
            "end": len(text),
            "word left": word_left,
            "word right": min([end for _, end in words if end > at], default=len(text)),
        }
        cuts = {
            "backspace": (max(at - 1, 0), at),
            "delete": (at, at + 1),
            "kill end": (at, len(text)),
            "kill start": (0, at),
            "kill word": (word_left, at),
        }
        if name in moves:
            self.move(moves[name])
        elif name in cuts:
            start, end = cuts[name]
            self.put(text[:start] + text[end:], start)
        elif name in ("up", "down"):
            self.recall(-1 if name == "up" else 1)
        elif name == "tab":
            self.complete()
        elif name == "clear":
            self.wire.send("\x1b[H\x1b[2J")
            self.row = 0
            self.draw()

    def recall(self, step):
        place = self.place + step
        if not 0 <= place <= len(self.history):
            return
        if self.place == len(self.history):
            self.draft = self.text
        self.place = place
        text = self.draft if place == len(self.history) else self.history[place]
        self.put(text, len(text))

    def complete(self):
        before = self.text[: self.at]
        if not before.strip():
            return self.insert("    ")
        word = re.search(r"[\w.]*$", before).group()
        names = self.names(word) if word else []
        common = os.path.commonprefix(names)
        if len(common) > len(word):
            self.insert(common[len(word) :])
        elif len(names) > 1:
            self.move(len(self.text))
            self.wire.send("\r\n" + "  ".join(name.split(".")[-1] for name in names[:200]) + "\r\n")
            self.row, self.at = 0, len(before)
            self.draw()

    def put(self, text, at):
        if text != self.text or at != self.at:
            self.text, self.at = text, at
            self.draw()

    def move(self, at):
        if at == self.at:
            return
        self.at = at
        columns = self.wire.columns()
        row, column = divmod(self.width(self.prompt + self.text[:at]), columns)
        up = self.row - row
        steps = "\x1b[%dA" % up if up > 0 else "\x1b[%dB" % -up if up < 0 else ""
        self.wire.send(steps + "\r" + ("\x1b[%dC" % column if column else ""))
        self.row = row

    def draw(self):
        """Writes the line again, over the rows that it has, and goes back to where the cursor is."""
        at, columns = self.at, self.wire.columns()
        width = self.width(self.prompt + self.text)
        wrap = self.wrap(width, columns)
        up = "\x1b[%dA" % self.row if self.row else ""
        self.wire.send(up + "\r" + self.prompt + self.text + wrap + "\x1b[J")
        self.row = width // columns
        self.at = len(self.text)
        self.move(at)

    @staticmethod
    def wrap(width, columns):
        """What goes to the next row, which a terminal does only with what stands there."""
        return " \r" if width and width % columns == 0 else ""

    @staticmethod
    def width(text):
        text = re.sub("\x1b\\[[0-9;]*[A-Za-z]", "", text)
        if text.isascii():
            return len(text)
        wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
        return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


class Repl:
    def __init__(self, source, *options):
        state, _, pending = os.environ.pop(STATE, "").partition(":")
        self.source, self.options = source, options
        self.begins_raw = state == "raw"
        self.wire = Wire(bytes.fromhex(pending))
        self.module = types.ModuleType("__main__")
        self.console = code.InteractiveInterpreter(self.module.__dict__)
        self.editor = Editor(self.wire, self.names)
        sys.modules["__main__"] = self.module
        sys.argv = [""]
        sys.ps1, sys.ps2 = getattr(sys, "ps1", ">>> "), getattr(sys, "ps2", "... ")
        self.out = self.typed = None
        self.streams("\r\n")
        builtins.input = self.input
        self.is_typed = False

    def streams(self, newline):
        """Has lines of the output end so. A stream that the code has closed is opened again; `exit()` closes stdin."""
        if self.out is None or self.out.closed:
            out = AtOnce(io.FileIO(1, "wb", closefd=False))
            self.out = io.TextIOWrapper(out, "utf-8", "replace", write_through=True)
            sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = self.out
        if self.typed is None or self.typed.closed:
            typed = io.BufferedReader(Typed(self.wire))
            self.typed = io.TextIOWrapper(typed, "utf-8", "replace", newline="\n")
            sys.stdin = sys.__stdin__ = self.typed
        self.out.reconfigure(newline=newline)

    def main(self):
        is_raw = self.begins_raw
        try:
            while True:
                (self.raw if is_raw else self.friendly)()
                is_raw = not is_raw
        except Again as again:
            self.again(again.args[0])
        except Gone:
            pass

    # What people see.

    def friendly(self):
        self.wire.send(self.banner())
        lines = []
        while True:
            prompt = self.prompt(bool(lines))
            line = self.editor.line(prompt, controls=not lines)
            if line == CTRL_A:
                return self.wire.send("\r\n")
            if line == CTRL_B:
                self.wire.send("\r\n" + self.banner())
            elif line == CTRL_E:
                self.paste()
            elif line == CTRL_D and not lines:
                self.wire.send("\r\n")
                raise Again("")
            elif isinstance(line, int):
                self.wire.send("\r\n")
                lines = []
            elif line.strip() or lines:
                lines.append(line)
                more = self.run(lambda: self.console.runsource("\n".join(lines), "<stdin>"))
                if not more:
                    lines = []

    def prompt(self, goes_on):
        return str(sys.ps2 if goes_on else sys.ps1)

    def paste(self):
        send = self.wire.send
        send("\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
        source, end, size = [], None, 0
        while end not in (CTRL_C, CTRL_D):
            data, end = self.wire.until(CTRL_C, CTRL_D, 13, 10)
            size += len(data)
            send(data)
            if size <= SOURCE_MAX:
                source.append(data)
            if end in (10, 13):
                source.append(b"\n")
                send("\r\n=== ")
        send("\r\n")
        if end == CTRL_D:
            self.run(lambda: self.console.runsource(b"".join(source).decode("utf-8", "replace"), "<stdin>", "exec"))

    def run(self, function):
        """Runs what was typed, with the terminal as programs want it."""
        wire = self.wire
        self.streams("\n" if wire.is_terminal else "\r\n")
        self.is_typed = True
        try:
            wire.begin(wire.at_work)
            result = function()
            wire.running = False
            return result
        except KeyboardInterrupt:
            wire.running = False
            self.out.write("\nKeyboardInterrupt\n")
        except SystemExit:
            wire.running = False
            raise Again("") from None
        finally:
            wire.running = False
            self.is_typed = False
            self.at_prompt()

    def banner(self):
        return BANNER % (sys.version.split()[0], sys.platform)

    def names(self, word):
        """What begins with this; a name of which the rest is missing after a dot is looked up."""
        import rlcompleter

        completer, names = rlcompleter.Completer(self.module.__dict__), []
        try:
            while len(names) < 500:
                name = completer.complete(word, len(names))
                if name is None or not name.strip():
                    break
                names.append(name)
        except Exception:
            pass
        return names

    def input(self, prompt=""):
        if self.wire.is_terminal and self.is_typed:
            sys.stdout.write(str(prompt))
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            return line.rstrip("\n")
        line = self.editor.line(str(prompt), keeps=False)
        if line == CTRL_C:
            raise KeyboardInterrupt
        if line == CTRL_D:
            raise EOFError
        return line

    # What programs see.

    def raw(self):
        send = self.wire.send
        send(RAW_BANNER)
        source = bytearray()
        while True:
            data, end = self.wire.until(CTRL_A, CTRL_B, CTRL_C, CTRL_D)
            if len(source) <= SOURCE_MAX:
                source += data
            if end == CTRL_A and source[:1] == b"\x05":
                self.raw_paste(bytes(source))
                send(">")
            elif end == CTRL_A:
                send(RAW_BANNER)
            elif end == CTRL_B:
                return send("\r\n")
            elif end == CTRL_D and not source:
                send("OK\r\n")
                raise Again("raw")
            elif end == CTRL_D:
                send("OK")
                self.execute(bytes(source))
                send(">")
            if end is not None:
                source.clear()

    def raw_paste(self, asked):
        send = self.wire.send
        if asked != b"\x05A":
            return send("R\0")
        send(b"R\x01" + WINDOW.to_bytes(2, "little"))
        source, granted, is_whole = bytearray(), WINDOW, True
        while True:
            data, end = self.wire.until(CTRL_C, CTRL_D)
            source += data
            granted -= len(data)
            while granted <= 0:
                send("\x01")
                granted += WINDOW
            if len(source) > SOURCE_MAX and is_whole:
                is_whole = False
                # The client is to stop; it says that it has heard.
                send("\x04")
            if not is_whole:
                source.clear()
            if end is not None:
                break
        if is_whole:
            send("\x04")
        if end == CTRL_C:
            return send("\x04Traceback (most recent call last):\r\nKeyboardInterrupt: \r\n\x04")
        if not is_whole:
            return send("\x04MemoryError: the script is too long\r\n\x04")
        self.execute(bytes(source))

    def execute(self, source):
        """Runs a program, and sends what it wrote, its error, and what stands between them."""
        wire, error = self.wire, ""
        try:
            wire.begin(wire.at_machine)
            exec(compile(source.decode("utf-8", "replace"), "<stdin>", "exec"), self.module.__dict__)
            wire.running = False
        except SystemExit:
            wire.running = False
        except BaseException as raised:
            wire.running = False
            trace = raised.__traceback__.tb_next
            error = "".join(traceback.format_exception(type(raised), raised, trace))
        finally:
            wire.running = False
            self.at_prompt()
        wire.send("\x04" + error.replace("\n", "\r\n") + "\x04")

    def at_prompt(self):
        self.wire.switch(self.wire.at_prompt)
        self.streams("\r\n")

    def again(self, state):
        """A new interpreter in the place of this one: no thread, module or open file is left."""
        import atexit

        self.wire.send("MPY: soft reboot\r\n")
        atexit._run_exitfuncs()
        os.environ[STATE] = state + ":" + self.wire.pending.hex()
        os.environ.setdefault(SAFE_PATH, OURS)
        python = sys.executable or "python3"
        os.execvp(python, [python, "-u", "-c", BOOT, self.source, *self.options])


if __name__ == "__main__":
    is_ours = os.environ.get(SAFE_PATH) == OURS
    if is_ours:
        del os.environ[SAFE_PATH]
    # Last, and only now: a `code.py` of the folder is not to be taken for a module of Python's.
    if "imports" in sys.argv[2:] and (is_ours or not getattr(sys.flags, "safe_path", False)):
        sys.path.append("")
    Repl(*sys.argv[1:]).main()
