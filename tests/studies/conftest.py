"""A record with a bit of everything, in which each text is the researcher's that a test wants."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

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
from aarlab.audits import AuditFinding
from aarlab.audits.probing import ProbingFinding
from aarlab.server.record import Complexity, Record, ResearcherRecord, ScoreRecord, Spell, SubmissionRecord, Told
from aarlab.stats import Diagnostics, Interval

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def score(pgr: Interval | None, *, isolated: bool) -> ScoreRecord:
    return ScoreRecord(
        seeds=(11, 12, 13),
        accuracy=(0.7, 0.71, 0.69),
        floor=0.6,
        floor_se=0.01,
        ceiling=0.8,
        ceiling_se=0.01,
        pgr=pgr,
        diagnostics=Diagnostics(0.8, 1.0, 0.3, (0.1,) * 10, 0.0),
        wall_seconds=1.0,
        cpu_seconds=1.0,
        peak_memory_bytes=1,
        sandbox="bubblewrap" if isolated else "none",
        isolated=isolated,
        evidence={},
    )


def submission(number: int, text: str, pgr: Interval | None, *, isolated: bool) -> SubmissionRecord:
    """The first is the baseline, the second is confirmed and was flagged and overruled, the third failed."""
    looked, failed = number <= 2, number == 3
    found = AuditFinding(audit="reading", verdict="flagged", summary=text, figure=1.0, evidence={text: [text]})
    return SubmissionRecord(
        id=number,
        researcher=BASELINE if number == 1 else text,
        method=text,
        sha256=f"{number:064x}",
        parent=1 if number > 1 else None,
        note=text,
        family="ensemble",
        complexity=Complexity(lines=number, nodes=9, calls=2),
        likeness=0.5 if number > 2 else None,
        status=Status.FAILED if failed else Status.SCORED,
        level=Level.CLAIMED if failed else Level.CONFIRMED if looked else Level.SCORED,
        created_at=NOW + timedelta(minutes=number),
        ended_at=NOW + timedelta(minutes=number + 1),
        hours=None if failed else number / 4,
        code=text,
        public=None if failed else score(pgr, isolated=isolated),
        private=score(pgr, isolated=isolated) if looked else None,
        told=None if failed else Told(pgr=0.5 if pgr else None, accuracy=0.7, censored=False, fresh=True),
        failure=Failure(kind="exception", message=text, advice=text) if failed else None,
        failure_private=Failure(kind="timeout", message=text, advice=text) if number == 4 else None,
        gain_private=Interval(0.04, 0.01, 0.07) if number == 2 else None,
        p_private=0.0001 if number == 2 else None,
        audited=looked,
        audits=(Audited(finding=found, overruled=Overrule(verdict="noted", reason=text)),) if number == 2 else (),
        flags=("reading",) if number == 4 else (),
        teacher_dependence=0.1 if looked else None,
        student_dependence=None,
        dollars=0.5,
    )


def spending(researcher: str | None) -> Spending:
    return Spending(
        researcher=researcher,
        hours=1.0,
        evaluations=4,
        input_tokens=10,
        output_tokens=20,
        cached_tokens=0,
        cpu_seconds=3.0,
        gpu_seconds=0.0,
        dollars=2.0,
        dollars_limit=None,
        dollars_stop=None,
        stopped=False,
    )


def made(text: str, *, pgr: Interval | None, isolated: bool, guarded: bool, count: int) -> Record:
    submissions = tuple(submission(number, text, pgr, isolated=isolated) for number in range(1, count + 1))
    probing = ProbingFinding(
        researcher=text,
        submissions=9,
        counted=8,
        pairs=(),
        noise=(),
        figure=9e9,
        threshold=1e3,
        error_rate=0.02,
        summary=text,
    )
    researcher = ResearcherRecord(
        id=1,
        name=text,
        kind=Kind.LLM,
        direction=text,
        evaluations_used=3,
        evaluations_limit=5,
        dollars_used=2.0,
        dollars_limit=None,
        admitted_at=NOW,
        spells=(Spell(began_at=NOW, seen_at=NOW + timedelta(hours=1)),),
        hours=1.0,
    )
    study = Study(
        id="chat-1",
        testbed="chat",
        seeds=3,
        evaluations_per_researcher=5,
        evaluations_per_study=None,
        evaluations_used=3,
        guard="exact",
        guard_says=text,
        guarded=guarded,
        floor=Anchor(accuracy=0.6, se=0.01),
        ceiling=Anchor(accuracy=0.8, se=0.01),
        paused=False,
        finished=True,
        dollars_per_researcher=None,
        dollars_per_study=None,
        team=None,
        created_at=NOW,
    )
    findings = tuple(
        Finding(
            id=number,
            researcher=text,
            kind=kind,
            title=text,
            body=text,
            submission=min(2, count) or None,
            pgr=0.5,
            parent=None,
            tags=("tag",),
            up=1,
            down=0,
            created_at=NOW + timedelta(minutes=number),
        )
        for number, kind in enumerate(FindingKind, 1)
    )
    charge = Charge(
        id=1,
        key="call-1",
        kind=ChargeKind.TOKENS,
        researcher=text,
        submission=2,
        model=text,
        input_tokens=10,
        output_tokens=20,
        cached_tokens=0,
        seconds=0.0,
        dollars=2.0,
        created_at=NOW,
    )
    model = ModelSpending(model=text, calls=1, input_tokens=10, output_tokens=20, cached_tokens=0, dollars=2.0)
    return Record(
        made_by="aarlab 0",
        study=study,
        researchers=(researcher,),
        submissions=submissions,
        ranking=tuple(one.id for one in submissions if one.public is not None),
        findings=findings,
        snapshots=(),
        probing=(probing,),
        diversity=tuple(0.5 for _ in submissions),
        likeness=0.5,
        ledger=LedgerView(
            total=spending(None),
            researchers=(spending(text),),
            models=(model,),
            unassigned_dollars=0.5,
            dollars_per_hour=2.0,
            dollars_per_point=None,
        ),
        charges=(charge,),
        events=(Event(number=1, kind="study.created", actor=text, payload={text: text}, at=NOW, hash="f" * 64),),
    )


@pytest.fixture
def recorded() -> Callable[..., Record]:
    """Makes a record: `text` is all that researchers wrote, `resolved` whether PGR can be told."""

    def make(
        text: str = "plain words", *, resolved: bool = True, isolated: bool = True, guarded: bool = True, count: int = 4
    ) -> Record:
        pgr = Interval(0.5, -0.2, 1.4) if resolved else None
        return made(text, pgr=pgr, isolated=isolated, guarded=guarded, count=count)

    return make
