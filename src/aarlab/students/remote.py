"""The `remote` student: what a language model behind an API said about each example, asked beforehand.

A model behind an API cannot be trained here, and a method's sandbox has no network. All such a model can tell is its
zero-shot opinion of an example, which does not depend on the method. So the operator asks for it once, before any
method runs (`aarlab.students.remote_api`), and stores it as columns of the examples; in the sandbox this student only
reads them.

    margins   float32 (n, choice readouts, 2)   stored order; axis 2: the candidates as stored, and exchanged
    logprob   float32 (n,)                      stored order; only if `continuation_logprob` was read

A margin of 0 is no opinion: the model gave no answer that could be read.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aarlab.students.protocol import Classifier, Examples, Floats, Loss, Margins, Representation, Unsupported

CAPABILITIES = ("margins", "texts")
#: Readouts that end in a choice between two options; each is one template of `Margins`.
CHOICES = ("forced_choice", "reason_then_choose")
#: The readout behind `Margins.logprob`.
CONTINUATION = "continuation_logprob"
READOUTS = (*CHOICES, CONTINUATION)


class _PartMargins(Margins):
    """Margins of which one half was never read: asking for that half raises, so that nobody trains on zeros."""

    def __init__(self, readouts: Sequence[str], **read: Floats) -> None:
        self.__dict__.update(read, _readouts=tuple(readouts))

    def __getattr__(self, name: str) -> Any:
        if name not in ("templates", "logprob"):
            raise AttributeError(name)
        what = {"templates": "choose between options", "logprob": "read log-probabilities of candidates"}[name]
        raise Unsupported(what, self.__dict__["_readouts"])


class RemoteStudent:
    """Stored answers of a remote model. See `aarlab.students.protocol.Student` for the contract.

    Attributes:
        provider: "openai" or "anthropic": the API, not the company.
        model: its name there.
        readouts: what was asked, of `READOUTS`; those of `CHOICES` are the templates of `margins`, in this order.
    """

    capabilities = CAPABILITIES
    representations: tuple[Representation, ...] = ()

    def __init__(self, provider: str, model: str, readouts: Sequence[str]) -> None:
        self.provider = provider
        self.model = model
        self.readouts = tuple(readouts)

    @property
    def name(self) -> str:
        """Such as "remote:openai/MODEL"; no address."""
        return f"remote:{self.provider}/{self.model}"

    def to_job(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """See `Student.to_job`."""
        about = {"kind": "remote", "provider": self.provider, "model": self.model, "readouts": self.readouts}
        return about, {}

    @classmethod
    def from_job(cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:  # noqa: ARG003
        """See `Student.from_job`."""
        return cls(str(about["provider"]), str(about["model"]), tuple(str(name) for name in about["readouts"]))

    def margins(self, examples: Examples) -> Margins:
        """Zero-shot margins as asked beforehand, in the presentation order of each example.

        Exchanging a pair's candidates changes the sign and exchanges the two orders: what was shown first is now
        shown second. The mean over the orders only changes its sign.

        Raises:
            Unsupported: nothing was asked about these examples. Where only one half of `Margins` was asked for,
                that half can be read, and the other raises when it is looked at.
        """
        columns, sign = examples.columns, np.where(examples.swap, -1.0, 1.0)
        read: dict[str, Floats] = {}
        if "margins" in columns:
            stored = columns["margins"].astype(np.float64)
            read["templates"] = np.where(examples.swap[:, None, None], -stored[:, :, ::-1], stored)
        if "logprob" in columns:
            read["logprob"] = columns["logprob"].astype(np.float64) * sign
        if not read:
            raise Unsupported("tell margins of these examples: the model was not asked about them", self.capabilities)
        return Margins(**read) if len(read) == 2 else _PartMargins(self.readouts, **read)

    def hidden(self, examples: Examples, layer: int, pooling: str) -> NoReturn:  # noqa: ARG002
        """Raise: an API shows no hidden states."""
        raise Unsupported("show hidden states", self.capabilities)

    def finetune(
        self,
        examples: Examples,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        loss: Loss = "cross_entropy",
        start: Classifier | None = None,
        seed: int = 0,
        representations: Sequence[Representation] | None = None,
        l2: float | None = None,
        hidden_units: int = 0,
        max_steps: int | None = None,
    ) -> NoReturn:
        """Raise: the model is trained elsewhere, if at all."""
        del examples, targets, weights, loss, start, seed, representations, l2, hidden_units, max_steps
        raise Unsupported("be fine-tuned", self.capabilities)
