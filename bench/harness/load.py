"""Load from outside: wrk and curl on one core, the server's CPU time read before and after."""

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness import processes
from harness.servers import Server

CONNECTIONS = 64
_SCRIPT = Path(__file__).with_name("load.lua")
_SLACK_S = 60
_UPLOAD_LIMIT_S = 300
_HEAD_BYTES_MAX = 700


class LoadError(Exception):
    """The load did not get what it asked for, so that its figures mean nothing."""


@dataclass(frozen=True)
class Sample:
    """What one server cost in one round."""

    work: float
    """Requests, or GiB."""
    seconds: float
    cpu: processes.CpuTime
    foreign: float
    """The share of the server's core that other programs had."""
    stolen: float
    """The share of it that the hypervisor gave to another machine."""
    p50_us: int | None = None
    p99_us: int | None = None
    load: float | None = None
    """The share of the load's own core that it had, where it is known."""

    @property
    def cost(self) -> float:
        """CPU seconds for one piece of work."""
        return self.cpu.total / self.work


class Meter:
    """Reads the clocks of one server around a piece of load."""

    def __init__(self, server: Server, core: int):
        self._server, self._core = server, core

    def __enter__(self):
        self._core_before = processes.core_time(self._core)
        self._cpu_before = processes.cpu_time(self._server.pid)
        return self

    def __exit__(self, *_):
        self._server.check_alive()
        self._cpu = processes.cpu_time(self._server.pid) - self._cpu_before
        self._core_used = processes.core_time(self._core) - self._core_before

    def sample(self, work: float, seconds: float, **more) -> Sample:
        foreign = max(0.0, self._core_used.programs - self._cpu.total)
        return Sample(
            work, seconds, self._cpu, foreign / seconds, self._core_used.stolen / seconds, **more
        )


def wrk(
    server: Server, core: int, requests: list[bytes], seconds: int, expect: range,
    connections: int = CONNECTIONS,
) -> Sample:
    """Runs wrk for `seconds`; it picks from `requests`, each of which may hold several pipelined.

    Raises LoadError when any answer failed or when the bytes per answer are not in `expect`.
    """
    file = server.scratch("requests")
    file.write_bytes(b"\0".join(requests))
    url = f"{'https' if server.trust else 'http'}://127.0.0.1:{server.port}/"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", _SCRIPT, url, "--", file]
    with Meter(server, core) as meter:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _SLACK_S)
    lines = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    if done.returncode != 0 or not lines:
        raise LoadError(f"wrk at {server.name}: {done.stderr.strip() or done.stdout.strip()}")
    figures = json.loads(lines[0].removeprefix("JSON "))
    failed = {kind: count for kind, count in figures["errors"].items() if count}
    if failed or not figures["requests"]:
        raise LoadError(f"wrk at {server.name}: {figures['requests']} answers, errors {failed}")
    each = figures["bytes"] // figures["requests"]
    if each not in expect:
        raise LoadError(f"{server.name} sends {each} bytes an answer, {expect} were expected")
    return meter.sample(
        figures["requests"], figures["seconds"],
        p50_us=figures["p50_us"], p99_us=figures["p99_us"],
    )


def answer_bytes(body: int) -> range:
    """What wrk may count for an answer, with parts of others that came as its time was up."""
    return range(body + 1, body + body // 20 + _HEAD_BYTES_MAX)


def curls(server: Server, core: int, path: str, clients: int, times: int) -> Sample:
    """`clients` curls at once, each of which downloads `path` so many `times`. Work is in GiB.

    Raises LoadError when any download failed.
    """
    # A fragment is not sent, so that curl's counter gives the same URL again and again.
    url = f"http://127.0.0.1:{server.port}/{path}#[1-{times}]"
    report = "%{http_code} %{size_download} %{time_total}\\n"
    command = ["curl", "-s", "-m", str(_SLACK_S), "-o", "/dev/null", "-w", report, url]
    running = []
    with Meter(server, core) as meter:
        try:
            running += [
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(clients)
            ]
            outputs = [curl.communicate(timeout=times * _SLACK_S)[0] for curl in running]
        finally:
            for curl in running:
                curl.kill()
    downloads = [line.split() for output in outputs for line in output.splitlines()]
    if len(downloads) != clients * times or any(status != "200" for status, *_ in downloads):
        raise LoadError(f"curl at {server.name}: not every download ended with 200")
    seconds = max(
        sum(float(line.split()[2]) for line in output.splitlines()) for output in outputs
    )
    return meter.sample(sum(int(size) for _, size, _ in downloads) / (1 << 30), seconds)


def curl_posts(server: Server, core: int, path: str, source: Path, times: int) -> Sample:
    """One curl posts the file `source` so many `times`; each answer is its size. Work is in GiB.

    Raises LoadError when any answer is another one.
    """
    url = f"http://127.0.0.1:{server.port}/{path}#[1-{times}]"
    # No waiting for 100 Continue, which is about the client.
    sent = ["-H", "Expect:", "--data-binary", f"@{source}"]
    command = ["curl", "-s", "-m", str(_SLACK_S), *sent, "-w", " %{time_total}\n", url]
    with Meter(server, core) as meter:
        done = subprocess.run(command, capture_output=True, text=True, timeout=times * _SLACK_S)
    answers = [line.split() for line in done.stdout.replace("\n ", " ").splitlines()]
    size = source.stat().st_size
    if len(answers) != times or any(answer[0] != str(size) for answer in answers):
        raise LoadError(f"curl at {server.name}: {done.stdout.strip()[-100:]}")
    return meter.sample(times * size / (1 << 30), sum(float(seconds) for _, seconds in answers))


def curl_upload(server: Server, core: int, source: Path) -> Sample:
    """curl sends the file `source` once, as the server takes uploads. Work is in GiB.

    Raises LoadError when the server does not take it.
    """
    report = "%{http_code} %{size_upload} %{time_total}"
    command = [
        "curl", "-s", "-m", str(_UPLOAD_LIMIT_S), "-o", "/dev/null", "-w", report,
        *server.upload_arguments(source),
    ]
    with Meter(server, core) as meter:
        done = subprocess.run(command, capture_output=True, text=True)
    status, size, seconds = done.stdout.split()
    if done.returncode != 0 or not status.startswith(("2", "3")):
        raise LoadError(f"curl at {server.name}: an upload ended with {status}")
    return meter.sample(source.stat().st_size / (1 << 30), float(seconds))


def system_calls(
    server: Server, core: int, requests: list[bytes], seconds: int, expect: range
) -> tuple[int, Counter[str]]:
    """The requests that wrk had answered in `seconds`, and the server's system calls by name.

    Raises LoadError when strace may not attach.
    """
    report = server.scratch("strace")
    pids = [argument for pid in processes.tree(server.pid) for argument in ("-p", str(pid))]
    command = ["strace", "-c", "-f", "-U", "name,calls", "-o", report, *pids]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        # It says "attached" once for each process.
        for _ in range(len(pids) // 2):
            line = tracer.stderr.readline()
            if "attached" not in line:
                raise LoadError(f"strace at {server.name}: {line.strip()}")
        sample = wrk(server, core, requests, seconds, expect)
    finally:
        tracer.terminate()
        tracer.communicate()
    counts = Counter()
    for line in report.read_text().splitlines():
        match line.split():
            case [name, calls] if calls.isdigit() and name != "total":
                counts[name] = int(calls)
    return sample.work, counts
