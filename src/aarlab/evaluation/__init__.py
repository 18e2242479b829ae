"""Evaluation: run a submission, score it."""

from aarlab.evaluation._result import Evaluation, FailureKind, MethodError
from aarlab.evaluation.evaluator import Evaluator, default_workers, seed_limits

__all__ = ["Evaluation", "Evaluator", "FailureKind", "MethodError", "default_workers", "seed_limits"]
