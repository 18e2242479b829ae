"""The command line: thin commands over the packages below."""

from aarlab.cli._app import app

__all__ = ["app"]
