"""The tables.

studies 1—n researchers 1—n submissions 1—n evaluations (one a task), audits, findings; studies 1—n events.
"""

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum, ForeignKey, LargeBinary, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from aarlab.api.schemas import BASELINE, FindingKind, Kind, Status


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


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
        list[int]: JSON,
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
    finished: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ResearcherRow(Base):
    """A researcher; of its token only the hash is kept."""

    __tablename__ = "researchers"
    __table_args__ = (UniqueConstraint("study_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    name: Mapped[str]
    kind: Mapped[Kind]
    direction: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    study: Mapped[StudyRow] = relationship(lazy="joined", innerjoin=True)


class SubmissionRow(Base):
    """A submitted method; one a study and content. `researcher_id` is None for the baseline."""

    __tablename__ = "submissions"
    __table_args__ = (UniqueConstraint("study_id", "sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    researcher_id: Mapped[int | None] = mapped_column(ForeignKey("researchers.id"), index=True)
    name: Mapped[str]
    code: Mapped[str] = mapped_column(deferred=True)
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
        payer_id: the researcher whose budget it counts against; None for the baseline, for `private`,
            and if the fault was ours.
        ours: whether it failed for no fault of the method's; then it may be asked for again.
        score: a `Score`, as JSON.
        answer: what the guard says of it, for good.
        correct: whether each test example was right, row by row.
        predictions: P(label = 1) of each, float16, of the same shape.
    """

    __tablename__ = "evaluations"
    __table_args__ = (UniqueConstraint("submission_id", "task"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey("submissions.id"), index=True)
    task: Mapped[str]
    status: Mapped[Status] = mapped_column(default=Status.QUEUED, index=True)
    claim: Mapped[str | None]
    payer_id: Mapped[int | None] = mapped_column(ForeignKey("researchers.id"), index=True)
    ours: Mapped[bool] = mapped_column(default=False)
    failure: Mapped[dict[str, Any] | None]
    score: Mapped[dict[str, Any] | None]
    answer: Mapped[dict[str, Any] | None]
    correct: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    correct_dtype: Mapped[str | None]
    correct_shape: Mapped[list[int] | None]
    predictions: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    submission: Mapped[SubmissionRow] = relationship(lazy="joined", innerjoin=True, back_populates="evaluations")


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


class FindingRow(Base):
    """A post on the forum. Untrusted text."""

    __tablename__ = "findings"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    researcher_id: Mapped[int] = mapped_column(ForeignKey("researchers.id"))
    kind: Mapped[FindingKind]
    title: Mapped[str]
    body: Mapped[str]
    submission_id: Mapped[int | None] = mapped_column(ForeignKey("submissions.id"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    researcher: Mapped[ResearcherRow] = relationship(lazy="joined", innerjoin=True)
    submission: Mapped[SubmissionRow | None] = relationship(lazy="joined")
