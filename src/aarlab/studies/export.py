"""A study's record in other forms than pages: the log of its science in Markdown, the whole as JSON, tables as Parquet.

All hold exact figures and, but for the tables, others' code and texts: for the operator. Text that researchers wrote is
untrusted; in Markdown it stands in fences and code spans that it cannot end.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from aarlab.api.schemas import BASELINE, Finding
from aarlab.errors import AarlabError
from aarlab.server import Record
from aarlab.server.record import ScoreRecord, SubmissionRecord
from aarlab.stats import Interval


class ExportError(AarlabError):
    """A record cannot be written in this form."""


def to_json(record: Record) -> str:
    """The record as JSON; `docs/record.schema.json` is its schema."""
    return record.model_dump_json(indent=1)


def to_markdown(record: Record) -> str:
    """The log of the science: what was submitted, what came of it and what was posted, in order, failures included."""
    study = record.study
    lines = [
        f"# {study.id}",
        "",
        f"Testbed {_code(study.testbed)}, begun {_time(study.created_at)}; {record.made_by}. Exact figures, for the "
        "operator. Names in code spans and text in fences are what researchers wrote; all else is the server's.",
        "",
        f"- floor {study.floor.accuracy:.3f} ± {study.floor.se:.3f}, ceiling {study.ceiling.accuracy:.3f} ± "
        f"{study.ceiling.se:.3f} on public (standard errors by question)",
        f"- guard: {_words(study.guard_says)}" + ("" if study.guarded else " **Public figures prove nothing.**"),
        f"- {record.ledger.total.hours:.2f} researcher-hours, ${record.ledger.total.dollars:.2f}",
        f"- event log: {len(record.events)} entries"
        + (f", last hash {record.events[-1].hash}" if record.events else ""),
        "",
        "## Researchers",
        "",
        *(f"- {_code(one.name)} ({one.kind}): {_code(one.direction)}" for one in record.researchers),
        "",
        "## Ranking",
        "",
    ]
    by_id = {one.id: one for one in record.submissions}
    for rank, submission in enumerate(record.ranking, 1):
        one = by_id[submission]
        private = "" if one.private is None else f", private {_pgr(one.private)}"
        public = "" if one.public is None else f", public {_pgr(one.public)}"
        lines.append(f"{rank}. {_title(one)}, level {one.level.value} {one.level.name.lower()}{private}{public}")
    lines += ["", "## Log", ""]
    happened = [*((one.created_at, 0, one.id, _submission(one)) for one in record.submissions)]
    happened += [(one.created_at, 1, one.id, _finding(one)) for one in record.findings]
    for *_, told in sorted(happened, key=lambda item: item[:3]):
        lines += [*told, ""]
    for found in record.probing:
        who = "all together" if found.researcher is None else _code(found.researcher)
        lines += [f"**Probing?** {who}: {_words(found.summary)}", ""]
    return "\n".join(lines)


def _submission(one: SubmissionRecord) -> Iterator[str]:
    yield f"### {_title(one)}"
    yield ""
    parent = "" if one.parent is None else f", from #{one.parent}"
    yield f"{_time(one.created_at)}{parent}; {one.family}; SHA-256 {one.sha256}"
    if one.note:
        yield f"- note: {_code(one.note)}"
    yield f"- level {one.level.value} {one.level.name.lower()}; {one.status}"
    if one.public is not None:
        yield f"- public: {_score(one.public)}"
    if one.told is not None:
        told = "no resolved PGR" if one.told.pgr is None else f"PGR {one.told.pgr:.3f}"
        yield f"- told: {told}, accuracy {one.told.accuracy:.3f}" + (" or less" if one.told.censored else "")
    if one.private is not None:
        yield f"- private: {_score(one.private)}"
    if one.gain_private is not None and one.p_private is not None:
        yield f"- over vanilla on private: {_interval(one.gain_private)} in accuracy, adjusted p {one.p_private:.3g}"
    for audited in one.audits:
        yield f"- audit {audited.finding.audit}: {audited.verdict}. {_words(audited.finding.summary)}"
        if audited.overruled is not None:
            yield f"  - overruled, was {audited.finding.verdict}: {_code(audited.overruled.reason)}"
    for where, failure in (("public", one.failure), ("private", one.failure_private)):
        if failure is not None:
            yield f"- failed on {where}: {failure.kind}"
            yield ""
            yield _fenced(failure.message)
    yield ""
    yield _fenced(one.code, "python")


def _finding(one: Finding) -> Iterator[str]:
    about = "" if one.submission is None else f", about #{one.submission}"
    pgr = "" if one.pgr is None else f" (PGR {one.pgr:.3f} as told)"
    reply = "" if one.parent is None else f", replies to finding {one.parent}"
    yield f"### Finding {one.id}, {one.kind}: {_code(one.title)}"
    yield ""
    yield f"{_time(one.created_at)}, {_code(one.researcher)}{about}{pgr}{reply}; {one.up} for, {one.down} against"
    if one.body:
        yield ""
        yield _fenced(one.body)


def _title(one: SubmissionRecord) -> str:
    who = "the baseline" if one.researcher == BASELINE else _code(one.researcher)
    return f"#{one.id} {_code(one.method)} by {who}"


def _score(score: ScoreRecord) -> str:
    by_seed = ", ".join(f"{accuracy:.3f}" for accuracy in score.accuracy)
    unprotected = "" if score.isolated else "; **no sandbox: proves nothing**"
    return f"PGR {_pgr(score)}; accuracy by seed {by_seed}{unprotected}"


def _pgr(score: ScoreRecord) -> str:
    return "unresolved" if score.pgr is None else _interval(score.pgr)


def _interval(interval: Interval) -> str:
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _code(text: str) -> str:
    """Untrusted text as a code span, which it cannot end."""
    line = " ".join(text.split())
    ticks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{padding}{line}{padding}{ticks}"


def _words(text: str) -> str:
    """Text in which no character marks anything up."""
    return re.sub(r"([\\`*_\[\]<>&!|#~])", r"\\\1", " ".join(text.split()))


def _fenced(text: str, language: str = "text") -> str:
    """Untrusted text in a fence, which it cannot end."""
    ticks = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def write_parquet(record: Record, folder: Path) -> list[Path]:
    """One file a table: submissions, scores (one row a seed), audits, findings, charges, events, researchers.

    Args:
        record: of the study.
        folder: where to; made if absent.

    Raises:
        ExportError: pyarrow is not installed, or the folder cannot be written.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise ExportError("Parquet needs pyarrow.", "Install it: pip install 'aarlab[data]'") from None
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in tables(record).items():
            path = folder / f"{name}.parquet"
            schema = arrow.schema([(column, _type(arrow, kind)) for column, kind in COLUMNS[name].items()])
            parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), path)
            written.append(path)
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {error.strerror}.", "Name another with -o.") from None
    return written


def _type(arrow: Any, kind: str) -> Any:
    return arrow.timestamp("us", tz="UTC") if kind == "time" else getattr(arrow, kind)()


_INTERVALS = ("pgr_public", "pgr_private", "gain_private")
_BOUNDS = {f"{name}_{end}": "float64" for name in _INTERVALS for end in ("estimate", "low", "high")}

#: Columns of each table and their types, as Arrow names them; "time" is UTC.
COLUMNS: dict[str, dict[str, str]] = {
    "researchers": {
        "id": "int64", "name": "string", "kind": "string", "direction": "string", "evaluations_used": "int64",
        "evaluations_limit": "int64", "dollars_used": "float64", "dollars_limit": "float64", "admitted_at": "time",
        "hours": "float64",
    },
    "submissions": {
        "id": "int64", "researcher": "string", "method": "string", "sha256": "string", "parent": "int64",
        "note": "string", "family": "string", "status": "string", "level": "int64", "rank": "int64",
        "created_at": "time", "ended_at": "time", "hours": "float64", "lines": "int64", "likeness": "float64",
        "told_pgr": "float64", "told_accuracy": "float64", **_BOUNDS, "p_private": "float64", "audited": "bool_",
        "flags": "string", "teacher_dependence": "float64", "student_dependence": "float64", "failure": "string",
        "failure_private": "string", "dollars": "float64",
    },
    "scores": {
        "submission": "int64", "split": "string", "seed": "int64", "accuracy": "float64", "floor": "float64",
        "ceiling": "float64", "sandbox": "string", "isolated": "bool_",
    },
    "audits": {
        "submission": "int64", "audit": "string", "found": "string", "verdict": "string", "figure": "float64",
        "threshold": "float64", "error_rate": "float64", "summary": "string", "overruled": "string",
    },
    "findings": {
        "id": "int64", "researcher": "string", "kind": "string", "title": "string", "body": "string",
        "submission": "int64", "pgr": "float64", "parent": "int64", "tags": "string", "up": "int64", "down": "int64",
        "created_at": "time",
    },
    "charges": {
        "id": "int64", "key": "string", "kind": "string", "researcher": "string", "submission": "int64",
        "model": "string", "input_tokens": "int64", "output_tokens": "int64", "cached_tokens": "int64",
        "seconds": "float64", "dollars": "float64", "created_at": "time",
    },
    "events": {
        "number": "int64", "kind": "string", "actor": "string", "payload": "string", "at": "time", "hash": "string",
    },
}  # fmt: skip


def tables(record: Record) -> dict[str, list[dict[str, Any]]]:
    """The rows of each table; nothing but the columns in `COLUMNS`."""
    ranks = {submission: rank for rank, submission in enumerate(record.ranking, 1)}
    return {
        "researchers": _rows(record.researchers, "researchers"),
        "submissions": [_flat(one, ranks.get(one.id)) for one in record.submissions],
        "scores": [
            {"submission": one.id, "split": split, "seed": seed, "accuracy": accuracy}
            | {name: getattr(score, name) for name in ("floor", "ceiling", "sandbox", "isolated")}
            for one in record.submissions
            for split, score in (("public", one.public), ("private", one.private))
            if score is not None
            for seed, accuracy in zip(score.seeds, score.accuracy, strict=True)
        ],
        "audits": [
            {"submission": one.id, "verdict": audited.verdict, "found": audited.finding.verdict}
            | audited.finding.model_dump(include={"audit", "figure", "threshold", "error_rate", "summary"})
            | {"overruled": None if audited.overruled is None else audited.overruled.reason}
            for one in record.submissions
            for audited in one.audits
        ],
        "findings": [
            row | {"tags": ",".join(one.tags)}
            for row, one in zip(_rows(record.findings, "findings"), record.findings, strict=True)
        ],
        "charges": _rows(record.charges, "charges"),
        "events": [
            row | {"payload": json.dumps(one.payload, sort_keys=True)}
            for row, one in zip(_rows(record.events, "events"), record.events, strict=True)
        ],
    }


def _rows(ones: Sequence[Any], table: str) -> list[dict[str, Any]]:
    return [{name: getattr(one, name) for name in COLUMNS[table]} for one in ones]


def _flat(one: SubmissionRecord, rank: int | None) -> dict[str, Any]:
    row = {name: getattr(one, name) for name in COLUMNS["submissions"] if name in SubmissionRecord.model_fields}
    intervals = {
        "pgr_public": None if one.public is None else one.public.pgr,
        "pgr_private": None if one.private is None else one.private.pgr,
        "gain_private": one.gain_private,
    }
    for name, interval in intervals.items():
        for end in ("estimate", "low", "high"):
            row[f"{name}_{end}"] = None if interval is None else getattr(interval, end)
    return row | {
        "level": one.level.value,
        "rank": rank,
        "lines": None if one.complexity is None else one.complexity.lines,
        "told_pgr": None if one.told is None else one.told.pgr,
        "told_accuracy": None if one.told is None else one.told.accuracy,
        "flags": ",".join(one.flags),
        "failure": None if one.failure is None else one.failure.kind,
        "failure_private": None if one.failure_private is None else one.failure_private.kind,
    }
