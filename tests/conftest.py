"""Shared fixtures: a small synthetic testbed that takes a second, and the shipped `chat`."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from aarlab.testbeds import (
    PROBE,
    Inputs,
    Manifest,
    Pack,
    Source,
    Testbed,
    Weak,
    calibrate,
    load_testbed,
    make_testbed,
    write_pack,
)
from aarlab.testbeds.texts import TEXTS, digests, write_texts

sys.path.insert(0, str(Path(__file__).parent))  # for `double`, `machine` and `postgres`


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database", choices=("sqlite", "postgresql"), default="sqlite", help="on which the tests of the server run"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sqlite: reads or breaks the SQLite file itself; skipped on PostgreSQL")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("sqlite") and item.config.getoption("--database") != "sqlite":
        pytest.skip("about SQLite")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[object]:
    """A running cluster, a `postgres.Cluster`."""
    postgres = pytest.importorskip("postgres", reason="needs psycopg", exc_type=ImportError)
    folder = postgres.programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.cluster(folder) as started:
        yield started


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A database for the server: an SQLite file to be, or the URL of a PostgreSQL database (`--database`)."""
    if request.config.getoption("--database") == "sqlite":
        return tmp_path / "study.db"
    return request.getfixturevalue("postgresql").fresh()


@pytest.fixture(scope="session")
def browser() -> Iterator["playwright.sync_api.Browser"]:  # noqa: F821
    """Chromium, once."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on this machine; Debian has it as `chromium`")
    with api.sync_playwright() as running:
        started = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def synthetic_pack(seed: int = 0, questions: int = 240, per_question: int = 4, width: int = 12) -> Pack:
    """Pairs whose label is a noisy linear function of the hidden states; words follow it more weakly.

    A further quarter of the questions is out of distribution: their states are half as large.
    """
    rng = np.random.default_rng(seed)
    inside = questions * per_question
    questions += questions // 4
    count = questions * per_question
    truth = rng.normal(size=(3, width))
    hidden = rng.normal(size=(count, 3, width))
    score = np.einsum("nrd,rd->n", hidden, truth) / np.sqrt(3 * width)
    labels = (score + 0.3 * rng.normal(size=count) > 0).astype(np.int8)
    words = rng.poisson(0.3, size=(2 * count, 40))
    words[0::2, :8] += rng.poisson(np.where(labels == 0, 0.25, 0.05)[:, None], size=(count, 8))
    words[1::2, :8] += rng.poisson(np.where(labels == 1, 0.25, 0.05)[:, None], size=(count, 8))
    hidden[inside:] /= 2
    scale = np.full((3, width), 0.05, np.float32)
    manifest = Manifest(
        format=2,
        name="synthetic",
        domain="chat",
        task="pair",
        question="Which has the larger hidden score?",
        examples=count,
        groups=questions,
        sources=(
            Source(name="random", part="id", data="drawn at random", licence="none"),
            Source(name="shifted", part="ood", data="drawn at random, further out", licence="none"),
        ),
        writers=("nobody",),
        recipe={"seed": seed},
        representations=((1, "mean"), (1, "last"), (2, "last")),
        default_representations=((1, "mean"), (1, "last"), (2, "last")),
        templates=("plain",),
        weak=Weak(labels=30),
        splits={"teacher": 0.1, "train": 0.4, "public": 0.25, "private": 0.25},
        draw=0,
    )
    return Pack(
        manifest,
        Inputs(
            hidden=np.clip(np.rint(hidden / scale), -127, 127).astype(np.int8),
            scale=scale,
            margins=(score[:, None, None] + rng.normal(size=(count, 1, 2))).astype(np.float16),
            logprob=rng.normal(size=count).astype(np.float16),
        ),
        sparse.csr_matrix(words),
        labels,
        np.repeat(np.arange(questions), per_question).astype(np.int32),
        source=(np.arange(count) >= inside).astype(np.int8),
        writer=np.zeros((count, 2), np.int16),
        digests=rng.integers(2**63, size=(count, 2), dtype=np.uint64),
    )


@pytest.fixture(scope="session")
def small_pack() -> Pack:
    return synthetic_pack()


@pytest.fixture(scope="session")
def small_testbed(small_pack: Pack) -> Testbed:
    return make_testbed(small_pack)


@pytest.fixture(scope="session")
def chat() -> Testbed:
    return load_testbed("chat")


@pytest.fixture(scope="session")
def worded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small testbed of one's own, with text: the right candidate of nine pairs in ten has a word in it."""
    pack = synthetic_pack(seed=1, questions=80, per_question=2)
    rng = np.random.default_rng(1)
    truthful = np.where(rng.random(len(pack.labels)) < 0.9, pack.labels, 1 - pack.labels)
    rows = [
        (f"Question {group}?", *(f"The answer {n} is {'green' if side == right else 'seven'} ." for side in (0, 1)))
        for n, (group, right) in enumerate(zip(pack.groups, truthful, strict=True))
    ]
    texts = np.array(rows, dtype=np.dtypes.StringDType())
    pack = replace(
        pack,
        digests=digests(texts),
        manifest=pack.manifest.model_copy(update={"name": "worded", "weak": Weak(labels=12)}),
    )
    folder = tmp_path_factory.mktemp("own") / "worded"
    write_pack(pack, folder)
    write_texts(texts, folder / TEXTS)
    calibrate(str(folder), PROBE, 2)
    return folder
