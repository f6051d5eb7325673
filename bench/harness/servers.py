"""How each server is started: one worker, pinned to one core, its log buffered to a file."""

import mmap
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness import processes, sample_folder
from harness.requests import exchange, request

_START_LIMIT_S = 20
_STOP_LIMIT_S = 20
_SYSTEM_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
_DESCRIPTORS = 20_000
_LOG = "access.log"
_UPLOADS = "uploads"


@dataclass(frozen=True)
class Program:
    """A server that can be started.

    `arguments` takes the port, a folder of the server's own and the folder to serve; it may
    write a configuration into the former. `probe` is the path of the first request. Those that
    serve files log each request.
    """

    name: str
    binary: str
    arguments: Callable[[int, Path, Path], list[str]]
    probe: str
    logs: bool = True
    upload: Callable[[str, Path], list[str]] | None = None
    """What curl is told, after the server's URL and the file to send."""
    early: int | None = None
    """The status of a first answer that came before all was there, and that is asked for again."""
    install: str = ""
    """How to come by it."""
    certificate: Path | None = None
    """What it shows, where it speaks TLS."""


def find(binary: str) -> str | None:
    """The path of a program; daemons live where a user's PATH does not look."""
    return shutil.which(binary, path=_SYSTEM_PATH)


def number8(binary: Path) -> Program:
    def arguments(port, own, folder):
        return [
            *("--port", str(port), "--bind", "127.0.0.1", "--io-threads", "1"),
            *("--log", "combined", "--log-file", str(own / _LOG), str(folder)),
        ]

    return Program("number8", str(binary), arguments, sample_folder.SMALL)


def number8_secure(program: Program, certificate: Path, key: Path) -> Program:
    def arguments(port, own, folder):
        secure = ["--tls-cert", str(certificate), "--tls-key", str(key)]
        return [*secure, *program.arguments(port, own, folder)]

    return replace(program, arguments=arguments, certificate=certificate)


def nginx_secure(certificate: Path, key: Path) -> Program:
    """The same nginx by TLS 1.3 and HTTP/2, with the tickets that number8 gives, and room for its streams."""
    listening = (
        "ssl http2", f"ssl_certificate {certificate};", f"ssl_certificate_key {key};",
        "ssl_protocols TLSv1.3;", "ssl_prefer_server_ciphers on;",
        # What number8 takes where the processor has AES.
        "ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;", "ssl_session_tickets on;", "ssl_session_cache off;",
        "ssl_buffer_size 16k;", "http2_max_concurrent_streams 128;",
    )
    return replace(nginx(*listening), certificate=certificate)


def hello(name: str, binary: Path) -> Program:
    """A program that says hello on the port it is given."""
    return Program(name, str(binary), lambda port, _own, _folder: [str(port)], "", logs=False)


def service(name: str, binary: Path, kind: str) -> Program:
    """One of the services in bench/number8."""
    return Program(
        name, str(binary), lambda port, _own, _folder: [kind, str(port)], "", logs=False
    )


def number8_uploads(binary: str) -> Program:
    def arguments(port, own, _folder):
        return [
            *("--port", str(port), "--bind", "127.0.0.1", "--io-threads", "1", "--log", "off"),
            *("--allow", "up", str(_uploads(own))),
        ]

    return Program("number8", binary, arguments, "", logs=False, upload=_put)


def dufs() -> Program:
    def arguments(port, own, _folder):
        return [
            *("--bind", "127.0.0.1", "--port", str(port), "--log-format", ""),
            *("--allow-upload", str(_uploads(own))),
        ]

    return Program(
        "dufs", "dufs", arguments, "", logs=False, upload=_put,
        install="cargo install --locked dufs",
    )


def miniserve() -> Program:
    """It takes uploads from its page's form only."""

    def arguments(port, own, _folder):
        folder = _uploads(own)
        return [
            *("--interfaces", "127.0.0.1", "--port", str(port), "--temp-directory", str(own)),
            *("--quiet", "--upload-files", "--", str(folder)),
        ]

    return Program(
        "miniserve", "miniserve", arguments, "", logs=False,
        upload=lambda url, file: ["-F", f"path=@{file}", f"{url}/upload?path=/"],
        install="cargo install --locked miniserve",
    )


def nginx(listening: str = "", *directives: str) -> Program:
    """nginx with what costs it least: copying for small files, sendfile for large ones."""

    def arguments(port, own, folder):
        config = own / "nginx.conf"
        config.write_text(_NGINX.format(
            # Started by root, a worker changes to a user who may not see the folder.
            user="user root;" if os.geteuid() == 0 else "",
            connections=_DESCRIPTORS, cached_files=2 * sample_folder.MANY_COUNT,
            own=own, log=_LOG, port=port, folder=folder, listening=listening,
            directives=" ".join(directives), large=sample_folder.LARGE, huge=sample_folder.HUGE,
        ))
        return ["-e", str(own / "error.log"), "-p", str(own), "-c", str(config)]

    return Program("nginx", "nginx", arguments, sample_folder.SMALL)


def lighttpd() -> Program:
    def arguments(port, own, folder):
        config = own / "lighttpd.conf"
        config.write_text(_LIGHTTPD.format(
            descriptors=_DESCRIPTORS, connections=_DESCRIPTORS - 1000,
            own=own, log=_LOG, port=port, folder=folder,
        ))
        return ["-D", "-f", str(config)]

    return Program("lighttpd", "lighttpd", arguments, sample_folder.SMALL)


def _uploads(own: Path) -> Path:
    folder = own / _UPLOADS
    folder.mkdir(exist_ok=True)
    return folder


def _put(url: str, file: Path) -> list[str]:
    return ["-T", str(file), f"{url}/{file.name}"]


class Server:
    """A running server; leave its `with` block and it is gone."""

    def __init__(self, program: Program, folder: Path, runs: Path, core: int):
        self.name, self.logs = program.name, program.logs
        self._program = program
        self.port = _free_port()
        self._own = runs / program.name
        shutil.rmtree(self._own, ignore_errors=True)
        self._own.mkdir(parents=True)
        self._log, self._output = self._own / _LOG, self._own / "output.log"
        binary = find(program.binary)
        if binary is None:
            how = f"; run: {program.install}" if program.install else ""
            raise FileNotFoundError(f"{program.name}: no {Path(program.binary).name} here{how}")
        exec_time = mmap.mmap(-1, 8)  # Shared with the child.

        def before_exec():
            os.sched_setaffinity(0, {core})
            struct.pack_into("q", exec_time, 0, time.monotonic_ns())

        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [binary, *program.arguments(self.port, self._own, folder)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=before_exec,
            )
        try:
            self.trust = program.certificate and ssl.create_default_context(cafile=program.certificate)
            """Whom to believe, where it speaks TLS."""
            self._await_answer(request(self.port, program.probe))
        except BaseException:
            self.stop()
            raise
        self.start_ms = (time.monotonic_ns() - struct.unpack_from("q", exec_time)[0]) / 1e6
        """From exec to the end of the first answer."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Asks it to end, and makes it end when it does not."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            for pid in processes.tree(self.pid):
                os.kill(pid, signal.SIGKILL)
            self._process.wait()

    def scratch(self, name: str) -> Path:
        """A file beside the server's own, for whoever measures it."""
        return self._own / name

    @property
    def uploads(self) -> Path:
        """Where it keeps what is uploaded."""
        return self._own / _UPLOADS

    def upload_arguments(self, file: Path) -> list[str]:
        """What makes curl send it `file`."""
        return self._program.upload(f"http://127.0.0.1:{self.port}", file)

    def empty_log(self):
        """Drops what was logged, so that the disk never has to take it."""
        if self.logs:
            os.truncate(self._log, 0)

    def logged_bytes(self) -> int:
        return self._log.stat().st_size

    def check_alive(self):
        """Raises RuntimeError, with its last words, when the server has ended by itself."""
        if self._process.poll() is not None:
            words = self._output.read_text(errors="replace").strip()[-500:]
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}: {words}")

    def _await_answer(self, head: bytes):
        deadline = time.monotonic() + _START_LIMIT_S
        while True:
            self.check_alive()
            try:
                status = exchange(self.port, head, self.trust).status
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not listen on {self.port}") from None
                time.sleep(50e-6)
                continue
            if status == self._program.early and time.monotonic() < deadline:
                time.sleep(1e-3)
                continue
            if status != 200:
                raise RuntimeError(f"{self.name} answers its first request with {status}")
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


_NGINX = """\
{user}
daemon off;
worker_processes 1;
pid {own}/nginx.pid;
error_log {own}/error.log warn;
events {{
    worker_connections {connections};
}}
http {{
    default_type application/octet-stream;
    access_log {own}/{log} combined buffer=64k flush=1s;
    sendfile off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    open_file_cache max={cached_files} inactive=300s;
    client_body_temp_path {own}/body;
    proxy_temp_path {own}/proxy;
    fastcgi_temp_path {own}/fastcgi;
    uwsgi_temp_path {own}/uwsgi;
    scgi_temp_path {own}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096 {listening};
        {directives}
        root {folder};
        location = /{large} {{
            sendfile on;
        }}
        location = /{huge} {{
            sendfile on;
        }}
    }}
}}
"""

_LIGHTTPD = """\
server.modules = ("mod_accesslog")
server.bind = "127.0.0.1"
server.port = {port}
server.listen-backlog = 4096
server.document-root = "{folder}"
server.max-fds = {descriptors}
server.max-connections = {connections}
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 300
mimetype.assign = (".bin" => "application/octet-stream")
accesslog.filename = "{own}/{log}"
"""
