"""The arena: a server with default settings, real HTTP, a real database, the real sandbox, and secrets to be found."""

import os
import secrets
import socket
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.schemas import Kind, ResearcherCreate, StudyCreate, Submission, SubmissionCreate
from aarlab.attacks._evaluators import BALLOTS, Ballots, Recorded
from aarlab.attacks._programs import NAME as PROGRAMS
from aarlab.attacks._programs import programs_pack
from aarlab.errors import AarlabError
from aarlab.evaluation import Evaluation, seed_limits
from aarlab.sandbox import Limits, Sandbox
from aarlab.server import create_app, embedded
from aarlab.students import Runtime
from aarlab.testbeds import Split, Testbed, load_pack, load_testbed
from aarlab.testbeds.redraw import secret_draw

CANARY = "AARLAB_CANARY"  # a variable of the server's environment that no attack may learn


class Arena:
    """A live server and what attackers are given: its address, and everything about it that is no secret.

    Attackers know more than a researcher would: where the database lies, on which port the server listens, the whole
    data set with its labels where an attack wants that. What must hold does not rest on hiding those.

    Attributes:
        url: the server's address.
        folder: the operator's; holds the database.
        database: the database file.
        canary: a secret in the server's memory, in its environment and in a file beside the database.
        sockets: unix sockets that a process of the operator listens on.
        sandbox: what submissions run in.
        operator: the operator's client.
        queries: adaptive queries that an attack on the guard may ask.
    """

    def __init__(self, folder: Path, sandbox: Sandbox, queries: int, say: Callable[[str], None]) -> None:
        """Prepare; `open_arena` starts the server."""
        self.folder, self.sandbox, self.queries, self.say = folder, sandbox, queries, say
        self.database = folder / "study.db"
        self.canary = secrets.token_hex(16)
        self.token = secrets.token_urlsafe(32)
        self.sockets: list[str] = []
        self.url = ""
        self.operator: OperatorClient
        self._lock = threading.RLock()  # guards the evaluators and the clients
        self._founding = threading.RLock()
        self._clients = ExitStack()
        self._evaluators: dict[tuple[str, bytes], Recorded] = {}
        self._making: dict[tuple[str, bytes], threading.Lock] = {}
        self._drawn: dict[str, Testbed] = {}
        self._studies: dict[tuple[str, str | None, int | None], str] = {}
        self._stopped = threading.Event()

    def __call__(self, testbed: str, secret: bytes) -> Recorded:
        """The evaluator of a study, as the server asks for it: on splits that the study's secret draws.

        Args:
            testbed: a name of the catalogue, "programs", or one of `BALLOTS`, which keep the testbed's own draw.
            secret: the study's.
        """
        key = (testbed, secret)
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:  # nobody who asks for another study waits
            if key not in self._evaluators:
                self.check()
                self._evaluators[key] = self._make(testbed, secret)
            return self._evaluators[key]

    def _make(self, testbed: str, secret: bytes) -> Recorded:
        if testbed in BALLOTS:
            with self._lock:
                if testbed not in self._drawn:
                    self._drawn[testbed] = load_testbed(BALLOTS[testbed])
            return Ballots(self._drawn[testbed], self.sandbox)
        pack, texts = programs_pack() if testbed == PROGRAMS else load_pack(testbed)
        return Recorded(secret_draw(pack, secret, texts=texts), self.sandbox)

    def evaluator(self, study: str) -> Recorded:
        """The evaluator of a study; its secret is read from the server's database, which is ours."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            testbed, secret = database.execute("SELECT testbed, secret FROM studies WHERE id = ?", (study,)).fetchone()
        return self(testbed, secret)

    def given(self, study: str, code: str, split: Split) -> Evaluation | None:
        """What the server measured of this code on a split; None if it has no score."""
        return self.evaluator(study).given.get((code, split))

    def vanilla_code(self, study: str) -> str:
        """Code of a study's baseline."""
        return self.evaluator(study).vanilla_code()

    def check(self) -> None:
        """Go no further once it was told to stop.

        Raises:
            AarlabError: it was.
        """
        if self.closed:
            raise AarlabError("The attack suite is stopping.")

    @property
    def closed(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped.is_set()

    @property
    def limits(self) -> Limits:
        """What one seed may use."""
        return seed_limits(Runtime())

    def study(self, testbed: str, guard: str | None = None, evaluations: int | None = None) -> str:
        """A study with the server's defaults, made once for all that ask for the same.

        Args:
            testbed: name of the testbed.
            guard: the leakage guard; default the server's.
            evaluations: budget of each researcher; default the server's.
        """
        with self._founding:
            key = (testbed, guard, evaluations)
            if key not in self._studies:
                self._studies[key] = self.new_study(testbed, guard, evaluations)
            return self._studies[key]

    def new_study(self, testbed: str, guard: str | None = None, evaluations: int | None = None) -> str:
        """A study that no other attack is in; see `study`."""
        asked: dict[str, object] = {"testbed": testbed}
        if guard is not None:
            asked["guard"] = guard
        if evaluations is not None:
            asked["evaluations_per_researcher"] = evaluations
        wanted = StudyCreate.model_validate(asked)
        with self._founding:  # drawing two testbeds at a time would only make both late
            return self.operator.create_study(wanted).id

    def admit(self, study: str, name: str) -> ResearcherClient:
        """A researcher of a study."""
        self.check()
        admission = self.operator.admit(study, ResearcherCreate(name=name, kind=Kind.EXTERNAL, direction="attacks"))
        client = ResearcherClient(self.url, admission.token)
        with self._lock:
            self._clients.push(client)
        return client

    def submit(self, client: ResearcherClient, name: str, code: str) -> Submission:
        """Submit a method and wait until it is scored or has failed.

        Raises:
            ApiError: the server refused it.
        """
        self.check()
        return client.wait(client.submit(SubmissionCreate(name=name, code=code)).id)

    def close(self) -> None:
        """End what still runs."""
        self._stopped.set()
        with self._lock:
            evaluators = list(self._evaluators.values())
        for evaluator in evaluators:
            evaluator.close()
        self._clients.close()


@contextmanager
def open_arena(
    sandbox: Sandbox, workers: int, queries: int = 2000, say: Callable[[str], None] = lambda _: None
) -> Iterator[Arena]:
    """A server that runs while the block does, on a database of its own.

    Args:
        sandbox: what submissions run in.
        workers: evaluations at a time.
        queries: adaptive queries that an attack on the guard may ask.
        say: told what happens.
    """
    with tempfile.TemporaryDirectory(prefix="aarlab-arena-") as name, ExitStack() as stack:
        arena = Arena(Path(name), sandbox, queries, say)
        app = create_app(arena.database, arena, arena.token, workers)
        arena.url = stack.enter_context(embedded(app))
        stack.callback(arena.close)  # before the server stops, so that it waits for no evaluation
        arena.operator = stack.enter_context(OperatorClient(arena.url, arena.token))
        (arena.folder / "operator.txt").write_text(arena.canary, encoding="utf-8")
        stack.enter_context(_planted(arena.canary))
        arena.sockets += [
            stack.enter_context(_listening(f"{prefix}{arena.canary[:8]}")) for prefix in (f"{name}/", "\0")
        ]
        yield arena


@contextmanager
def _planted(canary: str) -> Iterator[None]:
    """The canary in this process's environment."""
    before = os.environ.get(CANARY)
    os.environ[CANARY] = canary
    try:
        yield
    finally:
        del os.environ[CANARY]
        if before is not None:
            os.environ[CANARY] = before


@contextmanager
def _listening(address: str) -> Iterator[str]:
    """A unix socket that takes connections; an address that begins with NUL is abstract."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        yield address


def signal_of(result: Evaluation) -> float:
    """What a hostile method told by its predictions: the largest share of success of its seeds, in [0, 1].

    Raises:
        ValueError: the predictions are no signal.
    """
    predictions = result.predictions.astype(np.float64)
    if np.ptp(predictions, axis=1).max() > 1e-3:
        raise ValueError("the predictions differ from example to example, so they are no signal")
    return round(float((predictions.mean(axis=1).max() - 0.1) / 0.8), 6)
