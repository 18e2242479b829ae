"""Submitted code as HTML: highlighted, and beside its parent.

Untrusted: it is escaped, and characters that would deceive whoever reads are made visible.
"""

import difflib
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup, escape
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

from aarlab.api.text import BIDIRECTIONAL

CONTEXT = 3  # lines around a change
HIGHLIGHTED = 60_000  # characters; beyond that code is shown plainly
COMPARED = 1500  # lines; beyond that no diff is made: what it costs grows with their square


def visible(code: str) -> str:
    """Code whose characters that reorder, hide or steer what is shown are written out."""
    lines = code.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        f"⟨U+{ord(one):04X}⟩"
        if one in BIDIRECTIONAL or (one not in "\n\t" and unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp", "Cs"))
        else one
        for one in lines
    )


@lru_cache(64)
def lines(code: str) -> tuple[Markup, ...]:
    """Lines of code as HTML, highlighted."""
    shown = visible(code).removesuffix("\n")
    if len(shown) > HIGHLIGHTED:
        return tuple(escape(line) for line in shown.split("\n"))
    written: str = highlight(shown, PythonLexer(stripnl=False, ensurenl=True), HtmlFormatter(nowrap=True))
    return tuple(Markup(line) for line in written.removesuffix("\n").split("\n"))  # noqa: S704 - Pygments escapes


def listing(code: str) -> Markup:
    """Code with its line numbers."""
    numbered = (
        Markup('<span class="line" data-n="{}">{}</span>').format(number, line)
        for number, line in enumerate(lines(code), 1)
    )
    return Markup("").join(numbered)


@dataclass(frozen=True)
class Diff:
    """What changed.

    Attributes:
        html: the lines, in unified form.
        added, removed: how many.
    """

    html: Markup
    added: int
    removed: int


def diff(before: str, after: str) -> Diff | None:
    """How code differs from what it builds on; None if it is too long to compare.

    Args:
        before: the parent's.
        after: its own.
    """
    old, new = lines(before), lines(after)
    texts = visible(before).removesuffix("\n").split("\n"), visible(after).removesuffix("\n").split("\n")
    if max(map(len, texts)) > COMPARED:
        return None
    written: list[Markup] = []
    added = removed = 0
    for group in difflib.SequenceMatcher(None, *texts).get_grouped_opcodes(CONTEXT):
        first, last = group[0], group[-1]
        where = f"@@ line {first[1] + 1} to {last[2]} became {first[3] + 1} to {last[4]} @@"
        written.append(Markup('<span class="hunk">{}</span>').format(where))
        for kind, i, j, k, m in group:
            if kind == "equal":
                written += [Markup('<span class="same">  {}</span>').format(line) for line in new[k:m]]
                continue
            written += [Markup('<del class="line">- {}</del>').format(line) for line in old[i:j]]
            written += [Markup('<ins class="line">+ {}</ins>').format(line) for line in new[k:m]]
            added, removed = added + m - k, removed + j - i
    return Diff(Markup("").join(written), added, removed)
