"""Keeps the crews of a server's studies at work: those that are asked for, and those that an earlier life left."""

import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from aarlab.api import ApiError, OperatorClient
from aarlab.api.schemas import TeamCreate
from aarlab.errors import AarlabError
from aarlab.studies.crew import Crew

log = logging.getLogger(__name__)

START_SECONDS = 60.0


class Conductor:
    """Runs a crew for each study that was started with a team, in threads beside the server."""

    def __init__(self, url: str, token: str, folder: Path) -> None:
        """Prepare; `launch` and `go_on` begin.

        Args:
            url: of the server.
            token: an operator's.
            folder: where the researchers' workspaces lie, a folder a study.
        """
        self._url, self._token, self._folder = url, token, folder
        self._lock = threading.Lock()  # guards the two below
        self._crews: dict[str, Crew] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def launch(self, study: str, plan: TeamCreate) -> None:
        """Start the crew of a study; one that is at work already goes on."""
        with self._lock:
            if self._stopping.is_set() or study in self._threads:
                return
            thread = threading.Thread(target=self._conduct, args=(study, plan), name=f"crew-{study}", daemon=True)
            self._threads[study] = thread
            thread.start()

    def _conduct(self, study: str, plan: TeamCreate) -> None:
        try:
            with OperatorClient(self._url, self._token) as operator:
                crew = Crew(operator, self._url, study, plan, lambda name: self._folder / study / name)
                with self._lock:
                    self._crews[study] = crew
                if not self._stopping.is_set():
                    crew.run(lambda _: None)
        except ApiError:
            if not self._stopping.is_set():  # the server left first
                log.exception("the crew of %s stopped; it goes on when the server is started again", study)
        except (AarlabError, OSError):
            log.exception("the crew of %s cannot go on", study)
        finally:
            with self._lock:  # so that it may be started again
                self._crews.pop(study, None)
                self._threads.pop(study, None)

    def go_on(self) -> None:
        """Start the crews of all studies that are not over, once the server answers. Returns at once."""
        threading.Thread(target=self._go_on, name="go-on", daemon=True).start()

    def _go_on(self) -> None:
        try:
            with OperatorClient(self._url, self._token) as operator:
                for study in operator.studies():
                    if study.team is not None and not study.finished:
                        log.info("going on with %s", study.id)
                        self.launch(study.id, study.team)
        except ApiError:
            if not self._stopping.is_set():
                log.exception("what an earlier server left is not gone on with")

    def close(self) -> None:
        """Have all crews stop; what they have submitted stays, and they go on when started again."""
        with self._lock:
            self._stopping.set()
            crews, threads = list(self._crews.values()), list(self._threads.values())
        for crew in crews:
            crew.stop()
        for thread in threads:
            thread.join(START_SECONDS)
