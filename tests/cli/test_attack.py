"""`aarlab attack` as users run it."""

import json

import pytest
from typer.testing import CliRunner

from aarlab.attacks import suite
from aarlab.attacks._types import Attack, Outcome
from aarlab.cli import app


def test_the_list_needs_no_server():
    result = CliRunner().invoke(app, ["attack", "--list", "api"])
    assert result.exit_code == 0
    assert "forged-metrics" in result.stdout
    assert "single-flips" not in result.stdout


def test_an_unknown_name_is_refused_before_anything_starts():
    result = CliRunner().invoke(app, ["attack", "frobnicate"])
    assert result.exit_code == 1
    assert "frobnicate" in result.stderr
    assert "--list" in result.stderr


def test_json_of_one_attack():
    result = CliRunner().invoke(app, ["attack", "over-budget", "--json"])
    assert result.exit_code == 0, result.stderr
    (one,) = json.loads(result.stdout)["attacks"]
    assert one["held"]
    assert "query 13 was refused" in one["default"]["blocked_by"]


@pytest.mark.parametrize("options", [[], ["--md"]])
def test_an_attack_that_gets_through_is_told_by_the_exit_code(monkeypatch: pytest.MonkeyPatch, options: list[str]):
    """No attack of ours gets through, so one is made that does."""
    won = Attack("won", "api", "Wins.", lambda *_: Outcome(through=True, gained="everything", blocked_by=""))
    monkeypatch.setattr(suite, "chosen", lambda *_, **__: (won,))
    result = CliRunner().invoke(app, ["attack", *options])
    assert result.exit_code == 1
    assert "everything" in result.stdout
    assert "got through" in result.stdout
    assert "0 of 1 held" in result.stdout
    assert "won: GOT THROUGH" in result.stderr


def test_ctrl_c_leaves_quietly(monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "chosen", lambda *_, **__: (Attack("stopped", "api", "Is stopped.", interrupt),))
    result = CliRunner().invoke(app, ["attack"])
    assert result.exit_code == 130
    assert "Stopped" in result.stderr
