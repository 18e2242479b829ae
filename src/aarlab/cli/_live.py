"""The display while a team works: a bar, a line for each researcher, the latest finding."""

import time
from types import TracebackType
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from aarlab.cli._common import err, short_direction
from aarlab.studies import Progress as TeamProgress
from aarlab.studies import Settings

PLAIN_SECONDS = 10.0  # between lines where no terminal is watching


class Display:
    """Shows a team's progress on standard error: live on a terminal, else as a line now and then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("evaluations"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=err,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._live = Live(self._bar, console=err, refresh_per_second=4, transient=True)
        self._line = (0.0, "")

    def __enter__(self) -> Self:
        if err.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if err.is_terminal:
            self._live.stop()

    def show(self, progress: TeamProgress) -> None:
        """Show how far the team is."""
        if not err.is_terminal:
            self._say(progress)
            return
        self._bar.update(self._task, description=progress.phase, completed=progress.evaluated, total=progress.planned)
        parts: list[RenderableType] = [self._bar, self._table(progress)]
        if progress.finding is not None:
            parts.append(
                Text(f"{progress.finding.researcher}: {progress.finding.title}", style="dim", overflow="ellipsis")
            )
        self._live.update(Group(*parts))

    def _say(self, progress: TeamProgress) -> None:
        last, phase = self._line
        now = time.monotonic()
        if phase == progress.phase and now - last < PLAIN_SECONDS:
            return
        self._line = (now, progress.phase)
        best = max((r.best for r in progress.researchers if r.best is not None), default=None)
        found = "" if best is None else f", best guarded PGR {best:.2f}"
        err.print(f"{progress.phase}: {progress.evaluated} of {progress.planned} evaluations{found}", highlight=False)

    def _table(self, progress: TeamProgress) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("researcher")
        table.add_column("direction")
        table.add_column("used", justify="right")
        table.add_column("best PGR", justify="right")
        table.add_column("latest method", no_wrap=True, overflow="ellipsis")
        for one in progress.researchers:
            table.add_row(
                escape(one.researcher.name),
                escape(short_direction(one.researcher.direction)),
                f"{one.researcher.evaluations_used}/{one.researcher.evaluations_limit}",
                "" if one.best is None else f"{one.best:.2f}",
                escape(one.latest),
                style="" if one.working else "dim",
            )
        table.caption = "PGR as researchers see it: public, through the leakage guard"
        table.caption_justify = "left"
        return table
