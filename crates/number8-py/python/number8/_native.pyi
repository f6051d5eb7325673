"""The compiled part of number8."""

import os
from collections.abc import Callable, Generator
from typing import Any, Literal, NoReturn, final

from typing_extensions import disjoint_base

from number8._request import Headers

__all__ = [
    "__version__",
    "AsgiHost",
    "Awaitable",
    "Done",
    "Plan",
    "run",
    "tell",
    "work",
    "Core",
    "Request",
    "WebSocket",
    "SOCKETS_MAX",
    "ClientGone",
    "Response",
    "AGENT",
    "Console",
    "GET",
    "POST",
    "DELETE",
    "PUT",
    "PATCH",
    "OPTIONS",
    "serve",
    "serve_at",
    "calls_go_on",
]

__version__: str

GET: int
POST: int
DELETE: int
PUT: int
PATCH: int
OPTIONS: int

def run(arguments: list[str]) -> int:
    """Does what the command line asks for and returns its exit code; the first argument is the name of the program."""

def tell(lines: str) -> None:
    """Prints whole lines on standard error, without waiting for whoever reads it; for `number8._supervisor`."""

def work(
    arguments: list[str], descriptors: list[int], parent: int, status: object, metrics: tuple[int, int] | None
) -> int:
    """Runs an app in this process, which `number8._supervisor` has started; returns the exit code."""

@final
class Plan:
    """How the processes that run an app are to be kept; for `number8._supervisor`."""

    @property
    def descriptors(self) -> list[int]: ...
    @property
    def arguments(self) -> list[str]: ...
    @property
    def workers(self) -> int: ...
    @property
    def workers_max(self) -> int: ...
    @property
    def rss_bytes_max(self) -> int | None: ...
    @property
    def respawns(self) -> bool: ...
    @property
    def reloads(self) -> bool: ...
    @property
    def folder(self) -> str: ...
    @property
    def grace(self) -> float: ...
    @property
    def greeting(self) -> str: ...
    @property
    def watchdog(self) -> float | None: ...
    @property
    def has_metrics(self) -> bool: ...
    def count(self, process: int, ask: int, answers: int) -> None: ...
    def forget(self, process: int) -> None: ...
    def ready(self) -> None: ...
    def reloading(self) -> None: ...
    def stopping(self) -> None: ...
    def alive(self) -> None: ...

def serve(
    application: Callable[..., Any],
    *,
    bind: str,
    interface: str,
    threads: int,
    event_loop: str = ...,
    root_path: str = ...,
    max_body: int = ...,
    body_memory: int = ...,
    keep_free: int = ...,
    grace: float = ...,
    tls: tuple[str | os.PathLike[str], str | os.PathLike[str]] | Literal["self-signed"] | None = ...,
    max_message: int = ...,
    websocket_ping: float = ...,
) -> None:
    """Serves an application until a signal ends it; see `number8.serve`, which says what the arguments mean."""

def serve_at(application: Callable[..., Any], descriptor: int, *, threads: int, requests_max: int | None) -> bool:
    """Serves a WSGI application at a socket that listens already, until a signal ends it or so many requests have been
    answered; returns whether that was the reason."""

@final
class Awaitable:
    """What ``receive`` and ``send`` of an ASGI application return where something has to be waited for."""

    def __await__(self) -> Generator[Any, Any, Any]: ...
    def __iter__(self) -> Awaitable: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any, /) -> Any: ...
    def throw(self, kind: Any, value: Any = None, traceback: Any = None, /) -> NoReturn: ...
    def close(self) -> None: ...

@final
class Done:
    """What ``send`` of an ASGI application returns where there is nothing to wait for."""

    def __await__(self) -> Generator[Any, Any, None]: ...
    def __iter__(self) -> Done: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any, /) -> NoReturn: ...
    def throw(self, kind: Any, value: Any = None, traceback: Any = None, /) -> NoReturn: ...
    def close(self) -> None: ...

@final
class AsgiHost:
    """A server for one event loop; :mod:`number8._asgi` drives it."""

    def has_selector(self) -> bool:
        """Whether the loop lets its waiting be done by ``turn``."""
    def watch(self, descriptor: int) -> None:
        """Watches a descriptor that becomes readable when the loop has something to do."""
    def turn(self, timeout: float | None) -> bool:
        """Lets the server go on until the loop has something to do or the seconds are over; True when what is watched is
        readable."""
    def drain(self) -> None:
        """Does what has come."""
    def fileno(self) -> int | None:
        """What becomes readable when something has come, where there is no selector."""
    def start(self, hooks: Any, root_path: str, state: dict[str, Any]) -> None:
        """Begins to serve."""
    def stop(self, at_once: bool) -> None:
        """Stops: gracefully, or at once."""
    def tasks(self) -> list[Any]:
        """The tasks of requests that are not done."""
    def unheard(self) -> list[Any]:
        """Those of them that make events which nobody gets any more, since the server stops, and wait for something else than the
        client."""
    def close(self) -> None:
        """Ends all that is left, and forgets the loop."""

#: WebSockets of one function that are open at once.
SOCKETS_MAX: int
#: The source of the agent that people and IDEs type to.
AGENT: str

@final
class Console:
    """The console of a session."""

    def read(self) -> bytes | None:
        """The next keys; waits for them. None at the end."""
    def write(self, data: bytes) -> None:
        """Shows bytes; waits while the client is behind."""
    def close(self) -> None:
        """The session is over."""

@disjoint_base
class Core:
    """The server under ``number8.Server``."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Core: ...
    def _start(
        self,
        addresses: list[str],
        port: int,
        body_bytes_max: int,
        start_thread: Callable[[Callable[[], None]], Any],
        tls: tuple[str | os.PathLike[str], str | os.PathLike[str]] | Literal["self-signed"] | None = ...,
    ) -> None: ...
    def _port(self) -> int | None: ...
    def _addresses(self) -> list[str]: ...
    def _is_running(self) -> bool: ...
    def _descriptors(self) -> list[int]: ...
    def _close(self, waits: bool) -> None: ...
    def _stop(self) -> None: ...
    def _route(self, verbs: int, pattern: str, function: Callable[[Request], Any]) -> None: ...
    def _handler(self, verb: int, path: str, function: Callable[[Request], Any]) -> None: ...
    def _test(
        self, method: str, target: str, fields: list[tuple[str, str]], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]: ...
    def _after(self, function: Callable[..., Any]) -> None: ...
    def _talks(self, path: str, function: Any, hosts: list[str] | None) -> None: ...
    def _error(self, status: int, function: Callable[[Request], Any]) -> None: ...
    def _ask_first(self, decides: bool, function: Callable[[Request], Any]) -> None: ...
    def _files(
        self, prefix: str, base: str, base_decoded: str, root: str, over: str | None, lists: bool
    ) -> None: ...
    def _uploads(
        self, prefix: str, root: str, only: str | None, removes: bool, is_endpoint: bool, hosts: list[str] | None
    ) -> None: ...
    def _file_acl(self, function: Callable[[str], int]) -> None: ...
    def _event(self, url: str, listeners_max: int) -> None: ...
    def _ws(self, url: str, root: str, password: str | None) -> None: ...
    def _dispatch(self, data: str, name: str | None) -> bool: ...
    def _require(self, value: bytes) -> None: ...
    def _share(self) -> None: ...

def calls_go_on() -> bool: ...

class ClientGone(BrokenPipeError): ...

@final
class WebSocket:
    """A WebSocket, for the function that talks."""

    def receive(self) -> str | bytes | None:
        """The next message; waits for it. None when the client has closed, or the server stops."""
    def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """Sends a message, text for str, else binary; waits while the client is behind."""
    def close(self, code: int = 1000, reason: str | bytes | None = None) -> None:
        """Closes, with a code and a reason."""
    def __iter__(self) -> WebSocket: ...
    def __next__(self) -> str | bytes: ...
    def _end(self, has_failed: bool) -> None: ...

@final
class Response:
    """The head of an answer, for functions that look at it before it is sent."""

    status: int
    @property
    def headers(self) -> dict[str, Any]:
        """The headers by name, as text, or as a list where there are several of one name; others may be added, and these changed
        and taken away."""

@final
class Request:
    """A request that is being answered; callbacks are given one."""

    @property
    def headers(self) -> Headers:
        """The headers of the request: a mapping whose keys have no case."""
    @property
    def remote_addr(self) -> str | None:
        """The address of the client, without its port."""
    @property
    def peer(self) -> tuple[str, int] | None:
        """The other end of the connection; None over a Unix socket."""
    @property
    def cookies(self) -> dict[str, str]:
        """The cookies; of several with one name the first."""
    @property
    def args(self) -> dict[str, str]:
        """What the placeholders of the path stand for, by name."""
    def server(self) -> Any:
        """The Server that this request came to."""
    def method(self) -> int:
        """The verb: GET, POST, DELETE or another constant of this package; HEAD is GET."""
    def uri(self) -> str:
        """The address with its query, as the client sent it."""
    def path(self) -> str:
        """The address without its query, as the client sent it."""
    def length(self) -> int:
        """The length of the content as the client tells it; 0 where it tells none."""
    def query(self, key: str | bytes) -> bytes | bool | None:
        """The first value of a key; True where the key has no value, None where there is no such key."""
    def parse_qs(self) -> dict[bytes, bytes | bool]:
        """The query; of entries with one key the last."""
    def read(self, len: int | None = None) -> bytes:
        """At most ``len`` bytes of the content, or all of it; waits for them. Empty at the end."""
    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Reads into a buffer; returns how many bytes, 0 at the end."""
    def write(
        self,
        data: str | bytes | bytearray | memoryview,
        status: str | bytes | int | None = None,
        mime: str | bytes | None = None,
        headers: dict[Any, Any] | None = None,
        allow_cors: bool = False,
    ) -> None:
        """Answers with this content, once."""
    def send_chunk(
        self,
        data: str | bytes | bytearray | memoryview | None,
        status: str | bytes | int | None = None,
        mime: str | bytes | None = None,
        headers: dict[Any, Any] | None = None,
        allow_cors: bool = False,
    ) -> None:
        """Sends a piece of an answer whose length is not known; None ends it."""
    def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """Sends bytes as they are; the connection ends after them."""
    def _finish(self, value: Any) -> None: ...
    def _fail(self, error: BaseException) -> None: ...
    def _nothing(self) -> None: ...
    def text(self) -> str:
        """The content as text: UTF-8."""
    def json(self) -> Any:
        """The content as JSON says it."""
    def form(self) -> dict[str, str]:
        """The fields of a form; of several with one name the last."""
