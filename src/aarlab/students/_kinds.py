"""From what a job says of its student to the student."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from aarlab.students.protocol import Student

# Imported when asked for, since some need packages that others do without.
KINDS = {"probe": "ProbeStudent", "lora": "LoraStudent", "remote": "RemoteStudent"}


def make_student(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Student:
    """The student that `Student.to_job` told of."""
    kind = about["kind"]
    made: Student = getattr(import_module(f"aarlab.students.{kind}"), KINDS[kind]).from_job(about, arrays)
    return made
