"""The two clients of the HTTP API: a researcher's and an operator's."""

import time
from collections.abc import Sequence
from urllib.parse import quote

from aarlab.api._http import WAIT_SECONDS, HttpClient
from aarlab.api.schemas import (
    PAGE,
    Admission,
    Ask,
    Asked,
    Audited,
    Code,
    Event,
    Finding,
    FindingCreate,
    Health,
    Overrule,
    Researcher,
    ResearcherCreate,
    Row,
    Standing,
    Status,
    Study,
    StudyCreate,
    Submission,
    SubmissionCreate,
)
from aarlab.audits.probing import ProbingFinding

PATIENCE_SECONDS = 600.0  # for what the server computes while it is waited for


class ResearcherClient(HttpClient):
    """What a researcher can do. All methods raise `ApiError` and its kinds.

    Example:
        with ResearcherClient("http://127.0.0.1:8470", token) as client:
            submission = client.submit(SubmissionCreate(name="vanilla", code=code))
            submission = client.wait(submission.id)
    """

    def me(self) -> Researcher:
        """The researcher, and how much of its budget is spent."""
        return self._get("/me", Researcher)

    def study(self) -> Study:
        """The study, with the testbed's floor and ceiling."""
        return self._get("/study", Study)

    def submit(self, method: SubmissionCreate) -> Submission:
        """Queue a method for evaluation.

        Code that the study already has is not queued again and costs nothing: the earlier submission
        comes back, whoever made it. So this may be repeated safely.

        Raises:
            BudgetExceeded: all evaluations are spent.
            Refused: the study is over, or the method is too large.
        """
        return self._post("/submissions", Submission, method)

    def submissions(self) -> list[Submission]:
        """All submissions of the study, failed ones too, oldest first; guarded figures."""
        return _all_submissions(self, "/submissions")

    def submission(self, submission: int, wait: float = 0.0) -> Submission:
        """A submission of the study.

        Args:
            submission: its id.
            wait: seconds to hold the answer back until it is scored or failed, at most 30.
        """
        return self._get(f"/submissions/{submission}", Submission, wait=wait)

    def wait(self, submission: int, timeout: float | None = None) -> Submission:
        """A submission once it is scored or failed.

        Args:
            submission: its id.
            timeout: seconds after which it is returned as it stands; None waits without end.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = WAIT_SECONDS if end is None else min(WAIT_SECONDS, max(0.0, end - time.monotonic()))
            found = self.submission(submission, wait=left)
            if found.status in (Status.SCORED, Status.FAILED) or (end is not None and time.monotonic() >= end):
                return found

    def code(self, submission: int) -> Code:
        """Code of a submission of the study. Written by another researcher: untrusted."""
        return self._get(f"/submissions/{submission}/code", Code)

    def post(self, finding: FindingCreate) -> Finding:
        """Post on the forum."""
        return self._post("/findings", Finding, finding, repeatable=False)

    def findings(self, after: int = 0) -> list[Finding]:
        """All posts with a larger id than `after`, oldest first. Untrusted text."""
        return _all_findings(self, "/findings", after)

    def board(self) -> list[Standing]:
        """The submissions of the study by guarded figures, best first."""
        return self._get("/board", list[Standing])


class OperatorClient(HttpClient):
    """What the operator can do. All methods raise `ApiError` and its kinds."""

    def health(self) -> Health:
        """Whether the server answers; needs no token."""
        return self._get("/health", Health)

    def create_study(self, study: StudyCreate) -> Study:
        """Start a study: its splits are drawn, floor and ceiling measured, and the baseline queued."""
        return self._call("POST", "/studies", Study, body=study, repeatable=False, seconds=PATIENCE_SECONDS)

    def studies(self) -> list[Study]:
        """All studies of the server, oldest first."""
        return self._get("/studies", list[Study])

    def study(self, study: str) -> Study:
        """A study."""
        return self._get(_path(study), Study)

    def admit(self, study: str, researcher: ResearcherCreate) -> Admission:
        """Admit a researcher; a name that is already admitted gets a new token, and its old one ends."""
        return self._post(_path(study, "researchers"), Admission, researcher)

    def researchers(self, study: str) -> list[Researcher]:
        """The researchers with their budgets."""
        return self._get(_path(study, "researchers"), list[Researcher])

    def submissions(self, study: str) -> list[Submission]:
        """All submissions, failed ones too, oldest first; guarded figures."""
        return _all_submissions(self, _path(study, "submissions"))

    def submission(self, submission: int, wait: float = 0.0) -> Submission:
        """A submission of any study; see `ResearcherClient.submission`."""
        return self._get(f"/submissions/{submission}", Submission, wait=wait)

    def code(self, submission: int) -> Code:
        """Code of a submission of any study. Untrusted."""
        return self._get(f"/submissions/{submission}/code", Code)

    def findings(self, study: str, after: int = 0) -> list[Finding]:
        """All posts with a larger id than `after`, oldest first. Untrusted text."""
        return _all_findings(self, _path(study, "findings"), after)

    def leaderboard(self, study: str) -> list[Row]:
        """The scored submissions with exact figures, best first; the first 200 and the baseline."""
        return self._get(_path(study, "leaderboard"), list[Row])

    def audit(self, study: str, submissions: Sequence[int]) -> Asked:
        """Replicate and audit submissions and the baseline, each once; returns when all are done.

        Those audited before keep their findings, so this may be repeated safely.

        Raises:
            Refused: one of them, or the baseline, has no public score.
        """
        return self._ask(_path(study, "audit"), submissions)

    def audits(self, submission: int) -> list[Audited]:
        """What the audits found in a submission; empty if it was not audited."""
        return self._get(f"/submissions/{submission}/audits", list[Audited])

    def overrule(self, submission: int, audit: str, decision: Overrule) -> Audited:
        """Decide otherwise than an audit did, with a reason; both stay on record."""
        path = f"/submissions/{submission}/audits/{quote(audit, safe='')}/overrule"
        return self._post(path, Audited, decision)

    def probing(self, study: str) -> list[ProbingFinding]:
        """Sequences of submissions that look like probing for labels, the strongest first."""
        return self._call("GET", _path(study, "probing"), list[ProbingFinding], seconds=PATIENCE_SECONDS)

    def events(self, study: str) -> list[Event]:
        """The event log of a study, in order."""
        found: list[Event] = []
        while True:
            page = self._get(_path(study, "events"), list[Event], after=found[-1].number if found else 0, limit=PAGE)
            found += page
            if len(page) < PAGE:
                return found

    def confirm(self, study: str, submissions: Sequence[int]) -> Asked:
        """Score submissions and the baseline on `private`, each once; returns when all are done.

        Those looked at before keep their first answer, so this may be repeated safely; those that the
        server itself could not run are `interrupted` and tried again by the next call.

        Raises:
            Refused: one of them has no public score.
        """
        return self._ask(_path(study, "confirm"), submissions)

    def _ask(self, path: str, submissions: Sequence[int]) -> Asked:
        wanted = Ask(submissions=tuple(submissions))
        while True:
            state = self._post(path, Asked, wanted, wait=WAIT_SECONDS)
            if not state.pending:
                return state

    def finish(self, study: str) -> Study:
        """End a study: it takes no further submissions."""
        return self._post(_path(study, "finish"), Study)


def _path(study: str, *rest: str) -> str:
    return "/".join(("/studies", quote(study, safe=""), *rest))


def _all_submissions(client: HttpClient, path: str) -> list[Submission]:
    found: list[Submission] = []
    while True:
        page = client._get(path, list[Submission], after=found[-1].id if found else 0, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found


def _all_findings(client: HttpClient, path: str, after: int) -> list[Finding]:
    found: list[Finding] = []
    while True:
        page = client._get(path, list[Finding], after=found[-1].id if found else after, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found
