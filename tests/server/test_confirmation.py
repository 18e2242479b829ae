"""The private split is looked at once a submission, and figures from it stay with the operator."""

import json

import pytest

from aarlab.api import NotFound, Refused
from aarlab.api.schemas import Level, SubmissionCreate
from double import VANILLA


def submitted(researcher, *codes: str) -> list[int]:
    ids = [researcher.submit(SubmissionCreate(name=f"m{i}", code=code)).id for i, code in enumerate(codes)]
    for one in ids:
        researcher.wait(one, timeout=20)
    return ids


def test_confirmed_once_with_the_baseline(world):
    ada = world.admit()
    good, other = submitted(ada, "# accuracy=0.8\n", "# accuracy=0.7\n")
    world.operator.audit(world.study, [good])
    first = world.operator.confirm(world.study, [good])
    again = world.operator.confirm(world.study, [good])
    assert first == again
    assert good in first.done
    assert len(first.done) == 2
    looks = [(code, seeds) for code, split, seeds in world.double.calls if split == "private"]
    assert sorted(code for code, _ in looks) == sorted(["# accuracy=0.8\n", VANILLA])
    public = {code: seeds for code, split, seeds in world.double.calls if split == "public"}
    assert all(set(seeds).isdisjoint(public[code]) for code, seeds in looks)  # fresh seeds

    rows = {row.submission: row for row in world.operator.leaderboard(world.study)}
    assert rows[good].level == Level.CONFIRMED
    assert rows[good].rank == 1
    assert rows[good].gain_private.low > 0
    assert rows[good].p_private < 0.05  # three seeds, which the double draws anew each time
    assert rows[other].level == Level.SCORED
    assert rows[other].pgr_private is None


def test_holm_counts_all_that_were_confirmed(world):
    ada = world.admit()
    ids = submitted(ada, *(f"# accuracy=0.{66 + i}\n" for i in range(4)))
    world.operator.confirm(world.study, ids[:1])
    alone = next(row for row in world.operator.leaderboard(world.study) if row.submission == ids[0]).p_private
    world.operator.confirm(world.study, ids)
    among = next(row for row in world.operator.leaderboard(world.study) if row.submission == ids[0]).p_private
    assert among >= alone


def test_researchers_learn_nothing_of_private_but_the_level(world):
    ada = world.admit()
    (good,) = submitted(ada, "# accuracy=0.8\n")
    before = ada.submission(good)
    world.operator.confirm(world.study, [good])
    after = ada.submission(good)
    assert after.model_copy(update={"level": before.level}) == before
    assert "private" not in json.dumps([s.model_dump(mode="json") for s in ada.board()])


def test_what_fails_on_private_gets_no_second_look(world):
    ada = world.admit()
    (bad,) = submitted(ada, "# fail-private=exception\n")
    state = world.operator.confirm(world.study, [bad])
    assert state.failed == (bad,)
    world.operator.confirm(world.study, [bad])
    assert len([1 for code, split, _ in world.double.calls if split == "private" and "fail" in code]) == 1
    row = next(row for row in world.operator.leaderboard(world.study) if row.submission == bad)
    assert row.failure_private == "exception"
    assert row.level == Level.SCORED


def test_only_scored_submissions_of_this_study(world):
    ada = world.admit()
    (broken,) = submitted(ada, "# fail=timeout\n")
    with pytest.raises(Refused) as caught:
        world.operator.confirm(world.study, [broken])
    assert caught.value.type == "urn:aarlab:not-scored"
    with pytest.raises(NotFound):
        world.operator.confirm(world.study, [999])


def test_the_board_is_guarded(world):
    """No exact figure is on it, and the order tells no more than its figures do."""
    ada = world.admit()
    submitted(ada, *(f"# accuracy=0.{70 + i}\n" for i in range(5)))
    board = ada.board()
    assert len(board) == 6
    keys = [(-s.level, -s.accuracy, s.submission) for s in board]
    assert keys == sorted(keys)
    exact = {row.submission: row.accuracy_public for row in world.operator.leaderboard(world.study)}
    assert any(abs(exact[s.submission] - s.accuracy) > 1e-6 for s in board)
    for standing in board:
        assert ada.submission(standing.submission).feedback.accuracy == standing.accuracy
