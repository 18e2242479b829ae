"""Rows as the API shows them. What researchers see is made here and nowhere else: guarded figures only."""

from aarlab.api.schemas import Anchor, Failure, Feedback, Finding, Level, Researcher, Status, Study, Submission
from aarlab.server._models import FindingRow, ResearcherRow, StudyRow, SubmissionRow
from aarlab.server._protocol import Evaluates
from aarlab.server._score import Score, score_in
from aarlab.server._secrets import guard_of
from aarlab.server._store import PRIVATE, PUBLIC


def level_of(row: SubmissionRow) -> Level:
    """How far up the evidence ladder a submission got."""
    for split, level in ((PRIVATE, Level.CONFIRMED), (PUBLIC, Level.SCORED)):
        look = row.evaluation(split)
        if look is not None and look.status == Status.SCORED:
            return level
    return Level.CLAIMED


def guarded(row: SubmissionRow, score: Score) -> tuple[float, float | None]:
    """Public accuracy and PGR of a submission through the leakage guard; PGR is None if unresolved."""
    accuracy = guard_of(row.study.secret).answer(score.mean_accuracy, row.sha256)
    if score.estimate.pgr is None:
        return accuracy, None
    return accuracy, (accuracy - score.floor) / (score.ceiling - score.floor)


def study_view(row: StudyRow, evaluator: Evaluates) -> Study:
    """A study as everyone in it may see it."""
    anchors = evaluator.anchors("public")
    return Study(
        id=row.id,
        testbed=row.testbed,
        seeds=row.seeds,
        evaluations_per_researcher=row.evaluations_per_researcher,
        guard=guard_of(row.secret).describe(),
        floor=Anchor(accuracy=anchors.floor, se=anchors.floor_se),
        ceiling=Anchor(accuracy=anchors.ceiling, se=anchors.ceiling_se),
        finished=row.finished,
        created_at=row.created_at,
    )


def researcher_view(row: ResearcherRow, spent: dict[int, int]) -> Researcher:
    """A researcher, without its token.

    Args:
        row: the researcher.
        spent: evaluations spent, by researcher.
    """
    return Researcher(
        id=row.id,
        name=row.name,
        kind=row.kind,
        direction=row.direction,
        evaluations_used=spent.get(row.id, 0),
        evaluations_limit=row.study.evaluations_per_researcher,
    )


def submission_view(row: SubmissionRow) -> Submission:
    """A submission as its study may see it; of `private` it shows nothing but the level."""
    look = row.evaluation(PUBLIC)
    assert look is not None
    score = score_in(look)
    return Submission(
        id=row.id,
        researcher=row.author,
        name=row.name,
        sha256=row.sha256,
        parent=row.parent_id,
        note=row.note,
        status=look.status,
        level=level_of(row),
        feedback=None if score is None else _feedback(row, score),
        failure=None if look.failure is None else Failure.model_validate(look.failure),
        created_at=row.created_at,
    )


def _feedback(row: SubmissionRow, score: Score) -> Feedback:
    accuracy, pgr = guarded(row, score)
    return Feedback(
        pgr=pgr,
        accuracy=accuracy,
        resolution=guard_of(row.study.secret).resolution,
        diagnostics=score.diagnostics,
        wall_seconds=score.wall_seconds,
        cpu_seconds=score.cpu_seconds,
    )


def finding_view(row: FindingRow) -> Finding:
    """A post; its figure is the server's, whatever its text claims."""
    score = None if row.submission is None else score_in(row.submission.evaluation(PUBLIC))
    return Finding(
        id=row.id,
        researcher=row.researcher.name,
        kind=row.kind,
        title=row.title,
        body=row.body,
        submission=row.submission_id,
        pgr=None if row.submission is None or score is None else guarded(row.submission, score)[1],
        created_at=row.created_at,
    )
