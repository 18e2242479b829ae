"""The `probe` student: trainable heads on stored hidden states of a real language model.

The language model stays frozen; what is trained is a linear or one-hidden-layer head on its hidden
states, by L-BFGS on a full batch. On a CPU this takes fractions of a second, so that a laptop can
score hundreds of methods. A linear head starts from zero and its loss is convex: seeds change
nothing there, only where a method itself draws random numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from aarlab.students._targets import LOSSES, checked
from aarlab.students.protocol import Classifier, Examples, Floats, Loss, Margins, Representation, Unsupported

DEFAULT_L2 = 1e-3
DEFAULT_STEPS = 100
CAPABILITIES = ("finetune", "hidden", "margins")


@dataclass(frozen=True)
class ProbeAssets:
    """What the probe student knows of its language model, label-free.

    Attributes:
        representations: the (layer, pooling) stored, in the order of the second axis of `hidden`.
        default: those that a head reads unless it is told otherwise.
        scale: size of one int8 step of `hidden`, shape (representations, d), float32.
        templates: names of the zero-shot templates.
    """

    representations: tuple[Representation, ...]
    default: tuple[Representation, ...]
    scale: NDArray[np.float32]
    templates: tuple[str, ...]


@dataclass(frozen=True)
class Head:
    """Parameters of a trained head: logit = bias + w.x + v.tanh(u.x + c), x standardised."""

    representations: tuple[Representation, ...]
    center: NDArray[np.float32]
    spread: NDArray[np.float32]
    parameters: Floats
    hidden_units: int


class ProbeClassifier:
    """A head, ready to predict."""

    def __init__(self, student: "ProbeStudent", head: Head, pairs: bool) -> None:
        self.head = head
        self._student = student
        self._pairs = pairs

    def logits(self, examples: Examples) -> Floats:
        """Log-odds of label 1, shape (n,)."""
        features = self._student.features(examples, self.head.representations)
        features -= self.head.center
        features /= self.head.spread
        logits: Floats
        logits, _ = _forward(self.head.parameters, features, self.head.hidden_units, bias=not self._pairs)
        return logits

    def predict(self, examples: Examples) -> Floats:
        """P(label = 1), shape (n,)."""
        return np.asarray(expit(self.logits(examples)), dtype=np.float64)


class ProbeStudent:
    """Heads on stored hidden states. See `aarlab.students.protocol.Student` for the contract."""

    name = "probe"
    capabilities = CAPABILITIES

    def __init__(self, assets: ProbeAssets) -> None:
        self.assets = assets

    def to_job(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """See `Student.to_job`."""
        about = {
            "kind": "probe",
            "representations": self.assets.representations,
            "default": self.assets.default,
            "templates": self.assets.templates,
        }
        return about, {"scale": self.assets.scale}

    @classmethod
    def from_job(cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See `Student.from_job`."""
        representations, default = (
            tuple((int(layer), str(pooling)) for layer, pooling in about[name])
            for name in ("representations", "default")
        )
        return cls(ProbeAssets(representations, default, arrays["scale"], tuple(about["templates"])))

    @property
    def representations(self) -> tuple[Representation, ...]:
        """All (layer, pooling) stored."""
        return self.assets.representations

    def hidden(self, examples: Examples, layer: int, pooling: str) -> Floats:
        """Hidden states, shape (n, d); of the second candidate minus the first, on pairs."""
        return self.features(examples, [(layer, pooling)]).astype(np.float64)

    def margins(self, examples: Examples) -> Margins:
        """Zero-shot margins as stored; exchanging a pair's candidates changes their sign."""
        sign = _sign(examples)
        return Margins(
            templates=examples.columns["margins"].astype(np.float64) * sign[:, None, None],
            logprob=examples.columns["logprob"].astype(np.float64) * sign,
        )

    def features(self, examples: Examples, representations: Sequence[Representation]) -> NDArray[np.float32]:
        """Hidden states of several representations side by side, shape (n, total d)."""
        sign = _sign(examples).astype(np.float32)[:, None]
        parts = []
        for representation in representations:
            if tuple(representation) not in self.assets.representations:
                raise Unsupported(f"read {representation}", [str(r) for r in self.assets.representations])
            index = self.assets.representations.index((representation[0], representation[1]))
            parts.append(examples.columns["hidden"][:, index] * self.assets.scale[index] * sign)
        return np.concatenate(parts, axis=1)

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
    ) -> ProbeClassifier:
        """Train a head; see `aarlab.students.protocol.Student.finetune`.

        Minimises weighted mean loss + l2 / 2 * |parameters|^2 over standardised features whose
        squared norm is 1 on average, so that one `l2` means the same for any choice of layers.
        Heads on pairs have no bias; a linear one then gives exactly opposite logits in both orders.
        """
        target = checked(targets, len(examples), "targets", upper=1.0)
        weight = np.ones(len(examples)) if weights is None else checked(weights, len(examples), "weights")
        if len(examples) == 0 or weight.sum() == 0:
            raise ValueError("nothing to train on: no examples, or all weights are 0")
        weight = weight / weight.sum()

        if start is None:
            head = self._fresh(examples, representations or self.assets.default, hidden_units, seed)
        elif isinstance(start, ProbeClassifier):
            head = start.head
        else:
            raise TypeError("start must be a classifier that finetune returned")
        features = self.features(examples, head.representations)
        features -= head.center
        features /= head.spread
        loss_of = LOSSES[loss] if isinstance(loss, str) else loss
        penalty = DEFAULT_L2 if l2 is None else float(l2)
        bias = not examples.pairs

        def objective(parameters: Floats) -> tuple[float, Floats]:
            logits, backward = _forward(parameters, features, head.hidden_units, bias)
            values, slopes = loss_of(logits, target)
            gradient = backward(weight * slopes) + penalty * parameters
            return float(weight @ values + penalty / 2 * parameters @ parameters), gradient

        result = minimize(
            objective,
            head.parameters,
            jac=True,
            method="L-BFGS-B",
            options={
                "maxiter": DEFAULT_STEPS if max_steps is None else int(max_steps),
                "ftol": 1e-7,
                "gtol": 1e-5,
            },
        )
        trained = Head(head.representations, head.center, head.spread, result.x, head.hidden_units)
        return ProbeClassifier(self, trained, examples.pairs)

    def _fresh(
        self, examples: Examples, representations: Sequence[Representation], hidden_units: int, seed: int
    ) -> Head:
        chosen = tuple((int(layer), str(pooling)) for layer, pooling in representations)
        features = self.features(examples, chosen)
        width = features.shape[1]
        # On pairs the mean is 0 by symmetry: centring would only learn how sides were drawn.
        center = np.zeros(width, np.float32) if examples.pairs else features.mean(axis=0)
        spread = np.sqrt(np.square(features - center).mean(axis=0) * width) + np.float32(1e-6)
        count = int(not examples.pairs) + width + hidden_units * (width + 2)
        parameters = np.zeros(count)
        if hidden_units:
            rng = np.random.default_rng(seed)
            first = count - hidden_units * (width + 2)
            parameters[first:] = rng.normal(size=count - first)
            parameters[count - hidden_units :] *= 0.1 / hidden_units**0.5
        return Head(chosen, center, spread, parameters, hidden_units)


def _sign(examples: Examples) -> Floats:
    """-1 where a pair is shown the other way round."""
    return np.where(examples.swap, -1.0, 1.0)


def _forward(parameters: Floats, features: NDArray[np.float32], units: int, bias: bool):  # type: ignore[no-untyped-def]
    """Logits (n,) of a head, and a function from d loss / d logits (n,) to the gradient."""
    width = features.shape[1]
    first = int(bias)
    linear = parameters[first : first + width]
    logits = (features @ linear.astype(np.float32)).astype(np.float64)
    if bias:
        logits += parameters[0]
    rest = parameters[first + width :]
    inner = rest[: units * width].reshape(units, width).astype(np.float32)
    offset, outer = rest[units * width : units * (width + 1)], rest[units * (width + 1) :]
    active = np.tanh(features @ inner.T + offset) if units else np.zeros((len(features), 0))
    logits += active @ outer

    def backward(slopes: Floats) -> Floats:
        gradient = np.empty_like(parameters)
        if bias:
            gradient[0] = slopes.sum()
        gradient[first : first + width] = slopes.astype(np.float32) @ features
        if units:
            inside = slopes[:, None] * outer * (1 - active**2)
            gradient[first + width : first + width + units * width] = (inside.astype(np.float32).T @ features).ravel()
            gradient[-2 * units : -units] = inside.sum(axis=0)
            gradient[-units:] = slopes @ active
        return gradient

    return logits, backward
