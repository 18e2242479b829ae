"""Full-text search: what is found, in which order, and that no query is an error."""

from pathlib import Path

import pytest
from alembic import command
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, create_engine, delete, insert, update

from aarlab.api.schemas import FindingCreate, FindingKind, Kind
from aarlab.server._database import Database, migrations
from aarlab.server._forum import Forum, Wanted
from aarlab.server._models import FindingRow, ResearcherRow, StudyRow
from aarlab.server._search import MAX_WORDS, phrases

HOSTILE = [
    '"',
    '""',
    '"""',
    "'; DROP TABLE findings; --",
    "title:secret",
    "body : x",
    "NEAR(a b, 2)",
    "a AND OR NOT b",
    "OR",
    "-",
    "- - -",
    "-word",
    "*",
    "wor*",
    "^first",
    "{title body}: x",
    "a + b",
    "(((",
    ")",
    "\\",
    "&|!<->",
    "a:*",
    "%",
    "_",
    "\x00",
    "a\x00b",
    "\u202e",
    "\ud7ff\uffff",
    "\N{PILE OF POO}",
    "",
    "   ",
    "é" * 300,
    "a " * 150,
    '"a b" c "d',
    "1.5e3",
    "<script>",
    "finding_search",
    "rowid",
]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("co-training works", [("co",), ("training",), ("works",)]),
        ('"hard labels" teacher', [("hard", "labels"), ("teacher",)]),
        ('an "open end', [("an",), ("open", "end")]),
        ('"" - \'', []),
        ("a_b", [("a",), ("b",)]),
        ("x " * 99, [("x",)] * MAX_WORDS),
    ],
)
def test_phrases(text: str, wanted: list[tuple[str, ...]]):
    assert phrases(text) == wanted


@pytest.fixture
def forum(world):
    ada = world.admit()
    posts = [
        ("Calibrated votes win", "Three heads vote; each is calibrated on the train set."),
        ("Noise in the teacher", "I tried votes, too. Nothing about calibrating helped. " + "filler " * 80),
        ("Naïve résumé", "Über alles 漢字"),
    ]
    for title, body in posts:
        ada.post(FindingCreate(kind=FindingKind.INSIGHT, title=title, body=body))
    return ada


FOUND = {
    "calibrate": ["Calibrated votes win", "Noise in the teacher"],
    "CALIBRATION vote": ["Calibrated votes win", "Noise in the teacher"],
    "calibrated train": ["Calibrated votes win"],
    '"heads vote"': ["Calibrated votes win"],
    '"vote heads"': [],
    "teacher": ["Noise in the teacher"],
    "nothing-about": ["Noise in the teacher"],
    "漢字": ["Naïve résumé"],
    "NAÏVE": ["Naïve résumé"],
    "naive": [],
    "absent": [],
    "votes absent": [],
    "!?": [],
}


def test_what_is_found_the_most_relevant_first(forum):
    assert {query: [finding.title for finding in forum.search(query)] for query in FOUND} == FOUND


def test_a_search_is_narrowed_and_cut(forum, world):
    world.admit("bob").post(FindingCreate(kind=FindingKind.ERROR, title="votes of bob", tags=("x",)))
    assert len(forum.search("votes")) == 3
    assert [f.title for f in forum.search("votes", researcher="bob")] == ["votes of bob"]
    assert [f.title for f in forum.search("votes", kind=FindingKind.ERROR, tag="x")] == ["votes of bob"]
    answer = forum._http.get("/findings", params={"q": "votes", "limit": 1})
    assert len(answer.json()) == 1
    assert "next" not in answer.links  # relevance has no order to go on from
    found = world.operator._http.get(f"/studies/{world.study}/findings", params={"q": "noise"}).json()
    assert [finding["title"] for finding in found] == ["Noise in the teacher"]


def test_no_query_is_an_error(forum):
    for query in HOSTILE:
        answer = forum._http.get("/findings", params={"q": query})
        assert answer.status_code == 200, (query, answer.text)
    assert len(forum.findings()) == 3


STUDY = {
    "id": "s",
    "testbed": "synthetic",
    "seeds": 3,
    "evaluations_per_researcher": 1,
    "examples": 1,
    "floor": 0.5,
    "floor_se": 0.0,
    "ceiling": 1.0,
    "ceiling_se": 0.0,
    "guard": "exact",
    "guard_step": 0.1,
    "secret": b"secret",
    "cpu_dollars": 0.0,
    "gpu_dollars": 0.0,
}


@pytest.fixture
def before(database: Path | str) -> Path | str:
    """A database from before there was a search, with one finding in it."""
    engine = create_engine(URL.create("sqlite", database=str(database)) if isinstance(database, Path) else database)
    config = migrations()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with engine.begin() as connection:
        connection.execute(insert(StudyRow).values(**STUDY))
        connection.execute(insert(ResearcherRow).values(study_id="s", name="ada", kind=Kind.HUMAN, direction=""))
        kind, body = FindingKind.INSIGHT, "It was written earlier."
        connection.execute(insert(FindingRow).values(study_id="s", researcher_id=1, kind=kind, title="Old", body=body))
    engine.dispose()
    return database


def test_what_was_posted_before_is_found_and_changes_are_followed(before):
    database = Database(before)
    forum = Forum(database)

    def found(words: str) -> list[str]:
        return [row.title for row in forum.findings("s", wanted=Wanted(q=words))]

    assert (found("written"), found("old")) == (["Old"], ["Old"])
    with database.write() as session:
        session.execute(update(FindingRow).values(title="New"))
    assert (found("written"), found("old"), found("new")) == (["New"], [], ["New"])
    with database.write() as session:
        session.execute(delete(FindingRow))
    assert found("written") == []
    database.close()


def test_no_text_at_all_is_an_error(before):
    database = Database(before)
    forum = Forum(database)

    @settings(max_examples=150, deadline=None)
    @given(st.text(max_size=300) | st.lists(st.sampled_from(HOSTILE), max_size=5).map(" ".join))
    def search(words: str) -> None:
        assert len(forum.findings("s", wanted=Wanted(q=words))) <= 1

    search()
    database.close()
