"""Bad methods through server and sandbox: each fails by name, the study goes on, nothing recorded is lost."""

from dataclasses import replace
from pathlib import Path

import pytest

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.schemas import Kind, ResearcherCreate, Status, StudyCreate, SubmissionCreate
from aarlab.audits.auditor import Auditor
from aarlab.evaluation import seed_limits
from aarlab.sandbox import default_sandbox
from aarlab.server import create_app, embedded
from aarlab.students import Runtime
from aarlab.testbeds import Testbed
from double import TOKEN

FIT = "def fit(problem, seed):\n"
BAD = {
    "def fit(": "syntax-error",
    "x = 1": "no-fit",
    FIT + "    return lambda e: [float('nan')] * len(e)": "not-finite",
    FIT + "    while True: pass": "timeout",
    FIT + "    x = b'x' * (10 * 2**30)": "out-of-memory",
    FIT + "    raise ValueError('<b>\\x1b[2J\\udc80')": "exception",
}


@pytest.mark.slow
def test_a_study_survives_bad_methods(tmp_path: Path, small_testbed: Testbed):
    limits = replace(seed_limits(Runtime()), wall_seconds=8, memory_bytes=2**29)
    with Auditor(small_testbed, default_sandbox(), workers=3, limits=limits) as evaluator:
        app = create_app(tmp_path / "study.db", lambda _testbed, _secret: evaluator, TOKEN, workers=2)
        with embedded(app) as url, OperatorClient(url, TOKEN) as operator:
            study = operator.create_study(StudyCreate(testbed="synthetic")).id
            token = operator.admit(study, ResearcherCreate(name="ada", kind=Kind.HUMAN, direction="")).token
            with ResearcherClient(url, token) as ada:
                good = SubmissionCreate(name="first", code=evaluator.vanilla_code() + "# mine\n")
                before = ada.wait(ada.submit(good).id, timeout=60)
                sent = {ada.submit(SubmissionCreate(name="bad", code=code)).id: kind for code, kind in BAD.items()}
                ended = {one: ada.wait(one, timeout=60) for one in sent}
                assert {one: s.failure.kind for one, s in ended.items() if s.failure} == sent
                assert all(s.failure.advice for s in ended.values() if s.failure)
                after = ada.wait(ada.submit(SubmissionCreate(name="last", code=good.code + "# 2\n")).id, timeout=60)
                assert after.status == Status.SCORED
                assert ada.submission(before.id) == before
                assert ada.me().evaluations_used == 2 + len(BAD)
            assert len(operator.leaderboard(study)) == 3
