"""A real server on a real database, reached over HTTP; only the sandboxed evaluation is a double."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.schemas import Kind, ResearcherCreate, StudyCreate
from aarlab.server import Limits, create_app, embedded
from aarlab.server._patience import Patience
from double import TOKEN, Double, only

QUICK = Patience(retry_seconds=0.02)
LIMITS = Limits()


@dataclass
class World:
    """A running server with one study and a way to admit researchers to it."""

    url: str
    database: Path | str
    double: Double
    operator: OperatorClient
    study: str
    admit: Callable[..., ResearcherClient]


@pytest.fixture
def serving(tmp_path: Path, database: Path | str) -> Callable[..., AbstractContextManager[World]]:
    """Starts a server on the test's database; may be used again after it has stopped."""

    @contextmanager
    def start(
        *,
        double: Double | None = None,
        workers: int = 1,
        evaluations: int = 5,
        study: str | None = None,
        patience: Patience = QUICK,
        limits: Limits = LIMITS,
    ) -> Iterator[World]:
        double = double or Double()
        app = create_app(
            database,
            only(double),
            TOKEN,
            workers,
            artifacts=tmp_path / "artifacts",
            limits=limits,
            patience=patience,
        )
        with ExitStack() as stack:
            url = stack.enter_context(embedded(app))
            operator = stack.enter_context(OperatorClient(url, TOKEN))
            if study is None:
                study = operator.create_study(
                    StudyCreate(testbed="synthetic", evaluations_per_researcher=evaluations)
                ).id

            def admit(name: str = "ada", study: str = study) -> ResearcherClient:
                admission = operator.admit(
                    study, ResearcherCreate(name=name, kind=Kind.SCRIPTED, direction=f"what {name} likes")
                )
                return stack.enter_context(ResearcherClient(url, admission.token))

            yield World(url, database, double, operator, study, admit)

    return start


@pytest.fixture
def world(serving: Callable[..., AbstractContextManager[World]]) -> Iterator[World]:
    with serving() as started:
        yield started
