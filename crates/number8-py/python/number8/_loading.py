"""Finds the app that ``number8 app`` is to run, or says in one line what is wrong with its name."""

from __future__ import annotations

import importlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

USUAL_NAMES = ("app", "application")


class LoadError(Exception):
    """What is wrong, in one line. What the app's own code raised, if it did, is its cause."""


def load(module: str, attribute: str | None, folder: str, *, factory: bool) -> Any:
    """The app called ``attribute`` of a module that is looked for in ``folder`` first; of the usual names where it is None.

    Raises LoadError.
    """
    path = os.path.abspath(folder)
    if path in sys.path:
        sys.path.remove(path)
    sys.path.insert(0, path)
    return _called(module, _found(_imported(module, path), module, attribute), factory)


def explain(error: LoadError) -> str:
    """The line for standard error, with the traceback of the app's own code before it."""
    cause = error.__cause__
    if cause is None:
        return f"number8: {error}\n"
    import traceback

    report = traceback.format_exception(type(cause), cause, _own(cause.__traceback__))
    return "".join(report) + f"number8: {error}\n"


def _imported(module: str, path: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # It may be another one that the app imports.
        if error.name is not None and (module == error.name or module.startswith(error.name + ".")):
            raise LoadError(f"there is no module {error.name} in {path} or where Python looks; see --app-dir") from None
        raise LoadError(f"{module} cannot be imported: {_brief(error)}") from error
    except BaseException as error:
        raise LoadError(f"{module} cannot be imported: {_brief(error)}") from error


def _found(found: Any, module: str, attribute: str | None) -> Any:
    if attribute is None:
        for name in USUAL_NAMES:
            if hasattr(found, name):
                return getattr(found, name)
        raise LoadError(f"{module} has neither app nor application: write {module}:ATTRIBUTE")
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise LoadError(f"{module} has no attribute {attribute}")
        found = getattr(found, name)
    return found


def _called(module: str, app: Any, factory: bool) -> Any:
    if not callable(app):
        raise LoadError(f"what {module} has under that name is no app: {type(app).__name__} cannot be called")
    if not factory:
        return app
    try:
        made = app()
    except BaseException as error:
        raise LoadError(f"the factory of {module} failed: {_brief(error)}") from error
    if not callable(made):
        raise LoadError(f"the factory of {module} returned no app: {type(made).__name__} cannot be called")
    return made


def _brief(error: BaseException) -> str:
    """The error in one line."""
    import traceback

    return " ".join(traceback.format_exception_only(type(error), error)[-1].split())


def _own(tb: TracebackType | None) -> TracebackType | None:
    """The traceback without our part and that of the import system at its beginning."""
    ours = (__file__, importlib.__file__)
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if name not in ours and not name.startswith("<frozen importlib"):
            break
        tb = tb.tb_next
    return tb
