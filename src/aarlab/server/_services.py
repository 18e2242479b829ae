"""What the routes work with, one set for each running app."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI

from aarlab.api.schemas import Study, StudyCreate, TeamCreate
from aarlab.errors import AarlabError
from aarlab.server._bell import Bell
from aarlab.server._board import Board
from aarlab.server._database import Database
from aarlab.server._forum import Forum
from aarlab.server._ledger import Ledger
from aarlab.server._limits import Gate
from aarlab.server._models import StudyRow
from aarlab.server._problems import ProblemError
from aarlab.server._protocol import Evaluates, Evaluators
from aarlab.server._queue import Queue
from aarlab.server._secrets import new_secret
from aarlab.server._snapshots import Snapshots
from aarlab.server._spells import Spells
from aarlab.server._store import Store
from aarlab.server._tokens import Tokens
from aarlab.server._views import study_view
from aarlab.server._worker import Worker
from aarlab.server.record import Recorder

#: Starts a study's team, given the study's id; returns at once.
Launch = Callable[[str, TeamCreate], None]


@dataclass(frozen=True)
class Services:
    """Everything behind the routes."""

    database: Database
    store: Store
    queue: Queue
    worker: Worker
    bell: Bell
    evaluators: Evaluators
    tokens: Tokens
    forum: Forum
    board: Board
    snapshots: Snapshots
    ledger: Ledger
    spells: Spells
    recorder: Recorder
    gate: Gate
    launch: Launch | None

    def start_study(self, wanted: StudyCreate, key: str | None = None) -> StudyRow:
        """A study with its baseline queued and its team at work, if it wants one.

        Args:
            wanted: what was asked for.
            key: idempotency key: a study that was started with it is not started again.

        Raises:
            ProblemError: there is no such testbed, this server starts no teams, or the key came with another study.
        """
        if wanted.team is not None and self.launch is None:
            detail = "This server starts no teams."
            advice = "Leave `team` out and admit researchers, or start the server with `aarlab serve`."
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "no-teams", detail, advice)
        known = self.store.made_before(wanted, key)
        if known is not None:
            return known
        secret = new_secret()
        row, new = self.store.create_study(wanted, secret, self.evaluator(wanted.testbed, secret), key)
        self.worker.wake()
        if new and wanted.team is not None and self.launch is not None:
            self.launch(row.id, wanted.team)
        return row

    def evaluator(self, testbed: str, secret: bytes) -> Evaluates:
        """The evaluator of a study, by its testbed and secret.

        Raises:
            ProblemError: there is no such testbed.
        """
        try:
            return self.evaluators(testbed, secret)
        except (KeyError, AarlabError) as error:
            advice = error.advice if isinstance(error, AarlabError) else "Use one that the server was started with."
            detail = f"The testbed {testbed!r} cannot be had here."
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown-testbed", detail, advice) from error

    def study_view(self, row: StudyRow) -> Study:
        """A study as everyone in it may see it."""
        return study_view(row, self.store.spent(row.id))


def services_of(app: FastAPI) -> Services:
    """The services of a running app."""
    services = app.state.services
    assert isinstance(services, Services)
    return services
