"""The tables.

studies 1—n researchers 1—n submissions 1—n evaluations (one a task), audits, findings; studies 1—n events.
researchers 1—n spells, tokens, charges, snapshots; findings 1—n replies, tags, votes.

Most of what a row belongs to is loaded "selectin": with what the session holds already, it costs no query.
What is large (code, arrays, snapshots) lies in the artifact store, under its SHA-256; the tables hold the hash.
A change here needs a migration in `migrations/`; a test compares the two.
"""

import enum
import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    ScalarSelect,
    TypeDecorator,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship

from aarlab.api.access import Role
from aarlab.api.ledger import ChargeKind
from aarlab.api.schemas import BASELINE, FindingKind, Kind, Status
from aarlab.api.snapshots import SnapshotKind

clock = time.time  # the only clock behind the tables, so that a test can set it


def now() -> datetime:
    """The time, in UTC. It may jump, forwards or back; what must not, takes `time.monotonic`."""
    return datetime.fromtimestamp(clock(), UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """A time in UTC; SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The time with its zone."""
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        dict[str, Any]: JSON(none_as_null=True),
        list[str]: JSON,
        datetime: UTCDateTime,
        enum.StrEnum: Enum(
            enum.StrEnum, native_enum=False, length=20, values_callable=lambda kind: [member.value for member in kind]
        ),
    }


class StudyRow(Base):
    """A study.

    Attributes:
        examples: how many `public` has; it and the anchors are those of the draw that `secret` makes.
        guard_step: step of the guard's answers, in accuracy.
        guard_state: what the guard remembers between answers.
        secret: draws splits, seeds and guard answers; never leaves the server.
        paused: nothing is taken and nothing evaluated until it goes on.
        dollars_per_researcher, dollars_per_study: budgets of money; None is no limit.
        cpu_dollars, gpu_dollars: price of an hour.
        team: what the server was asked to start with it, so that a new server can go on; None if nothing.
        key: idempotency key of the request that made it.
    """

    __tablename__ = "studies"

    id: Mapped[str] = mapped_column(primary_key=True)
    testbed: Mapped[str]
    seeds: Mapped[int]
    evaluations_per_researcher: Mapped[int]
    evaluations_per_study: Mapped[int | None]
    examples: Mapped[int]
    floor: Mapped[float]
    floor_se: Mapped[float]
    ceiling: Mapped[float]
    ceiling_se: Mapped[float]
    guard: Mapped[str]
    guard_step: Mapped[float]
    guard_state: Mapped[dict[str, Any] | None]
    secret: Mapped[bytes]
    paused: Mapped[bool] = mapped_column(default=False)
    finished: Mapped[bool] = mapped_column(default=False)
    dollars_per_researcher: Mapped[float | None]
    dollars_per_study: Mapped[float | None]
    cpu_dollars: Mapped[float]
    gpu_dollars: Mapped[float]
    team: Mapped[dict[str, Any] | None]
    key: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ResearcherRow(Base):
    """A researcher.

    Attributes:
        evaluations, dollars: its own budgets, where they differ from the study's for each.
    """

    __tablename__ = "researchers"
    __table_args__ = (UniqueConstraint("study_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    name: Mapped[str]
    kind: Mapped[Kind]
    direction: Mapped[str]
    evaluations: Mapped[int | None]
    dollars: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    study: Mapped[StudyRow] = relationship(lazy="selectin")

    @property
    def evaluations_limit(self) -> int:
        """How many evaluations it may have, the study's budget aside."""
        return self.study.evaluations_per_researcher if self.evaluations is None else self.evaluations

    @property
    def dollars_limit(self) -> float | None:
        """How much it may spend, the study's budget aside; None is no limit."""
        return self.study.dollars_per_researcher if self.dollars is None else self.dollars


class TokenRow(Base):
    """A bearer token; only its hash is kept.

    Attributes:
        study_id: the study it opens; None for an operator's or a viewer's of all studies.
        researcher_id: whose it is, if a researcher's.
        label: what it is for, in the words of whoever made it.
        expires_at: None is never.
        revoked_at: None while it is valid.
    """

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(unique=True)
    role: Mapped[Role]
    study_id: Mapped[str | None] = mapped_column(ForeignKey("studies.id"), index=True)
    researcher_id: Mapped[int | None] = mapped_column(ForeignKey("researchers.id"), index=True)
    label: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    researcher: Mapped[ResearcherRow | None] = relationship(lazy="joined")


class SpellRow(Base):
    """A spell of a researcher's work: from its first request to its last before a long silence."""

    __tablename__ = "spells"

    id: Mapped[int] = mapped_column(primary_key=True)
    researcher_id: Mapped[int] = mapped_column(ForeignKey("researchers.id"), index=True)
    began_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)


class SubmissionRow(Base):
    """A submitted method; one a study and content. `researcher_id` is None for the baseline.

    Attributes:
        sha256: of its code, which lies in the artifact store.
    """

    __tablename__ = "submissions"
    __table_args__ = (UniqueConstraint("study_id", "sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    researcher_id: Mapped[int | None] = mapped_column(ForeignKey("researchers.id"), index=True)
    name: Mapped[str]
    sha256: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("submissions.id"))
    note: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    study: Mapped[StudyRow] = relationship(lazy="joined", innerjoin=True)
    researcher: Mapped[ResearcherRow | None] = relationship(lazy="joined")
    evaluations: Mapped[list["EvaluationRow"]] = relationship(lazy="selectin", back_populates="submission")
    audits: Mapped[list["AuditRow"]] = relationship(lazy="selectin", order_by="AuditRow.id")

    @property
    def author(self) -> str:
        """Name of the researcher, or of the baseline."""
        return BASELINE if self.researcher is None else self.researcher.name

    def evaluation(self, task: str) -> "EvaluationRow | None":
        """Its evaluation on a split, or its audit, if one was asked for."""
        return next((e for e in self.evaluations if e.task == task), None)


class EvaluationRow(Base):
    """The one look at a submission on a split, or its one audit: waiting, under way, done, or failed.

    Attributes:
        task: "public", "private" or "audit".
        claim: who evaluates it, while it runs; a result is kept only from whoever holds the claim.
        lease_until: the claim holds until then, unless renewed; after that anyone may take the task.
        attempts: how often it was taken out of the queue since it was asked for.
        not_before: when it may be taken out again, after a fault of ours.
        retried: why it was put back, one line an attempt.
        payer_id: the researcher whose budget it counts against; None for the baseline, for `private`,
            and if the fault was ours.
        ours: whether it failed for no fault of the method's; then it may be asked for again.
        score: a `Score`, as JSON.
        answer: what the guard says of it, for good.
        arrays: SHA-256 of its arrays in the artifact store: whether each test example was right, and P(label = 1).
    """

    __tablename__ = "evaluations"
    __table_args__ = (UniqueConstraint("submission_id", "task"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey("submissions.id"), index=True)
    task: Mapped[str]
    status: Mapped[Status] = mapped_column(default=Status.QUEUED, index=True)
    claim: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    retried: Mapped[list[str]] = mapped_column(default=list)
    payer_id: Mapped[int | None] = mapped_column(ForeignKey("researchers.id"), index=True)
    ours: Mapped[bool] = mapped_column(default=False)
    failure: Mapped[dict[str, Any] | None]
    score: Mapped[dict[str, Any] | None]
    answer: Mapped[dict[str, Any] | None]
    arrays: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    submission: Mapped[SubmissionRow] = relationship(lazy="selectin", back_populates="evaluations")

    def ask_again(self) -> None:
        """Wait in the queue once more, after a failure that was ours."""
        self.status, self.ours, self.failure = Status.QUEUED, False, None
        self.attempts, self.not_before, self.ended_at = 0, None, None


class AuditRow(Base):
    """What one audit found in a submission, and a person's decision on it, if any."""

    __tablename__ = "audits"
    __table_args__ = (UniqueConstraint("submission_id", "audit"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey("submissions.id"), index=True)
    audit: Mapped[str]
    finding: Mapped[dict[str, Any]]
    overruled: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class EventRow(Base):
    """An entry of a study's event log; only ever added. See `_events`."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("study_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    number: Mapped[int]
    kind: Mapped[str]
    actor: Mapped[str]
    payload: Mapped[str]
    at: Mapped[str]
    hash: Mapped[str]


class VoteRow(Base):
    """What a researcher thinks of a finding: 1 or -1."""

    __tablename__ = "votes"

    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"), primary_key=True)
    researcher_id: Mapped[int] = mapped_column(ForeignKey("researchers.id"), primary_key=True)
    value: Mapped[int]


def _counted(*which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).where(*which).correlate_except(VoteRow).scalar_subquery()


class FindingRow(Base):
    """A post on the forum. Untrusted text.

    Attributes:
        parent_id: the post that it replies to.
        key: idempotency key of the request that made it; one a researcher and key.
        up, down: votes for and against it.
    """

    __tablename__ = "findings"
    __table_args__ = (UniqueConstraint("researcher_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    researcher_id: Mapped[int] = mapped_column(ForeignKey("researchers.id"))
    kind: Mapped[FindingKind]
    title: Mapped[str]
    body: Mapped[str]
    submission_id: Mapped[int | None] = mapped_column(ForeignKey("submissions.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("findings.id"), index=True)
    key: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    researcher: Mapped[ResearcherRow] = relationship(lazy="joined", innerjoin=True)
    submission: Mapped[SubmissionRow | None] = relationship(lazy="selectin")
    tags: Mapped[list["TagRow"]] = relationship(lazy="selectin", order_by="TagRow.tag")
    up: Mapped[int] = column_property(_counted(VoteRow.finding_id == id, VoteRow.value > 0))  # noqa: A003 - the column
    down: Mapped[int] = column_property(_counted(VoteRow.finding_id == id, VoteRow.value < 0))  # noqa: A003 - the column


class TagRow(Base):
    """A word by which findings are found."""

    __tablename__ = "tags"

    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True, index=True)


class ChargeRow(Base):
    """An entry of the ledger; only ever added.

    Attributes:
        researcher_id: who is charged; None for what nobody pays (the baseline, `private`, audits).
        submission_id: what it was for, if for one.
        key: what was charged, so that it is charged once.
        model, input_tokens, output_tokens, cached_tokens: of calls of a model.
        seconds: of a CPU or GPU.
    """

    __tablename__ = "charges"
    __table_args__ = (UniqueConstraint("study_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    researcher_id: Mapped[int | None] = mapped_column(ForeignKey("researchers.id"), index=True)
    submission_id: Mapped[int | None] = mapped_column(ForeignKey("submissions.id"))
    kind: Mapped[ChargeKind]
    key: Mapped[str]
    model: Mapped[str | None]
    input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    cached_tokens: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    dollars: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(default=now)


class SnapshotRow(Base):
    """A file that a researcher handed in: its workspace, packed, or a transcript. Opaque to the server, untrusted."""

    __tablename__ = "snapshots"
    __table_args__ = (UniqueConstraint("researcher_id", "kind", "sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    researcher_id: Mapped[int] = mapped_column(ForeignKey("researchers.id"), index=True)
    kind: Mapped[SnapshotKind]
    sha256: Mapped[str]
    bytes: Mapped[int]
    note: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    researcher: Mapped[ResearcherRow] = relationship(lazy="joined", innerjoin=True)
