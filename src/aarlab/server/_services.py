"""What the routes work with, one set for each running app."""

from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI

from aarlab.api.schemas import Study
from aarlab.errors import AarlabError
from aarlab.server._bell import Bell
from aarlab.server._database import Database
from aarlab.server._forum import Forum
from aarlab.server._models import StudyRow
from aarlab.server._problems import ProblemError
from aarlab.server._protocol import Evaluates, Evaluators
from aarlab.server._queue import Queue
from aarlab.server._store import Store
from aarlab.server._tokens import Tokens
from aarlab.server._views import study_view
from aarlab.server._worker import Worker


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
