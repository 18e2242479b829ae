"""The space of methods that a scripted researcher searches: ideas, their parameters, their cost."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from aarlab.researchers.scripted import ideas

Value = float | int | str
#: "head": learns from labels. "labels": changes them before. "training": goes around the head.
Slot = Literal["head", "labels", "training"]


@dataclass(frozen=True)
class Range:
    """A number between two bounds; `log` spreads it evenly over magnitudes."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def draw(self, rng: np.random.Generator) -> Value:
        """A value from anywhere in the range."""
        return self.at(rng.random())

    def near(self, value: Value, rng: np.random.Generator) -> Value:
        """A value not far from `value`."""
        return self.at(float(np.clip(self.place(value) + rng.normal(scale=0.2), 0.0, 1.0)))

    def at(self, place: float) -> Value:
        """The value at a place in [0, 1]."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + place * (high - low)
        value = math.exp(value) if self.log else value
        return round(value) if self.integer else float(f"{value:.3g}")

    def place(self, value: Value) -> float:
        """Where in [0, 1] a value lies."""
        low, high, x = self.low, self.high, float(value)
        if self.log:
            low, high, x = math.log(low), math.log(high), math.log(x)
        return (x - low) / (high - low)

    def admits(self, value: object) -> bool:
        """Whether a value from elsewhere lies in the range."""
        if isinstance(value, bool) or not isinstance(value, int if self.integer else (int, float)):
            return False
        return bool(self.low <= value <= self.high)


@dataclass(frozen=True)
class Choice:
    """One of several names."""

    options: tuple[str, ...]

    def draw(self, rng: np.random.Generator) -> Value:
        """Any option."""
        return self.options[int(rng.integers(len(self.options)))]

    def near(self, value: Value, rng: np.random.Generator) -> Value:
        """Mostly the same option."""
        return value if rng.random() < 0.6 else self.draw(rng)

    def admits(self, value: object) -> bool:
        """Whether a value from elsewhere is an option."""
        return isinstance(value, str) and value in self.options


Parameter = Range | Choice


@dataclass(frozen=True)
class Idea:
    """A function that methods are composed of.

    Attributes:
        function: its code.
        family: module of `ideas` that it comes from.
        slot: where in a method it goes.
        parameters: what it takes, by name.
        fits: how many times it trains a head (labels), or each inner student (training), given parameters.
    """

    function: Callable[..., Any]
    family: str
    slot: Slot
    parameters: Mapping[str, Parameter]
    fits: Callable[[Mapping[str, Value]], float]

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__name__

    def draw(self, rng: np.random.Generator) -> dict[str, Value]:
        """Parameters from anywhere in their ranges."""
        return {name: parameter.draw(rng) for name, parameter in self.parameters.items()}

    def admits(self, values: Mapping[str, object]) -> bool:
        """Whether these are parameters of it, all and no others, within their ranges."""
        return values.keys() == self.parameters.keys() and all(p.admits(values[n]) for n, p in self.parameters.items())


DEPTH = Choice(("all", "early", "middle", "late"))
POOLING = Choice(("both", "mean", "last"))
SHARE = Range(0.2, 0.9)
BLEND = Range(0.1, 0.9)
L2 = Range(1e-4, 0.3, log=True)


def _idea(
    function: Callable[..., Any],
    slot: Slot,
    fits: Callable[[Mapping[str, Value]], float] = lambda _: 0.0,
    **parameters: Parameter,
) -> Idea:
    return Idea(function, function.__module__.rpartition(".")[2], slot, parameters, fits)


def _three(_: Mapping[str, Value]) -> float:
    return 3.0


IDEAS: dict[str, Idea] = {
    idea.name: idea
    for idea in (
        _idea(ideas.representation.linear_head, "head", depth=DEPTH, pooling=POOLING, l2=L2),
        _idea(
            ideas.representation.principal_head,
            "head",
            depth=DEPTH,
            pooling=POOLING,
            components=Range(4, 256, log=True, integer=True),
            l2=L2,
        ),
        _idea(ideas.confidence.sharpen, "labels", temperature=Range(0.02, 3.0, log=True)),
        _idea(ideas.confidence.weigh_by_confidence, "labels", power=Range(0.2, 4.0, log=True)),
        _idea(ideas.selection.keep_confident, "labels", share=SHARE),
        _idea(ideas.selection.drop_disputed, "labels", _three, share=Range(0.05, 0.6)),
        _idea(ideas.selection.keep_separable, "labels", _three, share=SHARE),
        _idea(
            ideas.noise.correct_labels,
            "labels",
            lambda values: 3.0 * float(values["rounds"]),
            rounds=Range(1, 3, integer=True),
            prior=Range(0.1, 2.0, log=True),
        ),
        _idea(ideas.noise.vote_of_views, "labels", _three, trust=BLEND),
        _idea(ideas.consistency.agreeing_views, "labels", lambda _: 6.0, penalty=Range(0.1, 1.0)),
        _idea(ideas.consistency.agreeing_orders, "labels", penalty=Range(0.1, 1.0)),
        _idea(
            ideas.consistency.smooth_over_neighbours,
            "labels",
            lambda _: 1.0,
            neighbours=Range(2, 60, log=True, integer=True),
            blend=BLEND,
        ),
        _idea(
            ideas.distillation.relabel_out_of_fold,
            "labels",
            lambda values: float(values["folds"]),
            folds=Range(2, 6, integer=True),
            blend=BLEND,
        ),
        _idea(ideas.distillation.distil, "training", lambda _: 2.0, sharpness=Range(0.3, 10.0, log=True)),
        _idea(
            ideas.self_training.self_train,
            "training",
            lambda values: 1.0 + float(values["rounds"]),
            rounds=Range(1, 4, integer=True),
            trust=BLEND,
        ),
        _idea(
            ideas.self_training.pseudo_label,
            "training",
            lambda values: 1.0 + float(values["rounds"]),
            rounds=Range(1, 3, integer=True),
            share=SHARE,
        ),
        _idea(
            ideas.curriculum.self_paced,
            "training",
            lambda values: float(values["stages"]),
            start=Range(0.1, 0.7),
            stages=Range(2, 5, integer=True),
        ),
        _idea(ideas.curriculum.easy_then_all, "training", lambda _: 2.0, share=SHARE, later=Range(0.05, 1.0)),
        _idea(
            ideas.ensembling.bagging,
            "training",
            lambda values: float(values["members"]),
            members=Range(2, 10, integer=True),
            share=Range(0.3, 0.95),
        ),
        _idea(ideas.ensembling.one_head_a_layer, "training", lambda _: 3.0, l2=L2, mix=Range(0.2, 1.0)),
    )
}

FAMILIES: tuple[str, ...] = tuple(sorted({idea.family for idea in IDEAS.values()}))
