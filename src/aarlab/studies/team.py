"""A team of researchers on one study: from the first submission to the confirmed leaderboard."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from aarlab.api import OperatorClient
from aarlab.api.schemas import Audited, Finding, Researcher, Row, Study, StudyCreate, Submission, TeamCreate
from aarlab.audits.probing import ProbingFinding
from aarlab.server import Evaluators, create_app, embedded
from aarlab.studies.crew import Crew, Progress
from aarlab.studies.folder import StudyFolder


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

    def run(self, show: Callable[[Progress], None], announce: Callable[[str], None] = lambda _: None) -> Outcome:
        """Do the research that is left to do, confirm the best, and return what came of it.

        Args:
            show: called about twice a second while it works.
            announce: given the address at which a browser can watch and steer the study while it runs; it holds a
                token of the operator's that ends with the run.

        Raises:
            CrewError: nothing could be scored.
            KeyboardInterrupt: passed on after a clean stop; run again to go on.
        """
        token = secrets.token_urlsafe(32)
        app = create_app(self._folder.database, self._evaluators, token, self._settings.workers)
        with ExitStack() as stack:
            url = stack.enter_context(embedded(app))
            operator = stack.enter_context(OperatorClient(url, token))
            study = self._study(operator)
            announce(f"{url}/login?token={token}&next=/studies/{quote(study.id)}")
            crew = Crew(operator, url, study.id, self._plan(), self._folder.workspace)
            study = crew.run(show)
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
                lost=tuple(crew.lost.items()),
                best_code=None if best is None else operator.code(best.submission).code,
            )

    def _plan(self) -> TeamCreate:
        settings = self._settings
        return TeamCreate(researchers=settings.researchers, confirm=settings.confirm, seed=settings.seed)

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
            ),
            key=sha256(self._folder.path.resolve().name.encode()).hexdigest(),  # this may be killed before it is noted
        )
        self._folder.register(study.id)
        return study


def _best(leaderboard: Sequence[Row]) -> Row | None:
    return next((row for row in leaderboard if row.direction), None)
