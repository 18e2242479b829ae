"""Intervals, paired tests, diagnostics: the statistics of PGR."""

from aarlab.stats._compare import Comparison, compare_accuracy
from aarlab.stats._diagnostics import Diagnostics, diagnose
from aarlab.stats._holm import holm
from aarlab.stats._pgr import Interval, PGREstimate, estimate_pgr

__all__ = [
    "Comparison",
    "Diagnostics",
    "Interval",
    "PGREstimate",
    "compare_accuracy",
    "diagnose",
    "estimate_pgr",
    "holm",
]
