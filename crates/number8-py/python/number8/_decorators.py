"""Decorators that add handlers: methods and paths, before, and errors."""

from __future__ import annotations

import functools
import inspect
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
    # What is called of an object, and within functools.partial, is looked at, too.
    called: Any = function
    while isinstance(called, functools.partial):
        called = called.func
    for part in (called, type(called).__call__):
        if inspect.iscoroutinefunction(part) or inspect.isasyncgenfunction(part):
            raise TypeError(f"{what} needs a plain function, not async def")
    return function


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


def called_by_name(path: str, function: Callable[..., Any]) -> Callable[[_native.Request], Any]:
    """The function, called with what the placeholders of a path stand for."""
    names = re.findall(r"\{\*?(\w+)\}", path.replace("{{", ""))
    if not names:
        return function
    annotations = _annotations(function)
    wanted = [(name, _kind(function, annotations.get(name))) for name in names]

    @functools.wraps(function)
    def call(request: _native.Request, *more: Any) -> Any:
        texts = request.args
        values = {}
        for name, kind in wanted:
            try:
                values[name] = kind(texts[name])
            except ValueError:
                return request._nothing()
        return function(request, *more, **values)

    return call


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """What stands behind the names of a function's arguments, as values or as text."""
    function = getattr(function, "__func__", function)
    if not inspect.isfunction(function):
        return {}
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(function)


def _kind(function: Callable[..., Any], annotation: Any) -> type:
    """``int``, ``float`` or ``str``: the type of an argument. Others may have annotations that mean something to type checkers alone."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))
        except Exception:
            return str
    return annotation if annotation in (int, float) else str
