"""The application: database, worker and routes, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

import aarlab
from aarlab.api.schemas import PREFIX, Health
from aarlab.errors import AarlabError
from aarlab.server import _problems, _routes_operator, _routes_researcher
from aarlab.server._bell import Bell
from aarlab.server._database import Database
from aarlab.server._forum import Forum
from aarlab.server._middleware import Authentication, BodyLimit
from aarlab.server._protocol import Evaluators
from aarlab.server._queue import Queue
from aarlab.server._secrets import token_hash
from aarlab.server._services import Services
from aarlab.server._store import Store
from aarlab.server._tokens import Tokens
from aarlab.server._worker import Worker
from aarlab.server.artifacts import Artifacts

MIN_TOKEN_CHARACTERS = 16


def create_app(
    database: Path | str,
    evaluators: Evaluators,
    operator_token: str,
    workers: int = 1,
    *,
    artifacts: Path | str | None = None,
) -> FastAPI:
    """The server. It opens the database and evaluates only while it is served.

    What is protected: labels, exact public figures, everything of `private`, seeds and tokens never
    leave through a researcher's token; a researcher sees its own study only; no request passes without
    a token. What is not: the network (put TLS in front of it beyond one machine), and the database
    file, which keeps code and secrets and belongs to the operator.

    Args:
        database: path of an SQLite file, made if absent, or an SQLAlchemy URL.
        evaluators: gives the evaluator of a testbed by its name.
        operator_token: at least 16 characters; kept as a hash.
        workers: evaluations at a time.
        artifacts: folder or fsspec URL for code, scores and snapshots; the folder `artifacts` beside the SQLite file,
            if None.

    Raises:
        ValueError: the token is too short to be one, or the database is no file and `artifacts` is None.
    """
    if len(operator_token) < MIN_TOKEN_CHARACTERS:
        raise ValueError(f"the operator's token must have at least {MIN_TOKEN_CHARACTERS} characters")
    operator_hash = token_hash(operator_token)
    if artifacts is None:
        if not isinstance(database, Path):
            raise ValueError("name a folder or URL for artifacts, too")
        artifacts = database.with_name("artifacts")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            opened = await run_in_threadpool(Database, database)
            files = await run_in_threadpool(Artifacts, artifacts)
        except AarlabError as error:
            app.state.failure = error  # for whoever serves it; here it would only be logged
            raise
        bell, queue, store = Bell(), Queue(opened, files), Store(opened, files)
        worker = Worker(queue, store, evaluators, bell, workers)
        tokens, forum = Tokens(opened, operator_hash), Forum(opened)
        app.state.services = Services(opened, store, queue, worker, bell, evaluators, tokens, forum)
        try:
            await run_in_threadpool(worker.start)
            yield
        finally:
            await run_in_threadpool(worker.stop)
            await run_in_threadpool(opened.close)

    app = FastAPI(
        title="aarlab",
        version=aarlab.__version__,
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",  # behind a token, like all else
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        responses=_problems.problem_responses(),
    )
    _problems.install(app)
    app.add_middleware(Authentication)
    app.add_middleware(BodyLimit)  # added last, met first
    for router in (
        _routes_operator.router,
        _routes_operator.submissions,
        _routes_researcher.router,
        _routes_researcher.shared,
    ):
        app.include_router(router, prefix=PREFIX)

    @app.get(f"{PREFIX}/health")
    async def health() -> Health:
        """The server answers."""
        return Health(status="ok")

    return app
