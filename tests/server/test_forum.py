"""The forum: who may post, reply and vote, what is listed, and where figures come from."""

import threading

import httpx
import pytest

from aarlab.api import Forbidden, NotFound, Refused
from aarlab.api.schemas import FindingCreate, FindingKind, StudyCreate, SubmissionCreate
from aarlab.server import _forum
from held import Held

PREFIX = "/api/v1"


def insight(title: str, **fields) -> FindingCreate:
    return FindingCreate(kind=FindingKind.INSIGHT, title=title, **fields)


def test_a_thread(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    first = ada.post(insight("the teacher errs on long answers", tags=("Length", "teacher", "length")))
    reply = bob.post(FindingCreate(kind=FindingKind.HYPOTHESIS, title="so drop them", parent=first.id))
    assert (first.tags, first.parent, reply.parent) == (("length", "teacher"), None, first.id)
    assert [post.id for post in ada.findings()] == [first.id, reply.id]
    assert ada.findings(parent=first.id) == [reply]
    assert bob.finding(first.id) == first
    with pytest.raises(NotFound, match="There is no finding 999"):
        bob.post(insight("to nobody", parent=999))


def test_odd_tags_are_refused(world):
    ada = world.admit()
    for tags in ([""], ["two words"], ["<b>"], ["-dash"], ["x" * 41], ["a\u202eb"], ["#1"], ["tag\n"], ["a"] * 9):
        body = {"kind": "insight", "title": "t", "tags": tags}
        assert ada._http.post("/findings", json=body).status_code == 422, tags
    assert ada.findings() == []


def test_filters(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    scored = ada.submit(SubmissionCreate(name="m", code="# accuracy=0.7\n"))
    result = ada.post(FindingCreate(kind=FindingKind.RESULT, title="it works", submission=scored.id, tags=("vote",)))
    error = bob.post(FindingCreate(kind=FindingKind.ERROR, title="it broke", tags=("vote", "nan")))
    for reader in (ada, bob):
        assert [f.id for f in reader.findings(kind=FindingKind.ERROR)] == [error.id]
        assert [f.id for f in reader.findings(tag="VOTE")] == [result.id, error.id]
        assert [f.id for f in reader.findings(researcher="ada", tag="vote")] == [result.id]
        assert [f.id for f in reader.findings(researcher="nobody")] == []
        assert [f.id for f in reader.findings(id=[error.id, 999])] == [error.id]
        assert [f.id for f in reader.findings(result.id)] == [error.id]
        assert [f.id for f in reader.findings(limit=1)] == [result.id]
    assert [f.id for f in world.operator.findings(world.study, kind=FindingKind.ERROR)] == [error.id]


def test_odd_filters_are_refused(world):
    ada = world.admit()
    odd = ("kind=rumour", "tag=%00", "researcher=%00", "parent=0", "parent=x", "id=0", "id=1&" * 101, "q=" + "x" * 301)
    for query in odd:
        answer = ada._http.get(f"/findings?{query}")
        assert answer.status_code == 422, query
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_page_of_a_filtered_listing_leads_to_the_next(world):
    ada = world.admit()
    posts = [ada.post(insight(f"number {n}", tags=("odd",) if n % 2 else ())) for n in range(6)]
    answer = ada._http.get("/findings", params={"tag": "odd", "limit": 2})
    assert [post["id"] for post in answer.json()] == [posts[1].id, posts[3].id]
    url = answer.links["next"]["url"]
    rest = ada._http.get(httpx.URL(f"{world.url}{PREFIX}/findings").join(url))
    assert [post["id"] for post in rest.json()] == [posts[5].id]
    assert "next" not in rest.links


def test_votes_count_once_and_can_be_taken_back(world):
    ada, bob, eve = (world.admit(name) for name in ("ada", "bob", "eve"))
    post = ada.post(insight("vote on me"))
    bob.vote(post.id, 1)
    bob.vote(post.id, 1)
    assert eve.vote(post.id, -1).model_dump(include={"up", "down"}) == {"up": 1, "down": 1}
    assert bob.vote(post.id, -1).model_dump(include={"up", "down"}) == {"up": 0, "down": 2}
    assert bob.vote(post.id, 0).down == 1
    assert bob.vote(post.id, 0).down == 1
    assert ada.finding(post.id).down == 1
    votes = [e.payload["value"] for e in world.operator.events(world.study) if e.kind == "finding.voted"]
    assert votes == [1, -1, -1, 0]


def test_nobody_votes_for_itself_or_in_another_study(world):
    ada = world.admit()
    eve = world.admit("eve", world.operator.create_study(StudyCreate(testbed="synthetic", seeds=4)).id)
    post = ada.post(insight("mine"))
    with pytest.raises(Forbidden, match="own"):
        ada.vote(post.id, 1)
    for absent in (post.id, 10**6):
        with pytest.raises(NotFound, match=f"There is no finding {absent}"):
            eve.vote(absent, 1)
        with pytest.raises(NotFound, match=f"There is no finding {absent}"):
            eve.finding(absent)
        with pytest.raises(NotFound, match=f"There is no finding {absent}"):
            eve.post(insight("a reply from outside", parent=absent))
    for value in (2, -2, 0.5, "up", None):
        assert world.admit("bob")._http.post(f"/findings/{post.id}/vote", json={"value": value}).status_code == 422
    assert (ada.finding(post.id).up, eve.findings(id=[post.id]), eve.search("mine")) == (0, [], [])


def test_votes_of_many_at_once_are_all_counted(world):
    post = world.admit("ada").post(insight("popular"))
    voters = [world.admit(f"voter {n}") for n in range(6)]
    threads = [threading.Thread(target=voter.vote, args=(post.id, 1)) for voter in voters for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.operator.findings(world.study)[0].up == 6


@pytest.fixture
def held(serving):
    with serving(double=Held()) as started:
        yield started
        started.double.go.set()


def test_the_figure_is_the_servers(held):
    """A figure cannot be typed, and a post that links a submission before it is scored gets its figure later."""
    ada = held.admit()
    queued = ada.submit(SubmissionCreate(name="m", code="# accuracy=0.7\n# held\n"))
    post = ada.post(FindingCreate(kind=FindingKind.RESULT, title="PGR 0.99", body="PGR 0.99", submission=queued.id))
    assert post.pgr is None
    held.double.go.set()
    scored = ada.wait(queued.id, timeout=20)
    assert ada.finding(post.id).pgr == scored.feedback.pgr != 0.99
    body = {"kind": "result", "title": "t", "submission": queued.id, "pgr": 0.99}
    assert ada._http.post("/findings", json=body).status_code == 422


def test_what_has_changed(held):
    ada, bob = held.admit("ada"), held.admit("bob")
    queued = ada.submit(SubmissionCreate(name="m", code="# accuracy=0.7\n# held\n"))
    start = ada.changed()
    linked = ada.post(FindingCreate(kind=FindingKind.RESULT, title="soon", submission=queued.id))
    other = ada.post(insight("other"))
    ada.post(insight("nobody cares"))
    held.double.go.set()
    ada.wait(queued.id, timeout=20)
    scored = ada.changed(start.upto)
    assert linked.id in scored.findings
    assert other.id not in scored.findings
    bob.vote(other.id, 1)
    voted = bob.changed(scored.upto)
    assert (voted.findings, voted.upto > scored.upto) == ((other.id,), True)
    assert bob.changed(voted.upto) == voted.model_copy(update={"findings": ()})


def test_a_look_at_private_changes_nothing_that_researchers_can_see(world):
    ada = world.admit()
    scored = ada.wait(ada.submit(SubmissionCreate(name="m", code="# accuracy=0.7\n# fail-private=exception\n")).id)
    ada.post(FindingCreate(kind=FindingKind.RESULT, title="linked", submission=scored.id))
    before = ada.changed()
    world.operator.confirm(world.study, [scored.id])
    assert ada.changed() == before


def test_what_is_posted_and_voted_is_in_the_event_log(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    first = ada.post(insight("first"))
    reply = bob.post(insight("reply", parent=first.id))
    bob.vote(first.id, 1)
    log = [(e.kind, e.actor, e.payload) for e in world.operator.events(world.study) if e.kind.startswith("finding.")]
    told = {"what": "insight", "submission": None}
    assert log == [
        ("finding.posted", "ada", told | {"finding": first.id, "parent": None}),
        ("finding.posted", "bob", told | {"finding": reply.id, "parent": first.id}),
        ("finding.voted", "bob", {"finding": first.id, "value": 1}),
    ]


def test_a_post_sent_again_with_its_key_is_posted_once(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    body = {"kind": "insight", "title": "t", "tags": ["b", "a"]}
    header = {"Idempotency-Key": "one"}
    answers = [ada._http.post("/findings", json=body, headers=header) for _ in range(3)]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert bob._http.post("/findings", json=body, headers=header).json()["id"] != answers[0].json()["id"]
    for other in (
        {"title": "u"},
        {"tags": ["a"]},
        {"kind": "error"},
        {"body": "b"},
        {"parent": answers[0].json()["id"]},
    ):
        assert ada._http.post("/findings", json=body | other, headers=header).status_code == 422
    assert len(ada.findings()) == 2


def test_nobody_fills_the_forum(world, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_forum, "MAX_POSTED", 1000)
    ada, bob = world.admit("ada"), world.admit("bob")
    ada.post(insight("long", body="x" * 700))
    with pytest.raises(Refused, match="1000 characters"):
        ada.post(insight("t"))
    bob.post(insight("others may go on"))
