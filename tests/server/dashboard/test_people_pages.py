"""Researchers, forum, integrity, diversity and ledger, on a real server and in a real browser."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.schemas import (
    FindingCreate,
    FindingKind,
    Kind,
    ResearcherCreate,
    StudyChange,
    StudyCreate,
    SubmissionCreate,
)
from aarlab.api.snapshots import SnapshotKind
from aarlab.server import create_app, embedded
from demo import HOSTILE, Demo
from double import TOKEN, Double, only

PAGES = ("/researchers", "/researchers/ada", "/researchers/bo", "/forum", "/integrity", "/diversity", "/ledger")
ODD_NAME = "a/../b?c#d %41 <script>"


class Own:
    """A server with a study of a test's own, and one researcher in it whose name is `ODD_NAME`."""

    def __init__(self, url: str, database: Path, operator: OperatorClient, stack: ExitStack) -> None:
        self.url, self.database, self.operator = url, database, operator
        self.study = operator.create_study(StudyCreate(testbed="synthetic")).id
        admitted = operator.admit(
            self.study, ResearcherCreate(name=ODD_NAME, kind=Kind.EXTERNAL, direction="none: as it comes")
        )
        self.token, self.researcher = admitted.token, admitted.researcher.id
        self.member = stack.enter_context(ResearcherClient(url, admitted.token))

    def path(self, rest: str = "") -> str:
        return f"/studies/{self.study}{rest}"


@contextmanager
def _own(folder: Path) -> Iterator[Own]:
    database = folder / "study.db"
    with ExitStack() as stack:
        url = stack.enter_context(embedded(create_app(database, only(Double(hurry=True)), TOKEN)))
        operator = stack.enter_context(OperatorClient(url, TOKEN))
        yield Own(url, database, operator, stack)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    with _own(tmp_path) as made:
        yield made


def text_of(page: str) -> str:
    """A page without its tags and figures."""
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]+>", " ", page, flags=re.DOTALL))


# Researchers


def test_a_researcher_of_any_name_has_a_page(own: Own, visit):
    http = visit(own.url, TOKEN)
    listed = http.get(own.path("/researchers")).text
    link = re.search(r'class="who-link" href="([^"]+)"', listed)[1]
    assert link == own.path(f"/researchers/{quote(ODD_NAME, safe='')}")
    page = http.get(link)
    assert page.status_code == 200
    assert "<bdi>a/../b?c#d %41 &lt;script&gt;</bdi>" in page.text
    assert http.get(own.path("/researchers/nobody")).status_code == 404
    assert http.get(own.path(f"/researchers/{'x' * 1000}")).status_code == 422


def test_the_list_is_chosen_and_sorted_by_address(shown: Demo, visit):
    http = visit(shown.url, shown.viewer)

    def names(query: str) -> list[str]:
        page = http.get(f"/studies/{shown.study}/researchers{query}").text
        return re.findall(r'scope="row" class="name">\s*<a[^>]*><bdi>([^<]+)', page)

    everybody = [one.name for one in shown.operator.researchers(shown.study)]
    assert names("?sort=name") == sorted(everybody)
    assert names("?q=ADA&sort=name") == ["ada"]
    assert names("?kind=human") == [one.name for one in shown.operator.researchers(shown.study) if one.kind == "human"]
    assert names("?state=no+such+state") == []
    hours = names("?sort=hours")
    assert sorted(hours) == sorted(everybody)


def test_a_budget_is_raised_after_asking(own: Own, visit):
    http = visit(own.url, TOKEN)
    page = http.get(own.path(f"/researchers/{quote(ODD_NAME, safe='')}")).text
    form = page[page.index('id="budget"') :]
    action = re.search(r'action="([^"]+)"', form)[1]
    fields = dict(re.findall(r'name="([^"]+)"[^>]*value="([^"]*)"', form[: form.index("</form>")]))
    assert fields["evaluations"] == str(own.operator.researchers(own.study)[0].evaluations_limit)
    asked = http.post(action, data=fields | {"evaluations": "40", "dollars": "7.5"})
    assert asked.status_code == 200
    assert "40" in text_of(asked.text)
    assert own.operator.researchers(own.study)[0].evaluations_limit == int(fields["evaluations"])
    sure = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', asked.text))
    done = http.post(action, data=sure)
    assert done.status_code == 200
    assert "<bdi>a/../b?c#d %41 &lt;script&gt;</bdi>" in done.text
    assert own.operator.researchers(own.study)[0].evaluations_limit == 40
    changes = [event for event in own.operator.events(own.study) if event.kind == "budget.changed"]
    assert len(changes) == 2


def test_viewers_change_nothing_and_get_no_files(shown: Demo, visit):
    http = visit(shown.url, shown.viewer)
    page = http.get(f"/studies/{shown.study}/researchers/ada").text
    assert 'id="budget"' not in page
    assert "/snapshots/" not in page
    assert http.get(f"/studies/{shown.study}/snapshots/1").status_code == 403


def test_snapshots_are_handed_out_to_be_saved(own: Own, visit):
    content = b"<html><script>window.hacked=1</script>" * 50
    one = own.member.hand_in(content, SnapshotKind.TRANSCRIPT, f"day 1 {HOSTILE[:60]}")
    http = visit(own.url, TOKEN)
    page = http.get(own.path(f"/researchers/{quote(ODD_NAME, safe='')}")).text
    link = re.search(r'href="([^"]+/snapshots/\d+)"', page)[1]
    assert link == own.path(f"/snapshots/{one.id}")
    answer = http.get(link)
    assert answer.content == content
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="transcript-{one.id}.bin"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>window" not in page
    other = own.operator.create_study(StudyCreate(testbed="synthetic")).id
    assert http.get(f"/studies/{other}/snapshots/{one.id}").status_code == 404


# Forum


def test_the_forum_finds_words_and_links_figures(shown: Demo, visit):
    http = visit(shown.url, shown.viewer)
    page = http.get(f"/studies/{shown.study}/forum", params={"q": "another seed"}).text
    assert "Same here" in page
    titles = re.findall(r'class="finding-title".*?<bdi>([^<]+)', page, re.DOTALL)
    assert titles.count("Same here") >= 1
    nothing = http.get(f"/studies/{shown.study}/forum", params={"q": "antidisestablishment"}).text
    assert "Nothing on the forum is so." in nothing
    told = {one.id: one.pgr for one in shown.operator.findings(shown.study) if one.pgr is not None}
    number, pgr = next(iter(told.items()))
    thread = http.get(f"/studies/{shown.study}/forum", params={"thread": number}).text
    assert f"PGR {pgr:.2f}".replace("-", "\N{MINUS SIGN}") in text_of(thread)


ODD_WORDS = ('"', "' OR 1=1 --", "* NEAR(", "<script>", "\u202e", "a" * 200, "-", "finding_search:")


@pytest.mark.parametrize("words", ODD_WORDS)
def test_no_words_break_the_search(shown: Demo, visit, words: str):
    answer = visit(shown.url, shown.viewer).get(f"/studies/{shown.study}/forum", params={"q": words})
    assert answer.status_code == 200
    assert "<script>window" not in answer.text


ODD_QUERIES = ("kind=no", "tag=%00", "researcher=nobody", "sort=x", "page=99999", "thread=999999", "page=0", "thread=x")


@pytest.mark.parametrize("query", ODD_QUERIES)
def test_odd_addresses_are_answered(shown: Demo, visit, query: str):
    answer = visit(shown.url, shown.viewer).get(f"/studies/{shown.study}/forum?{query}")
    assert answer.status_code in (200, 404, 422)
    assert answer.headers["content-type"].startswith("text/html")


def test_nobody_posts_from_the_dashboard(shown: Demo, visit):
    for token in (TOKEN, shown.viewer, shown.token):
        page = visit(shown.url, token).get(f"/studies/{shown.study}/forum").text
        forms = re.findall(r"<form[^>]*>", page)
        assert [form for form in forms if 'method="post"' in form] == [form for form in forms if "/logout" in form]


# Integrity


def test_integrity_says_that_the_event_log_holds_and_shows_its_head(own: Own, visit):
    page = text_of(visit(own.url, TOKEN).get(own.path("/integrity")).text)
    assert "The chain holds" in page
    shown = re.search(r"Last entry (\d+), hash ([0-9a-f]{64})", page)
    event = next(event for event in own.operator.events(own.study) if event.number == int(shown[1]))
    assert event.hash == shown[2]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE events SET actor = 'nobody' WHERE number = 2",
        "UPDATE events SET payload = '{}' WHERE number = 1",
        "UPDATE events SET payload = 'x' WHERE number = 2",
        "UPDATE events SET at = 'once' WHERE number = 1",
        "DELETE FROM events WHERE number = 2",
    ],
)
def test_integrity_names_the_place_where_the_log_was_edited(own: Own, visit, edit: str):
    own.operator.change(own.study, StudyChange(evaluations_per_researcher=20))
    with closing(sqlite3.connect(own.database)) as connection, connection:
        assert connection.execute(edit).rowcount == 1
    number = re.search(r"number = (\d)", edit)[1]
    page = text_of(visit(own.url, TOKEN).get(own.path("/integrity")).text)
    assert "The event log was changed." in page
    assert f"Entry {number}:" in page
    assert "The chain holds" not in page


def test_flags_come_with_evidence_and_reasons(shown: Demo, visit):
    audits = [
        (row.submission, found) for row in shown.operator.leaderboard(shown.study)
        for found in shown.operator.audits(row.submission)
    ]  # fmt: skip
    overruled = [found for _, found in audits if found.overruled is not None]
    page = text_of(visit(shown.url, TOKEN).get(f"/studies/{shown.study}/integrity").text)
    assert overruled
    assert overruled[0].overruled.reason in page
    assert "Read the code: it searches for nothing." not in text_of(
        visit(shown.url, shown.viewer).get(f"/studies/{shown.study}/integrity").text
    )


def test_events_are_chosen_by_kind_and_actor(shown: Demo, visit):
    http = visit(shown.url, TOKEN)
    path = f"/studies/{shown.study}/integrity"
    page = http.get(path, params={"kind": "submission.received", "actor": "ada"}).text
    log = page[page.index('id="log"') :]
    rows = re.findall(r'<td class="w">([a-z.]+)</td><td>([^<]+)</td>', log)
    assert rows
    assert set(rows) == {("submission.received", "ada")}
    wanted = [e for e in shown.operator.events(shown.study) if (e.kind, e.actor) == ("submission.received", "ada")]
    assert f"{len(wanted)} entries" in text_of(log)


def test_exact_feedback_is_marked(own: Own, visit):
    study = own.operator.create_study(StudyCreate(testbed="synthetic", guard="exact")).id
    page = text_of(visit(own.url, TOKEN).get(f"/studies/{study}/integrity").text)
    assert "public figures prove nothing" in page
    assert "Feedback exact" in page


# Ledger


def test_the_ledger_sums_up_what_was_charged(shown: Demo, visit):
    view = shown.operator.ledger(shown.study)
    page = text_of(visit(shown.url, TOKEN).get(f"/studies/{shown.study}/ledger").text)
    limit = shown.operator.study(shown.study).dollars_per_study
    assert f"Spent ${view.total.dollars:.2f} of ${limit:.2f}" in page
    for model in view.models:
        assert re.search(rf"{model.model} {model.calls} .*?\${model.dollars:.2f}", page)
    assert "study of 2026: $22.00" in page
    assert "A hundredth of PGR" in page
    viewers = visit(shown.url, shown.viewer).get(f"/studies/{shown.study}/ledger").text
    assert "A hundredth of PGR" not in viewers


# In a browser


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_pages_open_without_a_fault(shown: Demo, opened, width: int, dark: bool):
    page = opened(shown.url, TOKEN, width=width, dark=dark)
    for rest in PAGES:
        page.goto(f"{shown.url}/studies/{shown.study}{rest}")
        page.wait_for_function("[...document.querySelectorAll('figure.figure')].every(one => one.dataset.drawn)")
        assert page.evaluate("window.hacked") is None
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{rest} can be scrolled sideways"
        assert page.locator("h1").count() == 1, rest
        assert page.locator("nav a[aria-current=page]").count() == 1, rest
        unnamed = page.evaluate(
            "[...document.querySelectorAll('a, button, input:not([type=hidden]), select, table')].filter(one => !("
            "one.textContent.trim() || one.ariaLabel || one.labels?.length || one.caption)).length"
        )
        assert unnamed == 0, rest


def test_pages_work_without_javascript(shown: Demo, opened):
    page = opened(shown.url, shown.viewer, script=False)
    for rest in PAGES:
        page.goto(f"{shown.url}/studies/{shown.study}{rest}")
        assert page.locator("h1").count() == 1, rest
        for summary in page.locator("figure summary").all():
            summary.click()
        for table in page.locator("figure table").all():
            assert table.is_visible(), rest
            assert table.locator("tbody tr").count() > 0, rest


def test_the_forum_is_searched_by_keyboard(shown: Demo, opened):
    page = opened(shown.url, shown.viewer, f"/studies/{shown.study}/forum")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "q":
            break
    page.keyboard.type("another seed")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=another*")
    assert page.locator("article.finding").count() > 0
    first = page.locator(".finding-title a").first
    first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**thread=*")
    assert page.locator("#thread article").count() > 0


def test_a_post_appears_while_one_looks_and_runs_nothing(own: Own, opened):
    page = opened(own.url, TOKEN, own.path("/forum"))
    assert page.locator("article.finding").count() == 0
    page.wait_for_selector("#live:not([hidden])")
    body = f"{HOSTILE}\n\n[click](javascript:window.hacked=1) <b onmouseover=window.hacked=1>x</b>"
    posted = own.member.post(FindingCreate(kind=FindingKind.RESULT, title=HOSTILE, body=body, tags=("tag",)))
    page.wait_for_selector(f"#finding-{posted.id}")
    page.locator(f"#finding-{posted.id} .post").hover()
    assert page.locator(f"#finding-{posted.id} .post a").count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_researchers_work_appears_while_one_looks(own: Own, opened):
    page = opened(own.url, TOKEN, own.path(f"/researchers/{quote(quote(ODD_NAME, safe=''), safe='')}"))
    assert "<script>" in page.locator("h1").inner_text()
    page.wait_for_selector("#live:not([hidden])")
    sent = own.member.submit(SubmissionCreate(name=HOSTILE[:80], code="# accuracy=0.7\n", note=HOSTILE[:90]))
    page.wait_for_selector(f'#submissions a[href$="/submissions/{sent.id}"]')
    page.wait_for_function("document.querySelector('#timeline')?.dataset.drawn")
    assert page.evaluate("window.hacked") is None
