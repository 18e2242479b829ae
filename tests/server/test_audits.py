"""Levels follow from what the audits find; a person may decide otherwise, and says why."""

import pytest
from pydantic import ValidationError

from aarlab.api import Forbidden, NotFound, Refused
from aarlab.api.schemas import Level, Overrule, SubmissionCreate
from double import VANILLA

REASON = "The code was read by two people; the constant is a harmless table."


def submitted(world, *codes: str) -> list[int]:
    ada = world.admit()
    ids = [ada.submit(SubmissionCreate(name=f"m{i}", code=code)).id for i, code in enumerate(codes)]
    for one in (1, *ids):
        ada.wait(one, timeout=20)
    return ids


@pytest.mark.parametrize(
    ("code", "audited", "confirmed"),
    [
        ("# accuracy=0.8\n", Level.AUDITED, Level.CONFIRMED),
        ("# accuracy=0.8\n# flag=reading\n", Level.REPLICATED, Level.REPLICATED),
        ("# accuracy=0.8\n# fall=1\n", Level.SCORED, Level.SCORED),
        ("# accuracy=0.8\n# fail-audit=exception\n", Level.SCORED, Level.SCORED),
    ],
)
def test_no_rung_is_skipped(world, code: str, audited: Level, confirmed: Level):
    (one,) = submitted(world, code)
    world.operator.audit(world.study, [one])
    assert world.operator.submission(one).level == audited
    world.operator.confirm(world.study, [one])
    row = next(row for row in world.operator.leaderboard(world.study) if row.submission == one)
    assert row.level == confirmed
    assert row.accuracy_private is not None


def test_audited_once_with_the_baseline_on_fresh_seeds(world):
    (one,) = submitted(world, "# accuracy=0.8\n")
    first = world.operator.audit(world.study, [one])
    assert first == world.operator.audit(world.study, [one])
    assert first.done == (1, one)
    audits = [(code, seeds) for code, what, seeds in world.double.calls if what == "audit"]
    assert sorted(code for code, _ in audits) == sorted(["# accuracy=0.8\n", VANILLA])
    public = {code: seeds for code, what, seeds in world.double.calls if what == "public"}
    assert all(set(seeds).isdisjoint(public[code]) for code, seeds in audits)
    assert [a.finding.audit for a in world.operator.audits(one)] == ["reading", "replication", "probing"]


def test_a_person_may_overrule_with_a_reason_that_is_logged(world):
    (one,) = submitted(world, "# accuracy=0.8\n# flag=reading\n")
    world.operator.audit(world.study, [one])
    row = next(row for row in world.operator.leaderboard(world.study) if row.submission == one)
    assert (row.level, row.flags, row.audited) == (Level.REPLICATED, ("reading",), True)
    decided = world.operator.overrule(one, "reading", Overrule(verdict="noted", reason=REASON))
    assert (decided.finding.verdict, decided.verdict) == ("flagged", "noted")
    assert world.operator.audits(one)[0] == decided
    row = next(row for row in world.operator.leaderboard(world.study) if row.submission == one)
    assert (row.level, row.flags) == (Level.AUDITED, ())
    event = next(e for e in world.operator.events(world.study) if e.kind == "audit.overruled")
    assert (event.actor, event.payload["reason"], event.payload["submission"]) == ("operator", REASON, one)
    with pytest.raises(NotFound):
        world.operator.overrule(one, "tarot", Overrule(verdict="passed", reason=REASON))
    with pytest.raises(ValidationError):
        Overrule(verdict="passed", reason="")


def test_researchers_see_no_findings(world):
    (one,) = submitted(world, "# accuracy=0.8\n# flag=reading\n")
    world.operator.audit(world.study, [one])
    ada = world.admit()
    assert ada.submission(one).level == Level.REPLICATED
    with pytest.raises(Forbidden):
        ada._get(f"/submissions/{one}/audits", list)
    with pytest.raises(Forbidden):
        ada._post(f"/submissions/{one}/audits/reading/overrule", dict, Overrule(verdict="passed", reason=REASON))


def test_only_scored_submissions_are_audited(world):
    (broken,) = submitted(world, "# fail=timeout\n")
    with pytest.raises(Refused) as caught:
        world.operator.audit(world.study, [broken])
    assert caught.value.type == "urn:aarlab:not-scored"


def test_an_audit_that_failed_has_ended_too(world):
    """Else a team would ask for it again and never come to the next best."""
    (one,) = submitted(world, "# accuracy=0.8\n# fail-audit=exception\n")
    assert world.operator.audit(world.study, [one]).failed == (one,)
    row = next(row for row in world.operator.leaderboard(world.study) if row.submission == one)
    assert (row.audited, row.level) == (True, Level.SCORED)
    assert world.operator.audits(one) == []


def test_the_board_follows_audits_and_decisions(world):
    """Most of it is kept from one look to the next; levels are not."""
    one, other = submitted(world, "# accuracy=0.8\n# flag=reading\n", "# accuracy=0.7\n")

    def levels() -> dict[int, Level]:
        return {line.submission: line.level for line in world.operator.board(world.study)}

    assert levels() == {1: Level.SCORED, one: Level.SCORED, other: Level.SCORED}
    world.operator.audit(world.study, [one])
    assert levels() == {1: Level.AUDITED, one: Level.REPLICATED, other: Level.SCORED}
    world.operator.overrule(one, "reading", Overrule(verdict="noted", reason=REASON))
    assert levels()[one] == Level.AUDITED
    world.operator.confirm(world.study, [one])
    assert levels()[one] == Level.CONFIRMED
    (late,) = submitted(world, "# accuracy=0.82\n")
    assert levels()[late] == Level.SCORED
