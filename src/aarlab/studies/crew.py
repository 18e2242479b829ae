"""A crew of scripted researchers that works on a study at a server, and the audits and confirmation that follow."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.schemas import (
    Asked,
    Finding,
    Kind,
    Level,
    Researcher,
    ResearcherCreate,
    Row,
    Status,
    Study,
    Submission,
    TeamCreate,
)
from aarlab.errors import AarlabError
from aarlab.researchers import DIRECTIONS, ScriptedResearcher

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
REST = 9.0  # between two looks, as a multiple of what the last took: it grows with the study
AUDIT_ROUNDS = 3  # how often those that fail their audits are replaced by the next best


class CrewError(AarlabError):
    """A crew's study cannot be carried to its end."""


@dataclass(frozen=True)
class ResearcherProgress:
    """How far one researcher is.

    Attributes:
        researcher: name, direction, budget.
        best: its best guarded PGR so far; None if it has none.
        latest: name of its latest submission.
        working: whether it still does research.
    """

    researcher: Researcher
    best: float | None
    latest: str
    working: bool


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes:
        phase: what happens now, in words.
        evaluated: public evaluations done.
        planned: public evaluations in all budgets together.
        failed: how many of those done gave no score.
        researchers: each one's.
        finding: the latest post.
    """

    phase: str
    evaluated: int
    planned: int
    failed: int
    researchers: tuple[ResearcherProgress, ...]
    finding: Finding | None


class Crew:
    """Works on a study until its budgets are spent or the operator ends it. What is recorded is not done again.

    It knows the server through its HTTP API only, so it runs beside it or elsewhere.
    """

    def __init__(
        self, operator: OperatorClient, url: str, study: str, plan: TeamCreate, workspace: Callable[[str], Path]
    ) -> None:
        """Prepare.

        Args:
            operator: admits the researchers, audits and confirms.
            url: of the server, for the researchers' own clients.
            study: id of the study.
            plan: how many researchers, how many to confirm, and what fixes their random choices.
            workspace: folder of a researcher, by its name.
        """
        self._operator, self._url, self._study, self._plan, self._workspace = operator, url, study, plan, workspace
        self._stop = threading.Event()
        self._finding: Finding | None = None  # the latest
        self.lost: dict[str, str] = {}  # researchers that gave up, with the reason

    def stop(self) -> None:
        """Have the researchers stop soon; what they have submitted stays."""
        self._stop.set()

    def run(self, show: Callable[[Progress], None]) -> Study:
        """Do the research that is left to do, audit and confirm the best, and end the study.

        If the operator ends it before, nothing is audited or confirmed: that is theirs to ask for.

        Args:
            show: called about twice a second while it works, less often in a large study.

        Returns:
            The study as it stands; unfinished only if `stop` was called.

        Raises:
            CrewError: all researchers gave up, nothing could be scored, or the server could not run what it should.
        """
        if self._operator.study(self._study).finished:
            return self._operator.study(self._study)
        self._research(show)
        study = self._operator.study(self._study)
        if study.finished or self._stop.is_set():
            return study
        if len(self.lost) == self._plan.researchers:  # to end the study now would throw away what is left of it
            told = "; ".join(f"{name}: {why}" for name, why in self.lost.items())
            raise CrewError(f"All researchers gave up. {told}", "See to that, then go on with `aarlab resume`.")
        audited = self._audit(show)
        show(self._progress("confirming on private", {}))
        self._unless_interrupted(self._operator.confirm(self._study, audited), "run on private")
        return self._operator.finish(self._study)

    def _research(self, show: Callable[[Progress], None]) -> None:
        """Let the researchers work until all are done; one that fails leaves the others alone."""
        running: dict[str, Future[None]] = {}
        with ExitStack() as stack, ThreadPoolExecutor(self._plan.researchers) as pool:
            try:
                for number in range(self._plan.researchers):
                    direction = DIRECTIONS[number % len(DIRECTIONS)]
                    name = f"r{number + 1:02}"
                    told = f"{direction.name}: {direction.text}"
                    wanted = ResearcherCreate(name=name, kind=Kind.SCRIPTED, direction=told)
                    token = self._operator.admit(self._study, wanted).token
                    researcher = ScriptedResearcher(
                        stack.enter_context(ResearcherClient(self._url, token)),
                        direction,
                        seed=self._plan.seed * 1000 + number,
                        workspace=self._workspace(name),
                    )
                    running[name] = pool.submit(researcher.run, self._stop)
                while not all(future.done() for future in running.values()):
                    began = time.monotonic()
                    show(self._progress("researching", running))
                    wait(running.values(), max(LOOK_SECONDS, REST * (time.monotonic() - began)))
            except BaseException:
                self._stop.set()
                raise
        show(self._progress("researching", running))
        for name, future in running.items():
            if (error := future.exception()) is not None:
                log.warning("%s gave up", name, exc_info=error)
                self.lost[name] = str(error) or type(error).__name__

    def _audit(self, show: Callable[[Progress], None]) -> list[int]:
        """Audit the best, then the next best for those that did not pass; returns whom to look at on `private`."""
        show(self._progress("replicating and auditing the best", {}))
        for _ in range(AUDIT_ROUNDS):
            rows = self._operator.leaderboard(self._study)
            if not any(row.direction for row in rows):
                raise CrewError("No method was scored, so there is nothing to confirm.", "The forum says why.")
            _, missing = choose(rows, self._plan.confirm)
            if not missing:
                break
            self._unless_interrupted(self._operator.audit(self._study, missing), "audited")
        return choose(self._operator.leaderboard(self._study), self._plan.confirm)[0]

    @staticmethod
    def _unless_interrupted(state: Asked, what: str) -> None:
        if state.interrupted:
            raise CrewError(
                f"{len(state.interrupted)} methods could not be {what}, for no fault of theirs.",
                "Free some memory and disk, then go on with `aarlab resume`.",
            )

    def _progress(self, phase: str, running: Mapping[str, Future[None]]) -> Progress:
        submissions = self._operator.submissions(self._study)
        researchers = self._operator.researchers(self._study)
        if new := self._operator.findings(self._study, after=self._finding.id if self._finding else 0):
            self._finding = new[-1]
        if self._operator.study(self._study).paused:
            phase = "paused"
        ended = [s for s in submissions if s.status in (Status.SCORED, Status.FAILED)]
        return Progress(
            phase=phase,
            evaluated=len(ended),
            planned=1 + sum(r.evaluations_limit for r in researchers),
            failed=sum(s.status == Status.FAILED for s in ended),
            researchers=tuple(
                _of(r, submissions, r.name in running and not running[r.name].done()) for r in researchers
            ),
            finding=self._finding,
        )


def choose(rows: Sequence[Row], count: int) -> tuple[list[int], list[int]]:
    """What to look at on `private`, and what to audit so that there is something to look at.

    At most one method of each researcher: a team converges, and the best few are often one method with different
    numbers; looking at all of them would spend the family's error rate on one claim. Those looked at before stay
    chosen, however the rest is ranked now, so that an interrupted confirmation asks for no others.

    Args:
        rows: the leaderboard, best first.
        count: how many at most.

    Returns:
        Submissions that passed their audits; and the best of the other researchers that were not audited yet, as many
        as are missing.
    """
    found = [row for row in rows if row.direction]
    looked = [row for row in found if row.accuracy_private is not None or row.failure_private is not None]
    passed = [row for row in found if row.level >= Level.AUDITED and row not in looked]
    chosen = _one_each(looked, passed)[:count]
    taken = {row.researcher for row in chosen}
    rest = [row for row in found if row.researcher not in taken and not row.audited]
    missing = _one_each([], rest)[: count - len(chosen)]
    return [row.submission for row in chosen], [row.submission for row in missing]


def _one_each(anyway: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Some rows, and the first of each further researcher."""
    found = list(anyway)
    for row in rows:
        if row.researcher not in {other.researcher for other in found}:
            found.append(row)
    return found


def _of(researcher: Researcher, submissions: Sequence[Submission], working: bool) -> ResearcherProgress:
    own = [s for s in submissions if s.researcher == researcher.name]
    scores = [s.feedback.pgr for s in own if s.feedback is not None and s.feedback.pgr is not None]
    return ResearcherProgress(researcher, max(scores, default=None), own[-1].name if own else "", working)
