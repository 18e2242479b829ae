"""Progress of long work, on standard error: bars on a terminal, else a line when something begins."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from aarlab.cli._common import err

#: Told what is under way, how much of it is done, out of how much (None if that is not known).
Show = Callable[[str, int, int | None], None]


def steps() -> AbstractContextManager[Show]:
    """Shows steps by name."""
    return _bars(MofNCompleteColumn())


def downloads() -> AbstractContextManager[Show]:
    """Shows files on their way, in bytes."""
    return _bars(DownloadColumn())


@contextmanager
def _bars(amount: ProgressColumn) -> Iterator[Show]:
    if not err.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, of: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(escape(what), total=of or None)
            bar.update(tasks[what], completed=done, total=of or None)

        yield show


def _lines() -> Show:
    begun: set[str] = set()

    def show(what: str, _done: int, _of: int | None) -> None:
        if what not in begun:
            begun.add(what)
            err.print(escape(what), highlight=False, soft_wrap=True)

    return show
