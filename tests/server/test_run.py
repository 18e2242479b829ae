"""Where the server listens, whom it believes, and what it says it offers."""

import inspect
import re
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import BaseModel

from aarlab.api import OperatorClient, Unreachable, access, schemas
from aarlab.api import ledger as ledger_schemas
from aarlab.server import Limits, Rate, create_app, serve
from aarlab.server._openapi import EXAMPLES
from aarlab.server._run import SocketUnusable, _run, _Server, socket_file
from double import TOKEN, Double, only
from routes import OPERATIONS, PREFIX

SLOW = Limits(wrong=Rate(0.001, 2))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: that of a socket may have some hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="s") as short:
        yield Path(short)


@contextmanager
def on_socket(path: Path, folder: Path, proxy: str | None = None, limits: Limits = SLOW) -> Iterator[str]:
    """A server on a socket file."""
    app = create_app(folder / "study.db", only(Double()), TOKEN, limits=limits)
    listening = threading.Event()
    with socket_file(path) as listener:
        server = _Server(app, proxy, listening.set, log_config=None)
        thread = threading.Thread(target=_run, args=(server, listener))
        thread.start()
        try:
            assert listening.wait(30)
            yield f"unix://{path}"
        finally:
            server.should_exit = True
            thread.join()


def test_clients_reach_a_socket_file_that_only_its_owner_may_open(folder: Path):
    path = folder / "aarlab.sock"
    with on_socket(path, folder) as url:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with OperatorClient(url, TOKEN) as operator:
            assert operator.health().status == "ok"
            study = operator.create_study(schemas.StudyCreate(testbed="synthetic"))
            assert [each.id for each in operator.studies()] == [study.id]
    assert not path.exists()
    with OperatorClient(url, TOKEN) as operator, pytest.raises(Unreachable, match="no socket"):
        operator.health()


def test_a_socket_file_is_closed_to_others_before_anybody_can_connect(folder: Path):
    with socket_file(folder / "s") as listener:
        assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as visitor, pytest.raises(ConnectionRefusedError):
            visitor.connect(listener.getsockname())


def test_the_socket_of_a_dead_server_is_replaced(folder: Path):
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with on_socket(path, folder) as url, OperatorClient(url, TOKEN) as operator:
        assert operator.health().status == "ok"


def test_what_is_no_socket_of_a_dead_server_is_left_alone(folder: Path):
    path = folder / "s"
    path.write_text("precious")
    with pytest.raises(SocketUnusable), socket_file(path):
        pass
    assert path.read_text() == "precious"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        with pytest.raises(SocketUnusable, match="already"), socket_file(path):
            pass
    with pytest.raises(SocketUnusable, match="cannot be listened on"), socket_file(folder / "none" / "s"):
        pass
    with pytest.raises(SocketUnusable, match="too long"), socket_file(folder / ("x" * 200)):
        pass


@pytest.mark.parametrize(("proxy", "counted_apart"), [(None, False), ("*", True)])
def test_a_forwarded_address_is_believed_of_the_proxy_that_was_named(
    folder: Path, proxy: str | None, counted_apart: bool
):
    with (
        on_socket(folder / "s", folder, proxy),
        httpx.Client(transport=httpx.HTTPTransport(uds=str(folder / "s"))) as c,
    ):
        answers = [
            c.get(f"http://localhost{PREFIX}/me", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
            for number in range(4)
        ]
    assert answers == ([401] * 4 if counted_apart else [401, 401, 429, 429])


@pytest.mark.parametrize("url", ["http://[::", "nonsense", "ftp://127.0.0.1", "unix://", "unix:///nowhere/s"])
def test_an_address_that_is_none_is_told_so(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aarlab.api._http.DELAYS", ())
    with pytest.raises(Unreachable), OperatorClient(url, TOKEN) as operator:
        operator.health()


# What it offers


class _Page(HTMLParser):
    """What a page asks for, and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "action"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")


def test_the_page_names_every_route_and_asks_nobody_for_anything(world):
    answer = httpx.get(f"{world.url}{PREFIX}/docs")
    assert answer.status_code == 200
    page = _Page()
    page.feed(answer.text)
    for method, path, _ in OPERATIONS:
        assert f"{method} {path}" in answer.text
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "form"})
    assert not {name for name in page.attributes if name.startswith("on")}
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert link == "openapi.json" or (link.startswith("#") and link[1:] in page.ids), link
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert world.study not in answer.text


def test_the_document_is_open_and_says_what_each_route_takes_and_answers(world):
    document = httpx.get(f"{world.url}{PREFIX}/openapi.json").json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = (method, path)
            assert operation["summary"], where
            assert operation["description"], where
            assert any(status.startswith("2") for status in operation["responses"]), where
            if operation.get("tags"):
                assert operation["security"], where
                assert {"401", "403", "429"} <= set(operation["responses"]), where
            assert ("404" in operation["responses"]) or "{" not in path, where
            for status, told in operation["responses"].items():
                assert told["description"], where
                if status.startswith(("4", "5")):
                    assert "application/problem+json" in told["content"], where
    references = set(re.findall(r'"#/components/schemas/(\w+)"', httpx.get(f"{world.url}{PREFIX}/openapi.json").text))
    assert references <= set(document["components"]["schemas"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_taken(name: str):
    schema = next(getattr(where, name) for where in (schemas, access, ledger_schemas) if hasattr(where, name))
    assert issubclass(schema, BaseModel)
    schema.model_validate(EXAMPLES[name])


def test_the_server_listens_on_loopback_unless_told_otherwise(world):
    assert urlsplit(world.url).hostname == "127.0.0.1"
    assert inspect.signature(serve).parameters["host"].default == "127.0.0.1"
