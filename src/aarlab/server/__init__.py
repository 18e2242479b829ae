"""The server: runs what researchers submit, keeps what came of it, and tells each what it may know."""

from aarlab.server._protocol import Evaluates, Evaluators
from aarlab.server._run import embedded, serve
from aarlab.server.app import create_app
from aarlab.server.evaluators import StudyEvaluators
from aarlab.server.log import read_log, verify_log

__all__ = ["Evaluates", "Evaluators", "StudyEvaluators", "create_app", "embedded", "read_log", "serve", "verify_log"]
