"""A study's record as an operator may see it, of any size, made up from a seed."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from aarlab.api.ledger import Charge, ChargeKind, LedgerView, ModelSpending, Spending
from aarlab.api.schemas import (
    BASELINE,
    Anchor,
    Audited,
    Event,
    Failure,
    Finding,
    FindingKind,
    Kind,
    Level,
    Overrule,
    Status,
    Study,
)
from aarlab.api.snapshots import Snapshot
from aarlab.audits import AuditFinding
from aarlab.audits.probing import Pair, ProbingFinding
from aarlab.server._diversity import entropies
from aarlab.server._record import (
    Complexity,
    Record,
    ResearcherRecord,
    ScoreRecord,
    Spell,
    SubmissionRecord,
    Told,
)
from aarlab.stats import Diagnostics, Interval

BEGAN = datetime(2026, 3, 1, 9, tzinfo=UTC)
HOSTILE = "<script>window.hacked=1</script>"
FAMILIES = ("self-training", "ensemble", "data filtering", "loss function", "curriculum", "model internal", "other")
AUDITS = ("replication", "teacher-ablation", "student-ablation", "reading", "shortcut-break")


@lru_cache
def made(researchers: int = 9, each: int = 12, *, hostile: str = "", seed: int = 0, resolved: bool = True) -> Record:
    """A record of that many researchers with that many submissions each; `hostile` goes into every text of theirs."""
    rng = np.random.default_rng(seed)
    names = [f"researcher {n}{' ' + hostile if hostile else ''}" for n in range(1, researchers + 1)]
    submissions = [_submission(rng, 1, BASELINE, BEGAN, "", resolved)]
    for place in range(researchers * each):
        at = BEGAN + timedelta(minutes=4 + 60 * place / max(1, researchers))
        submissions.append(_submission(rng, place + 2, names[place % researchers], at, hostile, resolved))
    findings = _findings(rng, submissions[1:], hostile)
    charges = _charges(rng, submissions)
    end = submissions[-1].created_at + timedelta(minutes=3)
    people = tuple(
        ResearcherRecord(
            id=n,
            name=name,
            kind=Kind.SCRIPTED if n % 3 else Kind.LLM,
            direction=f"confidence: what is sure {hostile}",
            evaluations_used=each,
            evaluations_limit=each + 2,
            dollars_used=sum(one.dollars for one in charges if one.researcher == name),
            dollars_limit=5.0 if n % 2 else None,
            admitted_at=BEGAN,
            spells=_spells(n, end),
            hours=sum((spell.seen_at - spell.began_at).total_seconds() for spell in _spells(n, end)) / 3600,
        )
        for n, name in enumerate(names, 1)
    )
    own = [one for one in submissions if one.researcher != BASELINE]
    return Record(
        made_by="test",
        study=_study(researchers * each, end),
        researchers=people,
        submissions=tuple(submissions),
        ranking=tuple(one.id for one in submissions if one.status == Status.SCORED),
        findings=tuple(findings),
        snapshots=tuple(
            Snapshot(
                id=n, researcher=name, kind="transcript", sha256="ab" * 32, bytes=4096, note=f"day {n} {hostile}",
                created_at=end,
            )
            for n, name in enumerate(names, 1)
        ),
        probing=(_probing(names[0]),) if own else (),
        diversity=(0.0, *entropies([one.family for one in own])),
        likeness=0.4 if len(own) > 1 else None,
        ledger=_ledger(people, charges),
        charges=tuple(charges),
        events=tuple(_events(submissions)),
    )  # fmt: skip


def _study(used: int, at: datetime) -> Study:
    return Study(
        id="synthetic-1234",
        testbed="synthetic",
        seeds=3,
        evaluations_per_researcher=14,
        evaluations_per_study=used + 50,
        evaluations_used=used,
        guard="ladder",
        guard_says="Feedback is rounded.",
        guarded=True,
        floor=Anchor(accuracy=0.6, se=0.01),
        ceiling=Anchor(accuracy=0.85, se=0.01),
        paused=False,
        finished=False,
        dollars_per_researcher=5.0,
        dollars_per_study=100.0,
        team=None,
        created_at=min(BEGAN, at),
    )


def _submission(
    rng: np.random.Generator, number: int, researcher: str, at: datetime, hostile: str, resolved: bool
) -> SubmissionRecord:
    failed = number % 11 == 3
    audited = number % 7 == 2 and not failed
    pgr = float(rng.uniform(-0.1, 0.9))
    found = [
        Audited(
            finding=AuditFinding(
                audit=name,
                verdict="flagged" if (number + n) % 13 == 0 else "noted" if (number + n) % 9 == 0 else "passed",
                summary=f"Seen in {name} of {number}.",
                figure=0.25,
                threshold=0.5,
                error_rate=0.01,
                evidence={"rows": [1, 2, 3], "text": hostile},
            ),
            overruled=Overrule(verdict="passed", reason="Looked at it by hand.") if (number + n) % 26 == 0 else None,
        )
        for n, name in enumerate(AUDITS)
    ]
    flags = tuple(one.finding.audit for one in found if one.verdict == "flagged") if audited else ()
    score = _score(pgr if resolved else None)
    return SubmissionRecord(
        id=number,
        researcher=researcher,
        method=f"method {number} {hostile}".strip(),
        sha256=f"{number:064x}",
        parent=number - 1 if number > 2 and number % 3 == 0 else None,
        note=hostile,
        family=FAMILIES[int(rng.integers(len(FAMILIES)))],
        complexity=Complexity(lines=int(rng.integers(20, 90)), nodes=300, calls=8),
        likeness=float(rng.uniform(0.1, 0.8)) if number > 2 else None,
        status=Status.FAILED if failed else Status.SCORED,
        level=Level.CLAIMED if failed else Level.AUDITED if audited and not flags else Level.SCORED,
        created_at=at,
        ended_at=at + timedelta(minutes=2),
        hours=None if failed else number / 2,
        code="def fit(problem, seed): ...\n",
        public=None if failed else score,
        private=None,
        told=None if failed else Told(pgr=pgr if resolved else None, accuracy=0.7, censored=False, fresh=True),
        failure=Failure(kind="timeout", message="too slow", advice="be quick") if failed else None,
        failure_private=None,
        gain_private=None,
        p_private=None,
        audited=audited,
        audits=tuple(found) if audited else (),
        flags=flags,
        teacher_dependence=None,
        student_dependence=None,
        dollars=0.01,
    )


def _score(pgr: float | None) -> ScoreRecord:
    return ScoreRecord(
        seeds=(1, 2, 3),
        accuracy=(0.7, 0.71, 0.72),
        floor=0.6,
        floor_se=0.01,
        ceiling=0.85,
        ceiling_se=0.01,
        pgr=None if pgr is None else Interval(pgr, pgr - 0.1, pgr + 0.1),
        diagnostics=Diagnostics(0.8, 0.9, 0.5, (0.1,) * 10, 0.1),
        wall_seconds=2.0,
        cpu_seconds=3.0,
        peak_memory_bytes=1,
        sandbox="bubblewrap",
        isolated=True,
        evidence={},
    )


def _findings(rng: np.random.Generator, submissions: list[SubmissionRecord], hostile: str) -> list[Finding]:
    found: list[Finding] = []
    for number, one in enumerate(submissions[::2], 1):
        kind = list(FindingKind)[int(rng.integers(4))]
        found.append(
            Finding(
                id=number,
                researcher=one.researcher,
                kind=kind,
                title=f"On #{one.id} {hostile}".strip(),
                body=f"It builds on #{one.id}.\n\n- PGR 0.99, I claim\n- {hostile}\n\n"
                + "A long story. " * (number % 120),
                submission=one.id,
                pgr=None if one.told is None else one.told.pgr,
                parent=number - 2 if number % 4 == 0 else None,
                tags=("calibration", "layers")[: number % 3],
                up=number % 5,
                down=number % 2,
                created_at=one.created_at + timedelta(minutes=2),
            )
        )
    return found


def _charges(rng: np.random.Generator, submissions: list[SubmissionRecord]) -> list[Charge]:
    found: list[Charge] = []
    for one in submissions:
        who = None if one.researcher == BASELINE else one.researcher
        shared = {"researcher": who, "created_at": one.created_at, "input_tokens": 0, "output_tokens": 0}
        shared |= {"cached_tokens": 0, "seconds": 0.0, "model": None, "submission": one.id}
        cpu = {"kind": ChargeKind.CPU, "seconds": 30.0, "dollars": 0.004, "key": f"evaluation:{one.id}"}
        found.append(Charge(id=len(found) + 1, **shared | cpu))
        if who is not None and one.id % 2:
            spent = float(rng.uniform(0.02, 0.2))
            tokens = {"kind": ChargeKind.TOKENS, "model": "large", "input_tokens": 9000, "output_tokens": 800}
            tokens |= {"dollars": spent, "key": f"call:{one.id}", "submission": None}
            found.append(Charge(id=len(found) + 1, **shared | tokens))
    return found


def _spells(n: int, end: datetime) -> tuple[Spell, ...]:
    """The last one ends at `end` for every other researcher, and an hour before that for the others."""
    last = end if n % 2 else end - timedelta(hours=1)
    middle = BEGAN + (last - BEGAN) / 2
    return (
        Spell(began_at=BEGAN, seen_at=middle - timedelta(minutes=11)),
        Spell(began_at=middle, seen_at=last),
    )


def _probing(researcher: str) -> ProbingFinding:
    return ProbingFinding(
        researcher=researcher,
        submissions=12,
        counted=2,
        pairs=(
            Pair(earlier=2, later=3, rows=40, rank=0.51, evidence=90.0),
            Pair(earlier=4, later=6, rows=9, rank=0.48, evidence=7.0),
        ),
        noise=(5,),
        figure=5000.0,
        threshold=1200.0,
        error_rate=0.02,
        summary="One researcher submitted 2 variants.",
    )


def _ledger(people: tuple[ResearcherRecord, ...], charges: list[Charge]) -> LedgerView:
    def spending(name: str | None, hours: float, limit: float | None) -> Spending:
        mine = [one for one in charges if name is None or one.researcher == name]
        dollars = sum(one.dollars for one in mine)
        return Spending(
            researcher=name,
            hours=hours,
            evaluations=sum(one.kind == ChargeKind.CPU for one in mine),
            input_tokens=sum(one.input_tokens for one in mine),
            output_tokens=sum(one.output_tokens for one in mine),
            cached_tokens=0,
            cpu_seconds=sum(one.seconds for one in mine),
            gpu_seconds=0.0,
            dollars=dollars,
            dollars_limit=limit,
            dollars_stop=None if limit is None else limit - 0.2,
            stopped=limit is not None and dollars > limit - 0.2,
        )

    total = spending(None, sum(one.hours for one in people), 100.0)
    tokens = [one for one in charges if one.kind == ChargeKind.TOKENS]
    return LedgerView(
        total=total,
        researchers=tuple(spending(one.name, one.hours, one.dollars_limit) for one in people),
        models=(
            ModelSpending(
                model="large",
                calls=len(tokens),
                input_tokens=sum(one.input_tokens for one in tokens),
                output_tokens=sum(one.output_tokens for one in tokens),
                cached_tokens=0,
                dollars=sum(one.dollars for one in tokens),
            ),
        )
        if tokens
        else (),
        unassigned_dollars=sum(one.dollars for one in charges if one.researcher is None),
        dollars_per_hour=total.dollars / total.hours if total.hours else None,
        dollars_per_point=0.37,
    )


def _events(submissions: list[SubmissionRecord]) -> list[Event]:
    found: list[Event] = []

    def add(kind: str, actor: str, at: datetime, **payload: object) -> None:
        number = len(found) + 1
        found.append(Event(number=number, kind=kind, actor=actor, payload=payload, at=at, hash=f"{number:064x}"))

    add("study.created", "operator", BEGAN)
    for one in submissions:
        add("submission.received", one.researcher, one.created_at, submission=one.id)
        if one.id % 20 == 5:
            add("evaluation.retried", "server", one.created_at, submission=one.id, task="public", reason="lease lost")
        add("evaluation.ended", "server", one.created_at, submission=one.id, task="public", status=one.status.value)
    add("private.requested", "operator", BEGAN, submission=2)
    add("figures.read", "operator", BEGAN, what="dashboard")
    return found
