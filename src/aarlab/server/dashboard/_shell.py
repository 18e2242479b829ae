"""What all pages share: rendering, how figures and tables get into a page, and how numbers are written.

Everything that researchers wrote is escaped: by Jinja2 in pages, by `plain` in figures.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

import aarlab
from aarlab.api.schemas import Level
from aarlab.server.dashboard._assets import PLOTLY, asset
from aarlab.stats import Interval

#: Pages of a study in the navigation: key, what it is called, path below /studies/{study}.
PAGES = (
    ("study", "Study", ""),
    ("leaderboard", "Leaderboard", "/leaderboard"),
    ("researchers", "Researchers", "/researchers"),
    ("forum", "Forum", "/forum"),
    ("integrity", "Integrity", "/integrity"),
    ("diversity", "Diversity", "/diversity"),
    ("ledger", "Ledger", "/ledger"),
)

NONE = "\N{EN DASH}"


class Drawable(Protocol):
    """A plotly.graph_objects.Figure, without importing it."""

    def to_plotly_json(self) -> dict[str, Any]:
        """The figure as a dictionary."""


@dataclass(frozen=True)
class Table:
    """A table, or a figure in words.

    Attributes:
        caption: what it shows.
        columns: their names; the first one names the row.
        rows: cells, as they are written.
        numbers: places of the columns that hold numbers.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    numbers: Sequence[int] = ()


def render(request: Request, template: str, /, *, status: int = HTTPStatus.OK, **context: Any) -> HTMLResponse:
    """A page.

    Args:
        request: what it answers; `request.state.visitor` says who asks.
        template: name of the file.
        status: of the answer.
        context: what the template shows; `study` (an `api.schemas.Study`) and `page` (a key of `PAGES`), if given, open
            the navigation, and `number` (of the study's last event) keeps the page live.
    """
    shared = {
        "visitor": getattr(request.state, "visitor", None),
        "study": None,
        "page": "",
        "number": None,
        "pages": PAGES,
        "path": request.url.path,
        "version": aarlab.__version__,
        "script": asset("app.js"),
        "style": asset("style.css"),
        "plotly": asset(PLOTLY),
    }
    return HTMLResponse(environment().get_template(template).render(shared | context), status_code=status)


@lru_cache
def environment() -> Environment:
    """The templates with their filters."""
    made = Environment(
        loader=PackageLoader("aarlab.server.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (
        pgr,
        bounds,
        p_value,
        figure,
        brief,
        share,
        signed,
        dollars,
        hours,
        moment,
        level_name,
        size,
        compact,
    ):
        made.filters[filter_.__name__] = filter_
    made.globals["query"] = query
    made.globals["study_path"] = study_path
    made.globals["MARKS"] = MARKS
    return made


#: Shape of each level: as Plotly names it, and as a character.
SYMBOLS = ("circle-open", "circle", "square", "diamond", "star", "hexagram")
MARKS = ("○", "●", "■", "◆", "★", "✶")


def figure_json(drawn: Drawable) -> Markup:
    """A figure as the JSON that `app.js` draws, safe inside a script element.

    Colours may be CSS variables of `style.css`, such as `var(--accent)`; `app.js` puts the theme's in.
    """
    from plotly.io.json import to_json_plotly

    document = drawn.to_plotly_json()
    document["layout"].pop("template", None)  # seven kilobytes of colours that the theme replaces
    written: str = to_json_plotly({"data": document["data"], "layout": document["layout"]})
    for character in "<>&\u2028\u2029":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return Markup(written)  # noqa: S704 - no character that could end the element is left


def plain(text: str, length: int = 80) -> str:
    """Untrusted text for a figure: cut, and without the tags that Plotly would follow."""
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return html.escape(cut, quote=False)


def study_path(study: str, rest: str = "") -> str:
    """Path of a study's page."""
    return f"/studies/{quote(study, safe='')}{rest}"


def query(request_query: dict[str, str], **changes: object) -> str:
    """A query string with some of it changed; None takes a field out."""
    merged: dict[str, object] = {**request_query, **changes}
    return "?" + urlencode({key: str(value) for key, value in merged.items() if value not in (None, "")})


def pgr(interval: Interval | None) -> str:
    """PGR with its bounds."""
    return NONE if interval is None else f"{interval.estimate:.2f} {bounds(interval)}"


def bounds(interval: Interval | None) -> str:
    """The bounds of an interval."""
    return "" if interval is None else f"[{interval.low:.2f}, {interval.high:.2f}]"


def p_value(p: float | None) -> str:
    """A p value."""
    if p is None:
        return NONE
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def figure(value: float | None, digits: int = 2) -> str:
    """A number with a fixed number of digits."""
    return NONE if value is None or not math.isfinite(value) else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def brief(value: float | None) -> str:
    """A number of any size with three digits that count."""
    if value is None:
        return NONE
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}").replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference, with its sign."""
    return NONE if value is None else f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def share(value: float | None) -> str:
    """A share as a percentage."""
    return NONE if value is None else f"{100 * value:.0f}%"


def dollars(value: float | None) -> str:
    """Money; cents where they count."""
    if value is None:
        return NONE
    if 0 < value < 0.01:
        return "< $0.01"
    return f"${value:,.0f}" if value >= 1000 else f"${value:.2f}"


def hours(value: float | None) -> str:
    """A span in hours, or minutes where it is short."""
    if value is None:
        return NONE
    return f"{value:,.1f} h" if value >= 1 else f"{60 * value:.0f} min"


def moment(at: datetime | None) -> Markup | str:
    """A time in UTC; the script shows the reader's own."""
    if at is None:
        return NONE
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M} UTC")


def level_name(level: Level) -> str:
    """Name of a level."""
    return level.name.lower()


def size(count: int) -> str:
    """A number of bytes."""
    return (
        f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 1024:.1f} KiB" if count >= 1024 else f"{count} B"
    )


def compact(count: float) -> str:
    """A large count."""
    for unit, word in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= unit:
            return f"{count / (1e3 if word == 'k' else unit):.1f} {word}"
    return f"{count:,.0f}"
