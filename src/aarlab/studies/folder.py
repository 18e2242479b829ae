"""The folder of a study: everything it leaves behind.

settings.json         what was asked for
study.json            the study's id on its server, once it has one
study.db              the server's database: code, scores, forum; operator only
researchers/NAME/     each researcher's notebook and methods
leaderboard.json      the outcome, exact figures; operator only
best_method.py        the first of the leaderboard
report.html           the outcome for people
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aarlab.errors import AarlabError
from aarlab.evaluation.guards import DEFAULT
from aarlab.sandbox import SandboxName

SETTINGS, STUDY, LOCK = "settings.json", "study.json", ".lock"


class StudyError(AarlabError):
    """A study cannot start, go on, or be found."""


class Settings(BaseModel):
    """What a study was asked for.

    Attributes:
        testbed: what to do research on.
        student: what methods train; see `aarlab.testbeds.load_testbed`.
        researchers: how many, one direction each; they begin again after the last.
        evaluations: submissions each may have scored.
        seeds: training seeds of each evaluation.
        confirm: how many of the best are audited and looked at on `private`.
        budget: submissions of all researchers together; None leaves it to their own budgets.
        guard: how feedback on the public split is limited.
        seed: fixes the researchers' random choices; not the server's seeds, which are secret.
        workers: evaluations at a time.
        sandbox: where submissions run; see `aarlab.sandbox.choose_sandbox`.
        unsafe: without a sandbox.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    testbed: str = "chat"
    student: str = "probe"
    researchers: Annotated[int, Field(ge=1, le=100)] = 9
    evaluations: Annotated[int, Field(ge=1, le=10_000)] = 12
    seeds: Annotated[int, Field(ge=3, le=64)] = 3
    confirm: Annotated[int, Field(ge=1, le=100)] = 5
    budget: Annotated[int, Field(ge=1)] | None = None
    guard: str = DEFAULT
    seed: int = 0
    workers: Annotated[int, Field(ge=1, le=1000)] = 1
    sandbox: SandboxName = "auto"
    unsafe: bool = False


class _Registered(BaseModel):
    study: str


class StudyFolder:
    """Where a study lives."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self.settings = settings

    @classmethod
    def create(cls, root: Path, settings: Settings) -> "StudyFolder":
        """A new folder under `root`, named after the testbed and the time.

        Raises:
            StudyError: it cannot be written.
        """
        stem = f"{Path(settings.testbed).name}-{datetime.now():%Y%m%d-%H%M%S}"
        try:
            for path in (root / stem, *(root / f"{stem}-{i}" for i in range(2, 100))):
                if not path.exists():
                    path.mkdir(parents=True, mode=0o700)  # labels' traces: the operator's alone
                    _replace(path / SETTINGS, settings.model_dump_json(indent=1))
                    return cls(path, settings)
        except OSError as error:
            raise StudyError(
                f"{root} cannot be written: {error.strerror}.", "Name another folder with --output."
            ) from None
        raise StudyError(f"{root / stem} and its successors exist.", "Wait a second.")

    @classmethod
    def open(cls, path: Path) -> "StudyFolder":
        """The folder of an earlier study.

        Raises:
            StudyError: there is none, or its settings cannot be read.
        """
        try:
            settings = Settings.model_validate_json((path / SETTINGS).read_bytes())
        except OSError:
            raise StudyError(
                f"{path} is no study.", "Name a folder under studies/, as `aarlab run` printed it."
            ) from None
        except ValidationError as error:
            raise StudyError(
                f"{path / SETTINGS} cannot be read: {error.errors()[0]['msg']}.", "Use the version that made it."
            ) from None
        return cls(path, settings)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from running the same study.

        Raises:
            StudyError: one does.
        """
        with (self.path / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StudyError(f"{self.path} is being run already.", "Stop that first, or wait for it.") from None
            yield

    @property
    def database(self) -> Path:
        """The server's database."""
        return self.path / "study.db"

    @property
    def leaderboard(self) -> Path:
        """The outcome as JSON."""
        return self.path / "leaderboard.json"

    @property
    def best_method(self) -> Path:
        """Code of the first of the leaderboard."""
        return self.path / "best_method.py"

    @property
    def report(self) -> Path:
        """The outcome for people."""
        return self.path / "report.html"

    def workspace(self, researcher: str) -> Path:
        """Where a researcher keeps its notebook and methods."""
        return self.path / "researchers" / researcher

    @property
    def study(self) -> str | None:
        """The study's id on its server, once it has one."""
        try:
            return _Registered.model_validate_json((self.path / STUDY).read_bytes()).study
        except FileNotFoundError:
            return None

    def register(self, study: str) -> None:
        """Keep the study's id on its server."""
        _replace(self.path / STUDY, _Registered(study=study).model_dump_json())

    def write(self, path: Path, text: str) -> None:
        """Write a file of the outcome, whole or not at all."""
        _replace(path, text)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)  # noqa: PTH105 - atomic, and said so
