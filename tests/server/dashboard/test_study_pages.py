"""The study's page, the leaderboard and a submission's page: what they say, and how they behave in a browser."""

import html
import re

import pytest

from aarlab.api.access import Role, TokenCreate
from aarlab.api.schemas import FindingCreate, FindingKind, Kind, ResearcherCreate, Status, SubmissionCreate
from aarlab.server.dashboard._code import diff, lines, listing, visible
from aarlab.server.dashboard._figures import (
    AGENTS_2026,
    HUMANS_2026,
    accuracy_of,
    frontier,
    points,
    progress,
    progress_table,
    resolved,
)
from aarlab.server.dashboard._leaderboard import ORDERS, leaderboard_context
from aarlab.server.dashboard._leaderboard import lines as rows
from aarlab.server.dashboard._lineage import ELDERS, MOST, lineage
from aarlab.server.dashboard._views import guarded
from aarlab.server.record import Record
from demo import HOSTILE, Demo
from double import TOKEN

PAGES = ("", "/leaderboard", "/researchers", "/forum", "/integrity", "/diversity", "/ledger", "/submissions/3")


# The study's figure


def with_pgr(record: Record) -> set[int]:
    """Scored submissions but those, few, whose PGR its resamples do not bound; seeds differ from run to run."""
    return {one.id for one in record.submissions if one.public is not None and one.public.pgr is not None}


def test_the_frontier_only_rises(record: Record):
    found = points(record)
    assert {p.submission for p in found} == with_pgr(record)
    assert len(found) >= len(record.ranking) - 2
    assert [p.hours for p in found] == sorted(p.hours for p in found)
    best = frontier(found)
    assert [p.value for p in best] == sorted({p.value for p in best})
    assert best[-1].value == max(p.value for p in found)


def test_the_figure_has_a_line_each_and_every_reference(record: Record):
    drawn = progress(record)
    names = {trace.name for trace in drawn.data if trace.mode == "lines"}
    assert names == {one.name for one in record.researchers} | {"the team's best"}
    marked = [trace for trace in drawn.data if trace.mode == "markers"]
    assert sum(len(trace.x) for trace in marked) == len(with_pgr(record))
    assert len({trace.marker.symbol for trace in marked}) == len(marked) >= 3, "each level has a shape of its own"
    heights = {shape.y0 for shape in drawn.layout.shapes}
    assert {0.0, 1.0, HUMANS_2026, AGENTS_2026} <= heights
    human = {one.name for one in record.researchers if one.kind == Kind.HUMAN}
    best = max(p.value for p in points(record) if p.researcher in human)
    assert best in heights


def test_hovering_tells_of_the_finding_and_runs_nothing(record: Record):
    texts = [text for trace in progress(record).data if trace.mode == "markers" for text in trace.text]
    scored = next(p for p in points(record) if p.finding and "script" not in p.finding)
    told = next(text for text in texts if text.startswith(f"<b>#{scored.submission} "))
    assert scored.researcher in told
    assert scored.finding[:40] in html.unescape(told)
    assert f"{scored.value:.2f} [" in told
    assert not [text for text in texts if "<script" in text or "<img" in text]
    assert any("&lt;script" in text for text in texts)


def many(record: Record, researchers: int, each: int) -> Record:
    """The same with many more researchers and submissions."""
    pattern = next(one for one in record.submissions if one.status == Status.SCORED and one.researcher != "baseline")
    people = tuple(record.researchers[0].model_copy(update={"id": n + 1, "name": f"r{n}"}) for n in range(researchers))
    submissions = tuple(
        pattern.model_copy(update={"id": n + 1, "researcher": f"r{n % researchers}", "hours": float(n), "parent": None})
        for n in range(researchers * each)
    )
    ids = tuple(one.id for one in submissions)
    return record.model_copy(update={"researchers": people, "submissions": submissions, "ranking": ids, "findings": ()})


def test_two_hundred_researchers_fit_in_few_traces(record: Record):
    drawn = progress(many(record, 200, 12))
    assert len(drawn.data) <= 4
    assert drawn.layout.showlegend is False
    assert sum(len(trace.x) for trace in drawn.data if trace.mode == "markers") == 2400


def test_without_a_gap_accuracy_is_shown(record: Record):
    flat = record.model_copy(
        update={
            "submissions": tuple(
                one.model_copy(update={"public": one.public and one.public.model_copy(update={"pgr": None})})
                for one in record.submissions
            )
        }
    )
    assert not resolved(flat)
    drawn = progress(flat)
    assert drawn.layout.yaxis.title.text == "accuracy"
    assert {shape.y0 for shape in drawn.layout.shapes} == {flat.study.floor.accuracy, flat.study.ceiling.accuracy}
    best = max(accuracy_of(one) for one in flat.submissions if one.public)
    assert progress_table(flat).rows[0][3] == f"{best:.3f}"


def test_an_empty_study_has_a_figure(record: Record):
    nothing = record.model_copy(update={"submissions": (), "ranking": (), "findings": (), "researchers": ()})
    assert progress(nothing).layout.yaxis.title.text == "PGR"
    assert progress_table(nothing).rows == []


# The leaderboard


def test_each_order_sorts_and_what_is_unknown_comes_last(record: Record):
    made = rows(record)
    for order, key in ORDERS.items():
        for back in (False, True):
            shown = leaderboard_context(record, made, order=order, back=back)["lines"]
            values = [key(line) for line in shown]
            known = [value for value in values if value is not None]
            assert values[: len(known)] == known, order
            assert known in (sorted(known), sorted(known, reverse=True))
    names = [line.one.id for line in leaderboard_context(record, made)["lines"]]
    assert names == list(record.ranking)[: len(names)]


@pytest.mark.parametrize("page", [1, 2, 48, 10**9])
def test_long_boards_are_paged(record: Record, page: int):
    big = many(record, 200, 12)
    context = leaderboard_context(big, rows(big), page=page)
    assert (context["count"], context["last_page"]) == (2400, 48)
    assert len(context["lines"]) == 50
    assert context["place"] == min(page, 48)


def test_a_viewers_board_tells_what_the_guard_told(record: Record):
    cut = guarded(record)
    for line in rows(cut)[0]:
        assert line.one.told is not None
        assert line.pgr == line.one.told.pgr
        assert line.private is None


def test_the_board_shows_public_beside_private(shown: Demo, record: Record, visit):
    text = visit(shown.url, TOKEN).get(f"/studies/{shown.study}/leaderboard").text
    both = next(one for one in record.submissions if one.private is not None and one.gain_private is not None)
    row = next(row for row in text.split("<tr>") if f'/submissions/{both.id}"' in row)
    assert row.count("<circle") == 2
    for value in (both.public.pgr.estimate, both.private.pgr.estimate):
        assert f"{value:.2f}" in row
    assert f"{both.gain_private.estimate:+.3f}".replace("-", "\N{MINUS SIGN}") in row


# Code


def test_code_is_escaped_and_marked_up():
    shown = listing("def fit(problem, seed):\n    return '<script>alert(1)</script>'\n")
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert 'class="k"' in shown
    assert shown.count('class="line"') == 2


def test_what_deceives_is_written_out():
    shown = visible("a\u202eb\u2066c\u200bd\0e\x1bf\rg\tü")
    assert shown == "a⟨U+202E⟩b⟨U+2066⟩c⟨U+200B⟩d⟨U+0000⟩e⟨U+001B⟩f\ng\tü"


@pytest.mark.parametrize("code", ["", "\n", "x", "x\n", "'''a\nb\n'''\nc", "\x0c\n\x0b\u2028\n", "(\n" * 40])
def test_there_are_as_many_lines_as_the_code_has(code: str):
    assert len(lines(code)) == visible(code).removesuffix("\n").count("\n") + 1


def test_the_difference_is_counted_and_escaped():
    found = diff("a = 1\nb = 2\nc = 3\n", "a = 1\nb = '<b>'\nc = 3\nd = 4\n")
    assert (found.added, found.removed) == (2, 1)
    assert found.html.count("<ins") == 2
    assert found.html.count("<del") == 1
    assert "<b>" not in found.html


def test_what_is_too_long_is_not_compared():
    assert diff("x\n" * 5000, "y\n") is None


# Where an idea comes from


def test_lineage_shows_ancestors_and_descendants(record: Record):
    one = next(one for one in record.submissions if one.parent is not None)
    tree = lineage(record, one.id)
    placed = {node.one.id: (node.x, node.y) for node in tree.nodes}
    assert placed[one.parent][0] < placed[one.id][0]
    assert len(tree.links) == len(tree.nodes) - 1
    assert len(set(placed.values())) == len(placed), "no two boxes lie on each other"
    back = {node.one.id for node in lineage(record, one.parent).nodes}
    assert one.id in back


def test_lineage_of_a_long_line_and_a_wide_fan_is_cut(record: Record):
    big = many(record, 1, 300)
    chain = tuple(one.model_copy(update={"parent": one.id - 1 or None}) for one in big.submissions)
    tree = lineage(big.model_copy(update={"submissions": chain}), 100)
    assert len(tree.nodes) == ELDERS + 1 + MOST
    assert tree.hidden == 300 - len(tree.nodes)
    fan = tuple(one.model_copy(update={"parent": 1 if one.id > 1 else None}) for one in big.submissions)
    tree = lineage(big.model_copy(update={"submissions": fan}), 1)
    assert len({node.y for node in tree.nodes}) == MOST
    assert tree.hidden == 299 - MOST


def test_a_parent_that_is_younger_makes_no_circle(record: Record):
    a, b = record.submissions[:2]
    loop = (a.model_copy(update={"parent": b.id}), b.model_copy(update={"parent": a.id}))
    tree = lineage(record.model_copy(update={"submissions": loop}), a.id)
    assert {node.one.id for node in tree.nodes} == {a.id, b.id}


# A submission's page


def test_a_submission_page_tells_all(shown: Demo, record: Record, visit):
    one = next(one for one in record.submissions if one.private and one.parent and any(a.overruled for a in one.audits))
    text = html.unescape(visit(shown.url, TOKEN).get(f"/studies/{shown.study}/submissions/{one.id}").text)
    for accuracy in (*one.public.accuracy, *one.private.accuracy):
        assert f"{accuracy:.4f}" in text
    for found in one.audits:
        assert found.finding.audit in text
        assert found.finding.summary in text
    assert next(a.overruled.reason for a in one.audits if a.overruled) in text
    assert one.sha256 in text
    assert f"What changed since #{one.parent}" in text
    finding = next(f for f in record.findings if f.submission == one.id)
    assert finding.title in text


def test_a_failure_is_told(shown: Demo, record: Record, visit):
    one = next(one for one in record.submissions if one.failure)
    text = visit(shown.url, shown.viewer).get(f"/studies/{shown.study}/submissions/{one.id}").text
    assert one.failure.kind in text
    assert one.failure.advice in text


def test_a_submission_of_another_study_is_not_there(shown: Demo, visit):
    http = visit(shown.url, TOKEN)
    for submission in ("99999", "0", "x", str(2**40)):
        assert http.get(f"/studies/{shown.study}/submissions/{submission}").status_code in (404, 422)


# In a browser


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_every_page_works_in_a_browser(shown: Demo, opened, width: int, dark: bool):
    page = opened(shown.url, TOKEN, width=width, dark=dark)
    for path in ("/", *(f"/studies/{shown.study}{rest}" for rest in PAGES)):
        answer = page.goto(shown.url + path)
        assert answer.status == 200, path
        for figure in page.locator("figure.figure").all():
            figure.locator(".main-svg").first.wait_for()
        assert page.evaluate("window.hacked") is None, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"
        assert page.locator("main h1").count() == 1, path
        assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.caption)"), path
        unnamed = (
            "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')].filter(i => !i.labels.length)"
        )
        assert page.evaluate(f"{unnamed}.length") == 0, path


@pytest.mark.slow
def test_hostile_text_is_there_and_dead(shown: Demo, opened):
    page = opened(shown.url, TOKEN, f"/studies/{shown.study}/leaderboard")
    assert page.get_by_text(HOSTILE[:40]).first.is_visible()
    page.goto(f"{shown.url}/studies/{shown.study}/submissions/3")
    assert HOSTILE[:40] in page.locator("h1").inner_text()
    assert page.evaluate("window.hacked") is None
    page.goto(f"{shown.url}/studies/{shown.study}")
    page.locator("#progress .main-svg").first.wait_for()
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_the_keyboard_reaches_everything(shown: Demo, opened):
    page = opened(shown.url, TOKEN, f"/studies/{shown.study}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.goto(f"{shown.url}/studies/{shown.study}")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        reached.add(page.evaluate("(document.activeElement.textContent || '').trim().slice(0, 40)"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", "focus cannot be seen"
    assert {"Leaderboard", "Forum", "Log out", "Pause…", "Budgets", "Numbers of this figure"} <= reached


def test_without_javascript_the_numbers_are_in_tables(shown: Demo, record: Record, opened):
    page = opened(shown.url, TOKEN, f"/studies/{shown.study}", script=False)
    page.get_by_text("Numbers of this figure").click()
    best = max(p.value for p in points(record))
    assert page.get_by_role("cell", name=f"{best:.3f}").is_visible()
    page.get_by_role("link", name="Leaderboard").first.click()
    page.get_by_role("link", name="PGR, public").click()
    assert page.get_by_role("columnheader", name="PGR, public").get_attribute("aria-sort") == "descending"


@pytest.mark.slow
def test_an_update_arrives_by_itself(world, opened):
    ada = world.admit()
    page = opened(world.url, TOKEN, f"/studies/{world.study}")
    page.locator("#live[data-state=on]").wait_for()
    loads = page.evaluate("performance.timeOrigin")
    sent = ada.wait(ada.submit(SubmissionCreate(name="brand new", code="# accuracy=0.8\n")).id)
    ada.post(FindingCreate(kind=FindingKind.RESULT, title=f"{HOSTILE} works", submission=sent.id))
    page.locator("#latest").get_by_text("works").wait_for()
    page.locator("#facts").get_by_text("1 of").or_(page.locator("#facts").get_by_text("1 evaluations")).wait_for()
    page.wait_for_function("document.querySelector('#progress .scatterlayer').querySelectorAll('.point').length >= 2")
    assert page.evaluate("performance.timeOrigin") == loads, "the page was not loaded again"
    assert page.evaluate("window.hacked") is None
    assert page.locator("#announce").inner_text().startswith("Updated at")


@pytest.mark.slow
def test_an_update_leaves_what_is_being_typed(world, opened):
    ada = world.admit()
    page = opened(world.url, TOKEN, f"/studies/{world.study}")
    page.locator("#live[data-state=on]").wait_for()
    page.get_by_text("Numbers of this figure").click()
    page.get_by_text("Budgets", exact=True).click()
    page.get_by_label("Evaluations of each researcher").fill("77")
    ada.wait(ada.submit(SubmissionCreate(name="m", code="# accuracy=0.8\n")).id)
    page.locator("#progress-table").get_by_text("#2 m").wait_for()
    assert page.locator("#progress-table").get_attribute("open") is not None
    assert page.get_by_label("Evaluations of each researcher").input_value() == "77"


def test_a_stream_tells_numbers_and_ends_with_the_session(world, visit):
    http = visit(world.url, TOKEN)
    with http.stream("GET", f"/studies/{world.study}/stream", headers={"Last-Event-ID": "1"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = answer.iter_lines()
        world.operator.admit(world.study, ResearcherCreate(name="new", kind=Kind.HUMAN, direction=""))
        number = next(int(line.removeprefix("data: ")) for line in told if line.startswith("data: "))
        assert number >= 2
        page = http.get("/").text
        http.post("/logout", data={"csrf": re.search(r'name="csrf" value="([^"]+)"', page)[1]})
        world.operator.admit(world.study, ResearcherCreate(name="newer", kind=Kind.HUMAN, direction=""))
        rest = [line for line in told if line.startswith("data: ")]
    assert rest == []


def test_a_stopped_server_sends_streams_home(serving, visit):
    with serving() as world:
        http = visit(world.url, TOKEN)
        answer = http.send(http.build_request("GET", f"/studies/{world.study}/stream"), stream=True)
        told = answer.iter_lines()
        next(told)
    assert not [line for line in told if line.startswith("error")], "it ended in order, or this raises"
    answer.close()


def test_streams_are_bounded(world, visit, monkeypatch):
    monkeypatch.setattr("aarlab.server.dashboard._stream.MOST", 1)
    http = visit(world.url, TOKEN)
    with http.stream("GET", f"/studies/{world.study}/stream") as first:
        told = first.iter_lines()  # kept: a forgotten one ends the stream
        next(told)
        with http.stream("GET", f"/studies/{world.study}/stream") as second:
            assert second.status_code == 503


def test_one_token_does_not_take_all_streams(world, visit, monkeypatch):
    monkeypatch.setattr("aarlab.server.dashboard._stream.OWN", 1)
    http = visit(world.url, world.operator.issue(TokenCreate(role=Role.VIEWER)).token)
    with http.stream("GET", f"/studies/{world.study}/stream") as first:
        told = first.iter_lines()
        next(told)
        with http.stream("GET", f"/studies/{world.study}/stream") as second:
            assert second.status_code == 503
        with visit(world.url, TOKEN).stream("GET", f"/studies/{world.study}/stream") as other:
            assert other.status_code == 200
