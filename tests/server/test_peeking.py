"""No route shows a researcher a figure of `private`, or an exact one of `public`."""

import json
import sqlite3
from contextlib import closing

import httpx

from aarlab.api.schemas import FindingCreate, FindingKind, SubmissionCreate
from routes import OPERATIONS

CODE = "# accuracy=0.8\n"


def figures(world) -> set[float]:
    """Every exact accuracy that the database holds, private ones too."""
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


def test_no_route_shows_a_researcher_what_the_guard_hides(world):
    ada = world.admit()
    one = ada.submit(SubmissionCreate(name="m", code=CODE)).id
    for submission in (1, one):
        ada.wait(submission, timeout=20)
    ada.post(FindingCreate(kind=FindingKind.RESULT, title="found", submission=one))
    world.operator.audit(world.study, [one])
    world.operator.confirm(world.study, [one])
    again = ada.submit(SubmissionCreate(name="m", code=CODE))
    assert again.id == one
    hidden = figures(world)
    shown: dict[str, set[float]] = {}
    with httpx.Client(base_url=world.url, headers=dict(ada._http.headers)) as http:
        for method, path, _ in OPERATIONS:
            answer = http.request(method, path.replace("nowhere", world.study), json={} if method == "POST" else None)
            if answer.status_code == 200:
                shown[path] = numbers(answer.json())
    assert len(shown) >= 7, shown.keys()
    assert hidden & numbers([row.model_dump(mode="json") for row in world.operator.leaderboard(world.study)])
    assert {path: found & hidden for path, found in shown.items() if found & hidden} == {}
