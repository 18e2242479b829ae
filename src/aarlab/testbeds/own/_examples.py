"""Examples, and what is wrong with them only beside each other."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aarlab.testbeds.testbed import Split

ONE_SIDED = 0.65  # share of pairs whose better answer stands on one side, above which sides tell the label


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes:
        source: index into the sources of the configuration.
        line: where it stands in its source.
        group: the question it belongs to.
        prompt: the question.
        candidates: one answer, or two.
        label: 1 if the candidate is right, or if the second is the better.
        writers: who wrote the candidates; empty if unknown.
        split: where the source says it goes; None to draw it.
    """

    source: int
    line: int
    group: str
    prompt: str
    candidates: tuple[str, ...]
    label: int
    writers: tuple[str, ...] = ()
    split: Split | None = None


#: Reason and detail by position of the example.
Conflicts = dict[int, tuple[str, str]]


def _repeated(examples: list[Example], names: Sequence[str], parts: Sequence[str]) -> Conflicts:
    """Examples that stand there twice, in either order; all of them where their labels differ."""
    del parts
    same: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, example in enumerate(examples):
        same[(example.prompt, *sorted(example.candidates))].append(position)
    bad: Conflicts = {}
    for positions in same.values():
        first = examples[positions[0]]
        differing = [p for p in positions if _verdict(examples[p]) != _verdict(first)]
        for position in positions[1:] if not differing else positions:
            other = first if position != positions[0] else examples[differing[0]]
            where = f"{names[other.source]}, line {other.line}"
            if differing:
                bad[position] = ("mixed labels", f"the same example has the other label in {where}")
            else:
                bad[position] = ("duplicate", f"of {where}")
    return bad


def _verdict(example: Example) -> object:
    """What the label says, whatever the order of the candidates."""
    return example.label if len(example.candidates) == 1 else example.candidates[example.label]


def _in_both_parts(examples: list[Example], names: Sequence[str], parts: Sequence[str]) -> Conflicts:
    """Out-of-distribution examples whose group is in distribution too."""
    known: dict[str, Example] = {}
    for example in examples:
        if parts[example.source] == "id":
            known.setdefault(example.group, example)
    bad: Conflicts = {}
    for position, example in enumerate(examples):
        other = known.get(example.group)
        if parts[example.source] == "ood" and other is not None:
            where = f"{names[other.source]}, line {other.line}"
            bad[position] = ("group in id and ood", f"group {short(example.group)} is in {where} too")
    return bad


def _in_two_splits(examples: list[Example], names: Sequence[str], parts: Sequence[str]) -> Conflicts:
    """Examples whose split is not the one that an earlier example gave to their group."""
    del parts
    first: dict[str, Example] = {}
    bad: Conflicts = {}
    for position, example in enumerate(examples):
        other = first.setdefault(example.group, example)
        if example.split != other.split and example.split is not None:
            where = f"{names[other.source]}, line {other.line}"
            detail = f"group {short(example.group)} is in {example.split} here and in {other.split} in {where}"
            bad[position] = ("group in two splits", detail)
    return bad


def short(value: object) -> str:
    """How an error shows a value that may be long."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


CONFLICTS = (_repeated, _in_both_parts, _in_two_splits)


def notes(pairs: bool, examples: list[Example]) -> Iterator[str]:
    """What is allowed but deserves a look."""
    if pairs and examples:
        second = sum(example.label for example in examples) / len(examples)
        if max(second, 1 - second) > ONE_SIDED:
            side = "second" if second > 0.5 else "first"
            share = f"{max(second, 1 - second):.0%}"
            yield f"the {side} answer is the better one in {share} of the pairs, so that sides tell the label"
    groups: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        groups[example.prompt].add(example.group)
    shared = sum(len(found) > 1 for found in groups.values())
    if shared:
        yield f"{shared} prompts are in more than one group, so one question may stand in two splits"
