"""A study to look at, ways to look at it, and one browser for all."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from aarlab.server._database import Database
from aarlab.server._store import Store
from aarlab.server.artifacts import Artifacts
from aarlab.server.record import Record, read_record
from demo import Demo, demo
from double import Double

SECONDS = 20.0


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demonstration study, small; for tests that leave it as it is."""
    with demo(tmp_path_factory.mktemp("demo"), researchers=6, rounds=3) as made:
        yield made


@pytest.fixture(scope="session")
def record(shown: Demo) -> Record:
    """The record of the demonstration study, as it stands when it is first asked for."""
    database = Database(shown.database)
    try:
        store = Store(database, Artifacts(shown.database.with_name("artifacts")))
        return read_record(store, shown.study, Double())
    finally:
        database.close()


@pytest.fixture
def visit() -> Iterator[Callable[[str, str], httpx.Client]]:
    """Logs in and gives a client that sends forms as a browser would."""
    with_cookies: list[httpx.Client] = []

    def log_in(url: str, token: str) -> httpx.Client:
        http = httpx.Client(
            base_url=url, headers={"Origin": url, "Accept": "text/html"}, follow_redirects=True, timeout=SECONDS
        )
        with_cookies.append(http)
        assert http.post("/login", data={"token": token}).status_code == 200
        return http

    yield log_in
    for http in with_cookies:
        http.close()


@pytest.fixture
def opened(browser) -> Iterator[Callable[..., "playwright.sync_api.Page"]]:  # noqa: F821
    """Logs a browser in and gives its page. In the end, nothing may have gone wrong in it, or been asked elsewhere."""
    contexts, faults = [], []

    def open_page(url: str, token: str, path: str = "/", *, width: int = 1280, dark: bool = False, script: bool = True):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith((url, "data:")) else faults.append(asked.url))
        page.goto(f"{url}/login?token={token}&next={path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
