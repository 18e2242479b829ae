"""Every route asks for a token and for the right role, and shows nothing of another study."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from aarlab.api import Forbidden, NotFound, OperatorClient, ResearcherClient, Unauthorized
from aarlab.api.access import Role, TokenCreate
from aarlab.api.schemas import (
    FindingCreate,
    FindingKind,
    Kind,
    ResearcherCreate,
    StudyCreate,
    SubmissionCreate,
)
from aarlab.server import create_app
from aarlab.server._store import Store
from double import TOKEN, Double, only
from routes import OPERATIONS, PREFIX, UNLIMITED, body, filled

UNGUARDED = [(m, p) for m, p, roles in OPERATIONS if not roles]
GUARDED = [(m, p) for m, p, roles in OPERATIONS if roles]
ROLES = ("operator", "researcher", "viewer")
VIEWED = {
    "/studies",
    "/studies/{study}",
    "/studies/{study}/submissions",
    "/studies/{study}/findings",
    "/studies/{study}/board",
    "/studies/{study}/ledger",
    "/submissions/{submission}",
    "/submissions/{submission}/code",
    "/findings/{finding}",
}


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert found["status"] == response.status_code
    assert set(found) >= {"type", "title", "status", "detail", "advice"}
    return found


def bearer(client: ResearcherClient | OperatorClient) -> str:
    return client._http.headers["authorization"]


def issue(world, role: Role, study: str | None = None) -> str:
    return f"Bearer {world.operator.issue(TokenCreate(role=role, study=study)).token}"


@pytest.fixture
def open_world(serving):
    """A server that may be asked as often as one likes."""
    with serving(limits=UNLIMITED) as started:
        yield started


def test_only_health_is_open():
    assert [("GET", f"{PREFIX}/health")] == UNGUARDED
    assert len(GUARDED) >= 30


def test_a_viewer_may_read_what_researchers_read_and_nothing_else():
    viewed = {(method, path.removeprefix(PREFIX)) for method, path, roles in OPERATIONS if "viewer" in roles}
    assert viewed == {("GET", path) for path in VIEWED}


def test_health(world):
    assert httpx.get(f"{world.url}{PREFIX}/health").json() == {"status": "ok"}


def test_every_route_refuses_strangers(open_world):
    issued = [open_world.operator.issue(TokenCreate(role=role, hours=1e-9)) for role in (Role.OPERATOR, Role.VIEWER)]
    revoked = open_world.operator.issue(TokenCreate(role=Role.OPERATOR))
    open_world.operator.revoke(revoked.about.id)
    headers = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": b"Bearer \xff\xfe"},
        *({"Authorization": f"Bearer {one.token}"} for one in (*issued, revoked)),
    ]
    with httpx.Client(base_url=open_world.url) as http:
        for method, path in [*GUARDED, ("GET", "/api/v1/anything"), ("PUT", PREFIX), ("GET", f"{PREFIX}/docs/")]:
            for header in headers:
                response = http.request(method, filled(path), headers=header, content=b"{not json")
                assert response.status_code == 401, (method, path, header)
                assert response.headers["www-authenticate"] == "Bearer"
                assert problem(response)["advice"]


def test_every_route_lets_its_roles_in_and_no_other(open_world):
    here = open_world.study
    tokens = {
        "operator": [f"Bearer {TOKEN}", issue(open_world, Role.OPERATOR)],
        "researcher": [bearer(open_world.admit())],
        "viewer": [issue(open_world, Role.VIEWER), issue(open_world, Role.VIEWER, here)],
    }
    tokens["operator of the study"] = [issue(open_world, Role.OPERATOR, here)]
    with httpx.Client(base_url=open_world.url) as http:
        for method, path, roles in OPERATIONS:
            for role, headers in tokens.items():
                allowed = role in roles or (role == "operator of the study" and "operator" in roles)
                if role == "operator of the study" and (method, path) == ("POST", f"{PREFIX}/studies"):
                    allowed = False
                for header in headers:
                    there = filled(path, {"token": 10**6})  # nobody's, or it would be revoked
                    response = http.request(method, there, headers={"Authorization": header}, json={})
                    if roles and not allowed:
                        assert response.status_code == 403, (role, method, path)
                        problem(response)
                    else:
                        assert response.status_code not in (401, 403, 405, 500), (role, method, path, response.text)


def test_another_study_looks_absent_to_every_token_of_one_study(open_world):
    """Each route that names a thing answers the same for another study's thing as for none."""
    eve = open_world.admit("eve")
    other = open_world.operator.create_study(StudyCreate(testbed="synthetic", seeds=4)).id
    ada = open_world.admit("ada", other)
    mine = ada.wait(ada.submit(SubmissionCreate(name="mine", code="# accuracy=0.8")).id, timeout=20)
    open_world.operator.audit(other, [mine.id])
    finding = ada.post(FindingCreate(kind=FindingKind.INSIGHT, title="between us"))
    token = open_world.operator.issue(TokenCreate(role=Role.VIEWER, study=other)).about.id
    theirs = {"study": other, "submission": mine.id, "finding": finding.id, "token": token, "researcher": ada.me().id}
    absent = dict.fromkeys(theirs, 10**6) | {"study": "synthetic-00000000"}
    before = [event.number for event in open_world.operator.events(other)]
    tokens = {
        "operator": issue(open_world, Role.OPERATOR, open_world.study),
        "viewer": issue(open_world, Role.VIEWER, open_world.study),
        "researcher": bearer(eve),
    }
    asked = 0
    with httpx.Client(base_url=open_world.url) as http:
        for method, path, roles in OPERATIONS:
            if "{" not in path:
                continue
            for role in roles:
                answers = [
                    http.request(method, filled(path, ids), headers={"Authorization": tokens[role]}, json=body(path))
                    for ids in (theirs, absent)
                ]
                told = [problem(answer)["detail"] for answer in answers]
                for name in re.findall(r"\{(\w+)\}", path):
                    told = [
                        detail.replace(str(ids.get(name)), name)
                        for detail, ids in zip(told, (theirs, absent), strict=True)
                    ]
                assert [answer.status_code for answer in answers] == [404, 404], (role, method, path, told)
                assert told[0] == told[1], (role, method, path)
                asked += 1
    assert asked >= 25
    assert [event.number for event in open_world.operator.events(other)] == before
    with OperatorClient(open_world.url, tokens["operator"].removeprefix("Bearer ")) as operator:
        assert [study.id for study in operator.studies()] == [open_world.study]
        assert {token.study for token in operator.tokens()} == {open_world.study}
        with pytest.raises(NotFound):
            operator.confirm(open_world.study, [mine.id])


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


@pytest.mark.sqlite
def test_tokens_are_kept_as_hashes_only(world):
    token = bearer(world.admit()).removeprefix("Bearer ")
    viewer = issue(world, Role.VIEWER).removeprefix("Bearer ")
    written = b"".join(path.read_bytes() for path in world.database.parent.glob("study.db*"))
    for secret in (token, viewer, TOKEN):
        assert secret.encode() not in written
    assert world.database.stat().st_mode & 0o077 == 0


def test_the_clients_are_of_one_role(world):
    token = bearer(world.admit()).removeprefix("Bearer ")
    with OperatorClient(world.url, token) as impostor, pytest.raises(Forbidden):
        impostor.leaderboard(world.study)
    with ResearcherClient(world.url, TOKEN) as operator, pytest.raises(Forbidden, match="Admit a researcher"):
        operator.me()


def test_a_viewer_reads_with_the_operators_client(world):
    ada = world.admit()
    one = ada.wait(ada.submit(SubmissionCreate(name="m", code="# accuracy=0.8\n")).id, timeout=20)
    ada.post(FindingCreate(kind=FindingKind.RESULT, title="found", submission=one.id))
    for study in (None, world.study):
        token = issue(world, Role.VIEWER, study).removeprefix("Bearer ")
        with OperatorClient(world.url, token) as viewer:
            assert [each.id for each in viewer.studies()] == [world.study]
            assert viewer.submissions(world.study) == ada.submissions()
            assert viewer.findings(world.study) == ada.findings()
            assert viewer.board(world.study) == ada.board()
            assert viewer.code(one.id).code == "# accuracy=0.8\n"
            for ask in (viewer.leaderboard, viewer.events, viewer.probing, viewer.researchers, viewer.finish):
                with pytest.raises(Forbidden):
                    ask(world.study)
            with pytest.raises(Forbidden):
                viewer.audits(one.id)


def test_the_baseline_name_is_reserved(world):
    from aarlab.api import Refused

    with pytest.raises(Refused, match="server's own"):
        world.operator.admit(world.study, ResearcherCreate(name="Baseline", kind=Kind.HUMAN, direction=""))


def test_short_operator_tokens_are_refused():
    with pytest.raises(ValueError, match="at least 16"):
        create_app(Path("never-opened.db"), only(Double()), "secret")


def test_every_answer_tells_browsers_to_guess_and_keep_nothing(world, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ValueError("odd")

    monkeypatch.setattr(Store, "researchers", fail)
    operator = {"Authorization": f"Bearer {TOKEN}"}
    asked = [
        ("GET", "/health", {}, 200),
        ("GET", "/studies", operator, 200),
        ("GET", "/me", {}, 401),
        ("GET", "/me", operator, 403),
        ("GET", "/nowhere", operator, 404),
        ("POST", "/studies", operator, 422),
        ("GET", f"/studies/{world.study}/researchers", operator, 500),
    ]
    with httpx.Client(base_url=world.url + PREFIX) as http:
        for method, path, headers, status in asked:
            answer = http.request(method, path, headers=headers)
            assert answer.status_code == status
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert answer.headers["cache-control"] == "no-store", path
            assert "default-src 'none'" in answer.headers["content-security-policy"], path
            assert "server" not in answer.headers
