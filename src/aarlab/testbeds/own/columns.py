"""What the columns of the user's rows hold: ways to lay them out, and what a label says."""

import difflib
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aarlab.testbeds.pack import TestbedError

LayoutName = Literal["candidate", "labelled pair", "scored pair", "chosen and rejected", "scored answers"]


@dataclass(frozen=True)
class Layout:
    """One way to lay out rows: the columns that it needs, and those that it may have."""

    needs: tuple[str, ...]
    may: tuple[str, ...] = ()


#: `prompt`, `group` and `split` come on top of each. `group` defaults to the prompt's text.
LAYOUTS: dict[LayoutName, Layout] = {
    "candidate": Layout(("candidate", "label"), ("writer",)),
    "labelled pair": Layout(("first", "second", "label"), ("writer_first", "writer_second")),
    "scored pair": Layout(("first", "second", "score_first", "score_second"), ("writer_first", "writer_second")),
    "chosen and rejected": Layout(("chosen", "rejected")),
    "scored answers": Layout(("answers", "scores")),
}
PLAIN_LABELS = {"0": 0, "1": 1, "false": 0, "true": 1}


class ConfigError(TestbedError):
    """The YAML file of a testbed asks for something that cannot be done."""


def _known_keys(names: list[str], unknown: str) -> str:
    near = difflib.get_close_matches(unknown, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown key {unknown!r}.{hint} The keys are: {', '.join(names)}"


class Section(BaseModel):
    """A mapping of the file. An unknown key is an error that lists the known ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            raise ValueError(f"should be a mapping with the keys {', '.join(cls.model_fields)}")
        for key in values:
            if key not in cls.model_fields:
                raise ValueError(_known_keys(list(cls.model_fields), str(key)))
        return values


class Columns(Section):
    """Which column of the source holds what.

    Texts may also be chat messages (`{role, content}`): a prompt is all of them, an answer the last one.

    Attributes:
        prompt: the question.
        candidate: pointwise: the one answer.
        first: pairs: one answer.
        second: pairs: the other answer.
        label: whether the candidate is right, or which of two is better; see `labels`.
        score_first: score of the first answer; the larger is the better.
        score_second: score of the second answer.
        chosen: the better answer, or a list of answers; sides are then drawn.
        rejected: the worse answer, or a list of as many; the i-th is paired with the i-th.
        answers: a list of answers to one prompt; paired best with worst, each used once.
        scores: their scores, a list of the same length.
        group: the question that a row belongs to; a group never crosses a split.
        split: teacher, train, public or private, where the source says so itself.
        writer: who wrote the candidate.
        writer_first: who wrote the first answer.
        writer_second: who wrote the second answer.
    """

    prompt: str
    candidate: str | None = None
    first: str | None = None
    second: str | None = None
    label: str | None = None
    score_first: str | None = None
    score_second: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    answers: str | None = None
    scores: str | None = None
    group: str | None = None
    split: str | None = None
    writer: str | None = None
    writer_first: str | None = None
    writer_second: str | None = None

    @property
    def named(self) -> dict[str, str]:
        """Column of the source by role, of the roles that were given."""
        return {role: column for role, column in self if column is not None}

    @property
    def layout(self) -> LayoutName:
        """What a row is."""
        given = set(self.named) - {"prompt", "group", "split"}
        for name, layout in LAYOUTS.items():
            if set(layout.needs) <= given <= {*layout.needs, *layout.may}:
                return name
        ways = "; ".join(", ".join(layout.needs) for layout in LAYOUTS.values())
        there = ", ".join(sorted(given)) or "nothing"
        raise ValueError(f"{there} beside prompt is no known way to lay out rows. Give one of: {ways}")

    @model_validator(mode="after")
    def _has_a_layout(self) -> Self:
        _ = self.layout
        return self


class Labels(Section):
    """From what the label column holds to a label; for pairs 1 says that the second answer is better.

    In the file either `{value: 0, other_value: 1}` or `{threshold: 3, ties: 0.5, above: 1}`.

    Attributes:
        values: label by value; empty if numbers are compared with `threshold`.
        threshold: numbers above it get the label `above`. Two scores are compared by their difference, second
            minus first.
        ties: numbers no further than this from `threshold` are ties.
        above: 1, or 0 where large numbers speak for label 0.
    """

    values: dict[str, Literal[0, 1]] = Field(default_factory=dict)
    threshold: float | None = None
    ties: float = Field(default=0, ge=0)
    above: Literal[0, 1] = 1

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values:
            raise ValueError("should be {value: 0, other_value: 1}, or {threshold: NUMBER}")
        if "threshold" in values:
            numeric = [name for name in cls.model_fields if name != "values"]
            for key in values:
                if key not in numeric:
                    raise ValueError(_known_keys(numeric, str(key)))
            return values
        known: dict[str, Any] = {}
        for value, label in values.items():
            if label not in (0, 1) or isinstance(label, float):
                raise ValueError(f"{value!r} has the label {label!r}; a label is 0 or 1")
            if plain(value) in known:
                raise ValueError(f"{value!r} is given twice (capitals do not count)")
            known[plain(value)] = int(label)
        return {"values": known}


def plain(value: object) -> str:
    """How a label value is compared: `True`, "true" and " TRUE " are one, 1 and 1.0 too."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().casefold()
