"""A study's record as whoever looks may see it, read once for each state of the study.

What is protected: a viewer's record is made here, by leaving out, before any page is: exact figures, everything of
`private`, audits, probing, the event log, seeds and snapshots are not in it, so no page can show them by mistake.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Request
from sqlalchemy import func, select

from aarlab.api.schemas import Status
from aarlab.server._models import EventRow
from aarlab.server._parameters import StudyId
from aarlab.server._problems import not_found
from aarlab.server._services import services_of
from aarlab.server._store import study_in
from aarlab.server.dashboard._session import AnyVisitor
from aarlab.server.record import Record

T = TypeVar("T")

STALE_SECONDS = 60.0  # hours of work go on without an event
NOTED_SECONDS = 600.0  # between two notes that one session read exact figures of one study
KEPT = 8  # studies
LOOKS = "figures.read"

#: Gives a study's record, and whatever it needs to be read again cheaply.
Reads = Callable[[str], Record]


@dataclass
class View:
    """A record and what was made of it.

    Attributes:
        record: of the study.
        number: of its last event, looks at figures aside.
        exact: whether it is the operator's.
    """

    record: Record
    number: int
    exact: bool
    _made: dict[str, Any] = field(default_factory=dict)

    def once(self, what: str, make: Callable[[Record], T]) -> T:
        """Something made of the record, made once. Two requests at a time may both make it; that costs time only.

        Args:
            what: names it; one name, one thing.
            make: makes it.
        """
        if what not in self._made:
            self._made[what] = make(self.record)
        made: T = self._made[what]
        return made


class Records:
    """Records of the studies that were looked at last. Thread-safe."""

    def __init__(self, number: Callable[[str], int], read: Reads) -> None:
        """Prepare.

        Args:
            number: of a study's last event, looks at figures aside.
            read: reads a record.
        """
        self._number, self._read = number, read
        self._kept: OrderedDict[str, tuple[float, View, View]] = OrderedDict()
        self._reading: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()  # guards both

    def view(self, study: str, *, exact: bool) -> View:
        """A study as the operator may see it, or as everybody else may.

        Raises:
            ProblemError: there is none.
        """
        number = self._number(study)  # before reading: what comes in meanwhile is read again
        with self._lock:
            lock = self._reading.setdefault(study, threading.Lock())
        with lock:
            with self._lock:
                kept = self._kept.get(study)
            if kept is None or kept[1].number != number or time.monotonic() - kept[0] > STALE_SECONDS:
                record = self._read(study)
                kept = time.monotonic(), View(record, number, exact=True), View(guarded(record), number, exact=False)
                with self._lock:
                    self._kept[study] = kept
                    while len(self._kept) > KEPT:
                        self._kept.popitem(last=False)
        return kept[1] if exact else kept[2]


def guarded(record: Record) -> Record:
    """What researchers and viewers may see of a record: nothing that the guard did not tell."""
    submissions = tuple(
        one.model_copy(
            update={
                "public": None,
                "private": None,
                "failure_private": None,
                "gain_private": None,
                "p_private": None,
                "audited": False,
                "audits": (),
                "flags": (),
                "teacher_dependence": None,
                "student_dependence": None,
                "dollars": 0.0,
            }
        )
        for one in record.submissions
    )
    scored = [one for one in submissions if one.status == Status.SCORED and one.told is not None]
    scored.sort(key=lambda one: (-one.level, -(one.told.accuracy if one.told else 0.0), one.id))  # as the board is
    # What nobody pays tells when something was audited or looked at on private.
    charges = tuple(one for one in record.charges if one.researcher is not None)
    return record.model_copy(
        update={
            "submissions": submissions,
            "ranking": tuple(one.id for one in scored),
            "snapshots": (),
            "probing": (),
            "ledger": record.ledger.model_copy(update={"dollars_per_point": None}),
            "charges": charges,
            "events": (),
        }
    )


def last_number(app: FastAPI, study: str) -> int:
    """Number of a study's last event, looks at figures aside: they would keep pages that are open busy for ever.

    Raises:
        ProblemError: there is no such study.
    """
    query = select(func.max(EventRow.number)).where(EventRow.study_id == study, EventRow.kind != LOOKS)
    with services_of(app).database.read() as session:
        study_in(session, study)
        return session.scalar(query) or 0


def reader_of(app: FastAPI) -> tuple[Callable[[str], int], Reads]:
    """How a server's records are read: the number of the last event, and the record itself."""

    def read(study: str) -> Record:
        return services_of(app).recorder.read(study)

    return (lambda study: last_number(app, study)), read


def records_of(app: FastAPI) -> Records:
    """The records of a server."""
    records = app.state.records
    assert isinstance(records, Records)
    return records


def _seen(request: Request, study: StudyId, visitor: AnyVisitor) -> View:
    """The study of this path, as whoever looks may see it; the operator's look is entered into the event log."""
    if not visitor.may_see(study):
        raise not_found("study", study)
    view = records_of(request.app).view(study, exact=visitor.exact)
    last = visitor.noted.get(study)
    if visitor.exact and (last is None or time.monotonic() - last > NOTED_SECONDS):
        services_of(request.app).store.note(study, LOOKS, what="dashboard")
        visitor.noted[study] = time.monotonic()
    return view


#: The study that a page is about; its path has `{study}`. Another's study looks like one that is not there.
Seen = Annotated[View, Depends(_seen)]
