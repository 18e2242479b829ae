"""What the pages about people, integrity, diversity and money are made of: functions of a record, at any size."""

import json
import time
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest

from aarlab.api.ledger import ChargeKind
from aarlab.api.schemas import BASELINE, FindingKind, Level, Status
from aarlab.server._record import Record
from aarlab.server.dashboard import _diversity_figures as diversity
from aarlab.server.dashboard import _people_figures as figures
from aarlab.server.dashboard import _spending_figures as money
from aarlab.server.dashboard._cut import cut
from aarlab.server.dashboard._diversity import diversity_context, family_table
from aarlab.server.dashboard._forum_threads import LONG, Posts, beginning, forum_context, thread_context
from aarlab.server.dashboard._integrity import flags, integrity_context
from aarlab.server.dashboard._people import people, researcher_context, researchers_context
from aarlab.server.dashboard._shell import environment, figure_json
from aarlab.server.dashboard._spending import budgets, ledger_context
from aarlab.server.dashboard._views import guarded
from people_record import BEGAN, HOSTILE, made

FIGURES = {
    "timeline": lambda record: figures.timeline(record, record.researchers[0]),
    "verdicts": figures.verdicts,
    "failures": figures.failures,
    "entropy": diversity.entropy,
    "families": diversity.families,
    "complexity": diversity.complexity,
    "likeness": diversity.likeness,
    "spending": money.spending,
    "by_researcher": money.by_researcher,
}


@pytest.fixture(scope="module")
def record() -> Record:
    return made(9, 12)


@pytest.fixture(scope="module")
def crowd() -> Record:
    return made(200, 12)


def end_of(record: Record):
    return max(spell.seen_at for one in record.researchers for spell in one.spells)


# Figures


def marks(figure, row: str) -> list[str]:
    return [text for trace in figure.data if trace.y and trace.y[0] == row for text in trace.hovertext]


def test_the_timeline_has_all_that_one_did(record: Record):
    one = record.researchers[0]
    figure = figures.timeline(record, one)
    mine = [s for s in record.submissions if s.researcher == one.name]
    assert {text.split()[0] for text in marks(figure, "submissions")} == {f"#{s.id}" for s in mine}
    assert len(marks(figure, "findings")) == sum(f.researcher == one.name for f in record.findings)
    bars = figure.data[0]
    assert len(bars.base) == len(one.spells) == 2
    assert bars.x[0] == (one.spells[0].seen_at - one.spells[0].began_at).total_seconds() * 1000


@pytest.mark.parametrize("name", FIGURES)
def test_figures_neither_grow_with_a_study_nor_hold_tags(name: str):
    large = made(200, 12, hostile=HOSTILE)
    written = str(figure_json(FIGURES[name](large)))
    assert len(written) < 450_000
    assert "script" not in json.dumps(json.loads(written)).replace("&lt;script&gt;", "").replace("&lt;/script", "")
    traces = json.loads(written)["data"]
    if name not in ("complexity", "likeness", "entropy"):
        assert sum(len(trace["y"]) for trace in traces if isinstance(trace["y"], list)) < 600


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "timeline"])
@pytest.mark.parametrize("count", [0, 1])
def test_figures_of_a_study_that_just_began(name: str, count: int):
    assert json.loads(str(figure_json(FIGURES[name](made(count, count)))))["layout"]


def test_families_over_time_count_every_submission_once(crowd: Record):
    figure = diversity.families(crowd)
    own = [one for one in crowd.submissions if one.researcher != BASELINE]
    assert sum(sum(trace.y) for trace in figure.data) == len(own)
    assert all(len(trace.y) <= diversity.BINS for trace in figure.data)
    shown = {trace.name: sum(trace.y) for trace in figure.data}
    assert shown == dict(Counter(one.family for one in own))
    table = diversity.families_table(crowd)
    assert sum(sum(row[1:]) for row in table.rows) == len(own)


def test_rare_families_are_shown_together():
    record = made(9, 12)
    many = tuple(
        one.model_copy(update={"family": f"family {place % 12}"}) for place, one in enumerate(record.submissions)
    )
    figure = diversity.families(record.model_copy(update={"submissions": many}))
    assert [trace.name for trace in figure.data][diversity.FAMILIES :] == [diversity.HEADING]
    assert sum(sum(trace.y) for trace in figure.data) == len(many) - 1


def test_money_over_time_ends_at_what_was_spent(record: Record):
    times, totals = money.spent_over_time(record)
    for kind in ChargeKind:
        spent = sum(one.dollars for one in record.charges if one.kind == kind)
        assert totals[kind][-1] == pytest.approx(spent)
        assert all(a <= b for a, b in pairwise(totals[kind]))
    assert times == sorted(times)
    middle = times[len(times) // 2]
    until = sum(one.dollars for one in record.charges if one.created_at <= middle)
    assert sum(values[len(times) // 2] for values in totals.values()) == pytest.approx(until)


def test_the_budget_is_drawn_where_it_can_be_seen(record: Record):
    def names(limit: float) -> list[str]:
        study = record.study.model_copy(update={"dollars_per_study": limit})
        return [trace.name for trace in money.spending(record.model_copy(update={"study": study})).data]

    assert "the study's budget" in names(10.0)
    assert "the study's budget" not in names(10_000.0)


def test_money_by_researcher_is_all_of_it(crowd: Record):
    rows = money.spent_by_researcher(crowd)
    assert len(rows) == money.BARS + 2
    assert [name for name, _ in rows[-2:]] == [f"{200 - money.BARS} others", "paid by nobody"]
    assert sum(sum(spent.values()) for _, spent in rows) == pytest.approx(sum(one.dollars for one in crowd.charges))
    largest = [sum(spent.values()) for _, spent in rows[: money.BARS]]
    assert largest == sorted(largest, reverse=True)
    drawn = money.by_researcher(crowd)
    assert len(drawn.layout.yaxis.ticktext) == money.BARS + 1
    assert not [name for name in drawn.layout.yaxis.ticktext if "others" in name]


def test_verdicts_count_overruled_ones_as_such(record: Record):
    counts = figures.verdict_counts(record)
    found = [audited for one in record.submissions for audited in one.audits]
    assert sum(count.total() for count in counts.values()) == len(found)
    assert sum(count["overruled"] for count in counts.values()) == sum(one.overruled is not None for one in found) > 0
    assert sum(count["flagged"] for count in counts.values()) == sum(
        one.finding.verdict == "flagged" and one.overruled is None for one in found
    )


# Researchers


def test_who_works_is_told_by_when_they_were_seen(record: Record):
    at = end_of(record) + timedelta(minutes=5)
    assert {one.state for one in people(record, at)} == {"working", "silent"}
    assert [one.state for one in people(record, at)][:2] == ["working", "silent"]
    assert {one.state for one in people(record, at + timedelta(hours=1))} == {"silent"}
    for change, state in (({"finished": True}, "study over"), ({"paused": True}, "paused")):
        changed = record.model_copy(update={"study": record.study.model_copy(update=change)})
        assert {one.state for one in people(changed, at)} == {state}
    new = record.researchers[0].model_copy(update={"spells": ()})
    assert people(record.model_copy(update={"researchers": (new,)}), at)[0].state == "not seen"


def test_a_researcher_is_known_by_the_best_it_was_told(record: Record):
    for one in people(record, BEGAN):
        answers = [s.told.pgr for s in record.submissions if s.researcher == one.researcher.name and s.told]
        assert one.told == max(answers)
        assert one.level == max(s.level for s in record.submissions if s.researcher == one.researcher.name)


def test_accuracy_stands_in_where_pgr_cannot_be_told():
    context = researchers_context(made(3, 4, resolved=False), BEGAN)
    assert context["unresolved"]
    assert {one.told for one in context["people"].items} == {0.7}


@pytest.mark.parametrize("sort", ["name", "hours", "evaluations", "best", "level", "spend", "seen", "nonsense"])
def test_researchers_are_listed_a_page_at_a_time(crowd: Record, sort: str):
    found = []
    for page in range(1, 5):
        chosen = researchers_context(crowd, BEGAN, sort=sort, page=page)["people"]
        assert (chosen.pages, chosen.total, len(chosen.items)) == (4, 200, 50)
        found += [one.researcher.name for one in chosen.items]
    assert len(set(found)) == 200
    if sort == "name":
        assert found == sorted(found, key=str.casefold)


def test_researchers_can_be_chosen(crowd: Record):
    at = end_of(crowd) + timedelta(minutes=1)
    chosen = researchers_context(crowd, at, q="RESEARCHER 17", kind="scripted", state="silent")["people"]
    names = {one.researcher.name for one in chosen.items}
    kinds = {one.name: one.kind for one in crowd.researchers}
    assert names
    assert all(name.startswith("researcher 17") and kinds[name] == "scripted" for name in names)
    assert {one.state for one in chosen.items} == {"silent"}
    assert researchers_context(crowd, at, q="nobody like that")["people"].items == []


def test_a_page_that_is_not_there_is_the_last_one():
    assert cut(range(25), 99, 10).items == range(20, 25)
    assert (cut([], 3, 10).page, cut([], 3, 10).pages) == (1, 1)


def test_nobody_of_that_name(record: Record):
    assert researcher_context(record, "baseline", BEGAN) is None
    assert researcher_context(record, "nobody", BEGAN) is None


# Forum


def test_threads_hold_every_finding_once(crowd: Record):
    posts = Posts(crowd)
    heads = [one for one in crowd.findings if one.parent is None]
    below = [one.id for head in heads for one in posts.below(head)]
    assert sorted([one.id for one in heads] + below) == [one.id for one in crowd.findings]


def test_a_long_chain_of_replies_is_walked_once(record: Record):
    first = record.findings[0].model_copy(update={"parent": None})
    chain = [first.model_copy(update={"id": n, "parent": n - 1 if n > 1 else None}) for n in range(1, 20_001)]
    began = time.process_time()
    posts = Posts(record.model_copy(update={"findings": tuple(chain)}))
    assert time.process_time() - began < 5, "two hundred million steps take longer"
    assert posts.root(chain[-1]).id == 1
    assert [one.id for one in posts.below(chain[0])] == list(range(2, 20_001))


def test_what_a_search_found_decides_which_threads_and_their_order(record: Record):
    reply = next(one for one in record.findings if one.parent is not None)
    other = next(one for one in record.findings if one.parent is None and one.id not in (reply.id, reply.parent))
    context = forum_context(record, matches=[reply.id, other.id])
    first, second = context["threads"]
    assert first.root.finding.id == Posts(record).root(reply).id
    assert not first.root.found
    assert [post.finding.id for post in first.replies] == [reply.id]
    assert (second.root.finding.id, second.root.found) == (other.id, True)
    assert context["count"] == 2
    assert forum_context(record, matches=[])["threads"] == []


def test_findings_are_chosen_by_kind_tag_and_author(record: Record):
    for kind in FindingKind:
        wanted = [one for one in record.findings if one.kind == kind]
        assert forum_context(record, kind=kind)["count"] == len(wanted) > 0
    assert forum_context(record, tag="LAYERS")["count"] == sum("layers" in one.tags for one in record.findings)
    name = record.researchers[2].name
    chosen = forum_context(record, researcher=name)
    assert chosen["count"] == sum(one.researcher == name for one in record.findings)
    ups = [t.root.finding.up - t.root.finding.down for t in forum_context(record, sort="votes")["threads"]]
    assert ups == sorted(ups, reverse=True)


def test_a_thread_is_shown_whole_from_any_of_its_findings(record: Record):
    reply = next(one for one in record.findings if one.parent is not None)
    context = thread_context(record, reply.id)
    assert context["thread"].root.finding.id == Posts(record).root(reply).id
    assert reply.id in [post.finding.id for post in context["thread"].replies]
    assert thread_context(record, 10**6) is None


def test_long_posts_are_cut_where_a_paragraph_ends():
    text = "First.\n\n" + "word " * 60 + "\n\n" + "more " * 200
    assert beginning(text) == "First.\n\n" + "word " * 60
    assert beginning("short") == "short"
    assert len(beginning("x" * 20_000)) == LONG
    assert beginning("\n".join("ab" for _ in range(500))).count("\n") < 20


def test_figures_of_posts_are_the_servers(record: Record):
    finding = next(one for one in record.findings if one.pgr is not None)
    body = str(Posts(record).post(finding).body)
    assert f"(PGR {finding.pgr:.2f})</bdi></a>" in body
    assert f'href="/studies/{record.study.id}/submissions/{finding.submission}"' in body


# Integrity, diversity, money


def test_flags_that_stand_come_first(record: Record):
    kinds = ["overruled" if flag.overruled else flag.audited.finding.verdict for flag in flags(record)]
    assert set(kinds) == {"flagged", "overruled", "noted"}
    assert kinds == sorted(kinds, key=["flagged", "overruled", "noted"].index)
    assert integrity_context(record)["standing"] == sum(len(one.flags) for one in record.submissions)


def test_events_are_chosen_and_paged(crowd: Record):
    everything = integrity_context(crowd)["events"]
    assert (everything.total, len(everything.items)) == (len(crowd.events), 50)
    assert everything.items[0].event.number == len(crowd.events)
    name = crowd.researchers[0].name
    chosen = integrity_context(crowd, kind="submission.received", actor=name)["events"]
    assert chosen.total == 12
    assert {(one.event.kind, one.event.actor) for one in chosen.items} == {("submission.received", name)}


def test_details_of_events_cannot_deceive(record: Record):
    event = record.events[0].model_copy(update={"payload": {"reason": "\u202egnp\u2028" + "x" * 5000}})
    entry = integrity_context(record.model_copy(update={"events": (event,)}))["events"].items[0]
    assert entry.details.isascii() or entry.details.rstrip(" …").isascii()
    assert "\\u202e" in entry.details
    assert len(entry.details) < 500


def test_retries_are_counted_with_their_reasons(record: Record):
    context = integrity_context(record)
    assert context["retries"] == [("public", "lease lost", context["retried"])]
    assert context["retried"] > 0


def test_scores_without_a_sandbox_are_named(record: Record):
    assert integrity_context(record)["unisolated"] == []
    one = next(one for one in record.submissions if one.public is not None)
    bare = one.model_copy(update={"public": one.public.model_copy(update={"isolated": False})})
    changed = record.model_copy(
        update={"submissions": tuple(bare if s.id == one.id else s for s in record.submissions)}
    )
    assert [s.id for s in integrity_context(changed)["unisolated"]] == [one.id]


def test_a_viewers_integrity_has_failures_and_nothing_else(record: Record):
    context = integrity_context(guarded(record))
    assert context["failed"] == sum(one.status == Status.FAILED for one in record.submissions) > 0
    assert context["flags"].items == context["events"].items == []
    assert context["probing"].total == 0
    assert context["looks"] == context["retries"] == []


def test_families_and_what_came_of_them(record: Record):
    table = family_table(record)
    own = [one for one in record.submissions if one.researcher != BASELINE]
    assert sum(row[1] for row in table.rows) == len(own)
    for family, count, who, best, level in table.rows:
        mine = [one for one in own if one.family == family]
        assert count == len(mine)
        assert who == len({one.researcher for one in mine})
        assert best == f"{max(one.told.pgr for one in mine if one.told):.2f}"
        assert level.startswith(str(max(one.level for one in mine).value))


def test_diversity_of_nothing():
    assert diversity_context(made(0, 0)) == {"count": 0}


def test_budgets_are_what_the_study_has(record: Record):
    evaluations, dollars = budgets(record)
    assert (evaluations.used, evaluations.limit) == (record.study.evaluations_used, record.study.evaluations_per_study)
    assert dollars.used == pytest.approx(sum(one.dollars for one in record.charges))
    assert dollars.stop == pytest.approx(99.8)
    free = record.study.model_copy(update={"dollars_per_study": None, "evaluations_per_study": None})
    assert budgets(record.model_copy(update={"study": free})) == []


@pytest.mark.parametrize("sort", ["dollars", "name", "hours", "evaluations", "tokens", "cpu", "gpu", "?"])
def test_the_ledger_lists_researchers_a_page_at_a_time(crowd: Record, sort: str):
    first, last = (ledger_context(crowd, sort=sort, page=page)["rows"] for page in (1, 99))
    assert (first.total, first.pages, len(first.items), last.page) == (200, 4, 50, 4)
    if sort == "dollars":
        assert first.items[0].dollars == max(one.dollars for one in crowd.ledger.researchers)
    assert ledger_context(crowd, q="researcher 20")["rows"].total == 2
    assert len(ledger_context(crowd)["charges"].items) == 50


# Templates


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("size", [(0, 0), (1, 1), (9, 12), (200, 12)], ids=str)
def test_pages_of_any_study_can_be_written_and_stay_small(size: tuple[int, int], exact: bool):
    from aarlab.server.dashboard._people_pages import Chain, Fields

    record = made(*size, hostile=HOSTILE)
    record = record if exact else guarded(record)
    pages = {
        "researchers": researchers_context(record, BEGAN),
        "forum": forum_context(record),
        "integrity": integrity_context(record) | {"chain": Chain(7, None)},
        "diversity": diversity_context(record),
        "ledger": ledger_context(record),
    }
    if record.researchers:
        pages["researcher"] = researcher_context(record, record.researchers[0].name, BEGAN)
    for page, context in pages.items():
        shared = {
            **{"visitor": None, "study": record.study, "page": page, "pages": (), "number": 1, "exact": exact},
            **{"path": "/x", "version": "0", "script": "/s", "style": "/t", "plotly": "/p", "fields": Fields()},
        }
        if exact and page == "researcher":
            shared["visitor"] = type("Somebody", (), {"exact": True, "role": "operator", "csrf": "word"})
        written = environment().get_template(f"{page}.html.j2").render(shared | context)
        assert "<script>window" not in written, page
        assert len(written) < 600_000, (page, len(written))
        assert Level.AUDITED.name not in written
