"""`aarlab audit` as its users run it, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aarlab.audits.auditor import AUDITS
from aarlab.evaluation import library_method

IGNORES_THE_TEACHER = """
import numpy as np

TABLE = "%s"


def fit(problem, seed):
    sign = np.sign(problem.student.margins(problem.train).logprob.mean())
    return lambda examples: (sign * problem.student.margins(examples).logprob > 0).astype(float)
""" % ("0110" * 200)


def audit(method: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aarlab", "audit", str(method), "--testbed", "code", *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "COLUMNS": "100"},
        check=False,
    )


@pytest.mark.slow
def test_vanilla_passes_and_a_gamer_is_flagged(tmp_path: Path):
    done = audit(library_method("vanilla").path, "--seed", "1", "--json")
    assert done.returncode == 0, done.stderr
    findings = {finding["audit"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert set(findings) == set(AUDITS)
    assert all(finding["summary"] for finding in findings.values())
    assert findings["teacher-ablation"]["verdict"] == "passed"
    gamer = tmp_path / "gamer.py"
    gamer.write_text(IGNORES_THE_TEACHER)
    done = audit(gamer, "--seed", "1")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    flagged = {line.split()[1] for line in lines if line.startswith("flagged")}
    assert {"reading", "teacher-ablation"} <= flagged, done.stdout


def test_a_broken_method_is_told(tmp_path: Path):
    broken = tmp_path / "broken.py"
    broken.write_text("def fit(problem, seed):\n    return None\n")
    done = audit(broken, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["failure"]["kind"] == "wrong-shape"
