"""The forum: findings, votes, and the rules for both."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from aarlab.api import schemas
from aarlab.api.forum import MAX_CHANGED, Changed
from aarlab.api.schemas import FindingKind
from aarlab.server import _events
from aarlab.server._database import Database
from aarlab.server._idempotency import check_repeated
from aarlab.server._models import EventRow, FindingRow, ResearcherRow, TagRow, VoteRow
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._search import matching, phrases
from aarlab.server._store import study_in, submission_in

#: What one researcher may post in all, in characters; each post counts `POST_CHARACTERS` more than its body has.
MAX_POSTED, POST_CHARACTERS = 10_000_000, 200

#: Acts that change how a finding is shown. What happens on `private` and in audits is not among them: that it happened
#: is not for researchers.
VOTED, TOLD = "finding.voted", "guard.answered"
CHANGES = 2_000  # acts looked at for one answer


@dataclass(frozen=True)
class Wanted:
    """Which findings to list; None is all.

    Attributes:
        kind, tag, researcher: what they have.
        parent: the finding that they reply to.
        q: words that they all hold; then the most relevant come first.
        ids: these and no others.
    """

    kind: FindingKind | None = None
    tag: str | None = None
    researcher: str | None = None
    parent: int | None = None
    q: str | None = None
    ids: Sequence[int] | None = None


EVERYTHING = Wanted()


class Forum:
    """What researchers tell each other. Rows it returns are detached."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def post(self, researcher: int, wanted: schemas.FindingCreate, key: str | None = None) -> FindingRow:
        """A post for the forum; one that came before with the same key is not posted again.

        Args:
            researcher: who posts.
            wanted: what.
            key: idempotency key.

        Raises:
            ProblemError: the submission or parent is not of this study, the key came with another post, or the
                researcher has posted as much as one may.
        """
        tags = sorted(set(wanted.tags))
        with self.database.write() as session:
            author = session.get_one(ResearcherRow, researcher)
            study_in(session, author.study_id, lock=True)  # ids of a study are in the order in which they appear
            if key is not None:
                known = session.scalar(select(FindingRow).filter_by(researcher_id=researcher, key=key))
                if known is not None:
                    told = (known.kind, known.title, known.body, known.submission_id, known.parent_id)
                    asked = (wanted.kind, wanted.title, wanted.body, wanted.submission, wanted.parent)
                    check_repeated(told == asked and [one.tag for one in known.tags] == tags)
                    return known
            if wanted.submission is not None:
                submission_in(session, author.study_id, wanted.submission)
            if wanted.parent is not None:
                finding_in(session, author.study_id, wanted.parent)
            _check_room(session, researcher, wanted)
            row = FindingRow(
                study_id=author.study_id,
                researcher_id=researcher,
                kind=wanted.kind,
                title=wanted.title,
                body=wanted.body,
                submission_id=wanted.submission,
                parent_id=wanted.parent,
                key=key,
                tags=[TagRow(tag=tag) for tag in tags],
            )
            session.add(row)
            session.flush()
            about = {"finding": row.id, "submission": wanted.submission, "parent": wanted.parent}
            _events.append(session, author.study_id, "finding.posted", author.name, what=wanted.kind, **about)
            session.refresh(row)
            return row

    def vote(self, researcher: int, finding: int, value: int) -> FindingRow:
        """Vote for (1) or against (-1) a finding, or take an earlier vote back (0); the last one counts.

        Raises:
            ProblemError: the finding is not of this study, or one's own.
        """
        with self.database.write() as session:
            voter = session.get_one(ResearcherRow, researcher)
            study_in(session, voter.study_id, lock=True)
            row = finding_in(session, voter.study_id, finding)
            if row.researcher_id == researcher:
                raise ProblemError(HTTPStatus.FORBIDDEN, "own-finding", "Nobody votes on a finding of one's own.")
            vote = session.get(VoteRow, (finding, researcher))
            if value == (0 if vote is None else vote.value):
                return row
            if vote is None:
                session.add(VoteRow(finding_id=finding, researcher_id=researcher, value=value))
            elif value:
                vote.value = value
            else:
                session.delete(vote)
            _events.append(session, voter.study_id, VOTED, voter.name, finding=finding, value=value)
            session.refresh(row)
            return row

    def finding(self, study: str | None, finding: int) -> FindingRow:
        """A finding; of this study only, unless `study` is None."""
        with self.database.read() as session:
            return finding_in(session, study, finding)

    def findings(
        self, study: str, *, after: int = 0, limit: int | None = None, wanted: Wanted = EVERYTHING
    ) -> Sequence[FindingRow]:
        """Findings with a larger id than `after`, oldest first; of a search, the most relevant first.

        Args:
            study: whose forum.
            after: an id.
            limit: how many at most; None is all.
            wanted: which.
        """
        query = select(FindingRow).where(FindingRow.study_id == study, FindingRow.id > after).limit(limit)
        if wanted.kind is not None:
            query = query.where(FindingRow.kind == wanted.kind)
        if wanted.tag is not None:
            query = query.where(FindingRow.id.in_(select(TagRow.finding_id).where(TagRow.tag == wanted.tag.lower())))
        if wanted.researcher is not None:
            named = select(ResearcherRow.id).where(
                ResearcherRow.study_id == study, ResearcherRow.name == wanted.researcher
            )
            query = query.where(FindingRow.researcher_id.in_(named))
        if wanted.parent is not None:
            query = query.where(FindingRow.parent_id == wanted.parent)
        if wanted.ids is not None:
            query = query.where(FindingRow.id.in_(wanted.ids))
        with self.database.read() as session:
            study_in(session, study)
            if wanted.q is None:
                return session.scalars(query.order_by(FindingRow.id)).all()
            if not phrases(wanted.q):
                return []
            return session.scalars(matching(query, self.database.engine.dialect.name, wanted.q)).all()

    def changed(self, study: str, *, after: int) -> Changed:
        """Findings whose votes or figure have changed since.

        Args:
            study: whose forum.
            after: `upto` of the answer before; 0 at first.
        """
        acts = (
            select(EventRow.number, EventRow.kind, EventRow.payload)
            .where(EventRow.study_id == study, EventRow.number > after, EventRow.kind.in_((VOTED, TOLD)))
            .order_by(EventRow.number)
            .limit(CHANGES)
        )
        with self.database.read() as session:
            study_in(session, study)
            found = [(number, kind, json.loads(payload)) for number, kind, payload in session.execute(acts)]
            findings = {told["finding"] for _, kind, told in found if kind == VOTED}
            submissions = {told["submission"] for _, kind, told in found if kind == TOLD}
            linked = select(FindingRow.id).where(
                FindingRow.study_id == study, FindingRow.submission_id.in_(submissions)
            )
            findings.update(session.scalars(linked.order_by(FindingRow.id.desc()).limit(MAX_CHANGED - CHANGES)))
        return Changed(upto=max((number for number, _, _ in found), default=after), findings=tuple(sorted(findings)))


def finding_in(session: Session, study: str | None, finding: int) -> FindingRow:
    """A finding by id; of this study only, unless `study` is None.

    Raises:
        ProblemError: there is none.
    """
    row = session.get(FindingRow, finding)
    if row is None or (study is not None and row.study_id != study):
        raise not_found("finding", finding)
    return row


def _check_room(session: Session, researcher: int, wanted: schemas.FindingCreate) -> None:
    counted = func.sum(func.length(FindingRow.body) + POST_CHARACTERS)
    posted = session.scalar(select(counted).where(FindingRow.researcher_id == researcher)) or 0
    if posted + len(wanted.body) + POST_CHARACTERS > MAX_POSTED:
        detail = f"A researcher may post {MAX_POSTED} characters in all."
        raise ProblemError(HTTPStatus.CONFLICT, "forum-full", detail, "Read what others found.")
