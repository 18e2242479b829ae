"""Intervals, paired tests, power, calibration, diagnostics: the statistics of PGR."""

from aarlab.stats._calibration import Calibration, ReliabilityBin, measure_calibration
from aarlab.stats._compare import Comparison, compare_accuracy
from aarlab.stats._diagnostics import Diagnostics, diagnose
from aarlab.stats._equivalence import Verdict, equivalence_p, verdict
from aarlab.stats._fieller import RatioSet, fieller_interval
from aarlab.stats._holm import holm
from aarlab.stats._interval import Interval
from aarlab.stats._pgr import RESOLVED_STANDARD_ERRORS, PGRComparison, PGREstimate, compare_pgr, estimate_pgr
from aarlab.stats._power import minimum_detectable_effect, question_sd, required_questions

__all__ = [
    "RESOLVED_STANDARD_ERRORS",
    "Calibration",
    "Comparison",
    "Diagnostics",
    "Interval",
    "PGRComparison",
    "PGREstimate",
    "RatioSet",
    "ReliabilityBin",
    "Verdict",
    "compare_accuracy",
    "compare_pgr",
    "diagnose",
    "equivalence_p",
    "estimate_pgr",
    "fieller_interval",
    "holm",
    "measure_calibration",
    "minimum_detectable_effect",
    "question_sd",
    "required_questions",
    "verdict",
]
