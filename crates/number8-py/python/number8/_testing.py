"""A client for tests, which needs no socket."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from number8._request import Headers

if TYPE_CHECKING:
    from number8._server import Server


class TestResponse:
    """What a test client got."""

    __test__ = False

    def __init__(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = Headers(fields)
        self.body = body

    @property
    def text(self) -> str:
        """The content as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The content as JSON says it."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<TestResponse {self.status}>"


class TestClient:
    """Asks a server in memory: each request is answered by what a client at its port would get."""

    __test__ = False

    def __init__(self, server: Server) -> None:
        self._server = server

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: str | bytes = b"",
        json: Any = None,
    ) -> TestResponse:
        """Sends a request, with content, or with ``json`` as content; returns the answer."""
        asynchronous = sys.modules.get("number8._async")
        if asynchronous is not None and threading.current_thread() is asynchronous._thread:
            raise RuntimeError("a coroutine cannot ask the server that waits for it: await asyncio.to_thread(…) can")
        fields = dict(headers or {})
        if json is not None:
            body = _encode(json)
            fields.setdefault("Content-Type", "application/json")
        content = body.encode() if isinstance(body, str) else bytes(body)
        return TestResponse(*self._server._test(method, target, list(fields.items()), content))

    def get(self, target: str, **kwargs: Any) -> TestResponse:
        """Sends GET; see ``request``."""
        return self.request("GET", target, **kwargs)

    def post(self, target: str, **kwargs: Any) -> TestResponse:
        """Sends POST; see ``request``."""
        return self.request("POST", target, **kwargs)

    def put(self, target: str, **kwargs: Any) -> TestResponse:
        """Sends PUT; see ``request``."""
        return self.request("PUT", target, **kwargs)

    def patch(self, target: str, **kwargs: Any) -> TestResponse:
        """Sends PATCH; see ``request``."""
        return self.request("PATCH", target, **kwargs)

    def delete(self, target: str, **kwargs: Any) -> TestResponse:
        """Sends DELETE; see ``request``."""
        return self.request("DELETE", target, **kwargs)


def _encode(value: Any) -> str:
    return json.dumps(value)
