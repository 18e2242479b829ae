"""When researchers worked: spells, from a first request to the last before a long silence.

Requests are noted in memory and written every few seconds by a thread of their own, so that no request waits for it
or fails by it. While a study is paused nothing is counted. What is not protected: a server that is killed loses the
last seconds; a researcher that polls without working counts as working.

The clock may jump. What was between two requests counts only if the wall clock and a clock that cannot jump agree on
it; else a new spell begins.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aarlab.server._database import Database
from aarlab.server._models import ResearcherRow, SpellRow, StudyRow, now

log = logging.getLogger(__name__)

SILENCE_SECONDS = 600.0  # that ends a spell
WRITE_SECONDS = 15.0
JUMP_SECONDS = 5.0  # by which the two clocks may differ


class Lasting(Protocol):
    """What has a beginning and an end: a row, or a record."""

    @property
    def began_at(self) -> datetime:
        """When it began."""

    @property
    def seen_at(self) -> datetime:
        """When it ended."""


@dataclass
class _Stretch:
    """Requests of one researcher since the last write; `apart` from what was before if a clock jumped."""

    began: datetime
    seen: datetime
    apart: bool


class Spells:
    """Notes who asks. Thread-safe; several servers may share a database."""

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Prepare; `start` begins.

        Args:
            database: where spells are kept.
            monotonic: a clock in seconds that cannot jump.
        """
        self._database, self._monotonic = database, monotonic
        self._noted: dict[int, list[_Stretch]] = {}
        self._last: dict[int, tuple[datetime, float]] = {}  # wall and monotonic time of the last request
        self._lock = threading.Lock()  # guards the two above
        self._writing = threading.Lock()  # one writer: two would each begin the same spell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="spells", daemon=True)

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is noted, and end."""
        self._stop.set()
        if self._thread.is_alive():  # it may never have started
            self._thread.join()
        self.flush()

    def seen(self, researcher: int) -> None:
        """A researcher has asked for something. Takes microseconds and never fails."""
        with self._lock:
            at, tick = now(), self._monotonic()
            last = self._last.get(researcher)
            self._last[researcher] = (at, tick)
            apart = last is not None and not _agree(at, tick, *last)
            noted = self._noted.setdefault(researcher, [])
            if noted and not apart and (at - noted[-1].seen).total_seconds() <= SILENCE_SECONDS:
                noted[-1].seen = max(noted[-1].seen, at)
            else:
                noted.append(_Stretch(at, at, apart))

    def flush(self) -> None:
        """Write what is noted; what cannot be written now is kept for the next time."""
        with self._writing:
            with self._lock:
                noted, self._noted = self._noted, {}
            if not noted:
                return
            try:
                with self._database.write() as session:
                    _write(session, noted)
            except SQLAlchemyError:
                log.exception("hours of work could not be written; trying again later")
                with self._lock:
                    for researcher, later in self._noted.items():
                        noted.setdefault(researcher, []).extend(later)
                    self._noted = noted

    def _loop(self) -> None:
        while not self._stop.wait(WRITE_SECONDS):
            self.flush()


def _agree(at: datetime, tick: float, last_at: datetime, last_tick: float) -> bool:
    return abs((at - last_at).total_seconds() - (tick - last_tick)) <= JUMP_SECONDS


def _write(session: Session, noted: dict[int, list[_Stretch]]) -> None:
    """Continue each researcher's last spell, or begin another; those of paused studies are left out."""
    working = select(ResearcherRow.id).join(StudyRow).where(ResearcherRow.id.in_(noted), StudyRow.paused.is_(False))
    newest = select(func.max(SpellRow.id)).where(SpellRow.researcher_id.in_(noted)).group_by(SpellRow.researcher_id)
    found = session.scalars(select(SpellRow).where(SpellRow.id.in_(newest)))
    last = {spell.researcher_id: spell for spell in found}
    for researcher in sorted(session.scalars(working)):
        for stretch in noted[researcher]:
            spell = last.get(researcher)
            if spell is not None and not stretch.apart and _continues(spell, stretch):
                spell.seen_at = max(spell.seen_at, stretch.seen)
            else:
                last[researcher] = SpellRow(researcher_id=researcher, began_at=stretch.began, seen_at=stretch.seen)
                session.add(last[researcher])


def _continues(spell: SpellRow, stretch: _Stretch) -> bool:
    return -JUMP_SECONDS <= (stretch.began - spell.seen_at).total_seconds() <= SILENCE_SECONDS


def begin_anew(session: Session, study: str) -> None:
    """Begin a spell for whoever was at work lately: a study goes on, and its pause is not to be bridged."""
    recent = now() - timedelta(seconds=SILENCE_SECONDS)
    members = select(ResearcherRow.id).where(ResearcherRow.study_id == study)
    working = select(SpellRow.researcher_id).where(SpellRow.researcher_id.in_(members), SpellRow.seen_at >= recent)
    for researcher in session.scalars(working.distinct()).all():
        session.add(SpellRow(researcher_id=researcher))


def spells_in(session: Session, study: str) -> dict[int, list[SpellRow]]:
    """Spells of each researcher of a study, by its id, in the order in which they began; none for who never worked."""
    query = select(SpellRow).join(ResearcherRow, SpellRow.researcher_id == ResearcherRow.id)
    found: dict[int, list[SpellRow]] = {}
    for spell in session.scalars(query.where(ResearcherRow.study_id == study).order_by(SpellRow.id)):
        found.setdefault(spell.researcher_id, []).append(spell)
    return found


def hours(spells: Iterable[Lasting]) -> float:
    """Length of all spells together."""
    return sum((spell.seen_at - spell.began_at).total_seconds() for spell in spells) / 3600


def hours_at(spells: Iterable[Lasting], times: Sequence[datetime]) -> list[float]:
    """Hours worked in all spells together, up to each of some times: the x axis of the study's figure.

    Args:
        spells: of as many researchers as wanted.
        times: in any order.

    Returns:
        As many hours; a later time never has fewer.
    """
    held = sorted((spell.began_at.timestamp(), spell.seen_at.timestamp()) for spell in spells)
    if not held or not times:
        return [0.0] * len(times)
    start = held[0][0]  # small numbers, for exact sums
    begins = np.array([began - start for began, _ in held])
    ends = np.sort([seen - start for _, seen in held])
    at = np.array([time.timestamp() - start for time in times])
    return [float(h) for h in (_since(begins, at) - _since(ends, at)).clip(min=0) / 3600]


def _since(moments: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds from each moment that has passed, summed, at each time; moments sorted."""
    count = np.searchsorted(moments, at, side="right")
    sums = np.concatenate([[0.0], np.cumsum(moments)])
    return np.asarray(count * at - sums[count])
