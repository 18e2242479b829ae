"""No route shows a researcher or a viewer a figure of `private`, or an exact one of `public`."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from aarlab.api.access import Role, TokenCreate
from aarlab.api.schemas import FindingCreate, FindingKind, SubmissionCreate
from routes import OPERATIONS, UNLIMITED, body, filled

CODE = "# accuracy=0.8\n"


def figures(world) -> set[float]:
    """Every exact accuracy that the database holds, private ones too."""
    assert isinstance(world.database, Path)
    with closing(sqlite3.connect(world.database)) as raw:
        scores = [json.loads(score) for (score,) in raw.execute("SELECT score FROM evaluations WHERE score NOT NULL")]
    assert {score["split"] for score in scores} == {"public", "private"}
    return {a for score in scores for a in (*score["accuracy"], sum(score["accuracy"]) / len(score["accuracy"]))}


def numbers(document: object) -> set[float]:
    """All numbers in a JSON document."""
    if isinstance(document, dict):
        return set().union(*map(numbers, document.values()))
    if isinstance(document, list):
        return set().union(*map(numbers, document))
    return {float(document)} if isinstance(document, int | float) else set()


@pytest.mark.sqlite
@pytest.mark.sqlite
def test_no_route_shows_a_researcher_or_a_viewer_what_the_guard_hides(serving):
    with serving(limits=UNLIMITED) as world:
        ada = world.admit()
        one = ada.submit(SubmissionCreate(name="m", code=CODE)).id
        for submission in (1, one):
            ada.wait(submission, timeout=20)
        finding = ada.post(FindingCreate(kind=FindingKind.RESULT, title="found", submission=one)).id
        world.operator.audit(world.study, [one])
        world.operator.confirm(world.study, [one])
        again = ada.submit(SubmissionCreate(name="m", code=CODE))
        assert again.id == one
        hidden = figures(world)
        assert hidden & numbers([row.model_dump(mode="json") for row in world.operator.leaderboard(world.study)])
        tokens = {"researcher": ada._http.headers["authorization"]}
        for name, study in (("viewer", None), ("viewer of the study", world.study)):
            issued = world.operator.issue(TokenCreate(role=Role.VIEWER, study=study))
            tokens[name] = f"Bearer {issued.token}"
        for who, token in tokens.items():
            shown: dict[str, set[float]] = {}
            with httpx.Client(base_url=world.url, headers={"Authorization": token}) as http:
                for method, path, _ in OPERATIONS:
                    for submission in (1, one):
                        there = filled(path, {"study": world.study, "submission": submission, "finding": finding})
                        answer = http.request(method, there, json=body(path) if method == "POST" else None)
                        if answer.is_success and answer.headers["content-type"] == "application/json":
                            shown[f"{method} {there}"] = numbers(answer.json())
            assert len(shown) >= 7, (who, shown.keys())
            assert {path: found & hidden for path, found in shown.items() if found & hidden} == {}, who
