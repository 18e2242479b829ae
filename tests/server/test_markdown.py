"""Posts as HTML: what Markdown becomes, and that no post runs, loads, imitates or reorders anything."""

from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from aarlab.api.schemas import MAX_BODY_CHARACTERS
from aarlab.api.text import BIDIRECTIONAL
from aarlab.server._markdown import MAX_LINKS, TAGS, render

FIGURES = {12: 0.4213, 7: None}
BASE = "/studies/s/submissions/"


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.depth = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("br", "hr"):
            self.open.append(tag)
            self.depth = max(self.depth, len(self.open))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(text: str) -> Page:
    """The page of a post, checked for all that must hold of each."""
    html = render(text, FIGURES, BASE)
    assert isinstance(html, Markup)
    found = Page(str(html))
    assert not found.open
    (outer, attributes), *rest = found.elements
    assert (outer, attributes) == ("div", {"class": "post", "dir": "auto"})
    for tag, attributes in rest:
        assert tag in TAGS
        allowed = {"a": {"href", "title", "rel", "class"}, "ol": {"start"}}.get(tag, set())
        assert set(attributes) <= allowed
        if tag == "a":
            assert attributes["rel"] == "nofollow noopener"
            if attributes.get("class") == "submission":
                assert attributes["href"] in {f"{BASE}{number}" for number in FIGURES}
            else:
                assert "class" not in attributes
                assert urlsplit(attributes["href"] or "").scheme.lower() in ("http", "https")
    assert not set(found.text) & BIDIRECTIONAL
    return found


def test_markdown():
    html = render("# A\n\n**b** *c* `d`\n\n- e\n\n1. f\n\n> g\n\n```python\nh < 1\n```\n\ni  \nj\n\n---\n", {})
    assert html.replace("\n", "") == (
        '<div class="post" dir="auto"><h4>A</h4><p><strong>b</strong> <em>c</em> <code>d</code></p><ul><li>e</li></ul>'
        "<ol><li>f</li></ol><blockquote><p>g</p></blockquote><pre><code>h &lt; 1</code></pre><p>i<br>j</p><hr></div>"
    )


def test_headings_rank_below_those_of_the_page():
    assert [tag for tag, _ in page("# a\n\n## b\n\n### c\n\n###### d\n\ne\n=").elements[1:]] == [
        "h4",
        "h5",
        "h6",
        "h6",
        "h4",
    ]


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see #12.", ["#12 (PGR 0.42)"]),
        ("see #7", ["#7"]),
        ("**#12**, (#12)", ["#12 (PGR 0.42)"] * 2),
        ("# 12 or #12", ["#12 (PGR 0.42)"]),
        ("#99 is of another study", []),
        ("a#12 /#12 ##12 #12#12 #123 #012 #12a &#12; #\uff11\uff12", []),
        ("`#12`", []),
        ("    #12", []),
        ("\\#12", []),
        ("#" + "9" * 5000, []),
    ],
)
def test_mentions_become_links_with_the_servers_figure(text: str, links: list[str]):
    found = page(text)
    assert [attributes.get("class") for attributes in found.of("a")] == ["submission"] * len(links)
    for link in links:
        assert link in found.text


def test_a_figure_cannot_be_typed():
    found = page("[#12 (PGR 0.99)](http://evil.example) #12 (PGR 0.99)")
    theirs, ours = found.of("a")
    assert (theirs.get("class"), ours.get("class")) == (None, "submission")
    assert found.text == "#12 (PGR 0.99) #12 (PGR 0.42) (PGR 0.99)\n"
    for forged in (
        f'<a class="submission" href="{BASE}12">#12 (PGR 0.99)</a>',
        f"[#12 (PGR 0.99)]({BASE}12)",
        "[#12 (PGR 0.99)](submissions/12)",
        "[#12 (PGR 0.99)](//evil.example)",
        "[#12 (PGR 0.99)](#submission-12)",
        "[x]: http://evil.example 'class=submission'\n\n[x]{.submission}",
    ):
        assert all("0.99" not in str(link) for link in page(forged).of("a"))
        assert sum(link.get("class") == "submission" for link in page(forged).of("a")) <= 1
        assert "PGR 0.99" not in _within_links(forged)


def _within_links(text: str) -> str:
    html = render(text, FIGURES, BASE)
    return "".join(part.partition("</a>")[0] for part in html.split('<a class="submission"')[1:])


def test_a_post_cannot_become_long_by_links():
    found = page("#12 " * 5000)
    assert len(found.of("a")) == MAX_LINKS
    assert found.text.count("#12") == 5000


ATTACKS = [
    "<script>window.hacked = 1</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<body onload=alert(1)><style>*{display:none}</style>",
    "<base href='http://evil.example/'><meta http-equiv=refresh content=0;url=http://evil.example>",
    "<form action=/studies/s/finish method=post><button>x</button></form>",
    "<!-- --!><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?><script>alert(1)</script>",
    "</div></div><h1>Log in again</h1>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x]( javascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;&#x61;vascript&colon;alert(1))",
    "[x](javascript&#58;alert(1))",
    "[x](\\javascript:alert(1))",
    "[x](%6Aavascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](data:image/svg+xml,<svg onload=alert(1)>)",
    "[x](file:///etc/passwd)",
    "[x](blob:http://evil.example/1)",
    "[x](http:alert)",
    "[x](https:///evil.example)",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "![x](http://evil.example/pixel.png)",
    "![x](data:image/png;base64,AAAA)",
    "![![x](javascript:a)](javascript:b)",
    "[![x](http://evil.example/a.png)](http://evil.example/b)",
    "[x](http://evil.example 'a\" onmouseover=\"alert(1)')",
    '[x](http://evil.example/"onmouseover=alert(1)//)',
    "[x](<http://evil.example/'\"><img src=x onerror=alert(1)>>)",
    "[a]: javascript:alert(1)\n\n[a] [x][a]",
    "[a]: http://evil.example '<img src=x onerror=alert(1)>'\n\n[a]",
    '```html" onclick="alert(1)\n<script>alert(1)</script>\n```',
    "~~~ <img src=x onerror=alert(1)>\n~~~",
    "`<script>alert(1)</script>`",
    "``` ``<script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "*<script>*alert(1)*</script>*",
    "[<script>alert(1)</script>](http://evil.example)",
    "> <script>\n> alert(1)\n</script>",
    "- <img\n  src=x\n  onerror=alert(1)>",
    "<a\x00 href=x>\x00[x](java\x00script:alert(1))",
    "\u202egnp.exe &#x202e; &#8238; &#x2066;x &rlm; [a](http://evil.example '&#x202e;')",
    "<http://evil.example/\u202e>",
    "{{ 7 * 7 }} {% raw %} ${x} #{x}",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_attacks(text: str):
    found = page(text)
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)


@pytest.mark.parametrize(
    "unit",
    [
        ">",
        "> ",
        "- ",
        "1. ",
        "  - a\n",
        "[",
        "![",
        "[a](",
        "[]",
        "[a]: b\n",
        "*",
        "*a ",
        "*a _a ",
        "*a**a_",
        "`",
        "`a",
        "<",
        "<a",
        "<!--",
        "&#x202e;",
        "\\",
        "|a",
        "\n",
        "#12 ",
        "(",
        "_a__b",
        "```\n",
        "a\n=\n",
        "\t",
    ],
)
def test_what_is_repeated_without_end_stays_shallow_and_short(unit: str):
    text = (unit * MAX_BODY_CHARACTERS)[:MAX_BODY_CHARACTERS]
    found = page(text)
    assert found.depth <= 64
    assert len(found.text) <= MAX_BODY_CHARACTERS + MAX_LINKS * 20
    assert len(found.elements) <= MAX_BODY_CHARACTERS


@pytest.mark.parametrize("address", ["y" * 9_900, "&" * 9_900, "\"'" * 4_950])
def test_an_address_is_not_written_again_for_each_time_that_it_is_named(address: str):
    text = f"[a]: http://x/{address}\n\n" + "[a] " * 2_450
    assert len(text) <= MAX_BODY_CHARACTERS
    assert len(render(text, FIGURES, BASE)) <= 10 * MAX_BODY_CHARACTERS
    assert not page(text).of("a")


def test_what_is_longer_than_a_post_can_be_is_cut():
    assert len(page("x" * 10 * MAX_BODY_CHARACTERS).text) == MAX_BODY_CHARACTERS + 1


PIECES = st.sampled_from(
    [*ATTACKS, "#12", "[", "](", ")", "<", ">", "`", "*", "\n", "\n\n", "    ", "> ", "&", ";", '"', "'"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_no_mixture_gets_through(text: str):
    page(text)
