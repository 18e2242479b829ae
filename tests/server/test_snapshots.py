"""Snapshots: what is kept, who gets it back, and what is too much."""

import hashlib
import http.client
import io
import os
import socket
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
import httpx
import pytest

from aarlab.api import Forbidden, NotFound, OperatorClient, Refused, ResearcherClient
from aarlab.api.access import Role, TokenCreate
from aarlab.api.schemas import StudyCreate
from aarlab.api.snapshots import MAX_SNAPSHOT_BYTES, SnapshotKind
from aarlab.server import _snapshots
from aarlab.server.artifacts import Artifacts

PREFIX = "/api/v1"
WORKSPACE, TRANSCRIPT = SnapshotKind.WORKSPACE, SnapshotKind.TRANSCRIPT


@pytest.fixture
def stored(world, tmp_path: Path):
    """Names of all files among the artifacts, once the baseline's are there."""
    (baseline,) = world.operator.submissions(world.study)
    assert world.operator.submission(baseline.id, wait=30).status == "scored"
    return lambda: {path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}


def test_what_was_handed_in_comes_back(world, stored):
    ada = world.admit()
    content = bytes(range(256)) * 20_000  # several buffers
    first = ada.hand_in(content, WORKSPACE, note="after the first day")
    assert (first.researcher, first.bytes, first.note) == ("ada", len(content), "after the first day")
    assert first.sha256 == hashlib.sha256(content).hexdigest()
    assert first.sha256 in stored()
    assert ada.snapshot_content(first.id) == world.operator.snapshot_content(first.id) == content
    assert ada.hand_in(content, WORKSPACE) == first
    second = ada.hand_in(content, TRANSCRIPT)
    assert ada.snapshots() == world.operator.snapshots(world.study) == [first, second]
    log = [event for event in world.operator.events(world.study) if event.kind == "snapshot.received"]
    assert [(event.actor, event.payload["snapshot"]) for event in log] == [("ada", first.id), ("ada", second.id)]
    assert log[0].payload["sha256"] == first.sha256


def test_it_is_downloaded_and_never_shown(world):
    ada = world.admit()
    page = ada.hand_in(b"<script>alert(1)</script>", TRANSCRIPT, note='"; filename=x.html')
    answer = world.operator._http.get(f"/snapshots/{page.id}/content")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="transcript-{page.id}.bin"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_nobody_elses(world):
    ada, bob = world.admit("ada"), world.admit("bob")
    other = world.operator.create_study(StudyCreate(testbed="synthetic", seeds=4)).id
    eve = world.admit("eve", other)
    secret = ada.hand_in(b"secret", WORKSPACE)
    for client in (bob, eve):
        assert client.snapshots() == []
        for absent in (secret.id, 10**6):
            with pytest.raises(NotFound, match=f"There is no snapshot {absent}"):
                client.snapshot_content(absent)
    with OperatorClient(world.url, issued(world, Role.OPERATOR, other)) as stranger, pytest.raises(NotFound):
        stranger.snapshot_content(secret.id)
    viewer = issued(world, Role.VIEWER, world.study)
    with OperatorClient(world.url, viewer) as looking, pytest.raises(Forbidden):
        looking.snapshot_content(secret.id)
    with ResearcherClient(world.url, viewer) as writing, pytest.raises(Forbidden):
        writing.hand_in(b"x", WORKSPACE)
    # That another has the same content cannot be told from the answer, and each has its own.
    assert bob.hand_in(b"secret", WORKSPACE).id != secret.id


def issued(world, role: Role, study: str) -> str:
    answer = world.operator._http.post("/tokens", json=TokenCreate(role=role, study=study).model_dump(mode="json"))
    return answer.json()["token"]


def test_the_largest_goes_through_and_no_larger(world, stored):
    ada = world.admit()
    before = stored()
    for content in (b"x" * (MAX_SNAPSHOT_BYTES + 1), chunks(MAX_SNAPSHOT_BYTES + 1)):
        try:
            answer = ada._http.post("/snapshots", params={"kind": "workspace"}, content=content)
        except httpx.TransportError:  # the server may hang up while we still send
            continue
        assert answer.status_code == 413
    assert stored() == before
    assert ada.hand_in(b"x" * MAX_SNAPSHOT_BYTES, WORKSPACE).bytes == MAX_SNAPSHOT_BYTES
    # No other path takes as much.
    assert ada._http.post("/findings", content=b" " * 600_000).status_code == 413
    assert ada._http.put("/snapshots", content=b" " * 600_000).status_code == 413


def chunks(size: int):
    for begin in range(0, size, 65_536):
        yield b"x" * min(65_536, size - begin)


def test_odd_requests_are_refused(world, stored):
    ada = world.admit()
    before = stored()
    for query, content in (
        ({"kind": "workspace"}, b""),
        ({"kind": "virus"}, b"x"),
        ({}, b"x"),
        ({"kind": "workspace", "note": "x" * 301}, b"x"),
        ({"kind": "workspace", "note": "\x1b[2J"}, b"x"),
        ({"kind": "workspace", "note": "\u202e"}, b"x"),
    ):
        answer = ada._http.post("/snapshots", params=query, content=content)
        assert answer.status_code == 422, query
        assert answer.headers["content-type"] == "application/problem+json"
    assert (stored(), ada.snapshots()) == (before, [])


def test_a_body_that_breaks_off_leaves_nothing(world, stored):
    ada = world.admit()
    before = stored()
    connection = http.client.HTTPConnection(urlsplit(world.url).netloc, timeout=10)
    connection.putrequest("POST", f"{PREFIX}/snapshots?kind=workspace")
    connection.putheader("Authorization", ada._http.headers["authorization"])
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(b"x" * 100_000)
    assert connection.sock is not None
    connection.sock.shutdown(socket.SHUT_WR)
    connection.sock.recv(100_000)  # the answer, or the end: either way the request is over
    connection.close()
    assert ada.hand_in(b"y", WORKSPACE).bytes == 1
    assert len(stored() - before) == 1
    assert [snapshot.bytes for snapshot in ada.snapshots()] == [1]


@pytest.mark.parametrize(("name", "value"), [("MAX_SNAPSHOTS", 2), ("MAX_TOTAL_BYTES", 7)])
def test_nobody_fills_the_disk(world, stored, monkeypatch: pytest.MonkeyPatch, name: str, value: int):
    monkeypatch.setattr(_snapshots, name, value)
    ada, bob = world.admit("ada"), world.admit("bob")
    for content in (b"aaa", b"bbb"):
        ada.hand_in(content, WORKSPACE)
    before = stored()
    with pytest.raises(Refused, match="may hand in"):
        ada.hand_in(b"ccc", WORKSPACE)
    unannounced = ada._http.post("/snapshots", params={"kind": "transcript"}, content=chunks(3))
    assert unannounced.status_code == 409
    assert stored() == before
    assert bob.hand_in(b"ccc", WORKSPACE).bytes == 3


def test_an_archive_is_not_unpacked(world, stored):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../../../tmp/escaped.txt", "x")
        file.writestr("bomb", b"\0" * 10_000_000, zipfile.ZIP_DEFLATED)
    before = stored()
    handed = world.admit().hand_in(archive.getvalue(), WORKSPACE)
    assert stored() - before == {handed.sha256}


@pytest.mark.parametrize("where", ["folder", "memory"])
def test_content_in_pieces_is_kept_whole_or_not_at_all(tmp_path: Path, where: str):
    url = str(tmp_path / "store") if where == "folder" else f"memory://{tmp_path.name}"
    store = Artifacts(url)
    files, root = fsspec.core.url_to_fs(url)
    with store.incoming() as incoming:
        for piece in (b"a", b"", b"bc"):
            incoming.write(piece)
        sha256 = incoming.keep()
    assert (incoming.size, sha256) == (3, hashlib.sha256(b"abc").hexdigest())
    assert store.get(sha256) == b"abc"
    with store.incoming() as again:
        again.write(b"abc")
        assert again.keep() == sha256
    with store.incoming() as dropped:
        dropped.write(b"not kept")
    assert [path.rpartition("/")[2] for path in files.find(root)] == [sha256]


def test_what_a_killed_server_left_of_uploads_is_swept(tmp_path):
    Artifacts(tmp_path)
    old, new = tmp_path / "incoming.0123", tmp_path / "incoming.4567"
    for left in (old, new):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    kept = Artifacts(tmp_path).put(b"whole")
    assert not old.exists()
    assert new.exists(), "another server's, perhaps"
    assert Artifacts(tmp_path).get(kept) == b"whole"
