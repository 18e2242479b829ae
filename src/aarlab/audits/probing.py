"""Probing: does a sequence of submissions ask for labels rather than for the worth of methods?

Whoever is after labels submits predictions that differ from others in rows of its own choosing, and looks whether the
score moved. Honest changes of a method, however small or large, turn over what it was unsure of. So each submission is
compared with the earlier one that it differs least from: where among that one's confidences lie the rows that differ?
And each is compared with all others: predictions that are related to nobody's are noise, whatever it may be for.

Each comparison gives an *e-value*: a figure whose mean is at most 1 if the submission is honest, and that is large if
it is not. They are multiplied up along the sequence by a procedure of Shiryaev and Roberts, whose running figure
exceeds a threshold with a probability of at most (length of the sequence) / threshold (Doob 1953; for e-values Vovk
and Wang 2021, Shin, Ramdas and Rinaldo 2024). Since every step bets a share only, honest submissions in between hide
little.

What this rests on: that honest differences lie at least as much among unsure rows as the envelope below says, which
goes by the other researchers' median. It was measured, not proven, on the method library, scripted studies and
families of near-duplicates on three testbeds (docs/log.md). What this does not catch: rows that the *earlier*
submission was made unsure of on purpose, which costs the prober one submission more for each question; large random
differences from a base that was never submitted, on few hundred rows; probing that is spread thinly over many honest
researchers; and, where predictions are mere 0 and 1 among researchers who give shades, few flips at a time. Where
nobody gives shades, small honest changes of predictions of mere 0 and 1 are reported too: confidences are what tells
the two apart. Nothing here is known of labels.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import log_ndtr

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Places = NDArray[np.int64]

ERROR_RATE = 0.02  # of reporting anything at all in a study whose researchers are all honest
LISTED = 20  # pairs and noise-like submissions named in a finding
ENOUGH = 8  # submissions, or pairs, that something is estimated from

FAR = 0.4  # share of rows: submissions that differ in more are no variants of each other
TIED = 0.3  # share of rows of equal confidence from which on it says nothing
BET = 0.2  # share that a step stakes on each of its two e-values
MOST = 100.0  # that one e-value counts at most, so that a single submission never decides
STRAY = 0.1  # share of honest differences that may lie anywhere
CLUSTER = 0.35  # exponent: d differing rows count as d ** (1 - CLUSTER), for rows of a question turn over together
LARGEST_MEAN = 0.45  # mean rank of honest differences, if they are many
SLOPES = (6.0, 20.0)  # how fast it rises with their number: bounds of what is estimated from the study
MARGIN = 1.25  # by which a researcher may be less careful than the median of the others
CROWD = (0.15, 0.45)  # likewise mean rank by the crowd's confidence
RELATED = 0.3  # correlation that every honest method has with some other

_RATES = np.geomspace(1e-3, 700.0, 4000)
_MEANS = 1 / _RATES - np.exp(-_RATES) / -np.expm1(-_RATES)  # of an exponential distribution cut off at 1


@dataclass(frozen=True)
class Submitted:
    """A scored submission.

    Attributes:
        id: its number.
        researcher: whose.
        predictions: P(label = 1) on `public`, shape (seeds, n), float32.
        accuracy: what the guard told; None if nothing. Not used: an answer tells how lucky a probe was, not what it is.
    """

    id: int
    researcher: str
    predictions: Floats32
    accuracy: float | None = None


class Pair(BaseModel):
    """Two submissions that differ where honest ones seldom do.

    Attributes:
        earlier: id of the one.
        later: id of the other.
        rows: in how many predicted labels they differ.
        rank: mean rank of these rows by confidence, in [0, 1]; 1/2 if chosen without regard to it.
        evidence: e-value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    earlier: int
    later: int
    rows: int
    rank: float
    evidence: float


class ProbingFinding(BaseModel):
    """A sequence of submissions that looks like probing. For the operator.

    Attributes:
        researcher: whose; None if it shows only in the submissions of all together.
        submissions: how many the sequence has.
        counted: how many of them differ from an earlier one where honest ones seldom do.
        pairs: those, the strongest first; at most `LISTED`.
        noise: ids of submissions that are related to nobody's; at most `LISTED`.
        figure: what the e-values come to.
        threshold: beyond which it is reported.
        error_rate: probability that a study of honest researchers has any finding.
        summary: in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    researcher: str | None
    submissions: int
    counted: int
    pairs: tuple[Pair, ...]
    noise: tuple[int, ...]
    figure: float
    threshold: float
    error_rate: float
    summary: str


def detect(history: Sequence[Submitted], error_rate: float = ERROR_RATE) -> list[ProbingFinding]:
    """Look for probing, in the submissions of each researcher and in those of all.

    Args:
        history: scored submissions of one study in order of submission; all on the same n rows.
        error_rate: probability of any finding if all are honest, of one look at one history, in (0, 1).

    Returns:
        Findings, the strongest first.

    Raises:
        ValueError: predictions are of different rows.
    """
    if len({one.predictions.shape[1] for one in history}) > 1:
        raise ValueError("predictions are of different rows")
    if len(history) < 2:
        return []
    study = _Study(history)
    steps = study.steps()
    threshold = 2 * len(history) / error_rate  # half for the researchers' sequences, half for that of all
    findings = []
    for researcher in dict.fromkeys(one.researcher for one in history):
        mine = [place for place, one in enumerate(history) if one.researcher == researcher]
        findings += _found(researcher, [steps[place] for place in mine], threshold, error_rate)
    if not findings:
        findings = _found(None, steps, threshold, error_rate)
    return sorted(findings, key=lambda finding: -finding.figure)


def _found(
    researcher: str | None, steps: Sequence["_Step"], threshold: float, error_rate: float
) -> list[ProbingFinding]:
    running = largest = 0.0
    for step in steps:
        running = min((1 + running) * step.factor, 1e300)
        largest = max(largest, running)
    if largest < threshold:
        return []
    strongest = [max(step.pairs, key=lambda pair: pair.evidence) for step in steps if step.pairs]
    pairs = sorted((pair for pair in strongest if pair.evidence > 1), key=lambda pair: -pair.evidence)
    noise = [step.id for step in steps if step.noise > 1]
    who = "All researchers together" if researcher is None else "One researcher"
    return [
        ProbingFinding(
            researcher=researcher,
            submissions=len(steps),
            counted=len(pairs),
            pairs=tuple(pairs[:LISTED]),
            noise=tuple(noise[:LISTED]),
            figure=largest,
            threshold=threshold,
            error_rate=error_rate,
            summary=(
                f"{who} submitted {len(pairs)} variants of earlier submissions that differ from them in rows they were "
                f"sure of, and {len(noise)} that are related to nobody's, among {len(steps)}."
            ),
        )
    ]


@dataclass(frozen=True)
class _Step:
    """One submission in its sequence.

    Attributes:
        id: its number.
        pairs: with the earlier submission that it differs least from, and with that whose confidences are most alike.
        noise: e-value of being related to nobody's.
    """

    id: int
    pairs: tuple[Pair, ...]
    noise: float

    @property
    def factor(self) -> float:
        """Mean at most 1 if honest."""
        different = float(np.mean([pair.evidence for pair in self.pairs])) if self.pairs else 1.0
        return (1 - 2 * BET) + BET * different + BET * self.noise


@dataclass(frozen=True)
class _Difference:
    """Where a submission differs from an earlier one.

    Attributes:
        earlier: place of that.
        later: place of the submission.
        share: of all rows.
        sure: rank of each differing row by the earlier one's confidence, shape (d,), in (0, 1).
        both: likewise by the smaller of both ones' ranks.
        crowd: likewise by the confidence of the crowd; None without one.
        tied: whether the earlier one's confidence says nothing.
    """

    earlier: int
    later: int
    share: float
    sure: Floats
    both: Floats
    crowd: Floats | None
    tied: bool


class _Study:
    """All submissions of a study, side by side."""

    def __init__(self, history: Sequence[Submitted]) -> None:
        self._history = history
        self._who = np.array([one.researcher for one in history])
        self._lean = np.stack([one.predictions.mean(axis=0, dtype=np.float64) - 0.5 for one in history])
        self._count, self._rows = self._lean.shape
        self._verdicts = np.where(self._lean > 0, 1, -1).astype(np.float32)
        sure = np.abs(self._lean)
        self._tied = np.array([_largest_tie(row) > TIED * self._rows for row in sure])
        self._ranks: dict[int, Floats] = {}
        self._crowds = self._by_researcher()

    def steps(self) -> list[_Step]:
        """One for each submission."""
        nearest, alike, related = self._compared()
        near = {b: self._difference(int(a), b) for b, a in enumerate(nearest) if a >= 0}
        like = {b: self._difference(int(a), b) for b, a in enumerate(alike) if a >= 0 and a != nearest[b]}
        differences = list(near.values())
        envelopes = {who: _Envelope(self._others(who, differences)) for who in dict.fromkeys(self._who.tolist())}
        found: dict[int, list[Pair]] = {place: [] for place in range(self._count)}
        for one in (*differences, *like.values()):
            found[one.later].append(self._pair(one, envelopes[self._who[one.later]]))
        return [_Step(one.id, tuple(found[place]), float(related[place])) for place, one in enumerate(self._history)]

    def _by_researcher(self) -> Mapping[str, Floats | None]:
        """How sure all other researchers are of each row, by researcher; None if too few give shades."""
        scaled = self._lean / np.maximum(np.abs(self._lean).mean(axis=1, keepdims=True), 1e-9)
        scaled[self._tied] = 0
        shaded = Counter(self._who[~self._tied].tolist())
        total = scaled.sum(axis=0)
        found: dict[str, Floats | None] = {}
        for name in dict.fromkeys(self._who.tolist()):
            enough = sum(shaded.values()) - shaded[name] >= ENOUGH
            found[name] = _ranked(np.abs(total - scaled[self._who == name].sum(axis=0))) if enough else None
        return found

    def _compared(self, block: int = 512) -> tuple[Places, Places, Floats]:
        """What of the others each submission is compared with.

        Returns:
            For each submission the nearest earlier one; the earlier one whose confidences are most like its own; each
            -1 if there is none that is near; and the e-value of being related to nobody's.
        """
        standard, sure = _standard(self._verdicts), _standard(np.abs(self._lean).astype(np.float32))
        constant = np.ptp(self._verdicts, axis=1) == 0
        nearest, alike, related = np.full(self._count, -1), np.full(self._count, -1), np.ones(self._count)
        few_researchers = len(set(self._who.tolist())) <= 2
        for start in range(0, self._count, block):
            here = np.arange(start, min(start + block, self._count))
            line = np.arange(len(here))
            differ = np.rint((self._rows - self._verdicts[here] @ self._verdicts.T) / 2)
            usable = (differ > 0) & (differ <= FAR * self._rows) & (np.arange(self._count) < here[:, None])
            closest = np.where(usable, differ, np.inf).argmin(axis=1)
            nearest[here] = np.where(usable.any(axis=1), closest, -1)
            likeness = np.where(usable & ~self._tied, sure[here] @ sure.T / self._rows, -1)
            likest = likeness.argmax(axis=1)
            alike[here] = np.where(likeness[line, likest] > 0, likest, -1)
            relation = np.abs(standard[here] @ standard.T) / self._rows
            relation[line, here] = 0
            others = self._who[here][:, None] != self._who
            few = (others.sum(axis=1) < ENOUGH) | few_researchers
            relation[~others & ~few[:, None]] = 0
            if self._count > ENOUGH:
                judged = ~constant[here]
                related[here[judged]] = _noise(relation.max(axis=1)[judged], self._rows)
        return nearest, alike, related

    def _rank(self, place: int) -> Floats:
        if place not in self._ranks:
            self._ranks[place] = _ranked(np.abs(self._lean[place]))
        return self._ranks[place]

    def _difference(self, earlier: int, later: int) -> _Difference:
        rows = np.flatnonzero(self._verdicts[earlier] != self._verdicts[later])
        sure, crowd = self._rank(earlier), self._crowds[self._who[later]]
        both = _ranked(np.minimum(sure, self._rank(later)))
        return _Difference(
            earlier=earlier,
            later=later,
            share=len(rows) / self._rows,
            sure=sure[rows],
            both=both[rows],
            crowd=None if crowd is None else crowd[rows],
            tied=bool(self._tied[earlier]),
        )

    def _others(self, who: str, differences: Sequence[_Difference]) -> list[_Difference]:
        """Differences of other researchers' submissions; of all, where those are few."""
        usable = [one for one in differences if not one.tied]
        others = [one for one in usable if self._who[one.later] != who]
        return others if len(others) >= ENOUGH else usable

    def _pair(self, one: _Difference, envelope: "_Envelope") -> Pair:
        if one.tied and one.crowd is not None:
            rank, evidence = one.crowd, _evidence(one.crowd, max(envelope.crowd, envelope.sure(one.share)))
        else:
            rank = one.sure
            evidence = _evidence(one.sure, envelope.sure(one.share)) / 2
            evidence += _evidence(one.both, envelope.both(one.share)) / 2
        return Pair(
            earlier=self._history[one.earlier].id,
            later=self._history[one.later].id,
            rows=len(one.sure),
            rank=float(rank.mean()),
            evidence=evidence,
        )


class _Envelope:
    """Largest mean rank that honest differences have, by their share of the rows: above that of others by `MARGIN`."""

    def __init__(self, others: Sequence[_Difference]) -> None:
        known = [other for other in others if len(other.sure) >= 3]
        self._sure = self._both = SLOPES[1]
        self.crowd = CROWD[1]
        if len(known) >= ENOUGH:
            self._sure = _slope([(float(other.sure.mean()), other.share) for other in known])
            self._both = _slope([(float(other.both.mean()), other.share) for other in known])
        by_crowd = [float(other.crowd.mean()) for other in known if other.crowd is not None]
        if len(by_crowd) >= ENOUGH:
            self.crowd = float(np.clip(1.5 * np.median(by_crowd), *CROWD))

    def sure(self, share: float) -> float:
        """By the earlier one's confidence."""
        return _rising(self._sure, share)

    def both(self, share: float) -> float:
        """By the smaller of both ranks."""
        return _rising(self._both, share)


def _rising(slope: float, share: float) -> float:
    return float(0.01 + LARGEST_MEAN * -np.expm1(-slope * share))


def _slope(found: Sequence[tuple[float, float]]) -> float:
    slopes = [-np.log1p(-min(mean, 0.98 * LARGEST_MEAN) / LARGEST_MEAN) / share for mean, share in found]
    return float(np.clip(MARGIN * np.median(slopes), *SLOPES))


def _evidence(ranks: Floats, mean: float) -> float:
    """E-value: how much better rows drawn at random explain these ranks than unsure rows do, of this mean rank.

    Under any steeper preference for unsure rows its mean is below 1 too.
    """
    rate = float(np.interp(-mean, -_MEANS, _RATES))
    honest = (1 - STRAY) * rate * np.exp(-rate * ranks) / -np.expm1(-rate) + STRAY
    return float(np.exp(min(-np.log(honest).sum() / len(ranks) ** CLUSTER, np.log(MOST))))


def _noise(closest: Floats, rows: int) -> Floats:
    """E-values of being related to others by `closest` at most, if `RELATED` is what honest methods are."""
    log_p = log_ndtr((closest - RELATED) * np.sqrt(rows))
    return np.asarray(np.exp(np.minimum(-np.log(2) - log_p / 2, np.log(MOST))))  # 1 / (2 sqrt p): Vovk and Wang 2021


def _standard(rows: Floats32) -> Floats32:
    """Each row with mean 0 and standard deviation 1; a constant one is all 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-6))


def _ranked(values: Floats) -> Floats:
    """Ranks in (0, 1), equal values sharing the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(((np.cumsum(count) - count / 2) / len(values))[place])


def _largest_tie(values: Floats) -> int:
    return int(np.unique(values, return_counts=True)[1].max())
