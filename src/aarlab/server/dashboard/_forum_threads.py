"""What the forum's page shows: threads, the ones that answer a search, or one of them whole."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from aarlab.api.schemas import Finding, FindingKind
from aarlab.server._markdown import render
from aarlab.server._record import Record, SubmissionRecord
from aarlab.server.dashboard._cut import cut
from aarlab.server.dashboard._shell import study_path

THREADS = 15  # on a page
REPLIES = 3  # of a thread among others
WHOLE = 50  # replies on a page of one thread
LINES = 14  # likewise
TAGS = 30  # offered to choose from
LONG = 700  # characters from which on a post is cut among others

PLURAL = {
    FindingKind.RESULT: "results",
    FindingKind.HYPOTHESIS: "hypotheses",
    FindingKind.INSIGHT: "insights",
    FindingKind.ERROR: "errors",
}
ORDERS = ("newest", "active", "votes")


@dataclass(frozen=True)
class Post:
    """A finding as the forum shows it.

    Attributes:
        body: as clean HTML.
        cut: whether there is more of it.
        submission: that it links to.
        found: whether it answers the search itself; a thread may be there for its replies.
    """

    finding: Finding
    body: Markup
    cut: bool
    submission: SubmissionRecord | None
    found: bool


@dataclass(frozen=True)
class Thread:
    """A finding that replies to none, and those below it, oldest first.

    Attributes:
        hidden: how many of the replies are not among `replies`.
    """

    root: Post
    replies: Sequence[Post]
    hidden: int


def beginning(text: str) -> str:
    """The first paragraphs or lines of a long text, or else its first words; a short one whole."""
    if len(text) <= LONG * 1.2 and text.count("\n") <= LINES * 1.2:
        return text
    cut = "".join(text.splitlines(keepends=True)[:LINES])[:LONG]
    ends = [cut.rfind(mark) for mark in ("\n\n", "\n", " ")]
    return cut[: next((end for end in ends if end > LONG // 3), len(cut))]


class Posts:
    """Findings of a record, by thread, ready to be shown."""

    def __init__(self, record: Record) -> None:
        self._base = study_path(record.study.id, "/submissions/")
        self._submissions = {one.id: one for one in record.submissions}
        self._figures: Mapping[int, float | None] = {
            one.id: None if one.told is None else one.told.pgr for one in record.submissions
        }
        self._roots: dict[int, Finding] = {}
        self._below: dict[int, list[Finding]] = defaultdict(list)
        for finding in record.findings:  # oldest first, and a parent is always older: no chain is walked twice
            root = self._roots[finding.id] = self._roots.get(finding.parent or 0, finding)
            if root is not finding:
                self._below[root.id].append(finding)

    def root(self, finding: Finding) -> Finding:
        """The finding at the head of the thread that a finding of the record is in."""
        return self._roots[finding.id]

    def below(self, root: Finding) -> Sequence[Finding]:
        """All that a thread has below its head, oldest first."""
        return self._below.get(root.id, ())

    def post(self, finding: Finding, *, found: bool = True, whole: bool = False) -> Post:
        """A finding, ready to be shown; its beginning only, if it is long and not asked for whole."""
        text = finding.body if whole else beginning(finding.body)
        body = render(text, self._figures, self._base)
        linked = self._submissions.get(finding.submission or 0)
        return Post(finding, body, len(text) < len(finding.body), linked, found)

    def thread(self, root: Finding, found: Collection[int]) -> Thread:
        """A thread among others: its head, and the replies that were looked for or else the last ones."""
        below = self.below(root)
        wanted = [one for one in below if one.id in found][-REPLIES:]
        return Thread(
            self.post(root, found=root.id in found),
            [self.post(one) for one in wanted],
            len(below) - len(wanted),
        )


def forum_context(
    record: Record,
    *,
    matches: Sequence[int] | None = None,
    kind: str = "",
    tag: str = "",
    researcher: str = "",
    sort: str = "",
    page: int = 1,
) -> dict[str, Any]:
    """Threads that hold a finding that is looked for.

    Args:
        record: of the study.
        matches: ids of the findings that a search found, the most relevant first; None if nothing is searched for.
        kind: of finding; all if empty.
        tag: that a finding has; all if empty.
        researcher: who wrote it; all if empty.
        sort: one of `ORDERS`; if it is none, the most relevant first in a search, else the newest.
        page: from 1.
    """
    posts = Posts(record)
    ranked = None if matches is None else {finding: place for place, finding in enumerate(matches)}
    wanted = {
        one.id: one
        for one in record.findings
        if kind in ("", one.kind)
        and (not tag or tag.lower() in one.tags)
        and researcher in ("", one.researcher)
        and (ranked is None or one.id in ranked)
    }
    roots: dict[int, Finding] = {}
    relevance: dict[int, int] = {}
    for one in wanted.values():
        root = posts.root(one)
        roots[root.id] = root
        if ranked is not None:
            relevance[root.id] = min(ranked[one.id], relevance.get(root.id, len(ranked)))
    if sort == "active":
        ordered = sorted(roots.values(), key=lambda root: -max([root.id, *(one.id for one in posts.below(root))]))
    elif sort == "votes":
        ordered = sorted(roots.values(), key=lambda root: (root.down - root.up, -root.id))
    elif ranked is not None and sort != "newest":
        ordered = sorted(roots.values(), key=lambda root: relevance[root.id])
    else:
        ordered = sorted(roots.values(), key=lambda root: -root.id)
    counts = Counter(sorted(one.kind for one in record.findings))
    chosen = cut(ordered, page, THREADS)
    return {
        "threads": [posts.thread(root, wanted) for root in chosen.items],
        "chosen": chosen,
        "count": len(wanted),
        "everything": len(record.findings),
        "kinds": list(FindingKind),
        "kind_text": ", ".join(f"{PLURAL[kind]}: {count}" for kind, count in counts.items()),
        "tags": [name for name, _ in Counter(name for one in record.findings for name in one.tags).most_common(TAGS)],
        "authors": sorted({one.researcher for one in record.findings}, key=str.casefold),
        "thread": None,
    }


def thread_context(record: Record, finding: int, page: int = 1) -> dict[str, Any] | None:
    """The whole thread that a finding is in; None if there is no such finding.

    Args:
        record: of the study.
        finding: its id.
        page: of the replies, from 1.
    """
    one = next((one for one in record.findings if one.id == finding), None)
    if one is None:
        return None
    posts = Posts(record)
    root = posts.root(one)
    replies = cut(posts.below(root), page, WHOLE)
    shown = Thread(posts.post(root, whole=True), [posts.post(reply, whole=True) for reply in replies.items], 0)
    return {"thread": shown, "replies": replies, "asked": finding}
