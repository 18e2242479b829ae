"""Students: what is trained, behind one protocol. A method imports from here."""

from aarlab.students._kinds import make_student
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
    Strings,
    Student,
    Unsupported,
    concatenate,
)
from aarlab.students.runtime import Runtime

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
    "Runtime",
    "Strings",
    "Student",
    "Unsupported",
    "concatenate",
    "make_student",
]
