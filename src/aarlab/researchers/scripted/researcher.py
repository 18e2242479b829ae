"""A researcher that runs by script: reads the forum, writes a method, submits it, reads the score, tells the others."""

import threading
from pathlib import Path

import numpy as np

from aarlab.api import BudgetExceeded, Refused, ResearcherClient
from aarlab.api.mirror import Mirror
from aarlab.api.schemas import FindingCreate, FindingKind, Status, Submission, SubmissionCreate
from aarlab.api.snapshots import SnapshotKind
from aarlab.errors import AarlabError
from aarlab.researchers._workspace import pack
from aarlab.researchers.directions import Direction
from aarlab.researchers.scripted import _words
from aarlab.researchers.scripted._compose import compose
from aarlab.researchers.scripted._genome import Genome, read_genome
from aarlab.researchers.scripted._search import Observation, Proposal, propose

WAIT_SECONDS = 2.0  # between looks at whether to stop
PAUSED, FINISHED = "urn:aarlab:paused", "urn:aarlab:finished"
SERVER_FAULT, MAX_FAULTS = "server-fault", 3


class NothingRuns(AarlabError):
    """The server cannot run what is submitted, for no fault of the methods."""


class ScriptedResearcher:
    """Searches combinations of ideas until its budget is spent.

    What it knows of others it has from the forum and from the code of their submissions, which it reads as
    untrusted text and never runs. It keeps no state of its own: after a crash it reads the forum again.
    """

    def __init__(self, client: ResearcherClient, direction: Direction, *, seed: int, workspace: Path) -> None:
        """Take a seat in the team.

        Args:
            client: with this researcher's own token.
            direction: where to start.
            seed: fixes the random choices, as far as the others' timing does not change them.
            workspace: folder for its notebook and methods; made if absent.
        """
        self._client, self._direction, self._seed, self._workspace = client, direction, seed, workspace
        self._mirror = Mirror(client, workspace)
        self._name = ""
        self._read = 0
        self._posted: set[int] = set()
        self._seen: dict[int, Observation] = {}
        self._faults = 0  # of the server, in a row
        self._concluded = False  # since its last result

    def run(self, stop: threading.Event) -> None:
        """Do research until the budget is spent, the study is over, or `stop` is set.

        Raises:
            ApiError: the server cannot be reached or refused.
            NothingRuns: it cannot run what is submitted.
        """
        me = self._client.me()
        self._name = me.name
        (self._workspace / "methods").mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([self._seed, me.evaluations_used])
        self._read_forum()
        self._catch_up(stop)
        try:
            while not stop.is_set():
                me = self._client.me()
                if me.evaluations_used >= me.evaluations_limit:
                    self._conclude()
                    return
                self._read_forum()
                proposal = propose(list(self._seen.values()), me.evaluations_used, self._direction.name, rng)
                self._try(proposal, me.evaluations_used + 1, stop)
        except BudgetExceeded:
            self._conclude()
        except Refused as refused:
            if refused.type != FINISHED:
                raise

    def _try(self, proposal: Proposal, number: int, stop: threading.Event) -> None:
        """Submit one method, wait for its score, and tell the others."""
        name = _words.name_of(proposal.genome)
        code = compose(proposal.genome, name, _words.story(proposal, self._name, self._direction))
        (self._workspace / "methods" / f"{number:03}.py").write_text(code, encoding="utf-8")
        parent = None if proposal.parent is None else proposal.parent.submission
        method = SubmissionCreate(name=name, code=code, parent=parent, note=_words.change(proposal))
        submitted = self._submit(method, stop)
        if submitted is not None:
            self._wait_and_tell(submitted, proposal, stop)

    def _submit(self, method: SubmissionCreate, stop: threading.Event) -> Submission | None:
        """Submit a method, as soon as the study is not paused; None if told to stop before."""
        while not stop.is_set():
            try:
                return self._client.submit(method)
            except Refused as refused:
                if refused.type != PAUSED:
                    raise
                stop.wait(WAIT_SECONDS)
        return None

    def _wait_and_tell(self, submitted: Submission, proposal: Proposal, stop: threading.Event) -> None:
        while submitted.status not in (Status.SCORED, Status.FAILED):
            if stop.is_set():
                return
            submitted = self._client.wait(submitted.id, timeout=WAIT_SECONDS)
        self._tell(submitted, proposal)

    def _tell(self, scored: Submission, proposal: Proposal) -> None:
        """Note what came of a method, and post it, good or bad."""
        accuracy = None if scored.feedback is None else scored.feedback.accuracy
        self._seen[scored.id] = Observation(scored.id, proposal.genome, accuracy, own=True)
        title, body = _words.report(scored, proposal)
        self._note(title, body)
        self._give_up_after_faults(scored)
        kind = FindingKind.ERROR if scored.feedback is None else FindingKind.RESULT
        self._client.post(FindingCreate(kind=kind, title=title, body=body, submission=scored.id))
        self._posted.add(scored.id)
        self._concluded = False

    def _give_up_after_faults(self, ended: Submission) -> None:
        """Stop where the server runs nothing: that costs no budget, so nothing else would."""
        self._faults = self._faults + 1 if ended.failure is not None and ended.failure.kind == SERVER_FAULT else 0
        if self._faults >= MAX_FAULTS:
            raise NothingRuns(
                f"The server could not run {MAX_FAULTS} methods in a row.", "Its log says why; then resume the study."
            )

    def _read_forum(self) -> None:
        """Learn what others have posted since the last time, from the server's figures and the methods' code.

        A copy of the forum stays in the workspace, for whoever reads it later.
        """
        self._mirror.sync()
        for finding in self._client.findings(after=self._read):
            self._read = finding.id
            submission, own = finding.submission, finding.researcher == self._name
            if own:
                self._concluded = submission is None and finding.kind == FindingKind.INSIGHT
            if submission is None:
                continue
            if own:
                self._posted.add(submission)
            if submission in self._seen:
                continue
            genome = self._genome(submission)
            if genome is None:
                continue
            feedback = self._client.submission(submission).feedback  # the board has the first few only
            accuracy = None if feedback is None else feedback.accuracy
            self._seen[submission] = Observation(submission, genome, accuracy, own=own)

    def _catch_up(self, stop: threading.Event) -> None:
        """Tell of what an interruption kept this researcher from telling of."""
        for submission in self._client.submissions():
            if submission.researcher == self._name and submission.id not in self._posted:
                genome = self._genome(submission.id)
                if genome is not None:
                    parent = None if submission.parent is None else self._seen.get(submission.parent)
                    self._wait_and_tell(submission, Proposal(genome, parent), stop)

    def _genome(self, submission: int) -> Genome | None:
        return read_genome(self._client.code(submission).code)

    def _conclude(self) -> None:
        """Tell what the whole team's scores say about the ideas of its own direction, once after its last result."""
        told = None if self._concluded else _words.conclusion(list(self._seen.values()), self._direction)
        if told is not None:
            title, body = told
            self._note(title, body)
            self._client.post(FindingCreate(kind=FindingKind.INSIGHT, title=title, body=body))
        self._client.hand_in(pack(self._workspace), SnapshotKind.WORKSPACE, "when its budget was spent")

    def _note(self, title: str, body: str) -> None:
        with (self._workspace / "notebook.md").open("a", encoding="utf-8") as notebook:
            notebook.write(f"## {title}\n\n{body}\n\n")
