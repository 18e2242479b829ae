"""The commands as users run them, each in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aarlab.api import OperatorClient
from aarlab.api.schemas import StudyCreate

ROOT = Path(__file__).parents[2]
VANILLA = ROOT / "src" / "aarlab" / "methods" / "vanilla.py"


def aarlab(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aarlab", *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100", **environment},
        check=False,
    )


COMMANDS = (
    *((), ("run",), ("resume",), ("evaluate",), ("audit",), ("bench",), ("attack",), ("serve",), ("doctor",)),
    *(("log", "show"), ("log", "verify"), ("method", "check")),
    *(("token", "issue"), ("token", "list"), ("token", "revoke")),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command: tuple[str, ...]):
    done = aarlab(*command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert "Example" in done.stdout or command == ()


def test_evaluate_prints_one_document():
    done = aarlab("evaluate", str(VANILLA), "--testbed", "chat", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["accuracy"]) == 3
    assert result["floor"]["accuracy"] < result["mean_accuracy"] < result["ceiling"]["accuracy"]
    assert result["interval"][0] < result["pgr"] < result["interval"][1]
    assert result["wall_seconds"] > 0
    assert result["cpu_seconds"] > 0
    assert result["isolated"] is True


def test_evaluate_prints_a_table():
    done = aarlab("evaluate", str(VANILLA), "--seeds", "1")
    assert done.returncode == 0, done.stderr
    assert "PGR" in done.stdout
    assert "bubblewrap" in done.stdout


def test_without_a_sandbox_every_result_is_marked():
    done = aarlab("evaluate", str(VANILLA), "--seeds", "1", "--unsafe-no-sandbox")
    assert "No sandbox" in done.stderr
    assert "proves nothing" in done.stdout
    done = aarlab("evaluate", str(VANILLA), "--seeds", "1", "--unsafe-no-sandbox", "--json")
    assert json.loads(done.stdout)["isolated"] is False


def test_a_broken_method_is_told(tmp_path: Path):
    method = tmp_path / "method.py"
    method.write_text("def fit(problem, seed):\n    return [b[old]]\n")
    done = aarlab("evaluate", str(method))
    assert done.returncode == 1
    assert "NameError" in done.stderr
    assert "→" in done.stderr
    done = aarlab("evaluate", str(method), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["failure"]["kind"] == "exception"


MISTAKES = {
    "no file": (("evaluate", "nowhere.py"), "cannot be read"),
    "a folder": (("evaluate", "."), "cannot be read"),
    "no testbed": (("evaluate", str(VANILLA), "--testbed", "poems"), "chat"),
    "run on nothing": (("run", "poems"), "chat"),
    "no study": (("resume", "."), "is no study"),
    "log of nothing": (("log", "verify", "."), "is no study"),
    "unknown guard": (("run", "chat", "--guard", "none"), "tapered"),
    "audit of nothing": (("audit", "nowhere.py"), "cannot be read"),
    "weak token": (("serve",), "16 characters"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_say_what_to_do(name: str, tmp_path: Path):
    arguments, says = MISTAKES[name]
    done = aarlab(*arguments, cwd=tmp_path, AARLAB_OPERATOR_TOKEN="short")
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_only_scored_splits_can_be_named():
    done = aarlab("evaluate", str(VANILLA), "--split", "train")
    assert done.returncode == 2
    assert "'private'" in done.stderr


def test_a_new_method_keeps_the_contract_and_can_be_scored(tmp_path: Path):
    done = aarlab("method", "new", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "exists already" in aarlab("method", "new", "mine", cwd=tmp_path).stderr
    checked = aarlab("method", "check", "mine.py", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert {check["verdict"] for check in json.loads(checked.stdout)} == {"holds"}
    options = ("--testbed", "chat", "--methods", "mine.py,zero_shot", "--seeds", "1", "--json", "--plot", "forest.html")
    benched = aarlab("bench", *options, cwd=tmp_path, AARLAB_DATA=str(tmp_path / "data"))
    assert benched.returncode == 0, benched.stderr
    rows = json.loads(benched.stdout)["testbeds"]["chat"]["methods"]
    assert {row["method"] for row in rows} == {"mine", "zero_shot", "vanilla"}
    assert rows[-1]["method"] == "zero_shot"
    assert (tmp_path / "forest.html").stat().st_size > 1000


def test_a_broken_method_is_refused_by_the_checker(tmp_path: Path):
    (tmp_path / "bad.py").write_text("import torch\ndef fit(problem): pass\n")
    done = aarlab("method", "check", "bad.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "broken" in done.stdout
    assert "→" in done.stdout


def test_doctor_knows_this_machine():
    done = aarlab("doctor", "--json")
    facts = {fact["what"]: fact for fact in json.loads(done.stdout)}
    assert done.returncode == (1 if any(fact["state"] == "missing" for fact in facts.values()) else 0)
    assert facts["Python"]["state"] == "ok"
    assert facts["testbed chat"]["state"] == "ok"
    assert facts["sandbox"]["state"] == "ok"


@pytest.mark.slow
def test_ctrl_c_and_resume(tmp_path: Path):
    """A real study, interrupted as a user would, goes on with nothing lost."""
    command = [sys.executable, "-m", "aarlab", "run", "chat", "--researchers", "2", "--evaluations", "2"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("studies/*/researchers/*/methods/001.py")) and time.monotonic() < until:
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, stderr = running.communicate(timeout=30)
    assert running.returncode == 130
    (study,) = (tmp_path / "studies").iterdir()
    assert f"aarlab resume studies/{study.name}" in stderr
    done = aarlab("resume", f"studies/{study.name}", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [r["evaluations_used"] for r in result["researchers"]] == [2, 2]
    assert result["best"]["level"] == 4
    assert (study / "report.html").exists()
    assert (study / "best_method.py").exists()
    assert json.loads((study / "leaderboard.json").read_text())["study"] == result["study"]
    shown = aarlab("resume", f"studies/{study.name}", cwd=tmp_path)
    assert "vanilla on private" in shown.stdout
    assert "4 confirmed" in shown.stdout


def test_serve_answers_until_interrupted(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "aarlab", "serve", "--port", port]
    environment = {**os.environ, "AARLAB_OPERATOR_TOKEN": "operator-token-for-tests", "COLUMNS": "200"}
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr is not None
        assert port in running.stderr.readline()
        with OperatorClient(f"http://127.0.0.1:{port}", "operator-token-for-tests") as operator:
            study = operator.create_study(StudyCreate(testbed="chat"))
            baseline = operator.submissions(study.id)[0]
            assert operator.submission(baseline.id, wait=25).feedback is not None
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=20)
    assert running.returncode == 0
