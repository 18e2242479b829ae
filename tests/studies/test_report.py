"""What researchers wrote is untrusted, also in the report; and the report tells what is on record."""

import base64
import hashlib
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from aarlab.server import Record
from aarlab.studies import Settings, StudyError, StudyFolder
from aarlab.studies.report import read_folder, render_report

EVIL = "</title></script></pre><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}<!--"


class Page(HTMLParser):
    """The elements of a page as a browser finds them, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - its name is the parser's
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        else:
            self.words += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("resolved", [True, False])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_everything_is_escaped(recorded: Callable[..., Record], resolved: bool, count: int):
    page = render_report(recorded(EVIL, resolved=resolved, count=count), lost=[(EVIL, EVIL)])
    found = Page(page)
    programs = [attributes for attributes in found.of("script") if attributes.get("type") != "application/json"]
    assert programs == [{}, {}]  # Plotly and ours
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert not found.of("img")
    assert EVIL in found.words  # as text, the template's braces as well
    data = [s for s, a in zip(found.scripts, found.of("script"), strict=True) if a.get("type") == "application/json"]
    assert data
    assert not any("<" in one for one in data)


def test_what_would_reorder_or_hide_code_is_written_out(recorded: Callable[..., Record]):
    record = recorded()
    sly = [one.model_copy(update={"code": "x = 1  # \u202e\u2066\x1b[2J\u200b"}) for one in record.submissions]
    page = render_report(record.model_copy(update={"submissions": tuple(sly)}))
    assert "x = 1  # ⟨U+202E⟩⟨U+2066⟩⟨U+001B⟩[2J⟨U+200B⟩" in page
    assert not set(page) & set("\u202e\u2066\x1b")


def test_only_the_two_scripts_may_run_and_nothing_is_fetched(recorded: Callable[..., Record]):
    found = Page(render_report(recorded()))
    policy = next(a["content"] for a in found.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    programs = [s for s, a in zip(found.scripts, found.of("script"), strict=True) if not a]
    assert allowed == {base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in programs}
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    assert not found.of("iframe")
    for tag, attributes in found.tags:
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)


def test_warnings_stand_where_figures_prove_nothing(recorded: Callable[..., Record]):
    assert "without a sandbox" in render_report(recorded(isolated=False))
    assert "Feedback was exact" in render_report(recorded(guarded=False))
    unresolved = render_report(recorded(resolved=False))
    assert "PGR cannot be told" in unresolved
    assert "PGR is not resolved" in unresolved
    assert "accuracy 0.700" in unresolved
    assert "Nothing was confirmed" not in unresolved
    assert "Nothing was confirmed" in render_report(recorded(count=0))
    fine = render_report(recorded())
    assert not any(words in fine for words in ("without a sandbox", "Feedback was exact", "PGR cannot be told"))


def test_figures_of_the_record_are_in_it(recorded: Callable[..., Record]):
    record = recorded("a plain name")
    words = unescape(Page(render_report(record, lost=[("a plain name", "its key was refused")])).words)
    for told in ("[-0.20, 1.40]", "+0.040", "< .001", "★ 4 confirmed", "overruled", "Overruled (flagged)", "reading"):
        assert told in words, told
    assert "its key was refused" in words
    assert "exception" in words  # failures too
    assert "timeout" in words
    assert "f" * 64 in words  # where the event log ends


def test_it_can_be_read_without_scripts(recorded: Callable[..., Record]):
    """Each figure has its numbers in a table, or they stand beside it."""
    page = render_report(recorded())
    figures = re.findall(r'<figure id="([^"]+)".*?</figure>', page, re.DOTALL)
    assert len(figures) >= 5
    assert page.count("<noscript>") == len(figures)
    tables = re.findall(r'<details id="([^"]+)-table">', page)
    assert set(figures) - set(tables) == {"failures"}


def test_a_study_that_has_not_begun_has_no_report(tmp_path: Path):
    folder = StudyFolder.create(tmp_path, Settings())
    with pytest.raises(StudyError, match="has not begun") as caught:
        read_folder(folder)
    assert "aarlab resume" in caught.value.advice
