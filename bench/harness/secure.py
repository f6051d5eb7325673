"""The lines about TLS and HTTP/2: one certificate for both servers, three kinds of load."""

import re
import subprocess
from contextlib import ExitStack

from harness import load, sample_folder, servers
from harness.bench import Bench, Target
from harness.load import LoadError, Meter, Sample
from harness.requests import exchange, request
from harness.servers import Server

STREAMS = 100
_H2_CONNECTIONS = 4
_WARM_UP_S = 1
_SLACK_S = 60


def small_file(bench: Bench):
    with ExitStack() as stack:
        running = _started(bench, stack)
        requests = {server.name: request(server.port, sample_folder.SMALL) for server in running}
        expect = load.answer_bytes(sample_folder.SIZES[sample_folder.SMALL])

        def measure(server, seconds=bench.seconds):
            return load.wrk(server, bench.server_core, [requests[server.name]], seconds, expect)

        _warm_up(running, measure)
        measured = bench.in_turns("1 KiB file by https", "wrk", "µs", running, measure)
        bench.compare(measured, {"nginx": Target(0.9)})


def handshakes(bench: Bench):
    """A new connection each time, of a client that keeps nothing of the one before: per CPU second at least 0.9 of
    nginx's, so each at most 1 / 0.9 of its CPU time.
    """
    with ExitStack() as stack:
        running = _started(bench, stack)

        def measure(server, seconds=bench.seconds):
            return _s_time(server, bench.server_core, seconds)

        measured = bench.in_turns("full handshake, ECDSA P-256", "–", "µs", running, measure)
        bench.compare(measured, {"nginx": Target(1 / 0.9)})


def http2(bench: Bench):
    with ExitStack() as stack:
        running = _started(bench, stack)

        def measure(server, seconds=bench.seconds):
            return _h2load(server, bench.server_core, seconds)

        _warm_up(running, measure)
        work = f"1 KiB file by HTTP/2 and TLS, {STREAMS} streams"
        measured = bench.in_turns(work, "h2load", "µs", running, measure)
        bench.compare(measured, {"nginx": Target(0.9)})


def _started(bench: Bench, stack: ExitStack) -> list[Server]:
    """number8 and nginx with one certificate, which speak alike and send the same."""
    certificate = _certificate(bench)
    programs = servers.number8_secure(bench.number8, *certificate), servers.nginx_secure(*certificate)
    running = bench.started(stack, *programs)
    for server in running:
        answer = exchange(server.port, request(server.port, sample_folder.SMALL), server.trust)
        if answer.body != (bench.folder / sample_folder.SMALL).read_bytes():
            raise LoadError(f"{server.name} sends {sample_folder.SMALL} with other bytes")
    spoken = {server.name: _spoken(server) for server in running}
    if len(set(spoken.values())) != 1:
        raise LoadError(f"they do not speak alike: {spoken}")
    bench.notes.append(f"TLS: {next(iter(spoken.values()))}, {' and '.join(spoken)}")
    return running


def _certificate(bench: Bench):
    """The files of a certificate with a P-256 key, and of that; made once for a run."""
    folder = bench.runs.parent / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )
    return certificate, key


def _spoken(server: Server) -> str:
    """Version and suite that a client of OpenSSL gets, as the load's are."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-alpn", "h2"]
    done = subprocess.run(command, input="", capture_output=True, text=True, errors="replace", timeout=_SLACK_S)
    suite = re.search(r"^New, (\S+), Cipher is (\S+)$", done.stdout, re.MULTILINE)
    key = re.search(r"^Server Temp Key: ([^,\n]+)", done.stdout, re.MULTILINE)
    signature = re.search(r"^Peer signature type: (\S+)$", done.stdout, re.MULTILINE)
    alpn = re.search(r"^ALPN protocol: (\S+)$", done.stdout, re.MULTILINE)
    if not (suite and key and signature and alpn):
        raise LoadError(f"{server.name} does not speak TLS: {done.stderr.strip()[-200:]}")
    return " ".join([*suite.groups(), key[1], signature[1], alpn[1]])


def _warm_up(running: list[Server], measure):
    for server in running:
        measure(server, _WARM_UP_S)
        if server.logged_bytes() == 0:
            raise LoadError(f"{server.name} does not log")
        server.empty_log()


def _s_time(server: Server, core: int, seconds: int) -> Sample:
    """One connection after the other for `seconds`, each with a full handshake and no request. Work is in handshakes.

    Raises LoadError when there were none.
    """
    command = ["openssl", "s_time", "-connect", f"127.0.0.1:{server.port}", "-new", "-tls1_3",
               "-time", str(seconds)]
    with Meter(server, core) as meter:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _SLACK_S)
    made = re.search(r"(\d+) connections in (\d+) real seconds", done.stdout)
    if done.returncode != 0 or not made or int(made[1]) == 0:
        raise LoadError(f"openssl s_time at {server.name}: {(done.stderr or done.stdout).strip()[-200:]}")
    return meter.sample(int(made[1]), seconds)


def _h2load(server: Server, core: int, seconds: int) -> Sample:
    """Requests on a few connections, so many at once on each. Work is in requests.

    Raises LoadError when any answer is no 2xx.
    """
    url = f"https://127.0.0.1:{server.port}/{sample_folder.SMALL}"
    command = ["h2load", f"-c{_H2_CONNECTIONS}", f"-m{STREAMS}", "-t1", f"-D{seconds}", url]
    with Meter(server, core) as meter:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _SLACK_S)
    answered = re.search(r"^status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx$", done.stdout, re.MULTILINE)
    protocol = re.search(r"^Application protocol: h2$", done.stdout, re.MULTILINE)
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
    if not (answered and protocol and failed) or int(answered[1]) == 0 or any(map(int, failed.groups())):
        raise LoadError(f"h2load at {server.name}: {(done.stderr or done.stdout).strip()[-300:]}")
    return meter.sample(int(answered[1]), seconds)


LINES = {"https": small_file, "handshakes": handshakes, "http2": http2}
