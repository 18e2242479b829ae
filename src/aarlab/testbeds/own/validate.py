"""From rows to examples, with a list of the rows that cannot be used and why.

Nothing is mended silently: texts stay as they are, and a row is either an example (a list of answers: several) or
stands in the list of rejected rows.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from aarlab.testbeds.own._examples import CONFLICTS, Example, notes, short
from aarlab.testbeds.own.columns import ConfigError, LayoutName, plain
from aarlab.testbeds.own.config import Config, RowSource
from aarlab.testbeds.own.read import NoRow, Row
from aarlab.testbeds.pack import TestbedError
from aarlab.testbeds.testbed import SPLITS, Split

SHOWN = 5  # rejected rows that an error shows


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used.

    Attributes:
        source: name of the source.
        line: number of its line (or row) there.
        reason: one of a few, to be counted.
        detail: what exactly is wrong, with the name of the column.
    """

    source: str
    line: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Checked:
    """What came of all rows.

    Attributes:
        examples: those that can be used, in the order of the sources.
        rejected: the others, in the same order.
        rows: rows that were read.
        notes: what is allowed but deserves a look.
    """

    examples: tuple[Example, ...]
    rejected: tuple[Rejected, ...]
    rows: int
    notes: tuple[str, ...]


class BadRows(TestbedError):
    """Some rows cannot be used.

    Attributes:
        rejected: all of them.
        counts: rows by reason, the most frequent first.
    """

    def __init__(self, rejected: tuple[Rejected, ...], rows: int) -> None:
        self.rejected = rejected
        self.counts = dict(Counter(row.reason for row in rejected).most_common())
        table = "\n".join(f"{count:8}  {reason}" for reason, count in self.counts.items())
        first = "\n".join(f"  {row.source}, line {row.line}: {row.reason}: {row.detail}" for row in rejected[:SHOWN])
        more = f"\n  and {len(rejected) - SHOWN} more" if len(rejected) > SHOWN else ""
        bad = len({(row.source, row.line) for row in rejected})
        super().__init__(
            f"{bad} of {rows} rows cannot be used:\n{table}\n{first}{more}\n",
            "Mend them, or build without them: --allow-bad-rows keeps their list beside the pack.",
        )


class _Bad(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def check(config: Config, sources: Iterable[tuple[RowSource, Iterable[Row | NoRow]]]) -> Checked:
    """Turn rows into examples, and check them against each other.

    Args:
        config: what the user asked for.
        sources: each source with its rows.

    Raises:
        ConfigError: a column is in no row at all, or no row can be used.
    """
    examples: list[Example] = []
    rejected: list[tuple[int, Rejected]] = []
    names, parts, rows = [], [], 0
    for index, (source, read) in enumerate(sources):
        names.append(source.name)
        parts.append(source.part)
        reader = _Reader(source, index, config)
        for row in read:
            rows += 1
            try:
                if isinstance(row, NoRow):
                    raise _Bad(row.reason, row.detail)
                examples.extend(reader.examples(row))
            except _Bad as bad:
                rejected.append((index, Rejected(source.name, row.line, bad.reason, bad.detail)))
        reader.check_columns()
    for conflicts in CONFLICTS:
        bad_ones = conflicts(examples, names, parts)
        for position, (reason, detail) in bad_ones.items():
            example = examples[position]
            rejected.append((example.source, Rejected(names[example.source], example.line, reason, detail)))
        examples = [example for position, example in enumerate(examples) if position not in bad_ones]
    rejected.sort(key=lambda found: (found[0], found[1].line))
    return Checked(tuple(examples), tuple(row for _, row in rejected), rows, tuple(notes(config.pairs, examples)))


class _Reader:
    """Makes examples of the rows of one source."""

    def __init__(self, source: RowSource, index: int, config: Config) -> None:
        self._source, self._index, self._config = source, index, config
        self._columns = source.columns.named
        self._lacking: Counter[str] = Counter()
        self._seen: dict[str, None] = {}
        self._rows = 0

    def examples(self, row: Row) -> list[Example]:
        """The examples of one row: one, or several where a row holds lists of answers."""
        self._rows += 1
        if self._rows <= 100:
            self._seen.update(dict.fromkeys(map(str, row.values)))
        missing = [role for role, column in self._columns.items() if column not in row.values]
        self._lacking.update(missing)
        if missing:
            raise _Bad("missing column", ", ".join(repr(self._columns[role]) for role in missing))
        values = {role: row.values[column] for role, column in self._columns.items()}
        prompt = self._text("prompt", values)
        group = self._group(values["group"]) if "group" in values else prompt
        split = self._split(values["split"]) if "split" in values else None
        return [
            Example(self._index, row.line, group, prompt, candidates, label, writers, split)
            for candidates, label, writers in _READERS[self._source.columns.layout](self, values, prompt)
        ]

    def check_columns(self) -> None:
        """Whether each column was in some row at all.

        Raises:
            ConfigError: one was in none.
        """
        for role, count in self._lacking.items():
            if count == self._rows:
                there = ", ".join(self._seen) or "none"
                raise ConfigError(
                    f"columns.{role}: {self._source.name} has no column {self._columns[role]!r}.",
                    f"Its columns are: {there}.",
                )

    def candidate(
        self, values: Mapping[str, Any], prompt: str
    ) -> Iterator[tuple[tuple[str, ...], int, tuple[str, ...]]]:
        """One answer, right or wrong."""
        del prompt
        yield (self._text("candidate", values),), self._label(values["label"]), self._writers(values, ("writer",))

    def labelled_pair(self, values: Mapping[str, Any], prompt: str) -> Iterator[Any]:
        """Two answers, and which is better."""
        del prompt
        pair = self._pair(self._text("first", values), self._text("second", values))
        yield pair, self._label(values["label"]), self._writers(values, ("writer_first", "writer_second"))

    def scored_pair(self, values: Mapping[str, Any], prompt: str) -> Iterator[Any]:
        """Two answers with a score each."""
        del prompt
        pair = self._pair(self._text("first", values), self._text("second", values))
        difference = self._number("score_second", values) - self._number("score_first", values)
        yield pair, self._compared(difference), self._writers(values, ("writer_first", "writer_second"))

    def chosen_and_rejected(self, values: Mapping[str, Any], prompt: str) -> Iterator[Any]:
        """The better and the worse answer, or lists of them."""
        if isinstance(values["chosen"], list) and not _is_messages(values["chosen"]):
            chosen, rejected = self._texts("chosen", values), self._texts("rejected", values)
        else:
            chosen, rejected = [self._text("chosen", values)], [self._text("rejected", values)]
        # Each answer stands in one pair at most: how often it is shown must not tell its label.
        for better, worse in zip(chosen, rejected, strict=False):
            yield self._sided(prompt, better, worse)

    def scored_answers(self, values: Mapping[str, Any], prompt: str) -> Iterator[Any]:
        """A list of answers with their scores: the best against the worst, the second best against the second worst."""
        answers, scores = self._texts("answers", values), values["scores"]
        if not isinstance(scores, list) or len(scores) != len(answers):
            raise _Bad(
                "not a list", f"column {self._columns['scores']!r} has no score for each of {len(answers)} answers"
            )
        numbers = [self._number("scores", {"scores": score}) for score in scores]
        order = sorted(range(len(answers)), key=lambda i: (-numbers[i], i))
        pairs = [(order[i], order[-1 - i]) for i in range(len(order) // 2)]
        pairs = [(better, worse) for better, worse in pairs if numbers[better] > numbers[worse]]
        if not pairs:
            raise _Bad("tie", f"column {self._columns['scores']!r}: no answer is better than another")
        for better, worse in pairs:
            yield self._sided(prompt, answers[better], answers[worse])

    def _sided(self, prompt: str, better: str, worse: str) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
        """The pair with its sides drawn by its own text, so that no other row has a say in it."""
        self._pair(better, worse)
        content = "\0".join((str(self._config.draw), prompt, better, worse))
        label = hashlib.sha256(content.encode()).digest()[0] & 1
        return ((worse, better) if label else (better, worse)), label, ()

    def _pair(self, first: str, second: str) -> tuple[str, str]:
        if first.strip() == second.strip():
            raise _Bad("identical candidates", "both answers are the same text")
        return first, second

    def _texts(self, role: str, values: Mapping[str, Any]) -> list[str]:
        found = values[role]
        if not isinstance(found, list) or not found:
            raise _Bad("not a list", f"column {self._columns[role]!r} should hold a list of answers")
        return [self._text(role, {role: item}) for item in found]

    def _text(self, role: str, values: Mapping[str, Any]) -> str:
        value, column = values[role], self._columns[role]
        if _is_messages(value):
            value = _conversation(value if role == "prompt" else value[-1:])  # an answer is what was said last
        if value is None or (isinstance(value, str) and not value.strip()):
            raise _Bad("empty text", f"column {column!r}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise _Bad("not text", f"column {column!r} holds a {type(value).__name__}")
        if len(value) > self._config.longest:
            raise _Bad(
                "too long", f"column {column!r}: {len(value)} characters, the limit (longest) is {self._config.longest}"
            )
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _Bad("broken text", f"column {column!r}: half a character (surrogate) at {error.start}") from None
        return value

    def _group(self, value: object) -> str:
        if value is None or isinstance(value, list | dict) or not str(value).strip():
            raise _Bad("empty group", f"column {self._columns['group']!r} names no group")
        return str(value)

    def _split(self, value: object) -> Split:
        for split in SPLITS:
            if plain(value) == split:
                return split
        raise _Bad(
            "unknown split", f"column {self._columns['split']!r} holds {short(value)}, not one of {', '.join(SPLITS)}"
        )

    def _writers(self, values: Mapping[str, Any], roles: tuple[str, ...]) -> tuple[str, ...]:
        if not set(roles) <= set(values):
            return ()
        return tuple("" if values[role] is None else str(values[role]) for role in roles)

    def _label(self, value: object) -> int:
        labels, column = self._source.labels, self._columns["label"]
        assert labels is not None  # `Config` gives these layouts some
        if labels.threshold is not None:
            return self._compared(self._number("label", {"label": value}))
        if value is None or plain(value) not in labels.values:
            raise _Bad(
                "unknown label", f"column {column!r} holds {short(value)}; labels has {', '.join(labels.values)}"
            )
        return labels.values[plain(value)]

    def _number(self, role: str, values: Mapping[str, Any]) -> float:
        value = values[role]
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise _Bad("not a number", f"column {self._columns[role]!r} holds {short(value)}")
        return number

    def _compared(self, number: float) -> int:
        labels = self._source.labels
        assert labels is not None
        assert labels.threshold is not None
        difference = number - labels.threshold
        if abs(difference) <= labels.ties:
            raise _Bad("tie", f"{number:g} is no further than {labels.ties:g} from {labels.threshold:g}")
        return labels.above if difference > 0 else 1 - labels.above


_READERS: dict[LayoutName, Callable[[_Reader, Mapping[str, Any], str], Iterator[Any]]] = {
    "candidate": _Reader.candidate,
    "labelled pair": _Reader.labelled_pair,
    "scored pair": _Reader.scored_pair,
    "chosen and rejected": _Reader.chosen_and_rejected,
    "scored answers": _Reader.scored_answers,
}
assert set(_READERS) == set(get_args(LayoutName))


def _is_messages(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(m, dict) and "content" in m for m in value)


def _conversation(messages: list[dict[str, Any]]) -> str | None:
    """Chat messages as text: a lone message as it is, several each under the name of its speaker."""
    if not all(isinstance(message["content"], str) for message in messages):
        return None
    if len(messages) == 1:
        return str(messages[0]["content"])
    return "\n\n".join(f"{message.get('role', 'user')}: {message['content']}" for message in messages)
