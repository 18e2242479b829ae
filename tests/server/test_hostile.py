"""What a hostile client may send: too much, too odd, too often."""

import http.client
import json
import threading
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import BaseModel

from aarlab.api import BudgetExceeded, Refused
from aarlab.api.schemas import FindingCreate, FindingKind, SubmissionCreate

PREFIX = "/api/v1"
BODIES = {
    "not JSON": b"{",
    "a list": b"[]",
    "unknown field": b'{"name": "x", "code": "y", "score": 1.0}',
    "no code": b'{"name": "x"}',
    "empty code": b'{"name": "x", "code": ""}',
    "code too long": json.dumps({"name": "x", "code": "y" * 100_001}).encode(),
    "NUL in the code": b'{"name": "x", "code": "a\\u0000b"}',
    "a terminal's escape in the name": b'{"name": "\\u001b[2Jx", "code": "y"}',
    "right-to-left override": b'{"name": "a\\u202eb", "code": "y"}',
    "half a character": b'{"name": "x", "code": "\\ud800"}',
    "parent beyond any column": b'{"name": "x", "code": "y", "parent": 99999999999999999999}',
    "negative parent": b'{"name": "x", "code": "y", "parent": -1}',
    "deep": b'{"name":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}


class _Many(BaseModel):
    submissions: list[int]


@pytest.mark.parametrize("name", BODIES)
def test_odd_bodies_are_refused_with_a_problem(world, name: str):
    ada = world.admit()
    answer = httpx.post(
        f"{world.url}{PREFIX}/submissions",
        content=BODIES[name],
        headers=dict(ada._http.headers) | {"content-type": "application/json"},
    )
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert ada.me().evaluations_used == 0


def test_a_huge_body_is_refused_before_it_is_read(world):
    ada = world.admit()
    connection = http.client.HTTPConnection(urlsplit(world.url).netloc, timeout=10)
    connection.putrequest("POST", f"{PREFIX}/submissions")
    connection.putheader("Authorization", ada._http.headers["authorization"])
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413


@pytest.mark.parametrize("length", ["0" * 4400 + "5", "0" * 30 + "5", "-5", "5x"])
def test_a_length_that_is_none_is_refused(world, length: str):
    ada = world.admit()
    connection = http.client.HTTPConnection(urlsplit(world.url).netloc, timeout=10)
    connection.putrequest("POST", f"{PREFIX}/snapshots?kind=workspace")
    connection.putheader("Authorization", ada._http.headers["authorization"])
    connection.putheader("Content-Length", length)
    connection.endheaders()
    connection.send(b"hello")
    assert connection.getresponse().status in (400, 413)


def test_a_huge_body_of_unannounced_length_is_refused(world):
    ada = world.admit()

    def chunks():
        for _ in range(64):
            yield b" " * 65_536

    try:
        answer = httpx.post(f"{world.url}{PREFIX}/submissions", content=chunks(), headers=dict(ada._http.headers))
    except httpx.TransportError:  # the server may hang up while we still send
        pass
    else:
        assert answer.status_code == 413
    assert ada.me().evaluations_used == 0


def test_text_is_kept_as_text(world):
    ada = world.admit()
    evil = "<script>alert(1)</script> '; DROP TABLE findings; --"
    ada.post(FindingCreate(kind=FindingKind.INSIGHT, title=evil, body=evil))
    (finding,) = ada.findings()
    assert finding.title == evil
    assert finding.pgr is None


def test_a_typed_score_counts_nothing(world):
    """A finding's figure is the server's, whatever its text claims."""
    ada = world.admit()
    scored = ada.wait(ada.submit(SubmissionCreate(name="m", code="# accuracy=0.7\n")).id, timeout=20)
    told = ada.post(FindingCreate(kind=FindingKind.RESULT, title="PGR 0.99!", body="1.00", submission=scored.id))
    assert told.pgr == scored.feedback.pgr


def test_a_budget_cannot_be_raced(world):
    """Nine threads submit at once with five evaluations left: five get through."""
    ada = world.admit()
    outcomes: list[str] = []

    def submit(i: int) -> None:
        try:
            ada.submit(SubmissionCreate(name="m", code=f"# accuracy=0.7\n# {i}\n"))
            outcomes.append("queued")
        except BudgetExceeded:
            outcomes.append("spent")

    threads = [threading.Thread(target=submit, args=(i,)) for i in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["queued"] * 5 + ["spent"] * 4
    assert ada.me().evaluations_used == 5


def test_the_same_code_raced_by_two_is_one_submission(world):
    clients = [world.admit("ada"), world.admit("bob")]
    ids: list[int] = []
    threads = [
        threading.Thread(
            target=lambda c=client: ids.append(c.submit(SubmissionCreate(name="m", code="# accuracy=0.71\n")).id)
        )
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 1
    assert sum(client.me().evaluations_used for client in clients) == 1


def test_too_many_confirmations_at_once_are_refused(world):
    with pytest.raises(Refused):
        world.operator._post(f"/studies/{world.study}/confirm", dict, _Many(submissions=list(range(1, 200))))
