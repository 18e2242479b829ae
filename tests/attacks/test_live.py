"""Attacks on a live server: the arena's secrets are real, what should hold does, and what leaks is noticed."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aarlab.attacks import _api, suite
from aarlab.attacks._api import _Active
from aarlab.attacks._asking import TESTBED, HttpOracle, public_method
from aarlab.attacks._types import Attack, Outcome
from aarlab.attacks.live import CANARY, Arena, open_arena
from aarlab.attacks.queries import leak
from aarlab.errors import AarlabError
from aarlab.sandbox import default_sandbox

QUERIES = 60


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with open_arena(default_sandbox(), 2, QUERIES) as opened:
        yield opened


def test_the_secrets_are_there_to_be_found(arena: Arena):
    assert os.environ[CANARY] == arena.canary
    assert (arena.folder / "operator.txt").read_text() == arena.canary
    assert arena.database.is_file()
    for address in arena.sockets:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)


def test_nothing_is_left_behind():
    before = os.environ.get(CANARY)
    with open_arena(default_sandbox(), 1) as opened:
        folder, threads = opened.folder, threading.active_count()
    assert not folder.exists()
    assert os.environ.get(CANARY) == before
    assert threading.active_count() < threads


@pytest.mark.parametrize("name", ["over-budget", "forged-metrics", "another-token", "wrong-role", "second-look"])
def test_the_server_holds(arena: Arena, name: str):
    (result,) = suite.run_suite(arena, suite.chosen([name]))
    assert result.trouble == ""
    assert result.held, result.default
    assert result.default is not None
    assert result.default.blocked_by


@pytest.mark.slow
@pytest.mark.parametrize("name", ["script-injection", "prompt-injection", "peeking-at-private"])
def test_the_server_holds_here_too(arena: Arena, name: str):
    (result,) = suite.run_suite(arena, suite.chosen([name]))
    assert result.held, result


@pytest.mark.slow
@pytest.mark.parametrize("name", ["minus-one", "environment", "descriptors", "harness-frames", "server-port"])
def test_the_sandbox_holds(arena: Arena, name: str):
    (result,) = suite.run_suite(arena, suite.chosen([name]))
    assert result.held, result


def test_exact_answers_give_labels_away_over_http(arena: Arena):
    """The attack works, so that its failing against the default means something."""
    study = arena.new_study(TESTBED, "exact", QUERIES)
    testbed = arena.evaluator(study).testbed
    labels = testbed.labels("public")
    oracle = HttpOracle(arena, arena.admit(study, "eve"), "eve", len(labels))
    found = leak(
        "single-flips",
        oracle,
        public_method(testbed),
        labels,
        testbed.groups("public"),
        QUERIES,
        np.random.default_rng(0),
    )
    assert oracle.asked == QUERIES
    assert found.gained > found.chance
    assert found.gained == found.departed  # every flip that scored better was right


@pytest.mark.parametrize(("known_before", "held"), [(False, False), (True, True)])
def test_a_figure_of_private_is_noticed_if_it_appears_with_the_look(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, known_before: bool, held: bool
):
    """One that stood there before the look is a public figure that is alike by chance."""
    figure = "0.73412698"
    read, rank = _api._everything, arena.operator.leaderboard
    looked = False

    def reading(*wanted):
        for path, text in read(*wanted):
            yield path, text + (figure if path == "/study" and (known_before or looked) else "")

    def ranked(study):
        nonlocal looked
        looked = True
        return [row.model_copy(update={"accuracy_private": float(figure)}) for row in rank(study)]

    monkeypatch.setattr(_api, "_everything", reading)
    monkeypatch.setattr(arena.operator, "leaderboard", ranked)
    (result,) = suite.run_suite(arena, suite.chosen(["peeking-at-private"]))
    assert (result.held, result.trouble) == (held, "")
    assert ("/study shows accuracy_private" in result.default.gained) != held


def test_what_runs_in_a_page_is_noticed():
    page = '<p onclick="x()">a</p><a href=" JavaScript:x">b</a><script>x</script><img src="y">'
    seen = _Active()
    seen.feed(page)
    assert (len(seen.found), seen.programs) == (3, 1)
    data = _Active()
    data.feed(
        '<script type="application/json">{}</script><link rel="icon" href="data:,"><script src="//evil"></script>'
    )
    assert (data.found, data.programs) == (["an element <script>"], 0)
    calm = _Active()
    calm.feed('<p class="on">&lt;script&gt;</p><svg><circle r="1"/></svg><a href="#x">y</a>')
    assert calm.found == []


def test_an_attack_that_gets_through_or_breaks_is_told_apart(arena: Arena):
    def through(_: Arena, guard: str | None) -> Outcome:
        return Outcome(through=True, gained=f"all, against {guard}", blocked_by="")

    def broken(_: Arena, __: str | None) -> Outcome:
        raise AarlabError("It broke.")

    wanted = (
        Attack("wins", "queries", "Wins.", through, contrast=True),
        Attack("breaks", "api", "Breaks.", broken),
    )
    seen: list[int] = []
    wins, breaks = suite.run_suite(arena, wanted, workers=2, show=lambda progress: seen.append(progress.done))
    assert (wins.held, breaks.held) == (False, False)
    assert wins.exact is not None
    assert "exact" in wins.exact.gained
    assert breaks.default is None
    assert "It broke" in breaks.trouble
    assert seen == [0, 1, 2]


def test_names_and_families_choose():
    everything = suite.attacks()
    assert [attack.name for attack in suite.chosen([])] == list(everything)
    assert {attack.family for attack in suite.chosen(["api"])} == {"api"}
    assert [attack.name for attack in suite.chosen(["minus-one"])] == ["minus-one"]
    with pytest.raises(AarlabError, match="no attack 'frobnicate'"):
        suite.chosen(["frobnicate"])


def test_the_suite_has_what_was_asked_for():
    names = set(suite.attacks())
    assert len(names) >= 60
    assert {"single-flips", "linear-programming", "seed-cherry-picking", "train-label-probing"} <= names
    assert {"majority-answer", "code-execution", "row-lookup", "teacher-bypass", "test-time-clustering"} <= names
    assert {"labels-on-disk", "parent-memory", "database-file", "server-port", "pickles", "fork-bomb"} <= names
    assert {"forged-metrics", "another-token", "script-injection", "prompt-injection", "second-look"} <= names


def test_every_attack_file_is_in_the_suite():
    folder = Path(suite.__file__).parent
    files = {path.stem.replace("_", "-") for path in (*folder.glob("gaming/*.py"), *folder.glob("hostile/*.py"))}
    assert files <= set(suite.attacks())
