"""One small, fast web server for the machine in front of you."""

from number8._hosting import serve
from number8._native import DELETE, GET, OPTIONS, PATCH, POST, PUT, Request, Response, WebSocket, __version__
from number8._server import AUTH_BASIC, AUTH_CUSTOM, AUTH_OPEN, Server

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
