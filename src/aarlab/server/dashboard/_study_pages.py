"""The pages of a study as a whole: its progress, the leaderboard, a submission."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from aarlab.api.schemas import BASELINE, Level, Status
from aarlab.api.text import MAX_ID
from aarlab.server._parameters import StudyId, SubmissionId
from aarlab.server._problems import not_found
from aarlab.server._services import services_of
from aarlab.server.dashboard._code import diff, listing
from aarlab.server.dashboard._figures import accuracy_of, pgr_of, progress, progress_table, resolved
from aarlab.server.dashboard._leaderboard import leaderboard_context, lines
from aarlab.server.dashboard._lineage import lineage
from aarlab.server.dashboard._now import UnderWay, retries, under_way
from aarlab.server.dashboard._session import AnyVisitor
from aarlab.server.dashboard._shell import Table, dollars, figure, figure_json, hours, pgr, render
from aarlab.server.dashboard._views import Seen, View
from aarlab.server.record import Record, SubmissionRecord

LATEST = 12  # findings on the study's page
CANDIDATES = 10  # offered to be audited or confirmed
ABOUT = 50  # findings on a submission's page

router = APIRouter()
Place = Annotated[int, Query(ge=1, le=MAX_ID)]
Word = Annotated[str, Query(max_length=40)]


@router.get("/studies/{study}")
def study_page(request: Request, study: StudyId, view: Seen) -> Response:
    """Progress, what runs, and what was found last."""
    now = under_way(services_of(request.app).database, study, exact=view.exact)
    return render(request, "study.html.j2", **study_context(view, now))


def study_context(view: View, now: UnderWay) -> dict[str, Any]:
    """What the study's page shows.

    Args:
        view: the study.
        now: what runs at the moment.
    """
    record = view.record
    return {
        "study": record.study,
        "page": "study",
        "number": view.number,
        "progress": view.once("progress", lambda record: figure_json(progress(record))),
        "table": view.once("progress-table", progress_table),
        "resolved": resolved(record),
        "facts": _facts(record),
        "findings": record.findings[::-1][:LATEST],
        "now": now,
        "candidates": _candidates(record),
        "researchers": len(record.researchers),
        "scored": len(record.ranking),
    }


def _candidates(record: Record) -> list[SubmissionRecord]:
    """The best submissions of researchers, to audit or confirm."""
    by_id = {one.id: one for one in record.submissions}
    return [by_id[one] for one in record.ranking if by_id[one].researcher != BASELINE][:CANDIDATES]


def _facts(record: Record) -> list[tuple[str, str, str]]:
    own = [one for one in record.submissions if one.researcher != BASELINE]
    scored = [one for one in own if one.status == Status.SCORED]
    failed = sum(one.status == Status.FAILED for one in own)
    worked = sum(one.hours for one in record.researchers)
    spent, rate = record.ledger.total.dollars, record.ledger.dollars_per_hour
    limit = record.study.dollars_per_study
    used, most = record.study.evaluations_used, record.study.evaluations_per_study
    return [
        (
            "Submissions",
            f"{len(own):,}",
            f"{used:,} of {most:,} evaluations used" if most else f"{used:,} evaluations used",
        ),
        ("Scored", f"{len(scored):,}", f"{failed:,} failed"),
        ("Researcher-hours", hours(worked), f"{len(record.researchers)} researchers"),
        (
            "Spent",
            dollars(spent),
            f"of {dollars(limit)}" if limit is not None else "" if rate is None else f"{dollars(rate)} an hour",
        ),
        _best(record, scored),
        _confirmed(record),
    ]


def _best(record: Record, scored: list[SubmissionRecord]) -> tuple[str, str, str]:
    """The best on public so far."""
    known = resolved(record)
    value_of = pgr_of if known else accuracy_of
    name = f"Best {'PGR' if known else 'accuracy'} so far"
    valued = [(value, -one.id, one) for one in scored if (value := value_of(one)) is not None]
    if not valued:
        return name, figure(None), "on public"
    value, _, best = max(valued)
    interval = None if best.public is None else best.public.pgr
    if interval is None:
        return name, figure(value, 2 if known else 3), f"#{best.id}, on public" + ("" if best.public else ", as told")
    return name, figure(value), f"{figure(interval.low)} to {figure(interval.high)}, #{best.id}, on public"


def _confirmed(record: Record) -> tuple[str, str, str]:
    """How many are confirmed, and the best of them where that may be seen."""
    confirmed = [one for one in record.submissions if one.level >= Level.CONFIRMED and one.researcher != BASELINE]
    known = [(one, one.private.pgr) for one in confirmed if one.private is not None and one.private.pgr is not None]
    if not known:
        return "Confirmed", f"{len(confirmed)}", "on private"
    best, interval = max(known, key=lambda pair: pair[1].estimate)
    return (
        "Best confirmed PGR",
        figure(interval.estimate),
        f"#{best.id}, private, {figure(interval.low)} to {figure(interval.high)}",
    )


@router.get("/studies/{study}/leaderboard")
def leaderboard_page(
    request: Request, view: Seen, visitor: AnyVisitor, sort: Word = "rank", back: bool = False, page: Place = 1
) -> Response:
    """Scored submissions, best first or as asked."""
    context = leaderboard_context(view.record, view.once("lines", lines), order=sort, back=back, page=page)
    return render(
        request,
        "leaderboard.html.j2",
        number=view.number,
        fields=dict(request.query_params),
        exact=visitor.exact,
        **context,
    )


@router.get("/studies/{study}/submissions/{submission}")
def submission_page(request: Request, submission: SubmissionId, view: Seen) -> Response:
    """All about one submission."""
    again = retries(services_of(request.app).database, submission) if view.exact else []
    context = submission_context(view.record, submission)
    return render(request, "submission.html.j2", number=view.number, exact=view.exact, retries=again, **context)


def submission_context(record: Record, submission: int) -> dict[str, Any]:
    """What a submission's page shows.

    Raises:
        ProblemError: the study has no such submission.
    """
    by_id = {one.id: one for one in record.submissions}
    one = by_id.get(submission)
    if one is None:
        raise not_found("submission", submission)
    parent = None if one.parent is None else by_id.get(one.parent)
    return {
        "study": record.study,
        "page": "leaderboard",
        "one": one,
        "rank": record.ranking.index(one.id) + 1 if one.id in record.ranking else None,
        "baseline": one.researcher == BASELINE,
        "parent": parent,
        "code": listing(one.code),
        "diff": None if parent is None else diff(parent.code, one.code),
        "scores": _scores(one),
        "lineage": lineage(record, one.id),
        "findings": [finding for finding in record.findings if finding.submission == one.id][:ABOUT],
        "pgr_told": pgr_of(one),
        "histogram": _histogram(one),
    }


def _scores(one: SubmissionRecord) -> list[tuple[str, Table, list[tuple[str, str, str]]]]:
    """Each split's name, its accuracy by seed, and its figures in brief."""
    found = []
    for split, score in (("public", one.public), ("private", one.private)):
        if score is None:
            continue
        rows = [(f"{place}", figure(accuracy, 4)) for place, accuracy in enumerate(score.accuracy, 1)]
        mean = sum(score.accuracy) / len(score.accuracy)
        facts = [
            ("PGR", pgr(score.pgr), "95% interval" if score.pgr else "the gap is not resolved"),
            ("Accuracy", figure(mean, 4), f"mean of {len(score.accuracy)} seeds"),
            ("Floor", figure(score.floor, 4), f"s.e. {figure(score.floor_se, 4)}"),
            ("Ceiling", figure(score.ceiling, 4), f"s.e. {figure(score.ceiling_se, 4)}"),
            ("Took", f"{score.wall_seconds:.1f} s", f"{score.cpu_seconds:.1f} s of CPU"),
            ("Sandbox", score.sandbox, "isolated" if score.isolated else "NOT isolated: proves nothing"),
        ]
        found.append((split, Table(f"Accuracy by seed, {split}", ("Seed", "Accuracy"), rows, (1,)), facts))
    return found


def _histogram(one: SubmissionRecord) -> list[tuple[str, float]]:
    """Share of test inputs by how sure the method is, in ten bins."""
    if one.public is None:
        return []
    shares = one.public.diagnostics.confidence_histogram
    return [(f"{n / len(shares):.1f} to {(n + 1) / len(shares):.1f}", value) for n, value in enumerate(shares)]
