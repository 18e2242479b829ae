"""The server: runs what researchers submit, keeps what came of it, and tells each what it may know."""

from aarlab.server._protocol import Evaluates, Evaluators
from aarlab.server._run import embedded, serve
from aarlab.server.app import create_app

__all__ = ["Evaluates", "Evaluators", "create_app", "embedded", "serve"]
