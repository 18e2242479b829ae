"""Rows as the API shows them. What researchers see is made here and nowhere else: guarded figures only."""

import json

from aarlab.api.schemas import (
    REPLICATION,
    Anchor,
    Audited,
    Event,
    Failure,
    Feedback,
    Finding,
    Level,
    Overrule,
    Researcher,
    Status,
    Study,
    Submission,
    TeamCreate,
)
from aarlab.api.snapshots import Snapshot
from aarlab.audits import AuditFinding
from aarlab.evaluation.guards import Answer
from aarlab.server._budgets import Spent
from aarlab.server._feedback import guard_of, state_of
from aarlab.server._models import AuditRow, EventRow, FindingRow, ResearcherRow, SnapshotRow, StudyRow, SubmissionRow
from aarlab.server._score import Score, score_in
from aarlab.server._store import PRIVATE, PUBLIC


def verdicts(row: SubmissionRow) -> dict[str, str]:
    """What each audit says of a submission, a person's decision before its own; empty if it was not audited."""
    return {audit.audit: str((audit.overruled or audit.finding)["verdict"]) for audit in row.audits}


def level_of(row: SubmissionRow) -> Level:
    """How far up the evidence ladder a submission got; no rung is skipped."""
    found = verdicts(row)
    rungs = (
        (Level.SCORED, _scored(row, PUBLIC)),
        (Level.REPLICATED, found.get(REPLICATION) == "passed"),
        (Level.AUDITED, "flagged" not in found.values()),
        (Level.CONFIRMED, _scored(row, PRIVATE)),
    )
    level = Level.CLAIMED
    for rung, holds in rungs:
        if not holds:
            break
        level = rung
    return level


def _scored(row: SubmissionRow, split: str) -> bool:
    look = row.evaluation(split)
    return look is not None and look.status == Status.SCORED


def guarded(row: SubmissionRow, score: Score) -> tuple[Answer, float | None]:
    """What the guard says of a submission's public score, as accuracy and PGR; PGR is None if unresolved."""
    look = row.evaluation(PUBLIC)
    assert look is not None
    assert look.answer is not None
    answer = Answer(**look.answer)
    if score.estimate.pgr is None:
        return answer, None
    pgr = (answer.accuracy - score.floor) / (score.ceiling - score.floor)
    return answer, min(0.0, pgr) if answer.censored else pgr


def study_view(row: StudyRow, spent: Spent) -> Study:
    """A study as everyone in it may see it.

    Args:
        row: the study.
        spent: what its researchers have spent.
    """
    guard = guard_of(row)
    return Study(
        id=row.id,
        testbed=row.testbed,
        seeds=row.seeds,
        evaluations_per_researcher=row.evaluations_per_researcher,
        evaluations_per_study=row.evaluations_per_study,
        evaluations_used=sum(spent.evaluations.values()),
        guard=row.guard,
        guard_says=guard.describe(state_of(row)),
        guarded=guard.trustworthy,
        floor=Anchor(accuracy=row.floor, se=row.floor_se),
        ceiling=Anchor(accuracy=row.ceiling, se=row.ceiling_se),
        paused=row.paused,
        finished=row.finished,
        dollars_per_researcher=row.dollars_per_researcher,
        dollars_per_study=row.dollars_per_study,
        team=None if row.team is None else TeamCreate.model_validate(row.team),
        created_at=row.created_at,
    )


def researcher_view(row: ResearcherRow, spent: Spent) -> Researcher:
    """A researcher, without its token.

    Args:
        row: the researcher.
        spent: what all of the study have spent.
    """
    used, limit = spent.evaluations.get(row.id, 0), row.evaluations_limit
    left = limit - used
    if row.study.evaluations_per_study is not None:
        left = min(left, row.study.evaluations_per_study - sum(spent.evaluations.values()))
    return Researcher(
        id=row.id,
        name=row.name,
        kind=row.kind,
        direction=row.direction,
        evaluations_used=used,
        evaluations_limit=limit,
        evaluations_left=max(0, left),
        dollars_used=spent.dollars.get(row.id, 0.0),
        dollars_left=spent.left(row),
        admitted_at=row.created_at,
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
    answer, pgr = guarded(row, score)
    return Feedback(
        pgr=pgr,
        accuracy=answer.accuracy,
        censored=answer.censored,
        fresh=answer.fresh,
        resolution=guard_of(row.study).resolution,
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
        parent=row.parent_id,
        tags=tuple(one.tag for one in row.tags),
        up=row.up,
        down=row.down,
        created_at=row.created_at,
    )


def snapshot_view(row: SnapshotRow) -> Snapshot:
    """A snapshot, without its content. For the operator and its owner."""
    return Snapshot(
        id=row.id,
        researcher=row.researcher.name,
        kind=row.kind,
        sha256=row.sha256,
        bytes=row.bytes,
        note=row.note,
        created_at=row.created_at,
    )


def audited_view(row: AuditRow) -> Audited:
    """What one audit found. For the operator."""
    overruled = None if row.overruled is None else Overrule.model_validate(row.overruled)
    return Audited(finding=AuditFinding.model_validate(row.finding), overruled=overruled)


def event_view(row: EventRow) -> Event:
    """An entry of the event log. For the operator."""
    payload = json.loads(row.payload)
    return Event(number=row.number, kind=row.kind, actor=row.actor, payload=payload, at=row.at, hash=row.hash)
