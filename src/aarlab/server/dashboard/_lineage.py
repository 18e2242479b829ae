"""Where an idea came from and what became of it: a submission's parents and children, drawn as a tree."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from aarlab.server.record import Record, SubmissionRecord

MOST = 40  # descendants drawn, the nearest first
ELDERS = 6  # ancestors drawn
COLUMN, ROW, BOX, TALL = 210, 46, 186, 36


@dataclass(frozen=True)
class Node:
    """A submission in the tree, its box's upper left corner in pixels."""

    one: SubmissionRecord
    x: int
    y: int


@dataclass(frozen=True)
class Lineage:
    """The tree.

    Attributes:
        nodes: boxes; ancestors first.
        links: paths of the lines between them.
        hidden: ancestors and descendants that have no room.
    """

    nodes: tuple[Node, ...]
    links: tuple[str, ...]
    width: int
    height: int
    hidden: int


def lineage(record: Record, submission: int) -> Lineage:
    """The ancestors and descendants of a submission. Parents are older than their children, so there are no circles."""
    by_id = {one.id: one for one in record.submissions}
    children: dict[int, list[int]] = defaultdict(list)
    for child in record.submissions:
        if child.parent is not None and child.parent < child.id:
            children[child.parent].append(child.id)
    elders = list(_ancestors(by_id, submission))
    shown_elders = elders[:ELDERS][::-1]
    depth = {submission: len(shown_elders)}
    order = [submission]
    for one in order:  # grows while it is walked: the nearest first
        for younger in children[one]:
            depth[younger] = depth[one] + 1
            order.append(younger)
    drawn = set(order[: MOST + 1])
    hidden = len(elders) - len(shown_elders) + len(order) - len(drawn)
    rows: dict[int, int] = {}
    _place(submission, children, drawn, rows)
    nodes = {one: (place * COLUMN, rows[submission] * ROW) for place, one in enumerate(shown_elders)}
    nodes |= {one: (depth[one] * COLUMN, row * ROW) for one, row in rows.items()}
    links = [
        _curve(nodes[parent], at)
        for node, at in nodes.items()
        if (parent := by_id[node].parent) is not None and parent in nodes
    ]
    width = max(x for x, _ in nodes.values()) + BOX + 4
    height = max(y for _, y in nodes.values()) + TALL + 4
    placed = tuple(Node(by_id[one], x + 2, y + 2) for one, (x, y) in nodes.items())
    return Lineage(placed, tuple(links), width, height, hidden)


def _ancestors(by_id: dict[int, SubmissionRecord], submission: int) -> Iterator[int]:
    """The parent, its parent, and so on."""
    one = by_id[submission]
    while one.parent is not None and one.parent < one.id and one.parent in by_id:
        one = by_id[one.parent]
        yield one.id


def _place(root: int, children: dict[int, list[int]], drawn: set[int], rows: dict[int, int]) -> None:
    """Give each node a row: a first child goes on in its parent's, each further one begins a new one. No recursion."""
    free = 0
    waiting = [(root, True)]
    while waiting:
        one, begins = waiting.pop()
        if begins and one != root:
            free += 1
        rows[one] = free
        shown = [child for child in children[one] if child in drawn]
        waiting += [(child, n > 0) for n, child in reversed(list(enumerate(shown)))]


def _curve(start: tuple[int, int], end: tuple[int, int]) -> str:
    x, y = start[0] + BOX + 2, start[1] + TALL // 2 + 2
    to_x, to_y = end[0] + 2, end[1] + TALL // 2 + 2
    middle = (x + to_x) // 2
    return f"M{x},{y} C{middle},{y} {middle},{to_y} {to_x},{to_y}"
