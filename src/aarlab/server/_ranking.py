"""The operator's leaderboard with exact figures, and the researchers' board with guarded ones."""

from collections.abc import Sequence

from aarlab.api.schemas import Row, Standing, Status
from aarlab.server._models import SubmissionRow
from aarlab.server._protocol import Evaluates
from aarlab.server._score import Score, score_in
from aarlab.server._store import AUDIT, PRIVATE, PUBLIC, Store
from aarlab.server._views import guarded, level_of, verdicts
from aarlab.stats import Comparison, compare_accuracy, holm


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
    gains = _gains(store, study, evaluator, scored)
    adjusted = dict(zip(gains, holm([gain.p for gain in gains.values()]), strict=True))
    rows = (
        _row(rank, row, score, gains.get(row.id), adjusted.get(row.id))
        for rank, (row, score) in enumerate(ranked, 1)
        if rank <= limit or row.researcher is None
    )
    return list(rows)


def _key(row: SubmissionRow, score: Score) -> tuple[int, float, int]:
    """Best first; where the gap is unresolved, accuracy stands in for PGR."""
    deciding = score_in(row.evaluation(PRIVATE)) or score
    pgr = deciding.estimate.pgr
    return -level_of(row), -(deciding.mean_accuracy if pgr is None else pgr.low), row.id


def _gains(
    store: Store, study: str, evaluator: Evaluates, scored: Sequence[tuple[SubmissionRow, Score]]
) -> dict[int, Comparison]:
    """Comparison with the baseline on `private`, by submission; the baseline itself is left out."""
    correct = {one.submission: one.correct for one in store.scored(study, PRIVATE)}
    baseline = next((row.id for row, _ in scored if row.researcher is None), None)
    if baseline not in correct:
        return {}
    groups = evaluator.groups("private")
    return {
        submission: compare_accuracy(array, correct[baseline], groups)
        for submission, array in sorted(correct.items())
        if submission != baseline
    }


def _row(rank: int, row: SubmissionRow, public: Score, gain: Comparison | None, p: float | None) -> Row:
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
        gain_private=None if gain is None else gain.difference,
        p_private=p,
        audited=audit is not None and audit.status in (Status.SCORED, Status.FAILED),
        flags=tuple(audit for audit, verdict in verdicts(row).items() if verdict == "flagged"),
        failure_private=None if look is None or look.failure is None else str(look.failure["kind"]),
        isolated=public.isolated and (private is None or private.isolated),
    )


def board(store: Store, study: str, limit: int) -> list[Standing]:
    """Scored submissions by level, then by guarded accuracy: the order tells no more than the figures do.

    Args:
        store: what the server knows.
        study: id of the study.
        limit: lines to return; the baseline comes on top of it if it is further down.
    """
    scored = [(row, score) for row in store.submissions(study) if (score := score_in(row.evaluation(PUBLIC)))]
    standings = [(row, _standing(row, score)) for row, score in scored]
    standings.sort(key=lambda pair: (-pair[1].level, -pair[1].accuracy, pair[1].submission))
    return [line for place, (row, line) in enumerate(standings, 1) if place <= limit or row.researcher is None]


def _standing(row: SubmissionRow, score: Score) -> Standing:
    answer, pgr = guarded(row, score)
    return Standing(
        submission=row.id,
        method=row.name,
        researcher=row.author,
        level=level_of(row),
        pgr=pgr,
        accuracy=answer.accuracy,
        censored=answer.censored,
        fresh=answer.fresh,
    )
