"""The event log: what happened in a study, in order, each entry chained to the one before by its hash.

What it protects: an entry that is edited, removed or moved later breaks the chain from there on, and `verify` names
the place. What not: whoever can write to the database can rebuild the whole chain, or cut off its end; against that,
keep the last hash elsewhere (a study's outcome holds it) and compare.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from aarlab.server._locks import locked_study
from aarlab.server._models import EventRow, now

FIRST = "0" * 64
OPERATOR, SERVER = "operator", "server"


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold.

    Attributes:
        number: of the first entry that is not what was written; 0 if the end is missing.
        why: in words.
    """

    number: int
    why: str


def append(session: Session, study: str, kind: str, actor: str, /, **payload: JsonValue) -> None:
    """Add an entry, in the transaction of what it tells of.

    Args:
        session: one that writes.
        study: id of the study.
        kind: what happened, such as "submission.received".
        actor: who did it: "operator", "server", or a researcher's name.
        payload: details; no label, token or key.
    """
    locked_study(session, study)  # one writer a chain
    last = session.scalar(select(EventRow).filter_by(study_id=study).order_by(EventRow.number.desc()).limit(1))
    row = EventRow(
        study_id=study,
        number=1 if last is None else last.number + 1,
        kind=kind,
        actor=actor,
        payload=json.dumps(payload, sort_keys=True, separators=(",", ":")),
        at=now().isoformat(),
    )
    row.hash = chained(FIRST if last is None else last.hash, row)
    session.add(row)
    session.flush()


def chained(before: str, row: EventRow) -> str:
    """Hash of an entry that follows the one with hash `before`."""
    content = [before, row.study_id, row.number, row.kind, row.actor, row.payload, row.at]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def verify(rows: Sequence[EventRow], head: str | None = None) -> Break | None:
    """The first place where a study's chain does not hold; None if it does.

    Args:
        rows: all entries of the study, in order.
        head: hash of the last entry as noted elsewhere, if it was.
    """
    before = FIRST
    for number, row in enumerate(rows, 1):
        if row.number != number:
            return Break(number, f"entry {number} is missing; {row.number} is in its place")
        if chained(before, row) != row.hash:
            return Break(number, "its content, or what came before it, is not what was written")
        before = row.hash
    if head is not None and head not in {row.hash for row in rows}:
        return Break(0, "the last entry that was noted elsewhere is not here: the end was cut off or written anew")
    return None
