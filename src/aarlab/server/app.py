"""The application: database, worker and routes, put together."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

import aarlab
from aarlab.api.schemas import PREFIX, Health
from aarlab.errors import AarlabError
from aarlab.server import (
    _openapi,
    _problems,
    _routes_forum,
    _routes_ledger,
    _routes_operator,
    _routes_researcher,
    _routes_snapshots,
    _routes_tokens,
    dashboard,
)
from aarlab.server._bell import Bell
from aarlab.server._board import Board
from aarlab.server._database import Database, served
from aarlab.server._forum import Forum
from aarlab.server._ledger import Ledger
from aarlab.server._limits import Gate, Limits
from aarlab.server._middleware import Authentication, BodyLimit, SafeHeaders
from aarlab.server._patience import Patience
from aarlab.server._protocol import Evaluators
from aarlab.server._queue import Queue
from aarlab.server._secrets import token_hash
from aarlab.server._services import Launch, Services
from aarlab.server._snapshots import Snapshots
from aarlab.server._spells import Spells
from aarlab.server._store import Store
from aarlab.server._tokens import Tokens
from aarlab.server._worker import Worker
from aarlab.server.artifacts import Artifacts
from aarlab.server.record import Recorder

MIN_TOKEN_CHARACTERS = 16


def create_app(
    database: Path | str,
    evaluators: Evaluators,
    operator_token: str,
    workers: int = 1,
    *,
    artifacts: Path | str | None = None,
    launch: Launch | None = None,
    limits: Limits = Limits(),  # noqa: B008 - it cannot be changed
    patience: Patience | None = None,
) -> FastAPI:
    """The server. It opens the database and evaluates only while it is served.

    What is protected: labels, exact public figures, everything of `private` and tokens never
    leave through a researcher's or a viewer's token; a researcher sees its own study only; no request
    passes without a token, but for whether the server answers and what any of its version offers; a token
    that is revoked or expires ends within a second. What is not: what a method itself can see
    (its seed, weak labels, unlabelled inputs) and may tell in the text of its failure; the network (put TLS in front of
    it beyond one machine); and the database file, which keeps code and secrets and belongs to the operator.

    Args:
        database: path of an SQLite file, made if absent, or an SQLAlchemy URL.
        evaluators: gives the evaluator of a testbed by its name.
        operator_token: at least 16 characters; kept as a hash.
        workers: evaluations at a time.
        artifacts: folder or fsspec URL for code, scores and snapshots; the folder `artifacts` beside the SQLite file,
            if None.
        launch: starts a study's team of researchers; None if this server starts none.
        limits: how often anybody may ask.
        patience: how long to wait for what may come right again.

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
        stack = ExitStack()
        try:
            stack.enter_context(served(database))
            opened = await run_in_threadpool(Database, database, patience)
            files = await run_in_threadpool(Artifacts, artifacts)
        except AarlabError as error:
            app.state.failure = error  # for whoever serves it; here it would only be logged
            stack.close()
            raise
        bell, queue, store = Bell(), Queue(opened, files, patience), Store(opened, files)
        worker = Worker(queue, store, evaluators, bell, workers)
        spells = Spells(opened)
        app.state.services = Services(
            database=opened,
            store=store,
            queue=queue,
            worker=worker,
            bell=bell,
            evaluators=evaluators,
            tokens=Tokens(opened, operator_hash),
            forum=Forum(opened),
            board=Board(opened),
            snapshots=Snapshots(opened, files),
            ledger=Ledger(opened),
            spells=spells,
            recorder=Recorder(store, lambda testbed, secret: evaluators(testbed, secret).groups("private")),
            gate=Gate(limits),
            launch=launch,
        )
        try:
            await run_in_threadpool(worker.start)
            spells.start()
            yield
        finally:
            await run_in_threadpool(worker.stop)
            await run_in_threadpool(spells.stop)
            await run_in_threadpool(opened.close)
            stack.close()

    app = FastAPI(
        title="aarlab",
        version=aarlab.__version__,
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere; `_openapi` has one of our own
        redoc_url=None,
        responses=_problems.problem_responses(),
    )
    _problems.install(app)
    dashboard.mount(app)
    app.add_middleware(Authentication)
    app.add_middleware(BodyLimit)
    app.add_middleware(SafeHeaders)  # added last, met first
    for router in (
        _routes_operator.router,
        _routes_operator.submissions,
        _routes_operator.making,
        _routes_operator.shared,
        _routes_ledger.router,
        _routes_ledger.shared,
        _routes_tokens.router,
        _routes_researcher.router,
        _routes_researcher.shared,
        _routes_forum.router,
        _routes_forum.readers,
        _routes_forum.shared,
        _routes_snapshots.router,
        _routes_snapshots.operators,
        _routes_snapshots.shared,
    ):
        app.include_router(router, prefix=PREFIX)

    @app.get(f"{PREFIX}/health")
    async def health() -> Health:
        """The server answers."""
        return Health(status="ok")

    _openapi.install(app)
    return app
