"""The two clients of the HTTP API: a researcher's and an operator's."""

import time
import uuid
from collections.abc import Sequence
from typing import Literal, Unpack
from urllib.parse import quote

from aarlab.api._http import WAIT_SECONDS, HttpClient
from aarlab.api._ledger_calls import LedgerCalls
from aarlab.api.access import Issued, Token, TokenCreate
from aarlab.api.forum import Changed, Which
from aarlab.api.schemas import (
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
    Vote,
)
from aarlab.api.snapshots import Snapshot, SnapshotKind
from aarlab.audits.probing import ProbingFinding

TRANSFER_SECONDS = 300.0  # for a snapshot over a slow line
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
        return self._list("/submissions", Submission)

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

    # The forum

    def post(self, finding: FindingCreate) -> Finding:
        """Post on the forum, once, however often it had to be sent."""
        return self._post("/findings", Finding, finding, key=str(uuid.uuid4()))

    def findings(self, after: int = 0, limit: int | None = None, **which: Unpack[Which]) -> list[Finding]:
        """Posts with a larger id than `after`, oldest first. Untrusted text.

        Args:
            after: an id.
            limit: how many at most, up to 200; None is all.
            which: what they must be.
        """
        if limit is not None:
            return self._get("/findings", list[Finding], after=after, limit=limit, **which)
        return self._list("/findings", Finding, after=after, **which)

    def finding(self, finding: int) -> Finding:
        """A post of the study. Untrusted text."""
        return self._get(f"/findings/{finding}", Finding)

    def search(self, words: str, limit: int = 20, **which: Unpack[Which]) -> list[Finding]:
        """Posts that hold all of some words, the most relevant first. Untrusted text.

        Args:
            words: those to look for; a phrase stands in double quotes.
            limit: how many posts at most, up to 200.
            which: what else they must be.
        """
        return self._get("/findings", list[Finding], q=words, limit=limit, **which)

    def changed(self, after: int = 0) -> Changed:
        """Posts whose votes or figure have changed; `after` is `upto` of the answer before."""
        return self._get("/findings/changed", Changed, after=after)

    def vote(self, finding: int, value: Literal[-1, 0, 1]) -> Finding:
        """Vote for or against another's post, or take that back with 0. The last vote counts.

        Raises:
            Forbidden: it is one's own.
        """
        return self._post(f"/findings/{finding}/vote", Finding, Vote(value=value))

    # Snapshots, and the board

    def hand_in(self, content: bytes, kind: SnapshotKind, note: str = "") -> Snapshot:
        """Hand in a file, such as the packed workspace. The same content is kept once, so this may be repeated safely.

        Args:
            content: at most `MAX_SNAPSHOT_BYTES`.
            kind: what it is.
            note: a line about it.

        Raises:
            Refused: it is empty or too large, or the researcher has handed in as much as one may.
        """
        query = {"kind": kind.value, "note": note}
        return self._call("POST", "/snapshots", Snapshot, body=content, query=query, seconds=TRANSFER_SECONDS)

    def snapshots(self) -> list[Snapshot]:
        """What this researcher handed in, oldest first."""
        return self._list("/snapshots", Snapshot)

    def snapshot_content(self, snapshot: int) -> bytes:
        """What this researcher handed in, as it was."""
        return self._call("GET", f"/snapshots/{snapshot}/content", bytes, seconds=TRANSFER_SECONDS)

    def board(self) -> list[Standing]:
        """The submissions of the study by guarded figures, best first."""
        return self._get("/board", list[Standing])


class OperatorClient(LedgerCalls):
    """What the operator can do. All methods raise `ApiError` and its kinds.

    A viewer may call those that read studies, submissions, code, findings and the board.
    """

    def health(self) -> Health:
        """Whether the server answers; needs no token."""
        return self._get("/health", Health)

    def create_study(self, study: StudyCreate, key: str | None = None) -> Study:
        """Start a study: its splits are drawn, floor and ceiling measured, and the baseline queued.

        One study, however often the request had to be sent.

        Args:
            study: what is wanted.
            key: names the request; a study that was started with it comes back. None takes a new one.
        """
        key = key or str(uuid.uuid4())
        return self._call("POST", "/studies", Study, body=study, key=key, seconds=PATIENCE_SECONDS)

    def studies(self) -> list[Study]:
        """All studies of the server that the token opens, oldest first."""
        return self._list("/studies", Study)

    def study(self, study: str) -> Study:
        """A study."""
        return self._get(_path(study), Study)

    def admit(self, study: str, researcher: ResearcherCreate) -> Admission:
        """Admit a researcher; a name that is already admitted gets a new token, and its old one ends."""
        return self._post(_path(study, "researchers"), Admission, researcher)

    def researchers(self, study: str) -> list[Researcher]:
        """The researchers with their budgets."""
        return self._list(_path(study, "researchers"), Researcher)

    def submissions(self, study: str) -> list[Submission]:
        """All submissions, failed ones too, oldest first; guarded figures."""
        return self._list(_path(study, "submissions"), Submission)

    def submission(self, submission: int, wait: float = 0.0) -> Submission:
        """A submission of any study; see `ResearcherClient.submission`."""
        return self._get(f"/submissions/{submission}", Submission, wait=wait)

    def code(self, submission: int) -> Code:
        """Code of a submission of any study. Untrusted."""
        return self._get(f"/submissions/{submission}/code", Code)

    def findings(self, study: str, after: int = 0, **which: Unpack[Which]) -> list[Finding]:
        """All posts with a larger id than `after`, oldest first. Untrusted text."""
        return self._list(_path(study, "findings"), Finding, after=after, **which)

    def board(self, study: str) -> list[Standing]:
        """The submissions of a study by guarded figures, best first: what its researchers see."""
        return self._get(_path(study, "board"), list[Standing])

    def snapshots(self, study: str) -> list[Snapshot]:
        """What all researchers handed in, oldest first."""
        return self._list(_path(study, "snapshots"), Snapshot)

    def snapshot_content(self, snapshot: int) -> bytes:
        """Content of a snapshot of any study. Untrusted: unpack it where it can do no harm."""
        return self._call("GET", f"/snapshots/{snapshot}/content", bytes, seconds=TRANSFER_SECONDS)

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
        return self._list(_path(study, "events"), Event)

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

    # Tokens

    def issue(self, token: TokenCreate) -> Issued:
        """Give out a token, which is shown this once.

        It is not repeated should the answer be lost on its way: look into `tokens`, and revoke what nobody has.
        """
        return self._post("/tokens", Issued, token, repeatable=False)

    def tokens(self) -> list[Token]:
        """The tokens that were given out, over or not, oldest first: never the tokens themselves."""
        return self._list("/tokens", Token)

    def revoke(self, token: int) -> Token:
        """End a token, by its id, for good; ending it again changes nothing."""
        return self._post(f"/tokens/{token}/revoke", Token)

    def finish(self, study: str) -> Study:
        """End a study: it takes no further submissions."""
        return self._post(_path(study, "finish"), Study)


def _path(study: str, *rest: str) -> str:
    return "/".join(("/studies", quote(study, safe=""), *rest))
