"""Tells number8 which line of the program is running.

Python imports a module of this name before the program, so that nothing of ours stands above the program: neither in a traceback, nor in
sys.argv, sys.path or __main__. What a program starts knows nothing of it.
"""


def _number8():
    import _thread
    import _warnings
    import os
    import sys
    from time import sleep

    ours = os.path.dirname(__file__)
    sys.path[:] = [entry for entry in sys.path if entry != ours]
    rest = [entry for entry in os.environ.pop("PYTHONPATH", "").split(os.pathsep) if entry != ours]
    if any(rest):
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    pipe = os.environ.pop("NUMBER8_LINES", None)
    path = os.environ.pop("NUMBER8_PROGRAM", None)
    pace = float(os.environ.pop("NUMBER8_PACE", "0"))
    if pipe is None:
        # One of the interpreters that the program makes; they import this module, too.
        return
    pipe = int(pipe)
    os.set_inheritable(pipe, False)
    main = _thread.get_ident()
    write, current_frames = os.write, sys._current_frames

    def tell(line):
        try:
            write(pipe, b"%d\n" % line)
            return True
        except OSError:
            return False

    def line_of(frame):
        while frame is not None:
            if frame.f_code.co_filename == path:
                return frame.f_lineno
            frame = frame.f_back
        return None

    def has_interpreters():
        """Whether the program has interpreters of its own: Python 3.12 and later fall over the frames of others, which have other locks."""
        module = sys.modules.get("_interpreters") or sys.modules.get("_xxsubinterpreters")
        return module is not None and len(module.list_all()) > 1

    def sample():
        sleep(0.02)
        if has_interpreters():
            return None
        frames = current_frames()
        line = line_of(frames.pop(main, None))
        # The main thread may wait for the others, or have ended.
        return line or next((line for line in map(line_of, frames.values()) if line), None)

    def sampler():
        while True:
            line = sample()
            if line and not tell(line):
                return

    def slow_down():
        pause, here = 1 / pace, __file__

        def on_line(frame, event, _):
            if event == "line":
                tell(frame.f_lineno)
                sleep(pause)
            return on_line

        def on_call(frame, _event, _argument):
            return on_line if frame.f_code.co_filename == path else None

        def without_ours(kind, error, traceback):
            # Ctrl-C comes while we wait, mostly.
            at = traceback
            while at is not None:
                if at.tb_next is not None and at.tb_next.tb_frame.f_code.co_filename == here:
                    at.tb_next = None
                at = at.tb_next
            sys.__excepthook__(kind, error, traceback)

        sys.excepthook = without_ours
        sys.settrace(on_call)

    class OfOurThread:
        """Knows the warning at a fork, from Python 3.12 on, that there are threads, where ours is the only one."""

        process = os.getpid()

        def match(self, text):
            if "is multi-threaded, use of " not in text or os.getpid() != self.process:
                return False
            return len(os.listdir("/proc/self/task")) <= 2

    if pace > 0:
        slow_down()
    else:
        # Not threading.Thread: the program would find one that it has not started.
        _thread.start_new_thread(sampler, ())
        _warnings.filters.insert(0, ("ignore", OfOurThread(), DeprecationWarning, None, 0))


def _others():
    """Another module of this name, such as a distribution's, has its turn."""
    import sys

    this = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        sys.modules["sitecustomize"] = this


_number8()
_others()
del _number8, _others
