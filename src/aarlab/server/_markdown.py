"""Posts as HTML: CommonMark without HTML, images and link references, then cleaned against an allow-list.

What is protected: nothing in a post runs, loads, imitates the page around it or reorders its text; every link of a post
leads to an absolute http or https address and carries `nofollow noopener`; only `#12`, which this module turns into a
link itself, leads into the site, and its figure is the server's. What is not: what a text claims. A reader of
"#12 has PGR 0.99" sees the server's figure in the link, and the claim behind it.
"""

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from aarlab.api.schemas import MAX_BODY_CHARACTERS
from aarlab.api.text import BIDIRECTIONAL

if TYPE_CHECKING:  # parser and cleaner are imported when the first post is shown: commands start without them
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

#: `#12`, not within a word, a path or a longer run of signs.
MENTION = re.compile(r"(?<![\w#&/])#([1-9]\d{0,9})(?![\w#])", re.ASCII)

#: Headings of a post rank below those of the page.
TOP_HEADING = 4

#: How deep lists and quotations go; what is deeper is left out.
MAX_DEPTH = 20

#: How many `#12` of one post become links; the rest stays text, or links would make a post thirty times as long.
MAX_LINKS = 200

KEPT = 512  # rendered posts; an hour's reading of one forum
TAGS = {"p", "br", "hr", "h4", "h5", "h6", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li", "a", "bdi"}
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
CLASSES = {"a": {"submission"}}  # no Markdown makes a class on a link

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0), *map(ord, BIDIRECTIONAL)) if code not in (9, 10)}


def render(text: str, figures: Mapping[int, float | None], base: str = "submissions/") -> Markup:
    """A post's body as HTML, in an element that keeps the direction of its text to itself.

    Args:
        text: Markdown. Untrusted.
        figures: guarded PGR of submissions that `#12` may link to, by id; None if it has none. An id that is not in
            it stays text.
        base: what the address of a submission's page begins with, before its id.
    """
    mentioned = {int(number) for number in MENTION.findall(text)}
    told = tuple(sorted((number, figures[number]) for number in mentioned if number in figures))
    return _rendered(text[:MAX_BODY_CHARACTERS], told, base)


@lru_cache(KEPT)
def _rendered(text: str, told: tuple[tuple[int, float | None], ...], base: str) -> Markup:
    import nh3

    html = _parser().render(text, {"figures": dict(told), "base": base, "links": 0})
    clean = nh3.clean(
        html,
        tags=TAGS,
        clean_content_tags={"script", "style"},
        attributes=ATTRIBUTES,
        allowed_classes=CLASSES,
        url_schemes={"http", "https"},
        link_rel="nofollow noopener",
    )
    # Last, for the parser turns references such as &#x202e; into the characters themselves.
    return Markup(f'<div class="post" dir="auto">{clean.translate(_CONTROLS)}</div>')  # noqa: S704 - just cleaned


@lru_cache(1)
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_DEPTH})
    parser.disable("image")  # leaves a link
    parser.disable("reference")  # one long address, named two thousand times, made a hundred megabytes of a post
    parser.validateLink = _leads_out  # type: ignore[method-assign]
    parser.core.ruler.before("text_join", "mentions", _mentions)  # where an escaped sign is still told apart
    return parser


def _leads_out(url: str) -> bool:
    return re.match(r"https?://[^/\s]", url, re.IGNORECASE) is not None


def _mentions(state: "StateCore") -> None:
    """Turn `#12` into links, outside of links and code, and lower all headings."""
    for block in state.tokens:
        if block.type in ("heading_open", "heading_close"):
            block.tag = f"h{min(6, int(block.tag[1]) + TOP_HEADING - 1)}"
        if block.children is None:
            continue
        children: list[Token] = []
        inside = 0
        for token in block.children:
            inside += {"link_open": 1, "link_close": -1}.get(token.type, 0)
            children += [token] if inside or token.type != "text" else _linked(token, state.env)
        block.children = children


def _linked(token: "Token", env: MutableMapping[str, Any]) -> list["Token"]:
    from markdown_it.token import Token

    figures, base = env["figures"], env["base"]
    parts: list[Token] = []
    begin = 0
    for match in MENTION.finditer(token.content):
        number = int(match[1])
        if number not in figures or env["links"] == MAX_LINKS:
            continue
        env["links"] += 1
        pgr = figures[number]
        shown = f"#{number}" if pgr is None else f"#{number} (PGR {pgr:.2f})"
        link = f'<a class="submission" href="{escape(base)}{number}"><bdi>{shown}</bdi></a>'
        parts += [Token("text", "", 0, content=token.content[begin : match.start()]), Token("html_inline", "", 0)]
        parts[-1].content = link
        begin = match.end()
    return [*parts, Token("text", "", 0, content=token.content[begin:])] if parts else [token]
