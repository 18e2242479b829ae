"""Evaluation: run a submission, score it."""

from aarlab.evaluation._result import Evaluation, FailureKind, MethodError
from aarlab.evaluation.evaluator import SEED_LIMITS, Evaluator, default_workers

__all__ = ["SEED_LIMITS", "Evaluation", "Evaluator", "FailureKind", "MethodError", "default_workers"]
