"""One small, fast web server for the machine in front of you."""

from number8._native import DELETE, GET, OPTIONS, PATCH, POST, PUT, Request, Response, WebSocket, __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from number8._hosting import serve
    from number8._server import AUTH_BASIC, AUTH_CUSTOM, AUTH_OPEN, Server
    from number8._sockets import AsyncWebSocket

#: What a ``file_acl`` callback may answer.
ACL_RO = 1
ACL_WO = 2
ACL_RW = 3

__all__ = [
    "ACL_RO",
    "ACL_RW",
    "ACL_WO",
    "AUTH_BASIC",
    "AUTH_CUSTOM",
    "AUTH_OPEN",
    "AsyncWebSocket",
    "DELETE",
    "GET",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
    "Request",
    "Response",
    "Server",
    "WebSocket",
    "__version__",
    "serve",
]

# Imported when they are asked for: a process that runs an app has no need of them, nor memory to spare.
_ELSEWHERE = {
    "AUTH_BASIC": "_server",
    "AUTH_CUSTOM": "_server",
    "AUTH_OPEN": "_server",
    "AsyncWebSocket": "_sockets",
    "Server": "_server",
    "serve": "_hosting",
}


def __getattr__(name: str) -> object:
    if (module := _ELSEWHERE.get(name)) is None:
        raise AttributeError(f"module 'number8' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"number8.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
