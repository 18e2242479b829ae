"""Every route asks for a token, and for the right role."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from aarlab.api import Forbidden, NotFound, OperatorClient, ResearcherClient, Unauthorized
from aarlab.api.schemas import (
    FindingCreate,
    FindingKind,
    Kind,
    ResearcherCreate,
    StudyCreate,
    SubmissionCreate,
)
from aarlab.server import create_app
from double import TOKEN, Double, only
from routes import OPERATIONS

PREFIX = "/api/v1"


UNGUARDED = [(m, p) for m, p, roles in OPERATIONS if not roles]
OPEN = [("GET", f"{PREFIX}/health")]
GUARDED = [(m, p) for m, p, roles in OPERATIONS if roles]


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert set(body) >= {"type", "title", "status", "detail", "advice"}
    return body


def test_only_health_is_open():
    assert UNGUARDED == OPEN
    assert len(GUARDED) >= 18


def test_health(world):
    assert httpx.get(f"{world.url}{PREFIX}/health").json() == {"status": "ok"}


def test_every_route_refuses_strangers(world):
    headers = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": b"Bearer \xff\xfe"},
    ]
    with httpx.Client(base_url=world.url) as http:
        for method, path in [*GUARDED, ("GET", f"{PREFIX}/openapi.json"), ("GET", "/anything"), ("PUT", PREFIX)]:
            for header in headers:
                response = http.request(method, path, headers=header, content=b"{not json")
                assert response.status_code == 401, (method, path, header)
                assert response.headers["www-authenticate"] == "Bearer"
                assert problem(response)["advice"]


def test_every_route_refuses_the_wrong_role(world):
    researcher = world.admit()
    tokens = {"operator": researcher._http.headers["authorization"], "researcher": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=world.url) as http:
        for method, path, roles in OPERATIONS:
            if len(roles) == 1:
                header = {"Authorization": tokens[next(iter(roles))]}
                response = http.request(method, path, headers=header, json={})
                assert response.status_code == 403, (method, path)
                problem(response)


def test_other_studies_look_absent(world):
    ada = world.admit()
    other = world.operator.create_study(StudyCreate(testbed="synthetic", seeds=4)).id
    eve = world.admit("eve", other)
    mine = ada.submit(SubmissionCreate(name="mine", code="# accuracy=0.8"))
    ada.post(FindingCreate(kind=FindingKind.INSIGHT, title="between us"))
    absent = 10**6
    for submission in (mine.id, absent):
        for ask in (eve.submission, eve.code):
            with pytest.raises(NotFound, match=f"There is no submission {submission}"):
                ask(submission)
        with pytest.raises(NotFound):
            eve.submit(SubmissionCreate(name="child", code=f"# {submission}", parent=submission))
        with pytest.raises(NotFound):
            eve.post(FindingCreate(kind=FindingKind.RESULT, title="stolen", submission=submission))
        with pytest.raises(NotFound):
            world.operator.confirm(other, [submission])
    assert eve.findings() == []
    assert ada.wait(mine.id).status == "scored"
    assert {line.submission for line in eve.board()}.isdisjoint({mine.id})
    # The same code in another study is another submission, on other seeds.
    again = eve.wait(eve.submit(SubmissionCreate(name="mine", code="# accuracy=0.8")).id)
    assert again.id != mine.id
    seeds = [seeds for code, _, seeds in world.double.calls if code == "# accuracy=0.8"]
    assert len(seeds) == 2
    assert set(seeds[0]).isdisjoint(seeds[1])


def test_operator_sees_all_studies(world):
    other = world.operator.create_study(StudyCreate(testbed="synthetic"))
    assert [study.id for study in world.operator.studies()] == [world.study, other.id]
    with pytest.raises(NotFound):
        world.operator.study("nowhere")
    for ask in (world.operator.leaderboard, world.operator.researchers, world.operator.findings, world.operator.finish):
        with pytest.raises(NotFound):
            ask("no/where?")


def test_a_second_admission_ends_the_first_token(world):
    first, second = world.admit(), world.admit()
    assert second.me().id == world.operator.researchers(world.study)[0].id
    with pytest.raises(Unauthorized):
        first.me()


def test_tokens_are_kept_as_hashes_only(world):
    token = world.admit()._http.headers["authorization"].removeprefix("Bearer ")
    written = b"".join(path.read_bytes() for path in world.database.parent.glob("study.db*"))
    assert token.encode() not in written
    assert TOKEN.encode() not in written
    assert world.database.stat().st_mode & 0o077 == 0


def test_the_clients_are_of_one_role(world):
    researcher = world.admit()
    token = researcher._http.headers["authorization"].removeprefix("Bearer ")
    with OperatorClient(world.url, token) as impostor, pytest.raises(Forbidden):
        impostor.leaderboard(world.study)
    with ResearcherClient(world.url, TOKEN) as operator, pytest.raises(Forbidden, match="Admit a researcher"):
        operator.me()


def test_the_baseline_name_is_reserved(world):
    from aarlab.api import Refused

    with pytest.raises(Refused, match="server's own"):
        world.operator.admit(world.study, ResearcherCreate(name="Baseline", kind=Kind.HUMAN, direction=""))


def test_short_operator_tokens_are_refused():
    with pytest.raises(ValueError, match="at least 16"):
        create_app(Path("never-opened.db"), only(Double()), "secret")
