"""The server: runs what researchers submit, keeps what came of it, and tells each what it may know."""

from aarlab.server._limits import Limits, Rate
from aarlab.server._protocol import Evaluates, Evaluators
from aarlab.server._run import embedded, serve
from aarlab.server.app import create_app
from aarlab.server.evaluators import StudyEvaluators, study_testbed
from aarlab.server.log import read_ledger, read_log, read_study, verify_log
from aarlab.server.record import Record

__all__ = [
    "Evaluates",
    "Evaluators",
    "Limits",
    "Rate",
    "Record",
    "StudyEvaluators",
    "create_app",
    "embedded",
    "read_ledger",
    "read_log",
    "read_study",
    "serve",
    "study_testbed",
    "verify_log",
]
