"""A study's record as one HTML file: nothing fetched, everything that researchers wrote escaped.

What is protected: the file's content security policy names the two scripts in it by their hashes, so that no other runs
even if it got past the escaping, and forbids every request. What is not: the file holds exact figures and others' code,
so it is for the operator, not for researchers.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from aarlab.api.schemas import BASELINE, FindingKind
from aarlab.server import Evaluators, Record, read_study, study_testbed
from aarlab.server.dashboard import _diversity_figures, _figures, _people_figures, _spending_figures
from aarlab.server.dashboard._assets import STATIC, plotly_javascript
from aarlab.server.dashboard._code import visible
from aarlab.server.dashboard._diversity import family_table
from aarlab.server.dashboard._shell import environment, figure_json
from aarlab.server.record import Questions, SubmissionRecord
from aarlab.stats import Interval
from aarlab.studies.folder import StudyError, StudyFolder
from aarlab.studies.team import Outcome

WIDTH, LEFT, RIGHT = 720, 8, 12
ROW_HEIGHT = 44
ROWS, FAILURES, FINDINGS = 100, 100, 200  # shown; the rest is in the other formats
CODES = 10  # of the best, with their code


@dataclass(frozen=True)
class Axis:
    """A linear axis for PGR.

    Attributes:
        low, high: ends, in PGR.
    """

    low: float
    high: float

    def at(self, value: float) -> float:
        """Place of a value, in pixels; values outside lie on the ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(LEFT + share * (WIDTH - RIGHT - LEFT), 1)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """Values at steps of .2 and their places."""
        steps = range(round(self.low * 5), round(self.high * 5) + 1)
        return [(step / 5, self.at(step / 5)) for step in steps]


def read_folder(folder: StudyFolder, evaluators: Evaluators | None = None) -> Record:
    """All that is on record of a study.

    Args:
        folder: of the study.
        evaluators: of its testbed, if there are any; else its splits are drawn again where something was confirmed,
            which takes seconds.

    Raises:
        StudyError: it has not begun.
        LogError: its database is missing, or cannot be read.
    """
    if folder.study is None:
        raise StudyError(f"{folder.path} has not begun.", f"Run: aarlab resume {folder.path}")
    questions: Questions
    if evaluators is None:
        student = folder.settings.student

        def questions(testbed: str, secret: bytes) -> Any:
            return study_testbed(testbed, secret, student).groups("private")

    else:

        def questions(testbed: str, secret: bytes) -> Any:
            return evaluators(testbed, secret).groups("private")

    return read_study(folder.database, folder.study, questions)


def write_report(folder: StudyFolder, outcome: Outcome, evaluators: Evaluators) -> None:
    """Write `report.html` into a study's folder.

    Args:
        folder: of the study.
        outcome: of the run that has just ended; names those who gave up.
        evaluators: of its testbed.
    """
    folder.write(folder.report, render_report(read_folder(folder, evaluators), outcome.lost))


def render_report(record: Record, lost: Sequence[tuple[str, str]] = ()) -> str:
    """The report.

    Args:
        record: of the study.
        lost: researchers that gave up, with the reason, where that is known.
    """
    by_id = {one.id: one for one in record.submissions}
    ranked = [by_id[one] for one in record.ranking]
    confirmed = [one for one in ranked if one.private is not None and one.private.pgr is not None]
    audited = [one for one in ranked if one.audits]
    failed = [one for one in record.submissions if one.failure is not None or one.failure_private is not None]
    findings = [one for one in reversed(record.findings) if one.kind != FindingKind.ERROR]
    scripts = _scripts()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            record=record,
            study=record.study,
            version=version("aarlab"),
            best=next((one for one in ranked if one.researcher != BASELINE), None),
            baseline=next((one for one in ranked if one.researcher == BASELINE), None),
            baseline_name=BASELINE,
            confirmed=confirmed,
            looked=any(one.private is not None for one in ranked),
            axis=_axis(confirmed),
            rows=list(enumerate(ranked, 1))[:ROWS],
            scored=len(ranked),
            resolved=_figures.resolved(record),
            audited=audited,
            audits=list(dict.fromkeys(found.finding.audit for one in audited for found in one.audits)),
            failed=failed[:FAILURES],
            failed_more=len(failed[FAILURES:]),
            findings=findings[:FINDINGS],
            findings_more=len(findings[FINDINGS:]),
            coded=[one for one in ranked if one.researcher != BASELINE][:CODES],
            lost=dict(lost),
            directions={one.name: one.direction for one in record.researchers},
            isolated=all(score.isolated for one in ranked for score in (one.public, one.private) if score is not None),
            figures={name: figure_json(draw(record)) for name, draw in FIGURES.items()},
            tables={name: table(record) for name, table in TABLES.items()},
            families=family_table(record),
            style=Markup(_style()),  # noqa: S704 - our own file
            visible=visible,
            scripts=scripts,
            policy=_policy(scripts),
            width=WIDTH,
            row_height=ROW_HEIGHT,
        )
    )


#: Figures by name, each made of a record.
FIGURES = {
    "progress": _figures.progress,
    "families": _diversity_figures.families,
    "entropy": _diversity_figures.entropy,
    "failures": _people_figures.failures,
    "spending": _spending_figures.spending,
}

#: Their numbers.
TABLES = {
    "progress": _figures.progress_table,
    "families": _diversity_figures.families_table,
    "entropy": _diversity_figures.entropy_table,
    "spending": _spending_figures.spending_table,
}


@lru_cache
def _environment() -> Environment:
    """The dashboard's filters and macros, and the report's template."""
    made = environment().overlay(
        loader=ChoiceLoader([PackageLoader("aarlab.studies"), PackageLoader("aarlab.server.dashboard")])
    )
    assert made.autoescape is True
    return made


@lru_cache
def _style() -> str:
    return (STATIC / "style.css").read_text(encoding="utf-8")


@lru_cache
def _scripts() -> tuple[Markup, ...]:
    """Plotly and what draws with it, as they may stand in a script element."""
    found = []
    for path in (plotly_javascript(), STATIC / "app.js"):
        text = path.read_text(encoding="utf-8").replace("</script", "<\\/script").replace("<!--", "<\\!--")
        found.append(Markup(text))  # noqa: S704 - our own file, and Plotly's, which nothing can end too early
    return tuple(found)


def _policy(scripts: Sequence[str]) -> str:
    """A content security policy under which these scripts run and no others, and nothing is fetched."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _axis(confirmed: Sequence[SubmissionRecord]) -> Axis:
    """An axis on which all intervals have room, and 0 and 1 are seen."""
    intervals = [i for one in confirmed for score in (one.public, one.private) if score and (i := score.pgr)]
    return Axis(max(-1.0, _lowest(intervals)), min(2.0, max([1.0, *(i.high for i in intervals)])))


def _lowest(intervals: Sequence[Interval]) -> float:
    return min([0.0, *(i.low for i in intervals)])
