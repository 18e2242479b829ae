"""Fit a student to a testbed: what it reads of each row, and what it needs around a method's process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aarlab.students import ProbeAssets, ProbeStudent, Runtime, Strings, Student
from aarlab.students.remote import RemoteStudent
from aarlab.testbeds.pack import Pack, TestbedError
from aarlab.testbeds.storage import data_folder

if TYPE_CHECKING:
    from aarlab.students.remote_api import Usage


@dataclass(frozen=True)
class Fitting:
    """A student fitted to a testbed.

    Attributes:
        student: what methods are given.
        columns: what it reads of each row of the pack, first axis = row.
        runtime: what it needs around a method's process.
        usage: what asking it just cost, of a remote one.
    """

    student: Student
    columns: Mapping[str, NDArray[Any]] = field(repr=False)
    runtime: Runtime = field(default_factory=Runtime)
    usage: "Usage | None" = None


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


def fit_lora(student: str, pack: Pack, texts: Strings | None) -> Fitting:
    """The `lora` student: a language model that is fine-tuned on text.

    Args:
        student: "lora:MODEL", MODEL being a folder, or a name on the Hugging Face hub.
        pack: the testbed's.
        texts: its text, shape (n, 1 + candidates).

    Raises:
        TestbedError: there is no such student, or no text on this machine.
    """
    kind, _, model = student.partition(":")
    if kind != "lora" or not model:
        raise TestbedError(
            f"There is no student {student!r}.",
            "There are: probe, lora:MODEL, remote:openai/MODEL, remote:anthropic/MODEL.",
        )
    _readable(student, pack, texts)
    from aarlab.students.lora import LoraStudent

    made = LoraStudent.load(model)
    return Fitting(made, {}, made.runtime())


@dataclass(frozen=True)
class RemoteBudget:
    """Most that a remote student may be asked; None is no limit.

    Attributes:
        calls: requests.
        tokens: input and output tokens.
    """

    calls: int | None = None
    tokens: int | None = None


def ask_remote(
    student: str,
    pack: Pack,
    texts: Strings | None,
    rows: NDArray[np.intp],
    readouts: Sequence[str],
    budget: RemoteBudget | None,
    progress: Callable[[int, int], None],
) -> Fitting:
    """The `remote` student: a language model behind an API, asked about some rows now.

    Args:
        student: "remote:PROVIDER/MODEL", with "@URL" at the end for another address.
        pack: the testbed's.
        texts: its text, shape (n, 1 + candidates).
        rows: rows to ask about; nothing is known of the others.
        readouts: what to ask.
        budget: most that it may cost.
        progress: told how many of how many answers there are.

    Raises:
        TestbedError: no text on this machine.
        RemoteError: the model could not be asked, or the budget is spent.
    """
    text = _readable(student, pack, texts)
    from aarlab.students.remote_api import Budget, RemoteModel, parse_remote, read_margins

    spec = parse_remote(student)
    limit = Budget() if budget is None else Budget(calls=budget.calls, tokens=budget.tokens)
    with RemoteModel(spec, budget=limit) as model:
        answers, usage = read_margins(
            model, text[rows], readouts, cache_folder=data_folder() / "remote", progress=progress
        )
    columns = {}
    for name, column in answers.items():
        columns[name] = np.full((len(text), *column.shape[1:]), np.nan, column.dtype)
        columns[name][rows] = column
    return Fitting(RemoteStudent(spec.provider, spec.model, readouts), columns, usage=usage)


def _readable(student: str, pack: Pack, texts: Strings | None) -> Strings:
    if texts is None:
        name = pack.manifest.name
        raise TestbedError(
            f"{student} reads text, and that of {name} is not on this machine.", f"Run: aarlab testbed fetch {name}"
        )
    return texts
