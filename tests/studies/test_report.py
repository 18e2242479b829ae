"""What researchers wrote is untrusted, also in the report."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from aarlab.api.schemas import (
    Anchor,
    Audited,
    Failure,
    Finding,
    FindingKind,
    Kind,
    Level,
    Overrule,
    Researcher,
    Row,
    Status,
    Study,
    Submission,
)
from aarlab.audits import AuditFinding
from aarlab.audits.probing import ProbingFinding
from aarlab.stats import Interval
from aarlab.studies import Outcome, Settings, StudyFolder, write_report

EVIL = "</title><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def outcome(*, resolved: bool = True, rows: bool = True) -> Outcome:
    pgr = Interval(0.5, -0.2, 1.4, 0.95) if resolved else None
    made = Row(
        rank=1,
        submission=2,
        method=EVIL,
        researcher=EVIL,
        direction=EVIL,
        level=Level.CONFIRMED,
        pgr_public=pgr,
        accuracy_public=0.7,
        pgr_private=pgr,
        accuracy_private=0.7,
        gain_private=Interval(0.04, 0.01, 0.07, 0.95),
        p_private=0.0001,
        audited=True,
        flags=("reading",),
        failure_private=None,
        isolated=False,
    )
    submission = Submission(
        id=2,
        researcher=EVIL,
        name=EVIL,
        sha256="0",
        parent=None,
        note=EVIL,
        status=Status.FAILED,
        level=Level.CLAIMED,
        feedback=None,
        failure=Failure(kind="exception", message=EVIL, advice=EVIL),
        created_at=NOW,
    )
    finding = Finding(
        id=1, researcher=EVIL, kind=FindingKind.INSIGHT, title=EVIL, body=EVIL, submission=2, pgr=0.5, created_at=NOW
    )
    researcher = Researcher(
        id=1, name=EVIL, kind=Kind.LLM, direction=EVIL, evaluations_used=1, evaluations_limit=2, evaluations_left=1
    )
    anchor = Anchor(accuracy=0.6, se=0.01)
    study = Study(
        id="chat-1", testbed="chat", seeds=3, evaluations_per_researcher=2, evaluations_per_study=None,
        evaluations_used=1,
        guard="exact", guard_says=EVIL, guarded=False, floor=anchor,
        ceiling=anchor, finished=True, created_at=NOW,
    )  # fmt: skip
    leaderboard = (made, made.model_copy(update={"rank": 2, "direction": "", "researcher": "baseline"})) if rows else ()
    found = AuditFinding(audit="reading", verdict="flagged", summary=EVIL, evidence={EVIL: [EVIL]})
    audits = {2: (Audited(finding=found, overruled=Overrule(verdict="noted", reason=EVIL)),)}
    probing = ProbingFinding(
        researcher=EVIL,
        submissions=9,
        counted=8,
        pairs=(),
        noise=(),
        figure=9e9,
        threshold=1e3,
        error_rate=0.02,
        summary=EVIL,
    )
    return Outcome(
        study=study,
        leaderboard=leaderboard,
        submissions=(submission,),
        findings=(finding,),
        audits=audits,
        probing=(probing,),
        log_head="0" * 64,
        researchers=(researcher,),
        lost=((EVIL, EVIL),),
        best_code=EVIL,
    )


@pytest.mark.parametrize("resolved", [True, False])
@pytest.mark.parametrize("rows", [True, False])
def test_everything_is_escaped(tmp_path: Path, resolved: bool, rows: bool):
    folder = StudyFolder.create(tmp_path, Settings())
    write_report(folder, outcome(resolved=resolved, rows=rows))
    page = folder.report.read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert "49" not in page
    assert "&lt;script&gt;" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    if rows:
        assert "without a sandbox" in page
