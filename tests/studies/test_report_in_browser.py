"""The report in a real browser: figures are drawn, nothing is fetched, and no script but its own runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aarlab.server import Record
from aarlab.studies import render_report

DRAWN = "[...document.querySelectorAll('figure.figure')].every((figure) => figure.dataset.drawn)"

pytestmark = pytest.mark.slow


class Visit:
    """A page that was opened from a file, and what it complained about or asked for."""

    def __init__(self, browser, file: Path, **context: object) -> None:
        self.page = browser.new_context(**context).new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())


@pytest.fixture
def visit(browser, tmp_path: Path) -> Callable[..., Visit]:
    def opened(text: str, **context: object) -> Visit:
        file = tmp_path / "report.html"
        file.write_text(text, encoding="utf-8")
        return Visit(browser, file, **context)

    return opened


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_figures_are_drawn_and_nothing_is_fetched(
    recorded: Callable[..., Record], visit: Callable[..., Visit], width: int, scheme: str
):
    seen = visit(render_report(recorded()), viewport={"width": width, "height": 800}, color_scheme=scheme)
    seen.page.wait_for_function(DRAWN, timeout=60_000)
    assert seen.page.locator(".plot svg").count() > 0
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width  # tables scroll, the page does not


def test_a_script_that_got_past_the_escaping_does_not_run(recorded: Callable[..., Record], visit: Callable[..., Visit]):
    evil = '<script>window.evil = 1</script><img src="x" onerror="window.evil = 2">'
    page = render_report(recorded("a plain name")).replace("<h2 id=", f"{evil}<h2 id=", 1)
    assert evil in page
    seen = visit(page)
    seen.page.wait_for_function(DRAWN, timeout=60_000)
    assert seen.page.evaluate("window.evil") is None
    assert any("Content Security Policy" in complaint for complaint in seen.complaints)


def test_all_but_the_figures_can_be_read_without_scripts(recorded: Callable[..., Record], visit: Callable[..., Visit]):
    seen = visit(render_report(recorded("a plain name")), java_script_enabled=False)
    told = seen.page.locator("main").inner_text()
    for words in ("Leaderboard", "4 confirmed", "+0.040", "This figure needs JavaScript", "exception"):
        assert words in told
    seen.page.locator("#progress-table summary").click()
    assert seen.page.locator("#progress-table table").is_visible()
