"""When researchers worked, by whatever clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from aarlab.api.schemas import Kind, StudyChange
from aarlab.server import _models
from aarlab.server._database import Database
from aarlab.server._models import ResearcherRow, StudyRow
from aarlab.server._spells import SILENCE_SECONDS, Spells, hours, hours_at, spells_in
from aarlab.server._studies import change_study

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Bench:
    """A study with two researchers, ids 1 and 2, and two clocks to set."""

    database: Database
    wall: float = BEGIN.timestamp()
    tick: float = 0.0

    def monotonic(self) -> float:
        return self.tick

    def server(self) -> Spells:
        """One that was just started."""
        return Spells(self.database, self.monotonic)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.tick += seconds

    def worked(self, researcher: int = 1) -> list[float]:
        """Seconds of each spell."""
        with self.database.read() as session:
            found = spells_in(session, "s").get(researcher, [])
        return [round((spell.seen_at - spell.began_at).total_seconds(), 3) for spell in found]


@pytest.fixture
def bench(database: Path | str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(Database(database))
    monkeypatch.setattr(_models, "clock", lambda: made.wall)
    anchors = {"floor": 0.6, "floor_se": 0.01, "ceiling": 0.9, "ceiling_se": 0.01}
    budgets = {"evaluations_per_researcher": 5, "cpu_dollars": 1.0, "gpu_dollars": 1.0}
    with made.database.write() as session:
        session.add(
            StudyRow(
                id="s", testbed="t", seeds=3, examples=9, guard="g", guard_step=0.1, secret=b"", **anchors, **budgets
            )
        )
        session.flush()
        for name in ("ada", "bob"):
            session.add(ResearcherRow(study_id="s", name=name, kind=Kind.SCRIPTED, direction=""))
    yield made
    made.database.close()


def test_requests_make_a_spell_and_a_long_silence_ends_it(bench: Bench):
    spells = bench.server()
    for seconds in (0, 30, 590, SILENCE_SECONDS + 1, 100):
        bench.pass_(seconds)
        spells.seen(1)
        spells.flush()
    assert bench.worked(1) == [620, 100]
    assert bench.worked(2) == []


def test_all_between_two_writes_is_kept(bench: Bench):
    spells = bench.server()
    for seconds in (0, 5, SILENCE_SECONDS + 1, 7):
        bench.pass_(seconds)
        spells.seen(1)
        spells.seen(2)
    spells.flush()
    assert bench.worked(1) == bench.worked(2) == [5, 7]


def test_a_new_server_goes_on_with_the_spell(bench: Bench):
    first = bench.server()
    first.start()
    first.seen(1)
    first.stop()
    bench.wall += 60
    bench.tick = 5  # another boot
    second = bench.server()
    second.seen(1)
    second.stop()
    assert bench.worked() == [60]


@pytest.mark.parametrize("jump", [-7200, -300, -20, 20, 300, 7200])
def test_a_clock_that_jumps_adds_nothing(bench: Bench, jump: float):
    spells = bench.server()
    for _ in range(3):
        spells.seen(1)
        bench.pass_(10)
        spells.seen(1)
        spells.flush()
        bench.wall += jump
    assert sum(bench.worked()) == pytest.approx(30)
    assert all(seconds >= 0 for seconds in bench.worked())


def test_nothing_is_counted_while_paused(bench: Bench):
    spells = bench.server()
    spells.seen(1)
    bench.pass_(20)
    spells.seen(1)
    spells.flush()
    change_study(bench.database, "s", StudyChange(paused=True))
    for _ in range(3):
        bench.pass_(60)
        spells.seen(1)
        spells.flush()
    assert bench.worked() == [20]
    change_study(bench.database, "s", StudyChange(paused=False))
    bench.pass_(40)
    spells.seen(1)
    spells.flush()
    assert sum(bench.worked()) == 60, "from when it went on"


def test_a_pause_without_requests_is_not_bridged(bench: Bench):
    spells = bench.server()
    spells.seen(1)
    spells.flush()
    change_study(bench.database, "s", StudyChange(paused=True))
    bench.pass_(300)
    change_study(bench.database, "s", StudyChange(paused=False))
    bench.pass_(10)
    bench.server().seen(1)  # forgotten: that server was killed
    spells.seen(1)
    spells.flush()
    assert sum(bench.worked()) == 10


def test_what_cannot_be_written_now_is_written_later(bench: Bench, caplog: pytest.LogCaptureFixture):
    spells = bench.server()
    spells.seen(1)
    bench.pass_(10)
    spells.seen(1)
    with bench.database.write() as session:
        session.execute(text("ALTER TABLE spells RENAME TO away"))
    spells.flush()
    assert [record.getMessage() for record in caplog.records] == [
        "hours of work could not be written; trying again later"
    ]
    bench.pass_(10)
    spells.seen(1)
    with bench.database.write() as session:
        session.execute(text("ALTER TABLE away RENAME TO spells"))
    spells.flush()
    assert bench.worked() == [20]


def test_a_request_is_never_kept_waiting(bench: Bench):
    spells = bench.server()
    with bench.database.write():  # somebody holds the database
        spells.seen(1)
    spells.flush()
    assert bench.worked() == [0]


def test_a_server_counts_researchers_and_nobody_else(serving):
    with serving() as world:
        ada, bob = world.admit("ada"), world.admit("bob")
        for _ in range(3):
            ada.me()
            world.operator.ledger(world.study)
        ids = {one.name: one.id for one in world.operator.researchers(world.study)}
    opened = Database(world.database)
    with opened.read() as session:
        found = spells_in(session, world.study)
    opened.close()
    assert found.keys() == {ids["ada"]}, f"{bob} has asked for nothing"
    assert hours(found[ids["ada"]]) > 0


SPELLS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=8)


@given(SPELLS, st.lists(st.integers(-5_000, 30_000), max_size=8))
def test_hours_at_are_the_sum_of_what_each_spell_had(drawn: list[tuple[int, int]], asked: list[int]):
    lasting = [
        SimpleNamespace(began_at=BEGIN + timedelta(seconds=began), seen_at=BEGIN + timedelta(seconds=began + length))
        for began, length in drawn
    ]
    found = hours_at(lasting, [BEGIN + timedelta(seconds=at) for at in asked])
    expected = [sum(min(max(at - began, 0), length) for began, length in drawn) / 3600 for at in asked]
    assert found == pytest.approx(expected, abs=1e-9)
    assert hours(lasting) == pytest.approx(sum(length for _, length in drawn) / 3600)
    in_order = [hour for _, hour in sorted(zip(asked, found, strict=True))]
    assert all(before <= after + 1e-9 for before, after in pairwise(in_order))
