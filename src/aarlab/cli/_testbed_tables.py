"""What `aarlab testbed` prints: figures by part, rules, checks, manifests and examples."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aarlab.cli._common import out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aarlab.testbeds import Part, Split
    from aarlab.testbeds.check import Report, Rule, Score
    from aarlab.testbeds.own import Rejected
    from aarlab.testbeds.pack import Pack
    from aarlab.testbeds.summary import PartSummary, Summary

STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}
RULES = ("baseline: ", "shortcut: ", "gap on ")  # checks whose figures stand in a table of their own
ROOMY = 90  # columns of a terminal from which on tables are set wider
LONGEST = 700  # characters of a text that are printed
SHOWN = 5  # rows of a kind that are printed
PAIRS = {
    "vanilla and confident": "MDE is that between two methods that differ as vanilla and confident do.",
    "floor and ceiling": "MDE is an upper bound: that between two methods that differ as floor and ceiling do.",
    "none": "This student cannot be trained: it has no ceiling, and there is no PGR.",
}


def share(value: float | None, digits: int = 3) -> str:
    """A share of 1 without its leading zero; a dash for None."""
    if value is None:
        return "-"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and text.lstrip("-").startswith("0.") else text


def with_error(value: float | None, error: float | None) -> str:
    """An accuracy with its standard error in brackets."""
    return share(value) if value is None or error is None else f"{share(value)} ({share(error)})"


def where(part: "PartSummary | Score") -> str:
    """Split and part in as few words as possible."""
    return part.split if part.part == "id" else f"{part.split} {part.part}"


def parts_table(summaries: "Sequence[Summary]") -> Table:
    """One line a part; what the testbed is stands below its name. Eighty columns hold it."""
    gutter = 2 if out.width >= ROOMY else 1
    table = Table(box=None, padding=(0, gutter, 0, 0), caption_justify="left", header_style="bold", pad_edge=False)
    table.add_column("testbed", style="bold", overflow="fold")
    table.add_column("part", no_wrap=True)
    for name in ("rows", "quest.", "floor", "ceiling", "gap", "gap/SE", "MDE"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("resolved", no_wrap=True)
    for summary in summaries:
        names = [escape(summary.testbed), f"[not bold dim]{summary.domain}, {summary.task}[/]"]
        for line, part in enumerate(summary.parts):
            table.add_row(
                names[line] if line < len(names) else "",
                where(part),
                str(part.rows),
                str(part.questions),
                share(part.floor),
                share(part.ceiling),
                share(part.gap),
                "-" if part.gap_standard_errors is None else f"{part.gap_standard_errors:.1f}",
                share(part.detectable_pgr, 2),
                "[green]yes[/]" if part.resolved else "[yellow]no[/]",
            )
        for name in names[len(summary.parts) :]:
            table.add_row(name)
        table.add_section()
    told = " ".join(dict.fromkeys(PAIRS[summary.pair] for summary in summaries))
    table.caption = f"SE by question; a gap is resolved from .10 and 6 SE on. {told}"
    return table


def markdown(summaries: "Sequence[Summary]") -> str:
    """The table of `parts_table` with standard errors, for a document."""
    head = ("testbed", "domain", "task", "part", "rows", "questions", "floor (SE)", "ceiling (SE)", "gap", "gap in SE")
    lines = [f"| {' | '.join((*head, 'MDE', 'resolved'))} |", "|" + "---|" * (len(head) + 2)]
    for summary in summaries:
        for part in summary.parts:
            errors = "-" if part.gap_standard_errors is None else f"{part.gap_standard_errors:.1f}"
            cells = (
                summary.testbed,
                summary.domain,
                summary.task,
                where(part),
                str(part.rows),
                str(part.questions),
                with_error(part.floor, part.floor_se),
                with_error(part.ceiling, part.ceiling_se),
                share(part.gap),
                errors,
                share(part.detectable_pgr, 2),
                "yes" if part.resolved else "no",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def print_report(report: "Report") -> None:
    """A check in full: figures, rules, checks, verdict."""
    if report.summary is not None:
        out.print(parts_table([report.summary]))
        out.print()
        out.print(_rules_table(report))
        out.print()
    for check in report.checks:
        if check.verdict == "pass" and check.name.startswith(RULES):
            continue
        out.print(_indented(f"[{STYLES[check.verdict]}]{check.verdict}[/]", check.name, check.finding, check.advice))
    counts = Counter(check.verdict for check in report.checks)
    told = {"pass": "passes", "warn": "passes, with warnings", "fail": "fails"}[report.verdict]
    out.print(
        f"\n[{STYLES[report.verdict]}]{escape(report.testbed)} {told}[/] ({escape(report.student)}): "
        + ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("pass", "warn", "fail")),
        highlight=False,
        soft_wrap=True,
    )


def _indented(verdict: str, name: str, finding: str, advice: str) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row(verdict, f"[bold]{escape(name)}[/]: {escape(finding)}")
    if advice:
        table.add_row("", f"[dim]→ {escape(advice)}[/]")
    return table


def _rules_table(report: "Report") -> Table:
    """What each trivial rule and shortcut scores by part, and the PGR that this would be."""
    assert report.summary is not None
    table = Table(box=None, padding=(0, 2, 0, 0), caption_justify="left", header_style="bold", pad_edge=False)
    table.add_column("rule, without\nteacher or student")
    for part in report.summary.parts:
        table.add_column(where(part).replace(" ", "\n"), justify="right", no_wrap=True)
    for rule in report.rules:
        if rule.scores:
            table.add_row(_name(rule), *(_score(score) for score in rule.scores))
    for rule in report.rules:
        if rule.kind == "shortcut" and rule.declared and not rule.scores:
            table.add_row(_name(rule), *["[dim]?[/]"] * len(report.summary.parts))
    table.caption = "Accuracy, and the PGR that it would be where the gap is resolved."
    return table


def _name(rule: "Rule") -> str:
    kind = (
        "" if rule.kind == "baseline" else " [dim](shortcut, declared)[/]" if rule.declared else " [dim](shortcut)[/]"
    )
    return f"{escape(rule.name.replace('_', ' '))}{kind}"


def _score(score: "Score") -> str:
    if score.recovered is None:
        return share(score.accuracy)
    style = "yellow" if score.recovered >= 0.5 else "dim"
    return f"{share(score.accuracy)} [{style}]{share(score.recovered, 2):>5}[/]"


def bad_rows_table(rejected: "Sequence[Rejected]") -> Table:
    """Rows that cannot be used, by reason, with the first of each."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("reason", no_wrap=True)
    table.add_column("for example")
    for reason, count in Counter(row.reason for row in rejected).most_common():
        first = next(row for row in rejected if row.reason == reason)
        table.add_row(str(count), escape(reason), escape(f"{first.source}, line {first.line}: {first.detail}"))
    return table


def print_manifest(pack: "Pack", drawn: "Mapping[tuple[Split, Part], NDArray[Any]]") -> None:
    """What a testbed is, in words."""
    manifest = pack.manifest
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    unit = "pairs" if pack.pairs else "single candidates"
    table.add_row("what", f"{manifest.domain}; {manifest.examples} {unit}, {manifest.groups} questions")
    table.add_row("label", escape(manifest.question))
    for source in manifest.sources:
        text = f"Text: {source.url or source.file or 'made by aarlab itself'}"
        table.add_row(
            f"source ({source.part})", escape(f"{source.name}: {source.data}. Licence: {source.licence}. {text}")
        )
    if manifest.writers:
        table.add_row("writers", escape(", ".join(manifest.writers)))
    weak = manifest.weak
    reads = f"{weak.kind.replace('_', ' ')}" + (f": {weak.what}" if weak.what else "")
    model = f", {weak.model}" if weak.model else ""
    table.add_row("weak supervisor", escape(f"{reads}{model}; {weak.labels} labels of teacher"))
    places = [f"{layer} {pooling}" for layer, pooling in manifest.representations]
    table.add_row("representations", escape(", ".join(places)) or "none: it holds text only")
    if manifest.templates:
        table.add_row("zero-shot", escape(", ".join(manifest.templates)))
    for (split, part), rows in drawn.items():
        if len(rows):
            import numpy as np

            table.add_row(f"{split} {part}", f"{len(rows)} rows, {len(np.unique(pack.groups[rows]))} questions")
    for shortcut in manifest.shortcuts:
        twin = f" Without it: {shortcut.without}." if shortcut.without else ""
        table.add_row("shortcut", escape(f"{shortcut.name}: {shortcut.what}{twin}"))
    if not manifest.shortcuts:
        table.add_row("shortcuts", "none known")
    for key in ("script", "command", "model", "student", "seed", "precision"):
        if key in manifest.recipe:
            table.add_row(f"recipe: {key}", escape(str(manifest.recipe[key])))
    out.print(f"[bold]{escape(manifest.name)}[/]")
    out.print(table, highlight=False)


def print_examples(split: "Split", examples: Sequence[Mapping[str, Any]]) -> None:
    """Examples as people read them, the right or better answer marked."""
    for example in examples:
        out.print()
        out.print(Text(f"{split}, row {example['row']}, {example['source']}", style="dim"))
        out.print(Padding(Text(_plain(example["prompt"]), style="bold"), (0, 0, 0, 2)))
        candidates, label = example["candidates"], example["label"]
        for place, candidate in enumerate(candidates):
            right = label == (place if len(candidates) == 2 else 1)
            line = Table.grid(padding=(0, 1, 0, 0))
            line.add_column(width=3, justify="right")
            line.add_column()
            line.add_row(Text("✓", style="green") if right else Text("✗", style="red"), Text(_plain(candidate)))
            out.print(line)


def _plain(text: str) -> str:
    """Text of strangers, without what would steer a terminal, and not too long."""
    kept = "".join(c if c.isprintable() or c == "\n" else " " for c in text.expandtabs(4))
    return kept if len(kept) <= LONGEST else f"{kept[:LONGEST]} … ({len(kept) - LONGEST} more characters)"
