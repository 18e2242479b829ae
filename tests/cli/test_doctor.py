"""`aarlab doctor --sandbox`: each attack is shown, and what got through is the exit code."""

import json

import pytest
from typer.testing import CliRunner

from aarlab.cli import _doctor, app
from aarlab.sandbox import Check, SandboxUnavailable

CHECKS = (
    Check("no network", True, "nothing got through"),
    Check("no files of this machine", False, "/etc/[passwd]", "Take another."),
    Check("no devices", False, "/dev/sda", "Take another."),
)


class Weak:
    name, trusted_isolation = "weak", False


@pytest.fixture
def attacked(monkeypatch: pytest.MonkeyPatch):
    """Names asked for; the attacks themselves are tested with the sandboxes."""
    asked = []

    def choose(name: str = "auto"):
        asked.append(name)
        if name == "docker":
            raise SandboxUnavailable(("docker: no daemon",))
        return Weak()

    monkeypatch.setattr(_doctor, "choose_sandbox", choose)
    monkeypatch.setattr(_doctor, "self_test", lambda _: CHECKS if len(asked) < 2 else CHECKS[:1])
    return asked


def doctor(*arguments: str):
    return CliRunner().invoke(app, ["doctor", *arguments], env={"COLUMNS": "200"})


def test_each_check_is_shown_with_how_to_mend_it(attacked):
    done = doctor("--sandbox")
    assert done.exit_code == 1
    assert attacked == ["auto"]
    lines = done.stdout.splitlines()
    assert any(line.startswith("holds") and "no network" in line for line in lines)
    assert any(line.startswith("does not hold") and "/etc/[passwd]" in line for line in lines)
    assert "1 of 3 hold" in done.stdout
    assert done.stdout.count("Take another.") == 1
    assert "no files of this machine, no devices: Take another." in done.stdout
    assert "not isolated" in done.stdout


def test_json(attacked):
    done = doctor("--sandbox", "landlock", "--json")
    document = json.loads(done.stdout)
    assert attacked == ["landlock"]
    assert done.exit_code == 1
    assert document["sandbox"] == "weak"
    assert document["isolated"] is False
    assert [check["holds"] for check in document["checks"]] == [True, False, False]
    assert document["checks"][2]["mend"] == "Take another."


def test_all_that_holds_is_exit_code_0(attacked):
    attacked.append("before")
    assert doctor("--sandbox", "podman").exit_code == 0


@pytest.mark.usefixtures("attacked")
def test_one_that_does_not_work_says_why():
    done = doctor("--sandbox", "docker")
    assert done.exit_code == 1
    assert "no daemon" in done.stderr


@pytest.mark.parametrize("arguments", [("--sandbox", "chroot"), ("docker",)])
def test_what_makes_no_sense_is_refused(attacked, arguments: tuple[str, ...]):
    done = doctor(*arguments)
    assert done.exit_code != 0
    assert attacked == []


@pytest.mark.slow
def test_the_sandbox_of_this_machine_holds():
    done = doctor("--sandbox", "--json")
    document = json.loads(done.stdout)
    assert [check for check in document["checks"] if not check["holds"]] == []
    assert done.exit_code == 0
