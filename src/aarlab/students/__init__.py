"""Students: what is trained, behind one protocol. A method imports from here."""

from aarlab.students.probe import ProbeAssets, ProbeClassifier, ProbeStudent
from aarlab.students.protocol import (
    Classifier,
    Examples,
    Floats,
    Loss,
    Margins,
    Predictor,
    Problem,
    Representation,
    Student,
    Unsupported,
    concatenate,
)

__all__ = [
    "Classifier",
    "Examples",
    "Floats",
    "Loss",
    "Margins",
    "Predictor",
    "ProbeAssets",
    "ProbeClassifier",
    "ProbeStudent",
    "Problem",
    "Representation",
    "Student",
    "Unsupported",
    "concatenate",
]
