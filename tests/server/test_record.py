"""The record says of a study what its server says, and what was kept of an earlier reading is never stale."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aarlab.api.ledger import ChargeCreate, ChargeKind
from aarlab.api.schemas import FindingCreate, FindingKind, Level, Overrule, Status, StudyCreate, SubmissionCreate
from aarlab.audits.probing import ProbingFinding
from aarlab.server._database import Database
from aarlab.server._ledger import Ledger
from aarlab.server._probing import probing
from aarlab.server._problems import ProblemError
from aarlab.server._store import Store
from aarlab.server.artifacts import ArtifactError, Artifacts
from aarlab.server.record import Record, Recorder, read_record
from double import TOKEN

REASON = "Two people read the code; nothing is wrong with it."


@pytest.fixture
def store(world, tmp_path: Path) -> Iterator[Store]:
    opened = Database(world.database)
    yield Store(opened, Artifacts(tmp_path / "artifacts"))
    opened.close()


def submitted(client, *codes: str) -> list[int]:
    ids = [client.submit(SubmissionCreate(name=f"m{i}", code=code, note="why")).id for i, code in enumerate(codes)]
    for one in (1, *ids):
        client.wait(one, timeout=20)
    return ids


def of(record: Record, submission: int):
    return next(one for one in record.submissions if one.id == submission)


def test_figures_are_those_of_the_leaderboard(world, store: Store):
    good, bad, middling = submitted(world.admit(), "# accuracy=0.8\n", "# fail=timeout\n", "# accuracy=0.72\n")
    world.operator.audit(world.study, [good, middling])
    world.operator.confirm(world.study, [good, middling])
    record = read_record(store, world.study, world.double)
    board = world.operator.leaderboard(world.study)
    assert list(record.ranking) == [row.submission for row in board]
    assert record.study == world.operator.study(world.study)
    for row in board:
        one = of(record, row.submission)
        assert (one.level, one.method, one.researcher) == (row.level, row.method, row.researcher)
        assert one.public is not None
        assert one.public.pgr == row.pgr_public
        assert (one.private.pgr if one.private else None) == row.pgr_private
        assert (one.gain_private, one.p_private) == (row.gain_private, row.p_private)
        assert (one.audited, one.flags) == (row.audited, row.flags)
    assert of(record, good).level == Level.CONFIRMED
    assert of(record, good).gain_private is not None
    assert of(record, bad).failure == world.operator.submission(bad).failure
    assert (of(record, bad).public, of(record, bad).told, of(record, bad).hours) == (None, None, None)
    feedback = world.operator.submission(good).feedback
    assert of(record, good).told.accuracy == feedback.accuracy
    assert of(record, good).code == "# accuracy=0.8\n"
    assert [e.hash for e in record.events] == [e.hash for e in world.operator.events(world.study)][: len(record.events)]


def test_questions_are_asked_only_once_something_was_confirmed(world, store: Store):
    """Calibrating a testbed takes seconds, and a page that shows a running study must not wait for it."""
    (one,) = submitted(world.admit(), "# accuracy=0.8\n")
    asked = []

    def questions(testbed: str, _secret: bytes):
        asked.append(testbed)
        return world.double.groups("private")

    recorder = Recorder(store, questions)
    assert of(recorder.read(world.study), one).gain_private is None
    assert asked == []
    world.operator.audit(world.study, [one])
    world.operator.confirm(world.study, [one])
    assert of(recorder.read(world.study), one).gain_private is not None
    assert of(recorder.read(world.study), one).p_private is not None
    assert asked == ["synthetic"]
    assert of(read_record(store, world.study), one).gain_private is None


def test_a_study_is_shown_though_its_testbed_is_gone(world, store: Store, caplog: pytest.LogCaptureFixture):
    (one,) = submitted(world.admit(), "# accuracy=0.8\n")
    world.operator.audit(world.study, [one])
    world.operator.confirm(world.study, [one])

    def gone(testbed: str, _secret: bytes):
        raise KeyError(testbed)

    found = of(Recorder(store, gone).read(world.study), one)
    assert (found.level, found.gain_private) == (Level.CONFIRMED, None)
    assert "left out" in caplog.text


def test_reading_again_says_what_reading_anew_says(world, store: Store):
    recorder = Recorder(store, lambda _testbed, _secret: world.double.groups("private"))
    ada, bob = world.admit(), world.admit("bob")

    def unchanged() -> Record:
        again = recorder.read(world.study)
        assert again == read_record(store, world.study, world.double)
        return again

    assert unchanged().findings == ()
    (one,) = submitted(ada, "# accuracy=0.8\n# flag=reading\n")
    post = ada.post(FindingCreate(kind=FindingKind.RESULT, title="Better", submission=one))
    assert unchanged().findings[0].pgr == world.operator.submission(one).feedback.pgr
    waiting = bob.submit(SubmissionCreate(name="slow", code="# accuracy=0.7\n# sleep=0.5\n")).id
    early = bob.post(FindingCreate(kind=FindingKind.HYPOTHESIS, title="It will be fine", submission=waiting))
    assert {f.id: f.pgr for f in unchanged().findings}[early.id] is None
    bob.wait(waiting, timeout=20)
    assert {f.id: f.pgr for f in unchanged().findings}[early.id] is not None
    assert of(unchanged(), waiting).status == Status.SCORED
    bob.vote(post.id, 1)
    assert unchanged().findings[0].up == 1
    world.operator.audit(world.study, [one])
    assert of(unchanged(), one).flags == ("reading",)
    world.operator.overrule(one, "reading", Overrule(verdict="passed", reason=REASON))
    assert of(unchanged(), one).flags == ()
    world.operator.confirm(world.study, [one])
    assert of(unchanged(), one).level == Level.CONFIRMED
    world.operator.finish(world.study)
    assert unchanged().study.finished


def test_dollars_are_those_charged_for_a_submission(world, store: Store):
    (one,) = submitted(world.admit(), "# accuracy=0.8\n")
    before = of(read_record(store, world.study), one).dollars
    charge = ChargeCreate(key="call-1", kind=ChargeKind.TOKENS, submission=one, dollars=1.5, input_tokens=7)
    Ledger(store.database).charge(world.study, charge)
    record = read_record(store, world.study)
    assert of(record, one).dollars == pytest.approx(before + 1.5)
    assert record.ledger.total.dollars == pytest.approx(sum(charge.dollars for charge in record.charges))


def test_no_secret_and_no_other_study_is_in_it(world, store: Store):
    ada = world.admit()
    submitted(ada, "# accuracy=0.8\n")
    other = world.operator.create_study(StudyCreate(testbed="synthetic")).id
    mallory = world.admit("mallory", study=other)
    mallory.post(FindingCreate(kind=FindingKind.INSIGHT, title="of another study"))
    text = read_record(store, world.study, world.double).model_dump_json()
    secret = store.study(world.study).secret
    for hidden in (TOKEN, secret.hex(), other, "of another study", "mallory"):
        assert hidden not in text
    assert '"correct"' not in text
    assert '"predictions"' not in text
    assert Record.model_validate(json.loads(text)) == read_record(store, world.study, world.double)


def test_a_study_or_code_that_is_missing_is_told(world, store: Store, tmp_path: Path):
    with pytest.raises(ProblemError, match="nowhere"):
        Recorder(store).read("nowhere")
    (one,) = submitted(world.admit(), "# accuracy=0.8\n")
    sha256 = store.submission(None, one).sha256
    (tmp_path / "artifacts" / sha256[:2] / sha256).unlink()
    with pytest.raises(ArtifactError, match="missing"):
        Recorder(store).read(world.study)


def test_what_could_not_be_read_once_hides_no_change(world, store: Store, tmp_path: Path):
    ada, recorder = world.admit(), Recorder(store)
    world.double.gate.clear()
    one = ada.submit(SubmissionCreate(name="one", code="# accuracy=0.8\n")).id
    ada.post(FindingCreate(kind=FindingKind.RESULT, title="see", submission=one))
    assert recorder.read(world.study).findings[0].pgr is None
    world.double.gate.set()
    ada.wait(one)
    (other,) = submitted(ada, "# accuracy=0.7\n")
    sha256 = store.submission(None, other).sha256
    path = tmp_path / "artifacts" / sha256[:2] / sha256
    path.rename(tmp_path / "away")
    with pytest.raises(ArtifactError, match="missing"):
        recorder.read(world.study)
    (tmp_path / "away").rename(path)
    found = recorder.read(world.study)
    assert found == read_record(store, world.study)
    assert found.findings[0].pgr is not None


@pytest.mark.parametrize("code", ["this is no Python", "(" * 5000, "", "# -*- coding: utf-7 -*-\n"])
def test_any_code_can_be_on_record(world, store: Store, code: str):
    (one,) = submitted(world.admit(), code + "\n# accuracy=0.8\n")
    found = of(read_record(store, world.study), one)
    assert found.code.startswith(code)
    assert (found.complexity is None) == code.startswith(("this", "("))


def test_diversity_counts_what_researchers_submitted(world, store: Store):
    train = "def fit(problem, seed):\n    return {}(problem.student)\n"
    ids = submitted(world.admit(), *(train.format(name) for name in ("bagging", "distil", "bagging2", "self_train")))
    record = read_record(store, world.study)
    assert [of(record, one).family for one in ids] == ["ensemble", "distillation", "ensemble", "self-training"]
    assert record.diversity == pytest.approx([0.0, 0.0, 1.0, 0.9183, 1.5], abs=1e-4)
    assert of(record, 1).likeness is None
    assert of(record, ids[0]).likeness is None
    assert record.likeness == pytest.approx(
        (of(record, ids[1]).likeness + 2 * of(record, ids[2]).likeness + 3 * of(record, ids[3]).likeness) / 6
    )


def test_probing_is_looked_for_again_as_submissions_come_in(world, store: Store, monkeypatch: pytest.MonkeyPatch):
    looks: list[str] = []

    def look(found_in: Store, study: str) -> list[ProbingFinding]:
        looks.append(study)
        return probing(found_in, study)

    monkeypatch.setattr("aarlab.server.record.probing", look)
    recorder = Recorder(store)
    submitted(world.admit(), "# accuracy=0.8\n")
    recorder.read(world.study)
    recorder.read(world.study)
    assert len(looks) == 1
    submitted(world.admit("bob"), "# accuracy=0.81\n")
    recorder.read(world.study)
    assert len(looks) == 2
