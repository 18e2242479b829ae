"""`aarlab token` against a running server, and `aarlab serve` on a socket file."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from aarlab.api import OperatorClient, ResearcherClient, Unauthorized
from aarlab.api.schemas import Kind, ResearcherCreate, StudyCreate
from aarlab.cli import app
from aarlab.server import create_app, embedded
from double import TOKEN, Double, only

Command = Callable[..., Result]

WIDE = {"COLUMNS": "200"}  # so that no table folds its text


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with embedded(create_app(tmp_path / "study.db", only(Double()), TOKEN)) as started:
        yield started


@pytest.fixture
def token(url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`aarlab token ...` for that server."""
    monkeypatch.setenv("AARLAB_TOKEN", TOKEN)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["token", *arguments, "--url", url], env=WIDE)

    return run


def test_a_token_is_issued_listed_and_revoked(url: str, token: Command):
    issued = token("issue", "viewer", "--label", "for [bold]a colleague", "--hours", "72")
    assert issued.exit_code == 0, issued.output
    secret = issued.stdout.strip()
    assert len(secret) >= 40
    with OperatorClient(url, secret) as viewer:
        assert viewer.studies() == []
        listed = token("list")
        assert "for [bold]a" in listed.stdout  # a narrow terminal folds the rest
        assert "colleague" in listed.stdout
        assert secret not in listed.output
        revoked = token("revoke", "1")
        assert "revoked" in revoked.stdout
        with pytest.raises(Unauthorized):
            viewer.studies()
    assert "revoked" in token("list").stdout


def test_all_of_it_as_json(token: Command):
    issued = json.loads(token("issue", "operator", "--json").stdout)
    assert issued["about"]["role"] == "operator"
    (listed,) = json.loads(token("list", "--json").stdout)
    assert listed == issued["about"]
    revoked = json.loads(token("revoke", str(listed["id"]), "--json").stdout)
    assert revoked["revoked_at"] is not None


def test_a_researchers_token_is_issued_by_name(url: str, token: Command):
    with OperatorClient(url, TOKEN) as operator:
        study = operator.create_study(StudyCreate(testbed="synthetic")).id
        operator.admit(study, ResearcherCreate(name="ada", kind=Kind.HUMAN, direction=""))
    issued = token("issue", "researcher", "--study", study, "--researcher", "ada")
    with ResearcherClient(url, issued.stdout.strip()) as ada:
        assert ada.me().name == "ada"
    assert "no researcher 'eve'" in token("issue", "researcher", "--study", study, "--researcher", "eve").output
    assert "--study" in token("issue", "researcher", "--researcher", "ada").output


@pytest.mark.parametrize("arguments", [("issue", "viewer", "--hours", "-1"), ("revoke", "99"), ("revoke", "0")])
def test_what_cannot_be_is_refused_in_words(token: Command, arguments: tuple[str, ...]):
    refused = token(*arguments)
    assert refused.exit_code != 0
    assert "Traceback" not in refused.output


def test_without_a_token_it_says_which_variable(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AARLAB_TOKEN", raising=False)
    refused = CliRunner().invoke(app, ["token", "list", "--url", url])
    assert refused.exit_code == 1
    assert "AARLAB_TOKEN" in refused.output


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as visitor:
        return visitor.connect_ex(str(path)) == 0


def test_serve_on_a_socket_file_until_interrupted(tmp_path: Path):
    with tempfile.TemporaryDirectory(prefix="s") as short:
        path = Path(short) / "aarlab.sock"
        command = [sys.executable, "-m", "aarlab", "serve", "--unix-socket", str(path), "--database", "kept.db"]
        environment = {**os.environ, "AARLAB_OPERATOR_TOKEN": TOKEN, "COLUMNS": "200"}
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment) as running:
            assert running.stderr is not None
            assert f"unix://{path}" in running.stderr.readline()
            deadline = time.monotonic() + 60
            while not listens(path) and time.monotonic() < deadline:
                time.sleep(0.1)
            with OperatorClient(f"unix://{path}", TOKEN) as operator:
                assert operator.studies() == []
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=20)
        assert running.returncode == 0
        assert not path.exists()
    assert (tmp_path / "kept.db").exists()


def test_serve_says_what_a_database_by_url_needs_and_that_other_hosts_need_tls(tmp_path: Path):
    refused = CliRunner().invoke(app, ["serve", "--database", "postgresql+psycopg:///nowhere"], env=WIDE)
    assert refused.exit_code == 1
    assert "--artifacts" in refused.output
    command = ["serve", "--host", "0.0.0.0", "--database", str(tmp_path), "--unsafe-no-sandbox"]
    # In a thread of its own, since a browser that other tests opened keeps an event loop in this one.
    with ThreadPoolExecutor(1) as pool:
        warned = pool.submit(CliRunner().invoke, app, command, env=WIDE).result()
    assert warned.exit_code == 1  # a folder is no database
    assert "TLS" in warned.output
