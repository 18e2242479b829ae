"""What an operator does from the dashboard. Each act is a form, then a page that says what will happen, then the act.

They use what the API uses, so the rules and the event log are the same. A form is taken from this session's own pages
only, and the page in between is sent again as a form: a link can start nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from aarlab.api.schemas import (
    BASELINE,
    Ask,
    Level,
    Overrule,
    ResearcherChange,
    Schema,
    StudyChange,
    StudyCreate,
)
from aarlab.server._parameters import StudyId
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._services import Services, services_of
from aarlab.server._studies import change_researcher, change_study
from aarlab.server.dashboard._session import AnyVisitor, CheckedForm, require_exact
from aarlab.server.dashboard._shell import NONE, dollars, render, study_path
from aarlab.server.dashboard._views import Seen
from aarlab.server.record import Record

router = APIRouter(dependencies=[Depends(require_exact)])
Made = TypeVar("Made", bound=Schema)
SURE = "sure"
BUDGETS = {
    "evaluations_per_researcher": ("Evaluations of each researcher", int),
    "evaluations_per_study": ("Evaluations of all together", int),
    "dollars_per_researcher": ("Dollars of each researcher", float),
    "dollars_per_study": ("Dollars of all together", float),
}


@dataclass(frozen=True)
class Act:
    """Something to do, once a person is sure.

    Attributes:
        title: what it is, as a heading.
        says: what will happen, in sentences.
        button: what the person presses.
        do: does it; gives the path to go on to.
        grave: whether it cannot be taken back.
    """

    title: str
    says: tuple[str, ...]
    button: str
    do: Callable[[], str]
    grave: bool = False


@router.post("/studies/start")
def start(request: Request, form: CheckedForm, visitor: AnyVisitor) -> Response:
    """Start a study."""
    if visitor.identity.study is not None:
        detail = f"Your token opens the study {visitor.identity.study} only."
        raise ProblemError(HTTPStatus.FORBIDDEN, "one-study", detail, "Use a token that opens all studies.")
    services = services_of(request.app)
    wanted = {name: value for name in ("testbed", *BUDGETS) if (value := _text(form, name))}
    many = _text(form, "researchers")
    team = {"researchers": many} if many not in ("", "0") and services.launch is not None else None
    study = _made(StudyCreate, **wanted, team=team)
    key = _text(form, "key") or str(uuid4())  # the second form carries it, so that sending it twice starts one study
    act = Act(
        f"Start a study on {study.testbed}?",
        (
            "Splits are drawn anew, the weak supervisor is trained, floor and ceiling are measured. It takes a while.",
            f"Each researcher may have {study.evaluations_per_researcher} evaluations"
            + (
                f" and spend {dollars(study.dollars_per_researcher)}"
                if study.dollars_per_researcher is not None
                else ""
            )
            + ".",
            f"{study.team.researchers} scripted researchers start at once."
            if study.team
            else "No researcher starts with it.",
        ),
        "Start the study",
        lambda: study_path(services.start_study(study, key).id),
    )
    return _asked(request, form, act, "/", key=key)


@router.post("/studies/{study}/controls/{name}")
def control(request: Request, study: StudyId, name: str, form: CheckedForm, view: Seen) -> Response:
    """Do something about a study, or ask first."""
    if name not in ACTS:
        raise not_found("control", name)
    act = ACTS[name](services_of(request.app), view.record, form)
    return _asked(request, form, act, study_path(study), study=view.record.study)


def _asked(request: Request, form: FormData, act: Act, back: str, *, key: str = "", **context: Any) -> Response:
    """Do it if the person is sure, else ask."""
    if form.get(SURE) == "yes":
        target = act.do()
        services_of(request.app).bell.ring()  # pages that are open look again
        return RedirectResponse(target, HTTPStatus.SEE_OTHER)
    kept = [(name, value) for name, value in form.multi_items() if name not in ("csrf", SURE, "key")]
    if key:
        kept.append(("key", key))
    return render(request, "sure.html.j2", act=act, kept=kept, back=back, **context)


def _pause(services: Services, record: Record, _: FormData) -> Act:
    says = (
        "Nothing further is taken or evaluated until it goes on. What is under way is finished.",
        "Researchers are told so, and try again.",
    )
    return Act("Pause the study?", says, "Pause", _changing(services, record, StudyChange(paused=True)))


def _resume(services: Services, record: Record, _: FormData) -> Act:
    says = ("Submissions are taken again, and what is queued is evaluated.",)
    return Act("Let the study go on?", says, "Go on", _changing(services, record, StudyChange(paused=False)))


def _finish(services: Services, record: Record, _: FormData) -> Act:
    says = (
        "It takes no further submissions, for good. What is queued is still evaluated.",
        "It can still be audited, confirmed and read.",
    )
    here = study_path(record.study.id)

    def do() -> str:
        services.store.finish(record.study.id)
        return here

    return Act("Finish the study?", says, "Finish", do, grave=True)


def _budgets(services: Services, record: Record, form: FormData) -> Act:
    changes: dict[str, float | None] = {}
    says = []
    for name, (label, kind) in BUDGETS.items():
        if name not in form:
            continue
        old, new = getattr(record.study, name), _number(form, name, kind)
        if new != old:
            changes[name] = new
            says.append(f"{label}: {_limit(old)} becomes {_limit(new)}.")
    if not changes:
        raise _invalid("No budget would change.")
    return Act("Change budgets?", tuple(says), "Change", _changing(services, record, _made(StudyChange, **changes)))


def _researcher(services: Services, record: Record, form: FormData) -> Act:
    researcher = next((one for one in record.researchers if str(one.id) == _text(form, "researcher")), None)
    if researcher is None:
        raise not_found("researcher", _text(form, "researcher") or NONE)
    changes: dict[str, float | None] = {}
    says = []
    for name, kind, old in (
        ("evaluations", int, researcher.evaluations_limit),
        ("dollars", float, researcher.dollars_limit),
    ):
        if name in form and (new := _number(form, name, kind)) != old:
            changes[name] = new
            becomes = "what the study gives each" if new is None else _limit(new)
            says.append(f"{name.capitalize()} of {researcher.name}: {_limit(old)} becomes {becomes}.")
    if not changes:
        raise _invalid("No budget would change.")
    wanted = _made(ResearcherChange, **changes)

    def do() -> str:
        change_researcher(services.database, record.study.id, researcher.id, wanted)
        return study_path(record.study.id, f"/researchers/{quote(researcher.name, safe='')}")

    return Act(f"Change the budget of {researcher.name}?", tuple(says), "Change", do)


def _audit(services: Services, record: Record, form: FormData) -> Act:
    ids = _chosen(record, form)
    says = (
        f"Run on fresh seeds and asked all counterfactual questions: {_listed(record, ids)}, and the baseline.",
        "Each is audited once; those that were are left as they are. Nobody's budget pays.",
    )
    return Act("Audit these?", says, "Audit", _asking(services, record, "audit", ids))


def _confirm(services: Services, record: Record, form: FormData) -> Act:
    ids = _chosen(record, form)
    below = [one for one in ids if _by_id(record)[one].level < Level.AUDITED]
    says = [
        f"Scored once and for all on the private split: {_listed(record, ids)}, and the baseline.",
        "No second look is possible: what was looked at keeps its score. Each look makes the test of all stricter.",
    ]
    if below:
        says.append(
            f"Not through their audits: {_listed(record, below)}. They stay below level 4 whatever private says."
        )
    return Act(
        "Confirm these on private?", tuple(says), "Confirm", _asking(services, record, "private", ids), grave=True
    )


def _overrule(services: Services, record: Record, form: FormData) -> Act:
    one = _by_id(record).get(_identifier(_text(form, "submission")))
    audit = _text(form, "audit")
    found = None if one is None else next((found for found in one.audits if found.finding.audit == audit), None)
    if one is None or found is None:
        raise not_found("audit", f"{audit!r}")
    wanted = _made(Overrule, verdict=_text(form, "verdict"), reason=_text(form, "reason"))
    submission = one.id

    def do() -> str:
        services.store.overrule(submission, audit, wanted)
        return study_path(record.study.id, f"/submissions/{submission}")

    says = (
        f"“{audit}” of #{submission} {one.method} says “{found.verdict}”; it will count as “{wanted.verdict}”.",
        f"Reason: {wanted.reason}",
        "Both verdicts and the reason stay on record. The level follows.",
    )
    return Act("Overrule this audit?", says, "Overrule", do)


#: What can be done about a study, by the last part of its path.
ACTS: dict[str, Callable[[Services, Record, FormData], Act]] = {
    "pause": _pause,
    "resume": _resume,
    "finish": _finish,
    "budgets": _budgets,
    "researcher": _researcher,
    "audit": _audit,
    "confirm": _confirm,
    "overrule": _overrule,
}


def _changing(services: Services, record: Record, wanted: StudyChange) -> Callable[[], str]:
    def do() -> str:
        change_study(services.database, record.study.id, wanted)
        services.worker.wake()
        return study_path(record.study.id)

    return do


def _asking(services: Services, record: Record, what: Any, ids: tuple[int, ...]) -> Callable[[], str]:
    def do() -> str:
        services.queue.ask(record.study.id, what, ids)
        services.worker.wake()
        rest = f"/submissions/{ids[0]}" if len(ids) == 1 else ""
        return study_path(record.study.id, rest)

    return do


def _by_id(record: Record) -> dict[int, Any]:
    return {one.id: one for one in record.submissions}


def _chosen(record: Record, form: FormData) -> tuple[int, ...]:
    """The submissions that a form names.

    Raises:
        ProblemError: it names none, or one that this study does not have.
    """
    ids = tuple(dict.fromkeys(_identifier(str(one)) for one in form.getlist("submissions")))
    known = _by_id(record)
    for one in ids:
        if one not in known:
            raise not_found("submission", one)
    if not ids:
        raise _invalid("No submission was chosen.", "Tick at least one.")
    return _made(Ask, submissions=ids).submissions


def _listed(record: Record, ids: tuple[int, ...] | list[int]) -> str:
    known = _by_id(record)
    return ", ".join(f"#{one} {known[one].method}" for one in ids if known[one].researcher != BASELINE) or "none"


def _identifier(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _number(form: FormData, name: str, kind: type[int] | type[float]) -> float | None:
    """A number from a form; None if it is left empty.

    Raises:
        ProblemError: it is none.
    """
    text = _text(form, name)
    if not text:
        return None
    try:
        value = kind(text)
    except ValueError:
        raise _invalid(f"{text[:40]!r} is not a number.") from None
    if not math.isfinite(value):
        raise _invalid(f"{text[:40]!r} is not a number.")
    return value


def _limit(value: float | None) -> str:
    return "no limit" if value is None else f"{value:,.10g}"


def _made(schema: type[Made], **fields: Any) -> Made:
    try:
        return schema(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])).replace("_", " ")
        raise _invalid(f"{where}: {first['msg']}.") from None


def _invalid(detail: str, advice: str = "Go back and change the form.") -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, advice)
