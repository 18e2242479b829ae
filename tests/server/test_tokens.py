"""Tokens are given out, listed and ended; a request that may arrive twice counts once; listings come in pages."""

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from aarlab.api import Forbidden, NotFound, OperatorClient, ResearcherClient, Unauthorized
from aarlab.api.access import Issued, Role, TokenCreate
from aarlab.api.schemas import FindingCreate, FindingKind, StudyCreate, SubmissionCreate
from aarlab.evaluation import Evaluation
from aarlab.server import _models
from double import TOKEN, VANILLA, Double
from routes import PREFIX

WORDS = FindingCreate(kind=FindingKind.INSIGHT, title="seen", body="twice")


def bearer(client: ResearcherClient | OperatorClient) -> str:
    return client._http.headers["authorization"]


def client_of(world, issued: Issued) -> OperatorClient:
    return OperatorClient(world.url, issued.token)


def send(world, path: str, body: object, key: str | None, token: str = f"Bearer {TOKEN}") -> httpx.Response:
    headers = {"Authorization": token} | ({} if key is None else {"Idempotency-Key": key})
    return httpx.post(f"{world.url}{PREFIX}{path}", headers=headers, json=body, timeout=60)


# Given out and ended


def test_a_token_works_until_it_is_revoked(world):
    issued = world.operator.issue(TokenCreate(role=Role.OPERATOR, label="for the night"))
    assert len(issued.token) >= 40
    with client_of(world, issued) as second:
        assert [study.id for study in second.studies()] == [world.study]
        assert world.operator.tokens() == [issued.about]
        ended = world.operator.revoke(issued.about.id)
        assert ended.revoked_at is not None
        with pytest.raises(Unauthorized):
            second.studies()
    assert world.operator.revoke(issued.about.id) == ended
    assert world.operator.tokens() == [ended]
    assert issued.token not in json.dumps([token.model_dump(mode="json") for token in world.operator.tokens()])


def test_a_token_works_until_it_expires(world, monkeypatch: pytest.MonkeyPatch):
    hour = world.operator.issue(TokenCreate(role=Role.VIEWER, hours=1))
    assert hour.about.expires_at is not None
    assert (hour.about.expires_at - hour.about.created_at).total_seconds() == pytest.approx(3600, abs=1)
    with client_of(world, hour) as viewer:
        assert viewer.studies()
        monkeypatch.setattr(_models, "clock", lambda: time.time() + 3601)
        with pytest.raises(Unauthorized):
            viewer.studies()


class _Held(Double):
    """Evaluates the researchers' methods once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def evaluate(self, code: str, split: str, seeds: Sequence[int]) -> Evaluation:
        if code != VANILLA:
            assert self.may.wait(60)
        return super().evaluate(code, split, seeds)


def test_a_request_that_is_held_back_ends_with_its_token(serving):
    double = _Held()
    with serving(double=double) as world, ThreadPoolExecutor(1) as pool:
        ada = world.admit()
        one = ada.submit(SubmissionCreate(name="m", code="# accuracy=0.7\n")).id
        poll = pool.submit(ada.submission, one, wait=30)
        (token,) = world.operator.tokens()
        world.operator.revoke(token.id)
        time.sleep(1.0)
        double.may.set()
        with pytest.raises(Unauthorized):
            poll.result()
        assert world.operator.submission(one, wait=20).status == "scored"


def test_a_researcher_may_have_several_tokens(world):
    ada = world.admit()
    issued = world.operator.issue(TokenCreate(role=Role.RESEARCHER, researcher=ada.me().id))
    assert (issued.about.researcher, issued.about.study) == ("ada", world.study)
    with ResearcherClient(world.url, issued.token) as again:
        assert again.me() == ada.me()
        world.operator.revoke(issued.about.id)
        with pytest.raises(Unauthorized):
            again.me()
    assert ada.me().name == "ada"


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"role": "researcher"}, 422),
        ({"role": "viewer", "researcher": 1}, 422),
        ({"role": "researcher", "researcher": 99}, 404),
        ({"role": "viewer", "study": "nowhere"}, 404),
        ({"role": "viewer", "study": ""}, 404),
        ({"role": "root"}, 422),
        ({"role": "viewer", "hours": 0}, 422),
        ({"role": "viewer", "hours": 1e6}, 422),
        ({"role": "viewer", "label": "\u001b[2J"}, 422),
        ({"role": "viewer", "token": "of-my-own-choice"}, 422),
    ],
)
def test_odd_tokens_are_refused(world, wanted: dict[str, Any], status: int):
    world.admit()
    before = world.operator.tokens()
    assert send(world, "/tokens", wanted, None).status_code == status
    assert world.operator.tokens() == before


def test_an_operator_of_one_study_gives_out_tokens_of_that_study_only(world):
    other = world.operator.create_study(StudyCreate(testbed="synthetic")).id
    eve = world.admit("eve", other)
    theirs = world.operator.issue(TokenCreate(role=Role.VIEWER, study=other)).about.id
    everybody = world.operator.issue(TokenCreate(role=Role.VIEWER)).about.id
    with client_of(world, world.operator.issue(TokenCreate(role=Role.OPERATOR, study=world.study))) as second:
        for role in (Role.OPERATOR, Role.VIEWER):
            issued = second.issue(TokenCreate(role=role))
            assert issued.about.study == world.study  # though it asked for one that opens all
            with client_of(world, issued) as third:
                assert [study.id for study in third.studies()] == [world.study]
        for refused in (
            TokenCreate(role=Role.VIEWER, study=other),
            TokenCreate(role=Role.RESEARCHER, researcher=eve.me().id),
        ):
            with pytest.raises(NotFound):
                second.issue(refused)
        for token in (theirs, everybody):
            with pytest.raises(NotFound):
                second.revoke(token)
        with pytest.raises(Forbidden, match="only"):
            second.create_study(StudyCreate(testbed="synthetic"))
        assert {token.study for token in second.tokens()} == {world.study}


def test_the_log_says_who_came_and_went_but_no_token(world):
    issued = world.operator.issue(TokenCreate(role=Role.VIEWER, study=world.study, label="a secret name"))
    world.operator.revoke(issued.about.id)
    events = world.operator.events(world.study)
    told = [(event.kind, event.payload["token"]) for event in events if event.kind.startswith("token.")]
    assert told == [("token.issued", issued.about.id), ("token.revoked", issued.about.id)]
    written = json.dumps([event.model_dump(mode="json") for event in events])
    assert issued.token not in written


def test_tokens_outlive_the_server(serving):
    with serving() as first:
        kept = first.operator.issue(TokenCreate(role=Role.VIEWER))
        ended = first.operator.issue(TokenCreate(role=Role.VIEWER))
        first.operator.revoke(ended.about.id)
        study = first.study
    with serving(study=study) as second:
        with client_of(second, kept) as viewer:
            assert [each.id for each in viewer.studies()] == [study]
        with client_of(second, ended) as viewer, pytest.raises(Unauthorized):
            viewer.studies()


# Requests that arrive twice


def test_a_study_is_started_once_a_key(world):
    wanted = {"testbed": "synthetic", "seeds": 4}
    first, again = (send(world, "/studies", wanted, "one") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    other = send(world, "/studies", wanted | {"seeds": 5}, "one")
    assert other.status_code == 422
    assert other.json()["type"] == "urn:aarlab:key-reused"
    assert send(world, "/studies", wanted, "two").json()["id"] != first.json()["id"]
    assert send(world, "/studies", wanted, None).status_code == 201
    assert len(world.operator.studies()) == 4
    assert [e.kind for e in world.operator.events(first.json()["id"])].count("study.created") == 1


def test_a_study_is_the_answer_to_its_key_after_its_budget_was_changed(world):
    from aarlab.api.schemas import StudyChange

    wanted = {"testbed": "synthetic", "evaluations_per_researcher": 3}
    made = send(world, "/studies", wanted, "one").json()["id"]
    world.operator.change(made, StudyChange(evaluations_per_researcher=9))
    again = send(world, "/studies", wanted, "one")
    assert (again.status_code, again.json()["id"]) == (201, made)
    assert send(world, "/studies", wanted | {"evaluations_per_researcher": 9}, "one").status_code == 422


def test_studies_raced_with_one_key_are_one(world):
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: send(world, "/studies", {"testbed": "synthetic", "seeds": 6}, "race"), range(8))
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(world.operator.studies()) == 2


def test_a_finding_is_posted_once_a_key(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    body = WORDS.model_dump(mode="json")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(world, "/findings", body, "k", bearer(ada)), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    for change in ({"title": "not seen"}, {"tags": ["new"]}, {"kind": "error"}, {"parent": answers[0].json()["id"]}):
        assert send(world, "/findings", body | change, "k", bearer(ada)).status_code == 422
    assert send(world, "/findings", body, "k", bearer(bob)).json()["id"] != answers[0].json()["id"]
    assert [finding.researcher for finding in ada.findings()] == ["ada", "bob"]


def test_keys_outlive_the_server(serving):
    body = WORDS.model_dump(mode="json")
    with serving() as first:
        ada = first.admit()
        token, study = bearer(ada), first.study
        made = send(first, "/findings", body, "k", token).json()
    with serving(study=study) as second:
        assert send(second, "/findings", body, "k", token).json() == made


@pytest.mark.parametrize("key", ["x" * 201, "two words", "tab\there", ""])
def test_odd_keys_are_refused(world, key: str):
    ada = world.admit()
    assert send(world, "/findings", WORDS.model_dump(mode="json"), key, bearer(ada)).status_code == 422
    assert ada.findings() == []


class _LosesAnswers(httpx.BaseTransport):
    """A connection on which the first answer to each request is lost."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner, self._seen = inner, set[int]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        if id(request) in self._seen:
            return answer
        self._seen.add(id(request))
        answer.read()
        answer.close()
        raise httpx.ReadError("the answer was lost", request=request)

    def close(self) -> None:
        self._inner.close()


def test_the_clients_post_once_though_answers_are_lost(world):
    ada = world.admit()
    for client in (ada, world.operator):
        client._http._transport = _LosesAnswers(client._http._transport)
    study = world.operator.create_study(StudyCreate(testbed="synthetic", seeds=7))
    first = ada.post(WORDS)
    second = ada.post(WORDS)  # the same words again are another post
    assert [finding.id for finding in ada.findings()] == [first.id, second.id]
    assert [each.id for each in world.operator.studies()] == [world.study, study.id]


# Pages


def numbered(entry: dict[str, Any]) -> object:
    """What tells an entry of a listing from the others."""
    return entry["number"] if "number" in entry else entry["id"]


def pages(url: str, path: str, token: str, limit: int) -> list[list[Any]]:
    """All pages of a listing, by its links alone."""
    found, here = [], httpx.URL(f"{url}{PREFIX}{path}").copy_merge_params({"limit": limit})
    while True:
        answer = httpx.get(here, headers={"Authorization": token})
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        if "next" not in answer.links:
            return found
        here = here.join(answer.links["next"]["url"])


def test_every_listing_comes_in_pages_and_says_whether_there_is_more(serving):
    with serving(double=Double(hurry=True), evaluations=10) as world:
        ada = world.admit("ada")
        for name in ("bob", "cleo", "dan"):
            world.admit(name)
        for number in range(3):
            ada.submit(SubmissionCreate(name="m", code=f"# accuracy=0.7\n# {number}\n"))
            ada.post(FindingCreate(kind=FindingKind.INSIGHT, title=str(number)))
            world.operator.create_study(StudyCreate(testbed="synthetic"))
        study, operator = f"/studies/{world.study}", f"Bearer {TOKEN}"
        listings = {
            "/studies": (4, operator),
            "/tokens": (4, operator),
            f"{study}/researchers": (4, operator),
            f"{study}/submissions": (4, operator),
            f"{study}/findings": (3, operator),
            f"{study}/charges": (None, operator),
            f"{study}/events": (None, operator),
            "/submissions": (4, bearer(ada)),
            "/findings": (3, bearer(ada)),
        }
        for path, (count, token) in listings.items():
            (whole,) = pages(world.url, path, token, 200)
            assert len(whole) == count or count is None, path
            for limit in (1, 2, 3):
                parts = pages(world.url, path, token, limit)
                keys = [numbered(entry) for part in parts for entry in part]
                assert keys[: len(whole)] == [numbered(entry) for entry in whole], path
                assert all(len(part) == limit for part in parts[:-1]), path
                assert parts[-1] or not whole, path  # no page is empty, so `next` never promises too much


def test_a_listing_keeps_its_filter_on_its_next_page(world):
    ada = world.admit("ada")
    for number in range(4):
        kind = FindingKind.ERROR if number % 2 else FindingKind.INSIGHT
        ada.post(FindingCreate(kind=kind, title=str(number), tags=("c++",)))
    parts = pages(world.url, "/findings?kind=error&tag=c%2B%2B", bearer(ada), 1)
    assert [[entry["title"] for entry in part] for part in parts] == [["1"], ["3"]]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "after=-1", "after=99999999999999", "after=x", "limit=1e2"])
def test_odd_pages_are_refused(world, query: str):
    answer = httpx.get(f"{world.url}{PREFIX}/tokens?{query}", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 422


def test_a_page_after_no_study_is_refused(world):
    answer = httpx.get(f"{world.url}{PREFIX}/studies?after=nowhere", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 404
