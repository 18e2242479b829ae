"""Every route of the server."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aarlab.server import Limits, Rate, create_app
from double import TOKEN, Double, only

PREFIX = "/api/v1"
#: Of a server whose routes are all tried in a row.
UNLIMITED = Limits(*(Rate(1e9, 10**9),) * 3)
#: By the end of a path: a body that its route takes. Of those that are not here, `{}` is taken or refused as invalid.
BODIES: dict[str, dict[str, Any]] = {
    "/studies": {"testbed": "synthetic"},
    "/researchers": {"name": "another", "kind": "human", "direction": "none"},
    "/submissions": {"name": "m", "code": "# accuracy=0.7\n"},
    "/findings": {"kind": "insight", "title": "seen"},
    "/vote": {"value": 1},
    "/overrule": {"verdict": "passed", "reason": "because I have looked at it"},
    "/confirm": {"submissions": []},
    "/audit": {"submissions": []},
    "/charges": {"key": "k", "kind": "cpu", "seconds": 1.0},
    "/tokens": {"role": "viewer"},
}


def operations() -> list[tuple[str, str, frozenset[str]]]:
    """Method, path and roles of every route; the path with its parameters' names."""
    app = create_app(Path("never-opened.db"), only(Double()), TOKEN)
    return [
        (method.upper(), path, frozenset(operation.get("tags", ())))
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def filled(path: str, values: Mapping[str, object] | None = None) -> str:
    """A route's path with values for its parameters; others are 1, a study is nowhere, an audit is `reading`."""
    known = {"study": "nowhere", "name": "reading", **(values or {})}
    return re.sub(r"\{(\w+)\}", lambda found: str(known.get(found[1], 1)), path)


def body(path: str) -> dict[str, Any]:
    """Something that a route takes."""
    return next((taken for end, taken in BODIES.items() if path.endswith(end)), {})


OPERATIONS = operations()
