"""The ledger summed up: who spent what on what, and what an hour and a point of PGR cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from aarlab.api.ledger import Charge, ChargeKind, LedgerView, ModelSpending, Spending
from aarlab.api.schemas import Level, Status
from aarlab.server._budgets import Spent, spent_in
from aarlab.server._models import ChargeRow, EvaluationRow, ResearcherRow, SubmissionRow
from aarlab.server._score import score_in
from aarlab.server._spells import hours, spells_in
from aarlab.server._store import PRIVATE, Store, study_in
from aarlab.server._views import level_of

UNNAMED = "(unnamed)"  # a model that whoever charged it did not name


@dataclass
class _Sum:
    """Charges of one researcher, or of all."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    dollars: float = 0.0


def ledger_view(store: Store, study: str, *, exact: bool = True) -> LedgerView:
    """The ledger of a study.

    Args:
        store: what the server knows.
        study: id of the study.
        exact: with `dollars_per_point`, which tells something of `private`: for operators only.

    Raises:
        ProblemError: there is no such study.
    """
    with store.database.read() as session:
        row = study_in(session, study)
        spent, worked = spent_in(session, study), spells_in(session, study)
        members = session.scalars(
            select(ResearcherRow).where(ResearcherRow.study_id == study).order_by(ResearcherRow.id)
        )
        sums, everything = _sums(session, study)
        researchers = tuple(
            _spending(sums.get(one.id, _Sum()), one, spent, hours(worked.get(one.id, ()))) for one in members
        )
        together = sum(one.hours for one in researchers)
        stop = spent.study_stop(row)
        gain = _gain(session, study) if exact else None
        return LedgerView(
            total=Spending(
                researcher=None,
                hours=together,
                evaluations=sum(spent.evaluations.values()),
                **vars(everything),
                dollars_limit=row.dollars_per_study,
                dollars_stop=stop,
                stopped=stop is not None and everything.dollars >= stop,
            ),
            researchers=researchers,
            models=_models(session, study),
            unassigned_dollars=sums.get(None, _Sum()).dollars,
            dollars_per_hour=everything.dollars / together if together else None,
            dollars_per_point=None if gain is None else everything.dollars / (100 * gain),
        )


def charge_views(store: Store, study: str, rows: Sequence[ChargeRow]) -> list[Charge]:
    """Entries of the ledger as the API shows them.

    Args:
        store: what the server knows.
        study: id of the study.
        rows: its charges.
    """
    members = select(ResearcherRow.id, ResearcherRow.name).where(ResearcherRow.study_id == study)
    with store.database.read() as session:
        names = {one: name for one, name in session.execute(members)}  # noqa: C416 - rows are no pairs to mypy
    fields = Charge.model_fields.keys() - {"researcher", "submission"}
    return [
        Charge(
            researcher=None if row.researcher_id is None else names[row.researcher_id],
            submission=row.submission_id,
            **{name: getattr(row, name) for name in fields},
        )
        for row in rows
    ]


def _sums(session: Session, study: str) -> tuple[dict[int | None, _Sum], _Sum]:
    """Charges summed up, by researcher (None: by nobody) and over all."""
    query = select(
        ChargeRow.researcher_id,
        ChargeRow.kind,
        func.sum(ChargeRow.input_tokens),
        func.sum(ChargeRow.output_tokens),
        func.sum(ChargeRow.cached_tokens),
        func.sum(ChargeRow.seconds),
        func.sum(ChargeRow.dollars),
    )
    found: dict[int | None, _Sum] = {}
    everything = _Sum()
    query = query.where(ChargeRow.study_id == study).group_by(ChargeRow.researcher_id, ChargeRow.kind)
    for who, kind, told, answered, cached, seconds, dollars in session.execute(query):
        for one in (found.setdefault(who, _Sum()), everything):
            one.input_tokens += int(told)
            one.output_tokens += int(answered)
            one.cached_tokens += int(cached)
            one.cpu_seconds += seconds if kind == ChargeKind.CPU else 0.0
            one.gpu_seconds += seconds if kind == ChargeKind.GPU else 0.0
            one.dollars += dollars
    return found, everything


def _spending(charged: _Sum, row: ResearcherRow, spent: Spent, worked: float) -> Spending:
    return Spending(
        researcher=row.name,
        hours=worked,
        evaluations=spent.evaluations.get(row.id, 0),
        **vars(charged),
        dollars_limit=row.dollars_limit,
        dollars_stop=spent.researcher_stop(row),
        stopped=spent.left(row) == 0,
    )


def _models(session: Session, study: str) -> tuple[ModelSpending, ...]:
    """What each model's calls came to, the dearest first."""
    model = func.coalesce(ChargeRow.model, UNNAMED)
    query = select(
        model,
        func.count(),
        func.sum(ChargeRow.input_tokens),
        func.sum(ChargeRow.output_tokens),
        func.sum(ChargeRow.cached_tokens),
        func.sum(ChargeRow.dollars),
    )
    rows = session.execute(
        query.where(ChargeRow.study_id == study, ChargeRow.kind == ChargeKind.TOKENS).group_by(ChargeRow.model)
    )
    found = [
        ModelSpending(
            model=name,
            calls=calls,
            input_tokens=int(told),
            output_tokens=int(answered),
            cached_tokens=int(cached),
            dollars=dollars,
        )
        for name, calls, told, answered, cached, dollars in rows
    ]
    return tuple(sorted(found, key=lambda one: (-one.dollars, one.model)))


def _gain(session: Session, study: str) -> float | None:
    """PGR on `private` of the best confirmed method over vanilla's; None if there is no such gain.

    The best is the one with the highest lower bound. It was chosen for its figure, so the gain is a little flattered.
    """
    looked = (
        select(SubmissionRow)
        .join(EvaluationRow, EvaluationRow.submission_id == SubmissionRow.id)
        .where(SubmissionRow.study_id == study)
        .where(EvaluationRow.task == PRIVATE, EvaluationRow.status == Status.SCORED)
    )
    best = vanilla = None
    for row in session.scalars(looked):
        score = score_in(row.evaluation(PRIVATE))
        pgr = None if score is None else score.estimate.pgr
        if pgr is None:
            continue
        if row.researcher_id is None:
            vanilla = pgr
        elif level_of(row) >= Level.CONFIRMED and (best is None or pgr.low > best.low):
            best = pgr
    if best is None or vanilla is None or best.estimate <= vanilla.estimate:
        return None
    return best.estimate - vanilla.estimate
