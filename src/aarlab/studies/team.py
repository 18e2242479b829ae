"""A team of researchers on one study: from the first submission to the confirmed leaderboard."""

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass

from aarlab.api import OperatorClient, ResearcherClient
from aarlab.api.schemas import (
    Asked,
    Audited,
    Finding,
    Kind,
    Level,
    Researcher,
    ResearcherCreate,
    Row,
    Status,
    Study,
    StudyCreate,
    Submission,
)
from aarlab.audits.probing import ProbingFinding
from aarlab.researchers import DIRECTIONS, ScriptedResearcher
from aarlab.server import Evaluators, create_app, embedded
from aarlab.studies.folder import StudyError, StudyFolder

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
AUDIT_ROUNDS = 3  # how often those that fail their audits are replaced by the next best


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


@dataclass(frozen=True)
class Outcome:
    """What a study came to.

    Attributes:
        study: the study.
        leaderboard: all scored submissions, best first; exact figures.
        submissions: all submissions in the order they came in, failed ones too; guarded figures.
        findings: the forum.
        audits: what the audits found, by submission; of those that were audited.
        probing: sequences of submissions that look like probing for labels.
        log_head: hash of the last entry of the event log, to compare it with later.
        researchers: the team.
        lost: researchers that gave up, with the reason.
        best_code: code of `best`. Written by a researcher: untrusted.
    """

    study: Study
    leaderboard: tuple[Row, ...]
    submissions: tuple[Submission, ...]
    findings: tuple[Finding, ...]
    audits: Mapping[int, tuple[Audited, ...]]
    probing: tuple[ProbingFinding, ...]
    log_head: str
    researchers: tuple[Researcher, ...]
    lost: tuple[tuple[str, str], ...]
    best_code: str | None

    @property
    def best(self) -> Row | None:
        """The first of the leaderboard that a researcher found; None if there is none."""
        return _best(self.leaderboard)

    @property
    def baseline(self) -> Row | None:
        """The baseline's row."""
        return next((row for row in self.leaderboard if not row.direction), None)


class Team:
    """Runs a study in its folder, or goes on with it: what is recorded is not done again."""

    def __init__(self, folder: StudyFolder, evaluators: Evaluators) -> None:
        """Prepare.

        Args:
            folder: of the study; `locked` by the caller.
            evaluators: of its testbed.
        """
        self._folder, self._evaluators = folder, evaluators
        self._settings = folder.settings
        self._stop = threading.Event()
        self._lost: dict[str, str] = {}
        self._finding: Finding | None = None  # the latest

    def run(self, show: Callable[[Progress], None]) -> Outcome:
        """Do the research that is left to do, confirm the best, and return what came of it.

        Args:
            show: called about twice a second while it works.

        Raises:
            StudyError: nothing could be scored.
            KeyboardInterrupt: passed on after a clean stop; run again to go on.
        """
        token = secrets.token_urlsafe(32)
        app = create_app(self._folder.database, self._evaluators, token, self._settings.workers)
        with ExitStack() as stack:
            url = stack.enter_context(embedded(app))
            operator = stack.enter_context(OperatorClient(url, token))
            study = self._study(operator)
            if not study.finished:
                self._research(operator, url, study, show)
                audited = self._audit(operator, study, show)
                self._confirm(operator, study, audited, show)
                study = operator.finish(study.id)
            leaderboard = tuple(operator.leaderboard(study.id))
            best = _best(leaderboard)
            return Outcome(
                study=study,
                leaderboard=leaderboard,
                submissions=tuple(operator.submissions(study.id)),
                findings=tuple(operator.findings(study.id)),
                audits={row.submission: tuple(operator.audits(row.submission)) for row in leaderboard if row.audited},
                probing=tuple(operator.probing(study.id)),
                log_head=operator.events(study.id)[-1].hash,
                researchers=tuple(operator.researchers(study.id)),
                lost=tuple(self._lost.items()),
                best_code=None if best is None else operator.code(best.submission).code,
            )

    def _study(self, operator: OperatorClient) -> Study:
        if (known := self._folder.study) is not None:
            return operator.study(known)
        study = operator.create_study(
            StudyCreate(
                testbed=self._settings.testbed,
                seeds=self._settings.seeds,
                evaluations_per_researcher=self._settings.evaluations,
                evaluations_per_study=self._settings.budget,
                guard=self._settings.guard,
            )
        )
        self._folder.register(study.id)
        return study

    def _research(self, operator: OperatorClient, url: str, study: Study, show: Callable[[Progress], None]) -> None:
        """Let the researchers work until all are done; one that fails leaves the others alone."""
        running: dict[str, Future[None]] = {}
        with ExitStack() as stack, ThreadPoolExecutor(self._settings.researchers) as pool:
            try:
                for number in range(self._settings.researchers):
                    direction = DIRECTIONS[number % len(DIRECTIONS)]
                    name = f"r{number + 1:02}"
                    told = f"{direction.name}: {direction.text}"
                    wanted = ResearcherCreate(name=name, kind=Kind.SCRIPTED, direction=told)
                    token = operator.admit(study.id, wanted).token
                    researcher = ScriptedResearcher(
                        stack.enter_context(ResearcherClient(url, token)),
                        direction,
                        seed=self._settings.seed * 1000 + number,
                        workspace=self._folder.workspace(name),
                    )
                    running[name] = pool.submit(researcher.run, self._stop)
                while not all(future.done() for future in running.values()):
                    show(self._progress(operator, study, "researching", running))
                    wait(running.values(), LOOK_SECONDS)
            finally:
                self._stop.set()
        show(self._progress(operator, study, "researching", running))
        for name, future in running.items():
            if (error := future.exception()) is not None:
                log.warning("%s gave up", name, exc_info=error)
                self._lost[name] = str(error) or type(error).__name__

    def _audit(self, operator: OperatorClient, study: Study, show: Callable[[Progress], None]) -> list[int]:
        """Audit the best, then the next best for those that did not pass; returns whom to look at on `private`."""
        show(self._progress(operator, study, "replicating and auditing the best", {}))
        for _ in range(AUDIT_ROUNDS):
            rows = operator.leaderboard(study.id)
            if not any(row.direction for row in rows):
                raise StudyError(
                    "No method was scored, so there is nothing to confirm.",
                    f"The forum in {self._folder.path} says why.",
                )
            _, missing = choose(rows, self._settings.confirm)
            if not missing:
                break
            self._unless_interrupted(operator.audit(study.id, missing), "audited")
        return choose(operator.leaderboard(study.id), self._settings.confirm)[0]

    def _confirm(
        self, operator: OperatorClient, study: Study, audited: Sequence[int], show: Callable[[Progress], None]
    ) -> None:
        """Score those that passed their audits, and the baseline, on `private`, once."""
        show(self._progress(operator, study, "confirming on private", {}))
        self._unless_interrupted(operator.confirm(study.id, audited), "run on private")

    def _unless_interrupted(self, state: Asked, what: str) -> None:
        if state.interrupted:
            raise StudyError(
                f"{len(state.interrupted)} methods could not be {what}, for no fault of theirs.",
                f"Free some memory and disk, then: aarlab resume {self._folder.path}",
            )

    def _progress(
        self, operator: OperatorClient, study: Study, phase: str, running: Mapping[str, Future[None]]
    ) -> Progress:
        submissions = operator.submissions(study.id)
        researchers = operator.researchers(study.id)
        if new := operator.findings(study.id, after=self._finding.id if self._finding else 0):
            self._finding = new[-1]
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


def _best(leaderboard: Sequence[Row]) -> Row | None:
    return next((row for row in leaderboard if row.direction), None)


def _of(researcher: Researcher, submissions: Sequence[Submission], working: bool) -> ResearcherProgress:
    own = [s for s in submissions if s.researcher == researcher.name]
    scores = [s.feedback.pgr for s in own if s.feedback is not None and s.feedback.pgr is not None]
    return ResearcherProgress(researcher, max(scores, default=None), own[-1].name if own else "", working)
