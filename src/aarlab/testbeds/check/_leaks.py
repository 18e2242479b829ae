"""Ways for a label to reach a method: its inputs, their order, questions on two sides of a split."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from aarlab.testbeds.check.report import Check, Figure, Verdict
from aarlab.testbeds.pack import PARTS
from aarlab.testbeds.testbed import SCORED, SPLITS, Testbed

#: What each kind of student reads of a row.
COLUMNS = {"probe": {"hidden", "margins", "logprob"}, "lora": set[str](), "remote": {"margins", "logprob"}}
LEAKY_NAMES = {"label", "labels", "truth", "gold", "final", "outcome", "kind", "run", "votes", "source", "writer"}
TELLING = 0.98  # area under the ROC curve of one number, above which it is the label in disguise
ORDER_Z, ORDER_SHARE = 5.0, 0.3
SIDES_WARN, SIDES_FAIL, SIDES_Z = 0.55, 0.65, 3.0
PERMUTATIONS = 200


def check_inputs(testbed: Testbed) -> Iterator[Check]:
    """What a method is given: the expected columns, none of which is the label in disguise."""
    yield _columns(testbed)
    yield _telling(testbed)
    if any(testbed.examples(split, part).groups is not None for split in SCORED for part in testbed.parts(split)):
        yield Check(
            "questions of test inputs", "fail", "test inputs tell which question they belong to", "Strip groups."
        )


def _columns(testbed: Testbed) -> Check:
    kind = testbed.student.name.partition(":")[0]
    given = set(testbed.fitting.columns)
    unknown = sorted(given - COLUMNS.get(kind, set()))
    leaky = sorted(name for name in given if LEAKY_NAMES & set(re.split(r"[^a-z]+", name.lower())))
    figures: dict[str, Figure] = {"given": ", ".join(sorted(given))}
    bad = sorted({*unknown, *leaky})
    if bad:
        finding = f"the student {kind} is given {', '.join(bad)}, which it has no use for"
        return Check("fields given to students", "fail", finding, "Take these fields out of its columns.", figures)
    finding = f"{kind} reads {', '.join(sorted(given)) or 'text only'}, as expected"
    return Check("fields given to students", "pass", finding, "", figures)


def _telling(testbed: Testbed) -> Check:
    """The one number, of all that a student reads of a row, that comes closest to being the label."""
    rows, labels = testbed.rows("train"), testbed.labels("train")
    best, where = 0.5, "none"
    if len(np.unique(labels)) == 2:
        for name, column in testbed.fitting.columns.items():
            value, index = _most_telling(column[rows].reshape(len(rows), -1), labels)
            if value > best:
                best, where = value, name if column.ndim == 1 else f"{name}[{index}]"
    finding = f"the most telling single number given to the student, {where}, has an area under the ROC curve of "
    figures: dict[str, Figure] = {"field": where, "auc": round(best, 4)}
    if best >= TELLING:
        advice = "This is the label in disguise: find out where it comes from, and take it out."
        return Check("fields that predict the label", "fail", f"{finding}{best:.3f}", advice, figures)
    return Check("fields that predict the label", "pass", f"{finding}{best:.3f}", "", figures)


def _most_telling(values: NDArray[Any], labels: NDArray[np.int8]) -> tuple[float, int]:
    """The largest area under the ROC curve of any column in either direction, and that column."""
    if not values.shape[1]:
        return 0.5, 0
    if values.dtype.kind not in "biuf":
        values = np.stack([np.unique(column, return_inverse=True)[1] for column in values.T], axis=1)
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=1e9, neginf=-1e9)
    centred = numbers - numbers.mean(axis=0)
    spread = centred.std(axis=0) + 1e-12
    correlation = np.abs((labels - labels.mean()) @ centred) / spread
    areas = {int(column): _area(numbers[:, column], labels) for column in np.argsort(correlation)[-20:]}
    best = max(areas, key=areas.__getitem__)
    return areas[best], best


def _area(values: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    """Area under the ROC curve, the larger of both directions (Mann and Whitney's U)."""
    ranks, ones = rankdata(values), int(labels.sum())
    area = float((ranks[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(labels) - ones)))
    return max(area, 1 - area)


def check_order(testbed: Testbed) -> Check:
    """Whether the order in which a method gets the rows of `train` tells their labels."""
    name = "order of rows"
    groups, labels = testbed.groups("train"), testbed.labels("train").astype(np.float64)
    order = np.argsort(groups, kind="stable")
    index = np.unique(groups[order], return_inverse=True)[1]
    sizes = np.bincount(index)
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    truth = labels[order]
    truth = truth - (np.bincount(index, weights=truth) / sizes)[index]
    position = place - ((sizes - 1) / 2)[index]
    if not np.any(position * position) or not np.any(np.abs(truth) > 1e-9):
        return Check(name, "pass", "no question of train has several rows of different labels")
    beside = index[1:] == index[:-1]

    def statistics(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([position @ values, (values[1:] * values[:-1])[beside].sum()])

    rng = np.random.default_rng(0)
    draws = np.array([statistics(truth[np.lexsort((rng.random(len(index)), index))]) for _ in range(PERMUTATIONS)])
    found = statistics(truth)
    z = (found - draws.mean(axis=0)) / (draws.std(axis=0) + 1e-12)
    shares = (found - draws.mean(axis=0)) / np.array(
        [np.sqrt((position @ position) * (truth @ truth)), float(truth @ truth)]
    )
    figures: dict[str, Figure] = {
        "position_correlation": round(float(shares[0]), 4),
        "position_z": round(float(z[0]), 2),
        "neighbour_correlation": round(float(shares[1]), 4),
        "neighbour_z": round(float(z[1]), 2),
    }
    finding = (
        f"within questions of train, labels correlate {shares[0]:+.2f} with the position of a row "
        f"(z {z[0]:+.1f}) and {shares[1]:+.2f} with the label before it (z {z[1]:+.1f})"
    )
    sure = np.abs(z) > ORDER_Z
    if np.any(sure):
        verdict: Verdict = "fail" if np.any(sure & (np.abs(shares) > ORDER_SHARE)) else "warn"
        return Check(name, verdict, finding, "Shuffle the rows within each question with a fixed seed.", figures)
    return Check(name, "pass", finding, "", figures)


def check_groups(testbed: Testbed) -> Check:
    """Whether a question, or a row, is in two splits or in two parts."""
    name = "questions across splits"
    places: dict[int, set[tuple[str, str]]] = {}
    rows: list[NDArray[np.intp]] = []
    for (split, part), drawn in testbed.drawn.items():
        rows.append(drawn)
        for group in np.unique(testbed.pack.groups[drawn]).tolist():
            places.setdefault(group, set()).add((split, part))
    crossing = {group: where for group, where in places.items() if len(where) > 1}
    everything = np.concatenate(rows)
    twice = len(everything) - len(np.unique(everything))
    parts = {group for part in PARTS for group in np.unique(testbed.pack.groups[testbed.pack.rows_of(part)]).tolist()}
    figures: dict[str, Figure] = {
        "questions": len(places),
        "in_two_places": len(crossing),
        "rows_in_two_places": twice,
        "rows_in_no_split": len(testbed.pack.labels) - len(np.unique(everything)),
    }
    if crossing or twice:
        group, where = next(iter(crossing.items()), (None, set()))
        example = f"; question {group} is in {' and '.join(sorted(' '.join(w) for w in where))}" if where else ""
        finding = f"{len(crossing)} of {len(places)} questions and {twice} rows are in two splits or parts{example}"
        return Check(name, "fail", finding, "Draw the splits by question, and give each question one part.", figures)
    if len(places) < len(parts):
        finding = f"{len(parts) - len(places)} questions are in no split"
        return Check(name, "warn", finding, "Draw the splits anew; rows that are in none are wasted.", figures)
    return Check(name, "pass", f"each of {len(places)} questions is in one split and one part", "", figures)


def check_balance(testbed: Testbed) -> Check:
    """Pairs: whether a side tells the label. Single candidates: whether both labels occur."""
    pairs = testbed.pack.pairs
    name = "sides of pairs" if pairs else "class balance"
    figures: dict[str, Figure] = {}
    bad: list[str] = []
    verdict: Verdict = "pass"
    for split in SPLITS:
        for part in testbed.parts(split):
            labels, groups = testbed.labels(split, part), testbed.groups(split, part)
            share = float(labels.mean())
            figures[f"{split} {part}"] = round(share, 4)
            sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=labels - share)
            z = abs(share - 0.5) * len(labels) / (np.sqrt(np.square(sums).sum()) + 1e-12)
            larger = max(share, 1 - share)
            if larger == 1 or (pairs and larger > SIDES_FAIL and z > SIDES_Z):
                verdict = "fail"
                bad.append(f"{split} {part}")
            elif pairs and larger > SIDES_WARN and z > SIDES_Z:
                verdict = "fail" if verdict == "fail" else "warn"
                bad.append(f"{split} {part}")
    shares = ", ".join(f"{value:.3f} on {where}" for where, value in figures.items())
    if not bad:
        return Check(name, "pass", f"share of label 1: {shares}", "", figures)
    advice = "Draw the sides of each pair at random." if pairs else "A part with one label cannot be scored."
    return Check(name, verdict, f"share of label 1: {shares}", advice, figures)
