"""Guards: what researchers learn of a score on the public split.

Exact scores leak labels. A guard stands between the exact accuracy and everybody who submits, one for each study.
"""

from aarlab.evaluation.guards._make import DEFAULT, GUARDS, make_guard
from aarlab.evaluation.guards._step import step_for
from aarlab.evaluation.guards._types import Answer, Guard, Query, State
from aarlab.evaluation.guards.exact import ExactGuard
from aarlab.evaluation.guards.ladder import LadderGuard
from aarlab.evaluation.guards.rounded import RoundedGuard
from aarlab.evaluation.guards.tapered import TaperedGuard
from aarlab.evaluation.guards.thresholdout import ThresholdoutGuard

__all__ = [
    "DEFAULT",
    "GUARDS",
    "Answer",
    "ExactGuard",
    "Guard",
    "LadderGuard",
    "Query",
    "RoundedGuard",
    "State",
    "TaperedGuard",
    "ThresholdoutGuard",
    "make_guard",
    "step_for",
]
