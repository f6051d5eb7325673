"""One small, fast web server for the machine in front of you."""

from number8._hosting import serve
from number8._native import __version__

__all__ = ["__version__", "serve"]
