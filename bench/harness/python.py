"""The lines about Python's apps: number8 beside the servers that people run them with."""

import os
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from harness import load, packaged, processes
from harness.bench import Bench, Row, Series, Target, say
from harness.load import LoadError
from harness.requests import exchange, request
from harness.servers import Program, Server

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "bench/python"
ENVIRONMENT = ROOT / "target/bench-python"
# Debian's: another Python costs more or less.
PYTHON = "/usr/bin/python3"
GREETING = b"Hello, world!\n"
_LARGE = 10 << 20
_LARGE_TIMES = 300
_WARM_UP_S = 1


def build():
    """Makes the environment with the peers and number8's wheel, built for it."""
    python = ENVIRONMENT / "bin/python"
    quiet = ["--quiet", "--disable-pip-version-check"]
    if not python.exists():
        subprocess.run([PYTHON, "-m", "venv", ENVIRONMENT], check=True)
    say("installing the Python servers")
    pip = [python, "-m", "pip", "install", *quiet]
    subprocess.run([*pip, "--requirement", APPS / "requirements.txt"], check=True)
    say("building number8's wheel")
    again = ["--no-deps", "--force-reinstall", packaged.build_wheel(python)]
    subprocess.run([*pip, *again], check=True)


def versions() -> str:
    """The Python and the servers that are measured."""
    python = ENVIRONMENT / "bin/python"
    program = (
        "import platform, importlib.metadata as m; print('CPython', platform.python_version(), *("
        "f', {name} {m.version(name)}' for name in ('bjoern', 'flask', 'granian', 'robyn', 'starlette',"
        " 'uvicorn', 'uvloop')))"
    )
    done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    return done.stdout.strip().replace(" ,", ",")


def wsgi(bench: Bench):
    with ExitStack() as stack:
        inline, one, four, granian_one, granian_four, bjoern = _hello(
            bench, stack, "WSGI hello",
            *(_number8(f"number8, {threads} threads", "apps:wsgi", "--threads", threads)
              for threads in ("0", "1", "4")),
            *(_granian_wsgi("apps:wsgi", threads) for threads in ("1", "4")), _bjoern(),
        )
    _compare(bench, "--threads 0", inline, [(granian_four, Target(0.60)), (bjoern, Target(1.05))])
    _compare(bench, "--threads 1", one, [(granian_one, Target(0.75))])
    _compare(bench, "--threads 4", four, [(granian_four, Target(0.75))])


def flask(bench: Bench):
    with ExitStack() as stack:
        ours, *theirs = _hello(
            bench, stack, "Flask hello", _number8("number8", "flask_app:app"),
            *(_granian_wsgi("flask_app:app", threads) for threads in ("1", "4")),
        )
    better = min(theirs, key=lambda series: series.cost())
    _compare(bench, "--threads 1", ours, [(better, Target(0.90))])


def asgi(bench: Bench):
    with ExitStack() as stack:
        programs = _number8("number8", "apps:asgi"), _granian_asgi("apps:asgi"), _uvicorn("apps:asgi")
        running = _started(bench, stack, *programs)
        ours, granian, uvicorn = _under_wrk(bench, "ASGI hello", running)
        alone = _under_wrk(bench, "ASGI hello, one connection", running[:2], connections=1)
    _compare(bench, "", ours, [(granian, Target(0.70)), (uvicorn, None)])
    bench.compare_times("p50 of ASGI hello, one connection", alone, {granian.server: Target(1.0)})


def starlette(bench: Bench):
    with ExitStack() as stack:
        ours, granian, uvicorn = _hello(
            bench, stack, "Starlette hello", _number8("number8", "starlette_app:app"),
            _granian_asgi("starlette_app:app"), _uvicorn("starlette_app:app"),
        )
    _compare(bench, "", ours, [(granian, Target(0.88)), (uvicorn, None)])


def post(bench: Bench):
    source = bench.folder.parent / "post.bin"
    source.write_bytes(os.urandom(_LARGE))
    try:
        _large(bench, "10 MiB POST to WSGI", lambda server: load.curl_posts(
            server, bench.server_core, "post", source, _LARGE_TIMES
        ))
    finally:
        source.unlink()


def stream(bench: Bench):
    _large(bench, "10 MiB streamed by WSGI", lambda server: load.curls(
        server, bench.server_core, "stream", 1, _LARGE_TIMES
    ))


def callback(bench: Bench):
    with ExitStack() as stack:
        ours, robyn = _hello(
            bench, stack, "a callback says hello",
            *(_script(name, f"with_{name}.py") for name in ("number8", "robyn")),
        )
    _compare(bench, "@server.get", ours, [(robyn, Target(0.5))])


def memory(bench: Bench):
    figures = {}
    for program in _number8("number8", "apps:wsgi"), _granian_wsgi("apps:wsgi", "1"):
        with bench.start(program) as server:
            _wrk(bench, server, _WARM_UP_S)
            # The supervisors of both are small, and the largest is the worker.
            pids = processes.tree(server.pid)
            figures[program.name] = max(map(_resident_alone, pids)) / (1 << 20)
    (_, ours), (peer, theirs) = figures.items()
    bench.rows.append(Row(
        "RSS of one worker after hello", "–", "MiB", ours, peer, theirs, [ours / theirs],
        Target(0.4),
    ))


LINES = {
    "py-wsgi": wsgi,
    "py-flask": flask,
    "py-asgi": asgi,
    "py-starlette": starlette,
    "py-post": post,
    "py-stream": stream,
    "py-callback": callback,
    "py-memory": memory,
}


def _number8(name: str, app: str, *options: str) -> Program:
    return _module(name, "number8", lambda port: [
        "app", app, "--app-dir", str(APPS), "--bind", f"127.0.0.1:{port}", "--log", "off", *options,
    ])


def _granian_wsgi(app: str, threads: str) -> Program:
    return _granian(f"granian, {threads} threads", app, "wsgi", "--blocking-threads", threads)


def _granian_asgi(app: str) -> Program:
    return _granian("granian, uvloop", app, "asgi", "--loop", "uvloop")


def _granian(name: str, app: str, interface: str, *options: str) -> Program:
    return _module(name, "granian", lambda port: [
        *("--interface", interface, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--no-log", "--working-dir", str(APPS), *options, app),
    ])


def _uvicorn(app: str) -> Program:
    return _module("uvicorn, uvloop", "uvicorn", lambda port: [
        *("--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning", "--app-dir", str(APPS), app),
    ])


def _bjoern() -> Program:
    return _script("bjoern", "with_bjoern.py")


def _module(name: str, module: str, arguments) -> Program:
    python = str(ENVIRONMENT / "bin/python")
    return Program(
        name, python, lambda port, _own, _folder: ["-m", module, *arguments(port)], "", logs=False,
        install="bench/run without --no-build",
    )


def _script(name: str, script: str) -> Program:
    python = str(ENVIRONMENT / "bin/python")
    # What a script adds to a server that runs is there a moment later.
    return Program(
        name, python, lambda port, _own, _folder: [str(APPS / script), str(port)], "", logs=False,
        early=404, install="bench/run without --no-build",
    )


def _started(bench: Bench, stack: ExitStack, *programs: Program) -> list[Server]:
    running = bench.started(stack, *programs)
    for server in running:
        if exchange(server.port, request(server.port, "")).body != GREETING:
            raise LoadError(f"{server.name} does not say {GREETING}")
    return running


def _hello(bench: Bench, stack: ExitStack, work: str, *programs: Program) -> list[Series]:
    return _under_wrk(bench, work, _started(bench, stack, *programs))


def _under_wrk(bench: Bench, work: str, running: list[Server], **more) -> list[Series]:
    for server in running:
        _wrk(bench, server, _WARM_UP_S)
    return bench.in_turns(
        work, "wrk", "µs", running, lambda server: _wrk(bench, server, bench.seconds, **more)
    )


def _wrk(bench: Bench, server: Server, seconds: int, **more):
    expect = load.answer_bytes(len(GREETING))
    return load.wrk(server, bench.server_core, [request(server.port, "")], seconds, expect, **more)


def _large(bench: Bench, work: str, measure):
    with ExitStack() as stack:
        running = _started(
            bench, stack, _number8("number8", "apps:wsgi"), _granian_wsgi("apps:wsgi", "4"), _bjoern()
        )
        ours, granian, bjoern = bench.in_turns(work, "curl", "s/GiB", running, measure)
    _compare(bench, "", ours, [(granian, Target(0.85)), (bjoern, None)])


def _compare(bench: Bench, how: str, ours: Series, theirs: list):
    named = replace(ours, work=f"{ours.work}, {how}") if how else ours
    targets = {series.server: target for series, target in theirs}
    bench.compare([named, *(series for series, _ in theirs)], targets)


def _resident_alone(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
