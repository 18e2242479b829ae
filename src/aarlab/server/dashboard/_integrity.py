"""What the page on integrity shows: what speaks against the figures of a study, with the evidence."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aarlab.api.schemas import Audited, Event, Status
from aarlab.audits.probing import ERROR_RATE
from aarlab.server._record import Record, SubmissionRecord
from aarlab.server.dashboard._cut import cut
from aarlab.server.dashboard._people_figures import (
    failure_counts,
    failures,
    verdict_counts,
    verdict_table,
    verdicts,
)
from aarlab.server.dashboard._shell import Table, figure_json

FLAGS, EVENTS, LOOKS, LISTED = 10, 50, 20, 15  # on a page, or at most
EVIDENCE, DETAILS = 4000, 400  # characters of what is told

RETRIED = "evaluation.retried"

#: Events by which exact figures or `private` were looked at.
LOOK_KINDS = ("figures.read", "private.requested", "audit.requested")


@dataclass(frozen=True)
class Entry:
    """An entry of the event log, ready to be shown."""

    event: Event

    @property
    def details(self) -> str:
        """What it tells, as JSON in ASCII, so that no character deceives; cut where it is long."""
        text = json.dumps(self.event.payload) if self.event.payload else ""
        return text if len(text) <= DETAILS else f"{text[:DETAILS]} …"


@dataclass(frozen=True)
class Flag:
    """An audit that flagged a submission, or noted something."""

    submission: SubmissionRecord
    audited: Audited

    @property
    def overruled(self) -> bool:
        """Whether a person decided otherwise."""
        return self.audited.overruled is not None

    @property
    def evidence(self) -> str:
        """Details as JSON; cut where they are long."""
        if not self.audited.finding.evidence:
            return ""
        text = json.dumps(self.audited.finding.evidence, indent=1)
        return text if len(text) <= EVIDENCE else f"{text[:EVIDENCE]}\n…"


def flags(record: Record) -> list[Flag]:
    """What stands against submissions: flags, then those that were overruled, then notes; the newest first."""
    found = [
        Flag(one, audited)
        for one in reversed(record.submissions)
        for audited in one.audits
        if audited.overruled is not None or audited.finding.verdict in ("flagged", "noted")
    ]
    return sorted(found, key=lambda flag: 1 if flag.overruled else 0 if flag.audited.verdict == "flagged" else 2)


def retries(record: Record) -> list[tuple[str, str, int]]:
    """Why evaluations were tried again: what was evaluated, the reason, how often; the most frequent first."""
    told = Counter(
        (str(event.payload.get("task", "")), str(event.payload.get("reason", "")))
        for event in record.events
        if event.kind == RETRIED
    )
    return [(task, reason, count) for (task, reason), count in told.most_common(LISTED)]


def failure_table(record: Record) -> Table:
    """How many submissions failed by kind, and one to look at."""
    example: dict[str, SubmissionRecord] = {}
    for one in record.submissions:
        if one.failure is not None:
            example[one.failure.kind] = one
    rows = [
        (kind, count, f"#{example[kind].id} {example[kind].method}")
        for kind, count in failure_counts(record).most_common()
    ]
    return Table("Failures on public, by kind", ("kind", "submissions", "the last"), rows, (1,))


def unisolated(record: Record) -> list[SubmissionRecord]:
    """Submissions with a score that was made without a sandbox."""
    return [
        one
        for one in record.submissions
        if any(score is not None and not score.isolated for score in (one.public, one.private))
    ]


def wanted_events(record: Record, kind: str, actor: str) -> list[Entry]:
    """Entries of the event log, the newest first.

    Args:
        record: of the study.
        kind: of event; all if empty. One that ends in a dot stands for all that begin with it.
        actor: who did it; all if empty.
    """
    return [
        Entry(event)
        for event in reversed(record.events)
        if (kind in ("", event.kind) or (kind.endswith(".") and event.kind.startswith(kind)))
        and actor in ("", event.actor)
    ]


def integrity_context(
    record: Record, *, kind: str = "", actor: str = "", page: int = 1, flagged: int = 1, probed: int = 1
) -> dict[str, Any]:
    """What speaks against the figures, and the event log.

    Args:
        record: of the study; a viewer's has neither audits nor events.
        kind: of events to list; all if empty.
        actor: of events to list; all if empty.
        page: of the event log, from 1.
        flagged: page of the flags, from 1.
        probed: page of the sequences that look like probing, from 1.
    """
    found = flags(record)
    scored = [one for one in record.submissions if one.status == Status.SCORED]
    looks = [event for event in reversed(record.events) if event.kind in LOOK_KINDS]
    kinds, actors = Counter(one.kind for one in record.events), Counter(one.actor for one in record.events)
    failed = sum(failure_counts(record).values())
    return {
        "flags": cut(found, flagged, FLAGS),
        "standing": sum(1 for flag in found if flag.audited.verdict == "flagged"),
        "overruled": sum(1 for flag in found if flag.overruled),
        "audited": sum(one.audited for one in record.submissions),
        "scored": len(scored),
        "verdicts": figure_json(verdicts(record)) if verdict_counts(record) else None,
        "verdict_table": verdict_table(record),
        "failures": figure_json(failures(record)) if failed else None,
        "failed": failed,
        "failure_table": failure_table(record),
        "failed_private": [one for one in record.submissions if one.failure_private is not None][:LISTED],
        "unisolated": unisolated(record),
        "probing": cut(record.probing, probed, FLAGS),
        "probing_rate": ERROR_RATE,
        "retries": retries(record),
        "retried": sum(event.kind == RETRIED for event in record.events),
        "looks": looks[:LOOKS],
        "looks_total": len(looks),
        "events": cut(wanted_events(record, kind, actor), page, EVENTS),
        "event_kinds": [(name, f"{name} ({count})") for name, count in sorted(kinds.items())],
        "event_actors": [(name, f"{name} ({count})") for name, count in actors.most_common()],
        "head": record.events[-1] if record.events else None,
    }
