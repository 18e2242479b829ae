"""Evaluation: run a submission, score it; check a method's contract; the library to start from."""

from aarlab.evaluation._result import Evaluation, FailureKind, MethodError
from aarlab.evaluation.contract import Check, check_method
from aarlab.evaluation.evaluator import Evaluator, default_workers, seed_limits
from aarlab.evaluation.library import LibraryMethod, library, library_method

__all__ = [
    "Check",
    "Evaluation",
    "Evaluator",
    "FailureKind",
    "LibraryMethod",
    "MethodError",
    "check_method",
    "default_workers",
    "library",
    "library_method",
    "seed_limits",
]
