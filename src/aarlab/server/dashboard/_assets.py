"""Style, script and Plotly, from this package and the installed one: nothing is fetched from elsewhere."""

import gzip
import hashlib
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from aarlab.server._problems import not_found

STATIC = Path(__file__).parent / "static"
PLOTLY = "plotly.min.js"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"  # a path names one content


@lru_cache
def asset(name: str) -> str:
    """Path under which a file is served; it changes with the content.

    Args:
        name: of a file in `static`, or `PLOTLY`.
    """
    mark = version("plotly") if name == PLOTLY else hashlib.sha256(_file(name).read_bytes()).hexdigest()[:12]
    return f"/static/{mark}/{name}"


def plotly_javascript() -> Path:
    """The script of the installed Plotly; found without importing the package."""
    found = find_spec("plotly")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "package_data" / PLOTLY


@lru_cache
def _packed(name: str) -> bytes:
    return gzip.compress(_file(name).read_bytes(), 6)


def _file(name: str) -> Path:
    return plotly_javascript() if name == PLOTLY else STATIC / name


def serve_asset(request: Request, mark: str, name: str) -> Response:
    """A file, compressed where the browser takes that.

    Raises:
        ProblemError: there is no such file, or it has another content by now.
    """
    known = name == PLOTLY or name in {path.name for path in STATIC.iterdir()}
    if not known or asset(name) != f"/static/{mark}/{name}":
        raise not_found("file", name)
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    media = TYPES[Path(name).suffix]
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(_file(name).read_bytes(), media_type=media, headers=headers)
    return Response(_packed(name), media_type=media, headers=headers | {"Content-Encoding": "gzip"})
