"""The operator's leaderboard, with exact figures."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from aarlab.api.schemas import Level, Row, Status
from aarlab.server._models import SubmissionRow
from aarlab.server._protocol import Evaluates
from aarlab.server._score import Score, score_in
from aarlab.server._store import AUDIT, PRIVATE, PUBLIC, Store
from aarlab.server._views import level_of, verdicts
from aarlab.stats import Comparison, Interval, compare_accuracy, holm

#: Comparison with the baseline, and its p, Holm-adjusted over all that are compared.
Gain = tuple[Comparison, float]


def leaderboard(store: Store, study: str, evaluator: Evaluates, limit: int) -> list[Row]:
    """Scored submissions by level, then by the lower confidence bound of PGR: private where confirmed.

    Args:
        store: what the server knows.
        study: id of the study.
        evaluator: of its testbed.
        limit: rows to return; the baseline comes on top of it if it is further down.
    """
    scored = [(row, score) for row in store.submissions(study) if (score := score_in(row.evaluation(PUBLIC)))]
    ranked = sorted(scored, key=lambda pair: _key(*pair))
    baseline = next((row.id for row, _ in scored if row.researcher is None), None)
    correct = {one.submission: one.correct for one in store.scored(study, PRIVATE)}
    gained = gains(correct, baseline, lambda: evaluator.groups("private"))
    rows = (
        _row(rank, row, score, gained.get(row.id))
        for rank, (row, score) in enumerate(ranked, 1)
        if rank <= limit or row.researcher is None
    )
    return list(rows)


def _key(row: SubmissionRow, score: Score) -> tuple[int, float, int]:
    deciding = score_in(row.evaluation(PRIVATE)) or score
    return place(level_of(row), deciding.estimate.pgr, deciding.mean_accuracy, row.id)


def place(level: Level, pgr: Interval | None, accuracy: float, submission: int) -> tuple[int, float, int]:
    """Sorts submissions best first; where the gap is unresolved, accuracy stands in for PGR.

    Args:
        level: of the submission.
        pgr: on private if it was scored there, else on public.
        accuracy: on the same.
        submission: its id; the earlier first.
    """
    return -level, -(accuracy if pgr is None else pgr.low), submission


def gains(
    correct: Mapping[int, NDArray[np.float32]], baseline: int | None, groups: Callable[[], NDArray[np.int32]]
) -> dict[int, Gain]:
    """Comparison with the baseline on `private`, by submission; the baseline itself is left out.

    Args:
        correct: whether each example was right, shape (seeds, n), by submission that was scored there.
        baseline: its submission; nothing is compared before it was scored.
        groups: question of each example, shape (n,); asked only if there is something to compare.
    """
    others = sorted(submission for submission in correct if submission != baseline)
    if baseline is None or baseline not in correct or not others:
        return {}
    questions = groups()
    found = [compare_accuracy(correct[submission], correct[baseline], questions) for submission in others]
    return dict(zip(others, zip(found, holm([one.p for one in found]), strict=True), strict=True))


def _row(rank: int, row: SubmissionRow, public: Score, gain: Gain | None) -> Row:
    look, audit = row.evaluation(PRIVATE), row.evaluation(AUDIT)
    private = score_in(look)
    return Row(
        rank=rank,
        submission=row.id,
        method=row.name,
        researcher=row.author,
        direction="" if row.researcher is None else row.researcher.direction,
        level=level_of(row),
        pgr_public=public.estimate.pgr,
        accuracy_public=public.mean_accuracy,
        pgr_private=None if private is None else private.estimate.pgr,
        accuracy_private=None if private is None else private.mean_accuracy,
        gain_private=None if gain is None else gain[0].difference,
        p_private=None if gain is None else gain[1],
        audited=audit is not None and audit.status in (Status.SCORED, Status.FAILED),
        flags=tuple(audit for audit, verdict in verdicts(row).items() if verdict == "flagged"),
        failure_private=None if look is None or look.failure is None else str(look.failure["kind"]),
        isolated=public.isolated and (private is None or private.isolated),
    )
