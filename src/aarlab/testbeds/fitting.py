"""Fit a student to a testbed: what it reads of each row, and what it needs around a method's process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from aarlab.students import ProbeAssets, ProbeStudent, Runtime, Strings, Student
from aarlab.testbeds.pack import Pack, TestbedError


@dataclass(frozen=True)
class Fitting:
    """A student fitted to a testbed.

    Attributes:
        student: what methods are given.
        columns: what it reads of each row of the pack, first axis = row.
        runtime: what it needs around a method's process.
    """

    student: Student
    columns: Mapping[str, NDArray[Any]] = field(repr=False)
    runtime: Runtime = field(default_factory=Runtime)


def fit_probe(pack: Pack) -> Fitting:
    """The `probe` student on the activations of a pack.

    Raises:
        TestbedError: the pack holds none.
    """
    manifest, inputs = pack.manifest, pack.inputs
    if not manifest.representations:
        raise TestbedError(
            f"{manifest.name} holds text only, no activations for the student `probe`.",
            "Name another student, such as --student lora:MODEL.",
        )
    assets = ProbeAssets(
        representations=manifest.representations,
        default=manifest.default_representations,
        scale=inputs.scale,
        templates=manifest.templates,
    )
    columns: dict[str, NDArray[Any]] = {"hidden": inputs.hidden, "margins": inputs.margins, "logprob": inputs.logprob}
    return Fitting(ProbeStudent(assets), columns)


def fit_student(spec: str, pack: Pack, texts: Strings | None) -> Fitting:
    """The student that a specification names.

    Args:
        spec: "probe", "lora:MODEL" (a folder, a GGUF file or a name on the Hugging Face hub) or
            "remote:PROVIDER/MODEL" (PROVIDER being openai or anthropic; "@URL" at the end for another endpoint).
        pack: the testbed's.
        texts: its text; `lora` and `remote` need it.

    Raises:
        TestbedError: there is no such student, or it needs text that is not on this machine.
    """
    kind, _, model = spec.partition(":")
    if spec == "probe":
        return fit_probe(pack)
    if kind not in ("lora", "remote") or not model:
        raise TestbedError(
            f"There is no student {spec!r}.",
            "There are: probe, lora:MODEL, remote:openai/MODEL, remote:anthropic/MODEL.",
        )
    if texts is None:
        name = pack.manifest.name
        raise TestbedError(
            f"{spec} reads text, and that of {name} is not on this machine.", f"Run: aarlab testbed fetch {name}"
        )
    if kind == "lora":
        from aarlab.students.lora import LoraStudent

        student = LoraStudent.load(model)
        return Fitting(student, {}, student.runtime())
    raise NotImplementedError
