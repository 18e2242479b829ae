"""What came of the attacks, as a table in Markdown, as rows for a terminal, and as JSON."""

import json
from collections.abc import Sequence

from aarlab.attacks._types import Family, Outcome
from aarlab.attacks.suite import Result, all_well

TITLES: dict[Family, str] = {
    "queries": "Learning labels from answers",
    "gaming": "Scoring without the work",
    "hostile": "Breaking out of the sandbox",
    "api": "Misusing the server",
    "honest": "Honest methods, through the same audits",
}
COLUMNS: dict[Family, tuple[str, ...]] = {
    "queries": ("attack", "labels gained (95% by chance)", "inflation (SE)", "blocked by", "against `exact`"),
    "gaming": ("attack", "public", "private", "over vanilla", "inflation (SE)", "blocked or flagged by"),
    "hostile": ("attack", "what it does", "gained", "blocked by"),
    "api": ("attack", "what it does", "gained", "blocked by"),
    "honest": ("method", "public", "false alarm by"),
}
THROUGH = "**got through**"
FLAGGED = "flagged: "


def of_family(results: Sequence[Result], family: Family) -> list[Result]:
    """The results of one family, in order."""
    return [result for result in results if result.family == family]


def heading(results: Sequence[Result], family: Family) -> str:
    """Title of a family's table, with how many held."""
    rows = of_family(results, family)
    held = sum(row.held for row in rows)
    return f"{TITLES[family]}: {held} of {len(rows)} {'passed' if family == 'honest' else 'held'}"


def cells(result: Result) -> tuple[str, ...]:
    """One row, under `COLUMNS` of its family."""
    outcome = result.default
    if outcome is None:
        blank = ("",) * (len(COLUMNS[result.family]) - 2)
        return (result.attack, *blank, f"could not be run: {result.trouble}")
    stopped = outcome.blocked_by
    if outcome.through and result.family != "honest":
        stopped = f"{THROUGH}; {stopped}" if stopped else THROUGH
    if result.family == "queries":
        exact = "" if result.exact is None else _against_exact(result.exact)
        return (result.attack, _labels(outcome), _inflation(outcome), stopped, exact)
    if result.family == "gaming":
        over = outcome.gained.partition(" over")[0]
        return (
            result.attack,
            _accuracy(outcome.public),
            _accuracy(outcome.private),
            over,
            _inflation(outcome),
            stopped.removeprefix(FLAGGED),
        )
    if result.family == "honest":
        return (result.attack, _accuracy(outcome.public), outcome.blocked_by.removeprefix(FLAGGED))
    return (result.attack, result.what.rstrip("."), outcome.gained, stopped)


def _labels(outcome: Outcome) -> str:
    found = outcome.recovered
    if found is None:
        return outcome.gained
    return f"{found.gained:+d} of {found.out_of} ({found.low} to {found.high})"


def _against_exact(outcome: Outcome) -> str:
    reach = f", inflation {outcome.inflation:+.3f}" if outcome.inflation is not None else ""
    return f"{_labels(outcome)}{reach}{'' if outcome.through else ': no more than chance'}"


def _inflation(outcome: Outcome) -> str:
    if outcome.inflation is None:
        return ""
    error = "" if outcome.inflation_se is None else f" ({outcome.inflation_se:.3f})"
    return f"{outcome.inflation:+.3f}{error}"


def _accuracy(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def markdown(results: Sequence[Result]) -> str:
    """One table a family."""
    parts = []
    for family in TITLES:
        rows = of_family(results, family)
        if not rows:
            continue
        columns = COLUMNS[family]
        lines = [f"### {heading(results, family)}", ""]
        lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(_cell(cell) for cell in cells(row)) + " |" for row in rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def document(results: Sequence[Result], queries: int) -> str:
    """All that is known, as JSON.

    Args:
        results: of the attacks.
        queries: adaptive queries that an attack on the guard might ask.
    """
    whole = {
        "queries": queries,
        "held": all_well(results),
        "attacks": [{**result.model_dump(mode="json"), "held": result.held} for result in results],
    }
    return json.dumps(whole, indent=1)
