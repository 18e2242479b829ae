"""The ideas that a scripted researcher composes methods of, by family: plain functions, copied into its files.

None of them is tuned: every number is a parameter, and finding good ones is the researcher's work.
"""

from aarlab.researchers.scripted.ideas import (
    confidence,
    consistency,
    curriculum,
    distillation,
    ensembling,
    noise,
    representation,
    selection,
    self_training,
)

__all__ = [
    "confidence",
    "consistency",
    "curriculum",
    "distillation",
    "ensembling",
    "noise",
    "representation",
    "selection",
    "self_training",
]
