"""Decorators that add handlers: methods and paths, before, and errors."""

from __future__ import annotations

import functools
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from number8 import _native

Handler = TypeVar("Handler", bound=Callable[..., Any])

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Decorators:
    """What ``number8.Server`` and ``number8.wire.Server`` have in common.

    A path may hold ``{name}``, which stands for one segment, and ``{*name}``, which stands for the rest. A handler is called
    with the Request, then with these by name: as ``int``, ``float`` or ``str``, as its annotations say.
    """

    def get(self, path: str) -> Callable[[Handler], Handler]:
        """Has a function answer GET, and HEAD, of a path."""
        return self._method(path, ("GET",))

    def post(self, path: str) -> Callable[[Handler], Handler]:
        """Has a function answer POST of a path."""
        return self._method(path, ("POST",))

    def put(self, path: str) -> Callable[[Handler], Handler]:
        """Has a function answer PUT of a path."""
        return self._method(path, ("PUT",))

    def patch(self, path: str) -> Callable[[Handler], Handler]:
        """Has a function answer PATCH of a path."""
        return self._method(path, ("PATCH",))

    def delete(self, path: str) -> Callable[[Handler], Handler]:
        """Has a function answer DELETE of a path."""
        return self._method(path, ("DELETE",))

    def websocket(self, path: str) -> Callable[[Handler], Handler]:
        """Has a function talk to the WebSockets of a path: it is called with the Request and the WebSocket, then with what
        the placeholders stand for, on a thread of its own."""
        _not_a_function(path)

        def decorate(function: Handler) -> Handler:
            self._add_websocket(path, function)
            return function

        return decorate

    def error(self, status: int) -> Callable[[Handler], Handler]:
        """Has a function answer where there is nothing (404), or where another one raises (500)."""
        if status not in (404, 500):
            raise ValueError(f"error({status!r}): there are handlers for 404 and 500")

        def decorate(function: Handler) -> Handler:
            self._add_error(status, plain(f"error({status})", function))
            return function

        return decorate

    def before(self, function: Handler) -> Handler:
        """Has a function see each request before anything else answers it; what it returns, other than None, is the
        answer."""
        self._add_before(plain("before", function))
        return function

    def after(self, function: Handler) -> Handler:
        """Has a function look at what other functions answer: it is called with the Request and the Response, whose
        ``status`` and ``headers`` it may change; what it returns, other than None or that Response, is the answer."""
        self._add_after(plain("after", function))
        return function

    def _method(self, path: str, methods: Iterable[str]) -> Callable[[Handler], Handler]:
        _not_a_function(path)

        def decorate(function: Handler) -> Handler:
            self._add_handler(path, tuple(methods), function)
            return function

        return decorate

    def _add_handler(self, path: str, methods: tuple[str, ...], function: Callable[..., Any]) -> None:
        raise NotImplementedError

    def _add_websocket(self, path: str, function: Callable[..., Any]) -> None:
        raise NotImplementedError

    def _add_error(self, status: int, function: Callable[..., Any]) -> None:
        raise NotImplementedError

    def _add_after(self, function: Callable[..., Any]) -> None:
        raise NotImplementedError

    def _add_before(self, function: Callable[..., Any]) -> None:
        raise NotImplementedError


def plain(what: str, function: Handler) -> Handler:
    """The function, of which a value is needed at once: a coroutine is none, and would be true whatever it comes to."""
    if not callable(function):
        raise TypeError(f"{what} needs a function")
    if is_async(function) or any(inspect.isasyncgenfunction(part) for part in _parts(function)):
        raise TypeError(f"{what} needs a plain function, not async def")
    return function


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a function is ``async def`` itself, whatever it wraps."""
    return any(inspect.iscoroutinefunction(part) for part in _parts(function))


def _parts(function: Any) -> tuple[Any, Any]:
    """What is called: within functools.partial, and of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return function, type(function).__call__


def _not_a_function(path: Any) -> None:
    """A decorator without parentheses is called with the function, and would do nothing, silently."""
    if callable(path):
        raise TypeError(f"a decorator of a path has it in parentheses, such as @server.get('/{getattr(path, '__name__', 'path')}')")


def methods_of(methods: Any) -> tuple[str, ...]:
    """Names of methods, also of one alone."""
    names = (methods,) if isinstance(methods, str) else tuple(methods)
    for name in names:
        if name not in _METHODS:
            raise ValueError(f"{name!r} is no method of a handler: there are {', '.join(_METHODS)}")
    return names


class Placeholders:
    """What the placeholders of a path stand for, by name, as a function has them."""

    def __init__(self, path: str, function: Callable[..., Any]) -> None:
        found = re.findall(r"\{(\*?)(\w+)\}", path.replace("{{", ""))
        annotations = _annotations(function) if found else {}
        self._kinds: list[tuple[str, Callable[[str], Any]]] = []
        for is_rest, name in found:
            kind = _kind(function, annotations.get(name))
            self._kinds.append((name, _VALUES.get(kind) or (str if is_rest else _segment)))

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def values(self, request: _native.Request) -> dict[str, Any] | None:
        """The values of a request's path; None where one is not what it has to be."""
        texts = request.args if self._kinds else {}
        try:
            return {name: kind(texts[name]) for name, kind in self._kinds}
        except ValueError:
            return None


def _whole(text: str) -> int:
    """Digits: Python itself would take spaces, underscores and digits of every script as well."""
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def _decimal(text: str) -> float:
    """Digits, too: what is infinite or no number has no place in JSON, and few expect it."""
    if not re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text) or math.isinf(number := float(text)):
        raise ValueError(text)
    return number


#: What makes a value of a segment's text.
_VALUES: dict[type, Callable[[str], Any]] = {int: _whole, float: _decimal}


def _segment(text: str) -> str:
    """SECURITY: one segment is no path, whatever %2F and the like stood for in it."""
    if text in (".", "..") or "/" in text or "\0" in text:
        raise ValueError(text)
    return text


def called_by_name(path: str, function: Callable[..., Any]) -> Callable[[_native.Request], Any]:
    """The function, called with what the placeholders of a path stand for."""
    placeholders = Placeholders(path, function)
    if not placeholders:
        return function

    @functools.wraps(function)
    def call(request: _native.Request) -> Any:
        values = placeholders.values(request)
        return request._nothing() if values is None else function(request, **values)

    return call


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """What stands behind the names of a function's arguments, as values or as text."""
    function = _defined(function)
    if not inspect.isfunction(function):
        return {}
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(function)


def _defined(function: Callable[..., Any]) -> Any:
    """What stands behind a method, functools.partial, or an object that can be called."""
    called, of_type = _parts(function)
    called = getattr(called, "__func__", called)
    return called if inspect.isfunction(called) or not inspect.isfunction(of_type) else of_type


def _kind(function: Callable[..., Any], annotation: Any) -> type:
    """``int``, ``float`` or ``str``: the type of an argument. Others may have annotations that mean something to type checkers alone."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, getattr(inspect.unwrap(_defined(function)), "__globals__", {}))
        except Exception:
            return str
    return annotation if annotation in (int, float) else str
